from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

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


class OrderLineInline(admin.TabularInline):  # type: ignore[type-arg]
    model = OrderLine
    extra = 0
    min_num = 1


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["number", "customer", "placed_on", "amount", "invoice_state", "paid_at"]
    list_filter = [("paid_at", admin.EmptyFieldListFilter), "placed_on"]
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
        delivery, status = getattr(order, "invoice_delivery", None), getattr(order, "invoice_status", "")
        if delivery is None:
            return "not written"
        if delivery != Delivery.SENT:
            return str(Delivery(delivery).label)
        return str(STATUS_LABELS.get(status, status))

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
