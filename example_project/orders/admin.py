from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from example_project.orders.invoicing import send_invoice
from example_project.orders.models import Customer, Order, OrderLine, OrderQuerySet
from truss_portal.exceptions import ActionRefusedError, InvalidRequestError, NotConnectedError
from truss_portal.models import PaymentIntent
from truss_portal.models.payment_intent import STATUS_LABELS

Delivery = PaymentIntent.Delivery


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "email", "secondary_email", "phone"]
    search_fields = ["name", "email", "secondary_email"]


class PaidFilter(admin.SimpleListFilter):
    title = "payment"
    parameter_name = "paid"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Paid"), ("no", "Not paid")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        wanted = {"yes": False, "no": True}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(paid_at__isnull=wanted)


class OrderLineInline(admin.TabularInline):  # type: ignore[type-arg]
    model = OrderLine
    extra = 0
    min_num = 1


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["number", "invoice_state", "customer", "amount", "paid_at", "placed_on"]
    list_filter = [PaidFilter, "placed_on"]
    search_fields = ["number", "customer__name", "customer__email", "purchase_order"]
    list_select_related = ["customer"]
    autocomplete_fields = ["customer"]
    readonly_fields = ["invoice_state", "paid_at"]
    inlines = [OrderLineInline]
    actions = ["send_invoices"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        orders = cast("OrderQuerySet", super().get_queryset(request))
        return orders.with_invoice_state().prefetch_related("lines")

    @admin.display(description="amount")
    def amount(self, order: Order) -> str:
        return f"${order.total:,.2f}"

    @admin.display(description="invoice")
    def invoice_state(self, order: Order) -> str:
        invoice = getattr(order, "invoice_pk", None)
        if invoice is None:
            return "not written"
        delivery, status = getattr(order, "invoice_delivery", ""), getattr(order, "invoice_status", "")
        state = STATUS_LABELS.get(status, status) if delivery == Delivery.SENT else Delivery(delivery).label
        url = reverse("admin:truss_portal_paymentintent_change", args=[invoice])
        return format_html('<a href="{}">{}</a>', url, state)

    def has_change_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        """An order stands as it is once its invoice has gone out: change the invoice itself from then on."""
        allowed: bool = super().has_change_permission(request, obj)
        if obj is None or not allowed:
            return allowed
        invoice = obj.invoice
        return invoice is None or invoice.is_editable

    def has_send_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("truss_portal.send_paymentintent"))

    @admin.action(description="Send invoices", permissions=["send"])
    def send_invoices(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        """Each order for itself: one that can't be sent stops no other, and its reason is shown."""
        sent = 0
        actor: Any = request.user
        for order in queryset.select_related("customer").order_by("number"):
            try:
                invoice = send_invoice(order, actor=actor)
            except (ActionRefusedError, InvalidRequestError, NotConnectedError) as error:
                self.message_user(request, f"{order}: {error}", messages.ERROR)
                continue
            sent += invoice.delivery == Delivery.SENT
            if invoice.delivery != Delivery.SENT:
                why = invoice.delivery_error or "Truss hasn't answered yet."
                self.message_user(request, f"{order}: {invoice.get_delivery_display()}. {why}", messages.WARNING)
        if sent:
            self.message_user(request, f"{sent} {'invoice is' if sent == 1 else 'invoices are'} at Truss.")
