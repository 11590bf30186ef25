"""The questions that finance staff ask of a list of invoices."""

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from truss_portal import figures
from truss_portal.models import Operation, PaymentIntent
from truss_portal.models.payment_intent import STATUS_LABELS

Delivery = PaymentIntent.Delivery
ATTENTION: Final = (
    ~Q(attention="")
    | Q(delivery__in=[Delivery.FAILED, Delivery.UNCONFIRMED])
    | Q(missing_since__isnull=False)
    | Exists(Operation.objects.for_a_person().filter(payment_intent=OuterRef("pk")))
)


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
                return queryset.filter(uid=None)
            case "other":
                return queryset.at_truss().exclude(status__in=STATUS_LABELS)
            case status:
                return queryset.filter(status=status)


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
        return queryset if chosen is None else figures.owed(queryset).filter(chosen)


class AttentionFilter(admin.SimpleListFilter):
    title = _("needs a person")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("yes", _("Yes")), ("note", _("Yes, with a note"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "yes":
                return queryset.filter(ATTENTION)
            case "note":
                return figures.marked(queryset)
        return queryset
