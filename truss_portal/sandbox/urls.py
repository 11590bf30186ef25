"""The sandbox's addresses: `path("sandbox/", include("truss_portal.sandbox.urls"))`, or at the root."""

from django.urls import path, re_path

from truss_portal.sandbox import api, console, control, portal, tokens
from truss_portal.sandbox.faults import fallible

app_name = "truss_sandbox"

_API = [
    path("v1/oauth2/token", fallible(tokens.TokenView.as_view())),
    path("v1/company/", fallible(api.CompanyView.as_view())),
    path("v1/payment-intents/inbound/", fallible(api.PaymentIntentListView.as_view())),
    path("v1/payment-intents/inbound/<uuid:uid>/", fallible(api.PaymentIntentView.as_view())),
    path("v1/payment-intents/inbound/<uuid:uid>/cancel/", fallible(api.CancelView.as_view())),
    path("v1/contacts/<uuid:uid>/", fallible(api.ContactView.as_view())),
    re_path(r"^v1/", fallible(api.NoSuchView.as_view())),
]

_CONTROL = [
    path("control/reset", control.controls(POST=control.reset)),
    path("control/requests", control.controls(GET=control.list_requests)),
    path("control/mailbox", control.controls(GET=control.list_mail)),
    path(
        "control/faults",
        control.controls(GET=control.list_faults, POST=control.create_fault, DELETE=control.delete_faults),
    ),
    path("control/company", control.controls(GET=control.get_company_state, PATCH=control.change_company)),
    path("control/authorization-codes", control.controls(POST=control.create_authorization_code)),
    path(
        "control/payment-intents",
        control.controls(GET=control.list_payment_intents, POST=control.create_payment_intents),
    ),
    path(
        "control/payment-intents/<uuid:uid>",
        control.controls(PATCH=control.change_payment_intent, DELETE=control.delete_payment_intent),
    ),
    path("control/payment-intents/<uuid:uid>/pay", control.controls(POST=control.pay)),
    path("control/transactions/<uuid:uid>/settle", control.controls(POST=control.settle)),
    path("control/transactions/<uuid:uid>/return", control.controls(POST=control.return_transaction)),
]

_PAY = "pay/<str:checkout_link_id>"
_CHECKOUT = f"{_PAY}/paymentIntent/<str:uid>"
_PORTAL = [
    path(f"{_PAY}/", portal.invoice_list, name="portal"),
    path(_CHECKOUT, portal.invoice, name="checkout"),
    path(f"{_CHECKOUT}/", portal.invoice),
    path(
        f"{_CHECKOUT}/receipt/<uuid:transaction_uid>",
        portal.receipt,
        name="receipt",
    ),
    path(f"{_PAY}/custom", portal.custom_payment, name="custom"),
    path(f"{_PAY}/custom/receipt/<uuid:transaction_uid>", portal.custom_receipt, name="custom-receipt"),
]

_CONSOLE = [
    path("", console.home, name="home"),
    path("mailbox/", console.mailbox, name="mailbox"),
    path("bank/<uuid:uid>/settle", console.bank, {"action": "settle"}, name="settle"),
    path("bank/<uuid:uid>/return", console.bank, {"action": "return"}, name="return"),
]

urlpatterns = [*_API, *_CONTROL, *_PORTAL, *_CONSOLE]
