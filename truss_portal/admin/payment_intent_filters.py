"""The questions that finance staff ask of a list of invoices."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from django.contrib import admin
from django.db.models import Q, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from truss_portal import figures
from truss_portal.models import Company, Operation, PaymentIntent
from truss_portal.models.payment_intent import STATUS_LABELS, Status

from .company_filters import EnvironmentFilter

Delivery = PaymentIntent.Delivery
_KEPT: Final = "_truss_companies"


def companies(request: HttpRequest) -> list[Company]:
    """All there are, asked for once in a request; and with them what the ends of three indexes say of all invoices."""
    kept = vars(request)
    if _KEPT not in kept:
        dated = PaymentIntent.objects.filter(due_date__isnull=False).values("due_date")
        kept[_KEPT] = list(
            Company.objects.annotate(
                newest=Subquery(PaymentIntent.objects.order_by("-pk").values("pk")[:1]),
                first_due=Subquery(dated.order_by("due_date")[:1]),
                last_due=Subquery(dated.order_by("-due_date")[:1]),
            )
        )
    found: list[Company] = kept[_KEPT]
    return found


def newest(request: HttpRequest) -> int:
    """The primary key of the newest invoice, 0 before the first one: about how many there are."""
    return max((getattr(company, "newest", None) or 0 for company in companies(request)), default=0)


def due_span(request: HttpRequest) -> tuple[date, date] | None:
    """The first and the last due date of all invoices."""
    spans = [(company.first_due, company.last_due) for company in companies(request) if company.first_due]  # type: ignore[attr-defined]
    return spans[0] if spans else None


def of_all_companies(request: HttpRequest) -> Q:
    """Nothing is narrowed down by it; the indexes that begin with the company can be used."""
    return Q(company__in=[company.pk for company in companies(request)])


class CompanyFilter(admin.RelatedFieldListFilter):
    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        return [(company.pk, str(company)) for company in companies(request)]


class KnownEnvironmentFilter(EnvironmentFilter):
    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in Company.Environment.values:
            return queryset
        ours = [company.pk for company in companies(request) if company.environment == self.value()]
        return queryset.filter(company__in=ours)


def filters_by_company(request: HttpRequest) -> list[Any]:
    """Where there is a choice, or a link has made one."""
    there = [company.environment for company in companies(request)]
    filters: list[Any] = [("company", CompanyFilter)] if len(there) > 1 else []
    if len({*there}) > 1 or EnvironmentFilter.parameter_name in request.GET:
        filters.append(KnownEnvironmentFilter)
    return filters


class StatusFilter(admin.SimpleListFilter):
    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("none", _("Not at Truss yet")), *STATUS_LABELS.items(), ("other", _("Any other"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case None:
                return queryset
            case "none":
                return queryset.filter(of_all_companies(request), uid=None)
            case "other":
                ours = of_all_companies(request)
                others = PaymentIntent.objects.filter(ours).exclude(status__in=STATUS_LABELS).order_by()
                names = others.values_list("status", flat=True).distinct()
                return queryset.at_truss().filter(ours, status__in=[*names])
            case Status.PAID:
                # Most of them are: an index wouldn't help to find the first fifty.
                return queryset.filter(status=Status.PAID)
            case status:
                return queryset.filter(of_all_companies(request), status=status)


class DueFilter(admin.SimpleListFilter):
    """Of what can be paid at Truss: the same rows that the overview counts."""

    title = _("what is due")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [
            ("owed", _("Everything unpaid")),
            ("overdue", _("Overdue")),
            ("soon", _("Due within 7 days")),
            ("later", _("Due later")),
            ("undated", _("Unpaid, no due date")),
            ("current", _("Not due yet, or no due date")),
            ("1-30", _("1 to 30 days overdue")),
            ("31-60", _("31 to 60 days overdue")),
            ("61-90", _("61 to 90 days overdue")),
            ("over-90", _("More than 90 days overdue")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        parts = {"owed": Q(), **figures.due(timezone.localdate())}
        chosen = parts.get(self.value() or "")
        return queryset if chosen is None else figures.owed(queryset).filter(of_all_companies(request), chosen)


class AttentionFilter(admin.SimpleListFilter):
    title = _("needs a person")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("yes", _("Yes")), ("note", _("Yes, with a note"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "yes":
                return queryset.filter(pk__in=_for_a_person())
            case "note":
                return figures.marked(queryset)
        return queryset


def _for_a_person() -> Any:
    """Few of very many, each kind of them found by an index of its own."""
    invoices = PaymentIntent.objects.order_by()
    requests = Operation.objects.order_by().filter(payment_intent__isnull=False)
    kinds = (
        figures.marked(invoices),
        invoices.filter(delivery__in=[Delivery.FAILED, Delivery.UNCONFIRMED]),
        invoices.filter(missing_since__isnull=False),
    )
    first, *others = (kind.values("pk") for kind in kinds)
    return first.union(
        *others,
        figures.stuck(requests).values("payment_intent"),
        figures.unconfirmed(requests).values("payment_intent"),
    )
