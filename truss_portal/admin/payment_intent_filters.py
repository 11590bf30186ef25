"""The questions that finance staff ask of a list of invoices."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from truss_portal.models import PaymentIntent
from truss_portal.models.payment_intent import STATUS_LABELS

Delivery = PaymentIntent.Delivery
ATTENTION: Final = (
    ~Q(attention="") | Q(delivery__in=[Delivery.FAILED, Delivery.UNCONFIRMED]) | Q(missing_since__isnull=False)
)
SOON: Final = timedelta(days=7)


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
    title = _("what is due")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [
            ("overdue", _("Overdue")),
            ("soon", _("Due within 7 days")),
            ("later", _("Due later")),
            ("undated", _("Unpaid, no due date")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        today = timezone.localdate()
        wanted = {
            "overdue": Q(due_date__lt=today),
            "soon": Q(due_date__range=(today, today + SOON)),
            "later": Q(due_date__gt=today + SOON),
            "undated": Q(due_date=None),
        }
        chosen = wanted.get(self.value() or "")
        return queryset if chosen is None else queryset.open().filter(chosen)


class AttentionFilter(admin.SimpleListFilter):
    title = _("needs a person")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(ATTENTION) if self.value() == "yes" else queryset
