"""Checkout links: the payer's way to one invoice at Truss, and back.

https://docs.trusspayments.com/guides/partner-payment-portal
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.core import signing
from django.utils.translation import gettext as _

from truss_portal.client import links
from truss_portal.conf import conf
from truss_portal.exceptions import NotPayableError

if TYPE_CHECKING:
    from truss_portal.models import PaymentIntent

TOKEN_PARAMETER: Final = "t"  # noqa: S105 - the name of a query parameter
NEXT_PARAMETER: Final = "next"

Reason = NotPayableError.Reason


def why_not_payable(intent: "PaymentIntent") -> NotPayableError | None:
    """The reason why a payer couldn't use a link to this invoice, or None."""
    names = {"invoice": intent, "company": intent.company, "status": intent.status_label}
    if intent.uid is None:
        return NotPayableError(Reason.NOT_SENT, _("Invoice %(invoice)s hasn't been sent to Truss yet.") % names)
    if intent.missing_since:
        return NotPayableError(Reason.MISSING, _("Invoice %(invoice)s is no longer found at Truss.") % names)
    if intent.status == intent.Status.CANCELED:
        return NotPayableError(Reason.CANCELED, _("Invoice %(invoice)s was canceled.") % names)
    # By the letter of Truss's guide an invoice of which too much is paid is "PartiallyPaid".
    if intent.status == intent.Status.PAID or (intent.status in intent.Status.PAYABLE and intent.balance_due <= 0):
        return NotPayableError(Reason.PAID, _("Invoice %(invoice)s is already paid.") % names)
    if intent.status not in intent.Status.PAYABLE:
        return NotPayableError(
            Reason.STATUS, _("Invoice %(invoice)s has the status “%(status)s”; payers can't pay it.") % names
        )
    if not intent.company.checkout_link_id:
        return NotPayableError(
            Reason.NO_PORTAL,
            _("%(company)s has no payment portal link yet. Set it up in Truss, then run truss_sync.") % names,
        )
    return None


def checkout_url(intent: "PaymentIntent", next_url: str = "") -> str:
    """See `PaymentIntent.checkout_url`."""
    refusal = why_not_payable(intent)
    if refusal is not None or intent.uid is None:
        raise refusal or AssertionError
    company = intent.company
    return links.checkout_url(
        conf.portal_url_for(company.environment), company.checkout_link_id, intent.uid, redirect_uri(intent, next_url)
    )


def redirect_uri(intent: "PaymentIntent", next_url: str = "") -> str | None:
    """This site's return address for that invoice, or None where the settings don't allow one.

    Truss compares origin and path with its allowlist and keeps the query, so our token rides there. A redirect_uri that
    isn't on the allowlist blocks the checkout: that is why it waits for RETURN_URL_ALLOWLISTED.
    """
    if not conf.return_url or not conf.return_url_allowlisted:
        return None
    parts = urlsplit(conf.return_url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), (TOKEN_PARAMETER, make_token(intent))]
    if next_url:
        query.append((NEXT_PARAMETER, next_url))
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def _signer() -> signing.Signer:
    return signing.Signer(salt="truss_portal.return", sep=".")


def make_token(intent: "PaymentIntent") -> str:
    """A signed name of the invoice. It has no expiry: the link that carries it is good until the invoice is paid."""
    return _signer().sign(intent.memo_reference)


def read_token(token: str) -> str | None:
    """The `memo_reference` of the invoice that the token names; None for anything that we didn't sign."""
    try:
        return _signer().unsign(token)
    except signing.BadSignature:
        return None
