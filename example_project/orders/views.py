"""What customers see. An address with a key in it is their sign-in: 122 random bits, given to nobody else."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import DetailView, TemplateView

from example_project.orders.models import Customer, Order
from truss_portal.exceptions import NotPayableError

Reason = NotPayableError.Reason

# NotPayableError speaks to the shop's staff; this is what a customer needs to know.
WHY_NOT: Final[dict[NotPayableError.Reason, str]] = {
    Reason.NOT_SENT: "We are preparing your invoice. You will get an email as soon as you can pay it.",
    Reason.PAID: "This invoice is paid in full. Thank you!",
    Reason.CANCELED: "This invoice was canceled. There is nothing to pay.",
    Reason.NO_PORTAL: "Paying online isn't possible at the moment. Please write to us.",
    Reason.MISSING: "Something is wrong with this invoice on our side. Please don't pay it, and write to us.",
    Reason.STATUS: "This invoice can't be paid online at the moment. Please write to us.",
}


class HomeView(TemplateView):
    template_name = "shop/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Customers' pages are for customers: the home page names some of them only where everything is pretended."""
        orders = Order.objects.with_invoice_state().select_related("customer").prefetch_related("lines")
        shown = orders[:12] if settings.DEBUG and settings.USES_SANDBOX else []
        return super().get_context_data(**kwargs) | {"uses_sandbox": settings.USES_SANDBOX, "orders": shown}


@method_decorator(never_cache, name="dispatch")
class PrivatePage(DetailView):  # type: ignore[type-arg]
    """A page behind an unguessable address, which must not leak from it."""

    slug_field = slug_url_kwarg = "key"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
        return response


class CustomerView(PrivatePage):
    model = Customer
    template_name = "shop/customer.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        orders = Order.objects.filter(customer=self.object).with_invoice_state().prefetch_related("lines")
        return super().get_context_data(**kwargs) | {"orders": orders}


class OrderView(PrivatePage):
    model = Order
    queryset = Order.objects.select_related("customer").prefetch_related("lines")
    template_name = "shop/order.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        invoice = self.object.invoice
        told: dict[str, Any] = {"invoice": invoice, "pay_url": "", "why_not": WHY_NOT[Reason.NOT_SENT]}
        if invoice is not None:
            try:
                told |= {"pay_url": invoice.checkout_url(next_url=self.object.get_absolute_url()), "why_not": ""}
            except NotPayableError as error:
                told["why_not"] = WHY_NOT.get(error.reason, WHY_NOT[Reason.STATUS])
        return super().get_context_data(**kwargs) | told
