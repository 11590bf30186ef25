"""Payments on invoices, and what took them back."""

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import figures
from truss_portal.models import Transaction
from truss_portal.models.transaction import EXTERNAL, OUTBOUND

from .company_filters import company_filters
from .rows import ReadOnlyAdmin, badge, breakable, page_link, two_lines
from .wording import METHODS, NOTHING, day, method, money, payer

AT_TRUSS: Final = (
    "status", "type", "preprocessed_at", "processed_at", "posted_at", "settled_at", "returned_at", "uid", "fetched_at",
    "missing_since", "extra",
)  # fmt: skip


class StageFilter(admin.SimpleListFilter):
    """By the published times, as `Transaction.stage` tells it."""

    title = gettext_lazy("stage")
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [
            ("moving", gettext_lazy("On its way")),
            ("settled", gettext_lazy("Settled")),
            ("returned", gettext_lazy("Returned or paid back")),
            ("received", gettext_lazy("Received, less what was taken back")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Transaction]) -> QuerySet[Transaction]:
        inbound = queryset.filter(returned_at=None).exclude(direction=OUTBOUND)
        match self.value():
            case "moving":
                return inbound.filter(settled_at=None).exclude(type=EXTERNAL)
            case "settled":
                return inbound.filter(settled_at__isnull=False)
            case "returned":
                return queryset.exclude(pk__in=inbound.values("pk"))
            case "received":
                return figures.received(queryset)
        return queryset


class MethodFilter(admin.SimpleListFilter):
    """By the methods that Truss names; what it calls otherwise is found together."""

    title = gettext_lazy("method")
    parameter_name = "method"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        once = {str(words): name for name, words in reversed(METHODS.items())}
        return [*((name, words) for words, name in sorted(once.items())), ("unknown", gettext_lazy("Any other"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Transaction]) -> QuerySet[Transaction]:
        match self.value():
            case None:
                return queryset
            case "unknown":
                return queryset.exclude(payment_method__in=METHODS)
            case chosen:
                same = [name for name, words in METHODS.items() if str(words) == method(chosen)]
                return queryset.filter(payment_method__in=[chosen, *same])


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin[Transaction]):
    # How much came in, from whom and how sure it is, stands where a small screen shows it without scrolling.
    list_display = ("day", "shown_amount", "shown_stage", "payer_shown", "invoice", "method")
    list_display_links = ("day",)
    list_filter = (StageFilter, "date", MethodFilter)
    list_select_related = ("payment_intent__contact",)
    search_fields = (
        "payment_intent__reference",
        "payment_intent__addenda",
        "payment_intent__contact__name",
        "payment_intent__contact__email",
    )
    search_help_text = gettext_lazy("Invoice, payer, email, or Truss UID")
    uid_fields = ("uid", "payment_intent__uid")
    empty_text = gettext_lazy(
        "No payments yet. They come from Truss when a payer has paid: manage.py truss_sync brings them."
    )
    fieldsets = (
        (None, {"fields": ["invoice", "payer", "shown_amount", "method", "shown_stage", "addenda", "date"]}),
        (gettext_lazy("At Truss"), {"fields": AT_TRUSS}),
    )

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*self.list_filter, *company_filters(request)]

    @admin.display(description=gettext_lazy("invoice"), ordering="payment_intent__reference")
    def invoice(self, payment: Transaction) -> SafeString | str:
        return page_link(payment.payment_intent)

    @admin.display(description=gettext_lazy("date"), ordering="date")
    def day(self, payment: Transaction) -> str:
        return day(payment.date)

    @admin.display(description=gettext_lazy("payer"), ordering="payment_intent__contact__name")
    def payer_shown(self, payment: Transaction) -> SafeString | str:
        contact = payment.payment_intent.contact
        return two_lines(contact.name, breakable(contact.email)) if contact else NOTHING

    @admin.display(description=gettext_lazy("payer"))
    def payer(self, payment: Transaction) -> str:
        return payer(payment.payment_intent.contact)

    @admin.display(description=gettext_lazy("amount"), ordering="amount")
    def shown_amount(self, payment: Transaction) -> str:
        return money(payment.signed_amount)

    @admin.display(description=gettext_lazy("method"), ordering="payment_method")
    def method(self, payment: Transaction) -> str:
        return method(payment.payment_method)

    @admin.display(description=gettext_lazy("stage"))
    def shown_stage(self, payment: Transaction) -> SafeString | str:
        if payment.missing_since:
            return badge(_("Not found at Truss"))
        return payment.stage
