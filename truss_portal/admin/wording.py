"""What the pages call things: amounts, reasons and broken rules in the words of finance staff."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import figures, plain_words
from truss_portal.client import FieldError, InvalidRequestError
from truss_portal.exceptions import NotPayableError, TrussPortalError
from truss_portal.models import Contact, PaymentIntent
from truss_portal.plain_words import FIELDS, sentence

Reason = NotPayableError.Reason

NOTHING: Final = "-"

money = plain_words.money
number = plain_words.number

# The names are published, their meaning isn't: https://docs.trusspayments.com/api-references/model/PaymentIntentTransaction
METHODS: Final[dict[str, Promise]] = {
    "ach": gettext_lazy("ACH transfer"),
    "bank_transfer": gettext_lazy("Bank transfer"),
    "card_payment_intent": gettext_lazy("Card"),
    "cash": gettext_lazy("Cash"),
    "check": gettext_lazy("Check"),
    "check_deposit": gettext_lazy("Check deposit"),
    "check_payment": gettext_lazy("Check"),
    "credit_card": gettext_lazy("Credit card"),
    "direct_deposit": gettext_lazy("Direct deposit"),
    "discount": gettext_lazy("Discount"),
    "instant_payment": gettext_lazy("Instant payment"),
    "other": gettext_lazy("Other"),
}

NO_LINK: Final[dict[Reason, Promise]] = {
    Reason.NOT_SENT: gettext_lazy("Not sent yet"),
    Reason.MISSING: gettext_lazy("Not found at Truss"),
    Reason.CANCELED: gettext_lazy("Canceled"),
    Reason.PAID: gettext_lazy("Paid"),
    Reason.NO_PORTAL: gettext_lazy("No portal link"),
    Reason.STATUS: gettext_lazy("Not payable now"),
}

# A request's field → the field of the form that people see, where it has another name there.
FORM_FIELDS: Final = {
    "contact.name": "contact",
    "contact.email": "contact",
    "contact.secondary_email": "contact",
    "contact.phone": "contact",
}


def method(name: str) -> str:
    """A payment method in words; one that we don't know, as Truss wrote it."""
    return str(METHODS.get(name, name.replace("_", " ").capitalize()))


def payer(contact: Contact | None) -> str:
    """Name and email: two payers may share a name."""
    if contact is None:
        return NOTHING
    return f"{contact.name} ({contact.email})" if contact.email else contact.name


def written_to(intent: PaymentIntent) -> str:
    """Whom Truss writes to when the invoice is sent. The secondary email gets every notification, too."""
    contact = intent.contact
    if contact is None or not (intent.send_email or intent.send_sms):
        return _("Nobody")
    emails = [contact.email, contact.secondary_email] if intent.send_email else []
    phones = [contact.phone or _("no phone number")] if intent.send_sms else []
    return ", ".join(filter(None, [*emails, *phones]))


def is_overdue(intent: PaymentIntent) -> bool:
    """Past its due date with something left to pay."""
    return bool(intent.due_date and intent.due_date < timezone.localdate() and figures.is_owed(intent))


def day(value: date | None) -> str:
    """A date, or a time's date in this site's zone."""
    if value is None:
        return NOTHING
    return date_format(timezone.localtime(value) if isinstance(value, datetime) else value, "DATE_FORMAT")


def moment(value: datetime | None) -> str:
    """A time in this site's zone."""
    return date_format(timezone.localtime(value), "DATETIME_FORMAT") if value else NOTHING


def broken_rule(error: FieldError) -> tuple[str, str]:
    """The form's field ("" for none in particular) and a sentence about it."""
    if error.field in FORM_FIELDS:
        text = _("%(broken)s Change it on the payer's own page.") % {"broken": sentence(error)}
        return FORM_FIELDS[error.field], text
    return error.field if error.field in FIELDS.keys() - {"request"} else "", sentence(error)


def why(error: TrussPortalError | InvalidRequestError) -> str:
    """Why an action refused, for people."""
    if isinstance(error, InvalidRequestError):
        return " ".join(broken_rule(rule)[1] for rule in error.errors)
    return str(error)


def listed(texts: Iterable[str], limit: int = 10) -> list[str]:
    """The first few, and a line that counts the rest."""
    texts = list(texts)
    if len(texts) <= limit:
        return texts
    return [*texts[:limit], _("… and %(count)d more.") % {"count": len(texts) - limit}]
