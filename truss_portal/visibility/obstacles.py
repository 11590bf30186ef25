"""What keeps the portal from showing an invoice to whoever signs in with an email, and the remedy."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Final, Literal

from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from truss_portal.conf import conf
from truss_portal.models import Company, Contact, PaymentIntent

Delivery = PaymentIntent.Delivery
Environment = Company.Environment
Status = PaymentIntent.Status

_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
INBOUND: Final = 0
# "All Pending, PartiallyPaid and Paid inbound payment intents related to the customer are available to view."
# https://docs.trusspayments.com/guides/resources/payment-intents
SHOWN: Final = (Status.PENDING, Status.PARTIALLY_PAID, Status.PAID)


class Reason(StrEnum):
    OTHER_ENVIRONMENT = "other_environment"
    NOT_SENT = "not_sent"
    QUEUED = "queued"
    SENDING = "sending"
    UNCONFIRMED = "unconfirmed"
    REFUSED = "refused"
    MISSING = "missing"
    OUTBOUND = "outbound"
    CANCELED = "canceled"
    STATUS = "status"
    NO_PAYER = "no_payer"
    NO_EMAIL = "no_email"
    OTHER_EMAIL = "other_email"
    NO_PORTAL = "no_portal"


MAYBE_AT_TRUSS: Final = frozenset({Reason.SENDING, Reason.UNCONFIRMED})
"""With these alone in the way, the portal may show the invoice already."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """`remedy` is the next step; "" where there is none."""

    reason: Reason
    text: str
    remedy: str = ""


def same_address(one: str, other: str) -> bool:
    """Whether these are one email, letter case aside. Whether Truss minds letter case isn't published.

    The letters A to Z alone: that is what every database agrees on.
    """
    return _plain(one) == _plain(other)


def signs_in_with(contact: Contact, email: str) -> Literal["email", "secondary_email"] | None:
    """As which of the contact's emails that one lets somebody in; None where it doesn't."""
    if not email:
        return None
    if same_address(contact.email, email):
        return "email"
    return "secondary_email" if same_address(contact.secondary_email, email) else None


def is_test_site() -> bool:
    """Whether every invoice that this site sends now is a test invoice, in a portal that real payers don't use."""
    return conf.environment != "production"


def obstacles(intent: PaymentIntent, email: str) -> list[Obstacle]:
    """All that is in the way, gravest first; empty where the portal shows it. Wants `company` and `contact` at hand."""
    found = [*_environment(intent), *_at_truss(intent), *_payer(intent, email)]
    if not intent.company.checkout_link_id:
        text = _("%s has no payment portal link yet: there is no portal that could show it.") % intent.company
        step = _("Set up the payment portal in Truss (Settings > Payment Portal), then run truss_sync.")
        found.append(Obstacle(Reason.NO_PORTAL, text, step))
    return found


def shown_to(payers: Collection[int]) -> Q:
    """The same for the database: the invoices without obstacles for whoever signs in as these payers (primary keys)."""
    return Q(
        contact__in=payers,
        company__environment=conf.environment,
        uid__isnull=False,
        missing_since=None,
        direction=INBOUND,
        status__in=SHOWN,
    ) & ~Q(company__checkout_link_id="")


def emails_of(contact: Contact) -> list[str]:
    return [email for email in (contact.email, contact.secondary_email) if email]


def _plain(email: str) -> str:
    return email.translate(_LOWER)


def _environment(intent: PaymentIntent) -> Iterator[Obstacle]:
    its, ours = intent.company.environment, conf.environment
    if its == ours:
        return
    names = {"its": _environment_name(its), "ours": _environment_name(ours), "portal": conf.portal_url_for(its)}
    if is_test_site():
        text = _("It belongs to “%(its)s”, and this site now speaks to “%(ours)s”, whose portal is another one.")
        yield Obstacle(Reason.OTHER_ENVIRONMENT, text % names, _("Look in its own portal, at %(portal)s.") % names)
    else:
        text = _(
            "It is a test invoice: it belongs to “%(its)s”. Real payers use another portal, which doesn't know it."
        )
        step = _("Write it again for the company in “%(ours)s”, and send it from there.")
        yield Obstacle(Reason.OTHER_ENVIRONMENT, text % names, step % names)


def _environment_name(environment: str) -> str:
    return str(dict(Environment.choices).get(environment, environment))


def _at_truss(intent: PaymentIntent) -> Iterator[Obstacle]:
    if intent.uid is None:
        yield _sending(intent)
    elif intent.missing_since:
        text = _("Truss no longer has it, since %s.") % _day(intent.missing_since)
        step = _("Ask whoever works in Truss whether it was removed. If it is still owed, write a new invoice.")
        yield Obstacle(Reason.MISSING, text, step)
    elif intent.direction != INBOUND:
        yield Obstacle(Reason.OUTBOUND, _("It isn't an invoice to a payer: by it the company pays somebody."))
    elif intent.status == Status.CANCELED:
        text = _("It was canceled on %s.") % _day(intent.canceled_at) if intent.canceled_at else _("It was canceled.")
        step = _("That can't be undone. If it is still owed, write a new invoice.")
        yield Obstacle(Reason.CANCELED, text, step)
    elif intent.status not in SHOWN:
        text = _("Its status at Truss is “%s”. Payers are shown what is unpaid, partially paid or paid.")
        step = _("Look at the invoice in Truss, and mend there what it complains of. Then refresh it here.")
        yield Obstacle(Reason.STATUS, text % intent.status_label, step)


def _sending(intent: PaymentIntent) -> Obstacle:
    match intent.delivery:
        case Delivery.QUEUED:
            step = _("Wait a few minutes. If it stays so, the request to Truss says what is in the way.")
            return Obstacle(Reason.QUEUED, _("It waits to be sent to Truss."), step)
        case Delivery.SENDING:
            return Obstacle(Reason.SENDING, _("It is being sent to Truss."), _("Look again in a minute."))
        case Delivery.UNCONFIRMED:
            text = _("It was sent and Truss's answer was lost: the portal may show it, or not.")
            step = _("The next complete sync (truss_sync) finds out. Don't write it a second time.")
            return Obstacle(Reason.UNCONFIRMED, text, step)
        case Delivery.FAILED:
            text = _("It isn't at Truss: sending it failed. %s") % intent.delivery_error
            return Obstacle(Reason.REFUSED, text.strip(), _("Correct what was wrong, and send it again."))
    return Obstacle(Reason.NOT_SENT, _("It hasn't been sent to Truss yet."), _("Send it to Truss."))


def _payer(intent: PaymentIntent, email: str) -> Iterator[Obstacle]:
    contact = intent.contact
    if contact is None:
        step = _("Look at the invoice in Truss: it needs a payer with an email.")
        yield Obstacle(Reason.NO_PAYER, _("It names no payer who could sign in to see it."), step)
        return
    if signs_in_with(contact, email):
        return
    names = {"payer": contact, "email": email, "emails": _(" or ").join(emails_of(contact))}
    if not names["emails"]:
        step = _("Give the payer an email on their own page.")
        yield Obstacle(Reason.NO_EMAIL, _("%(payer)s has no email, so nobody can sign in to see it.") % names, step)
        return
    text = _("It is for %(payer)s, who must sign in with %(emails)s.") % names
    step = _(
        "Tell the payer to sign in with %(emails)s. If %(email)s is right, change the email on the payer's page, or "
        "add it there as the secondary one."
    )
    yield Obstacle(Reason.OTHER_EMAIL, text, step % names)


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")
