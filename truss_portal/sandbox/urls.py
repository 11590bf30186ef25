"""The sandbox's addresses: `path("sandbox/", include("truss_portal.sandbox.urls"))`, or at the root."""

from django.urls import path, re_path

from truss_portal.sandbox import api, consent, console, control, control_webhooks, portal, tokens
from truss_portal.sandbox.control_calls import controls
from truss_portal.sandbox.faults import fallible
from truss_portal.sandbox.trustist import urls as trustist

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
    path("control/reset", controls(POST=control.reset)),
    path("control/requests", controls(GET=control.list_requests)),
    path("control/mailbox", controls(GET=control.list_mail)),
    path(
        "control/faults",
        controls(GET=control.list_faults, POST=control.create_fault, DELETE=control.delete_faults),
    ),
    path("control/company", controls(GET=control.get_company_state, PATCH=control.change_company)),
    path("control/authorization-codes", controls(POST=control.create_authorization_code)),
    path("control/tokens/revoke", controls(POST=control.revoke_tokens)),
    path(
        "control/payment-intents",
        controls(GET=control.list_payment_intents, POST=control.create_payment_intents),
    ),
    path(
        "control/payment-intents/<uuid:uid>",
        controls(PATCH=control.change_payment_intent, DELETE=control.delete_payment_intent),
    ),
    path("control/payment-intents/<uuid:uid>/pay", controls(POST=control.pay)),
    path("control/transactions/<uuid:uid>/settle", controls(POST=control.settle)),
    path("control/transactions/<uuid:uid>/return", controls(POST=control.return_transaction)),
    path("control/webhooks", controls(GET=control_webhooks.list_events, POST=control_webhooks.send)),
    path("control/webhooks/waiting", controls(GET=control_webhooks.count_waiting)),
    path("control/webhooks/hold", controls(POST=control_webhooks.hold)),
    path("control/webhooks/release", controls(POST=control_webhooks.release)),
    path("control/webhooks/double", controls(POST=control_webhooks.double)),
    path("control/webhooks/lose", controls(POST=control_webhooks.lose)),
    path("control/webhooks/forge", controls(POST=control_webhooks.forge)),
]

_CONSENT = [path("oauth2/authorize", consent.authorize, name="authorize")]

_PAY = "pay/<str:checkout_link_id>"
_CHECKOUT = f"{_PAY}/paymentIntent/<str:uid>"
_PORTAL = [
    path(_PAY, portal.without_slash),
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

urlpatterns = [*_API, *_CONTROL, *_CONSENT, *_PORTAL, *_CONSOLE, *trustist.urlpatterns]
