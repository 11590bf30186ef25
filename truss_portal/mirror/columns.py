"""Truss's resources as our columns hold them. Null text is "", as Django has it; our mark is taken out of the memo."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import models
from django.utils.translation import gettext as _

from truss_portal import memo
from truss_portal.client import resources
from truss_portal.models import Contact, PaymentIntent, Transaction
from truss_portal.models.contact import name_key

CONTACT: Final = ("name", "name_key", "email", "secondary_email", "phone", "extra")
PAYMENT_INTENT: Final = (
    "contact_id", "total", "balance_paid", "addenda", "direction", "note", "memo", "due_date", "status",
    "created_at", "pending_at", "paid_at", "canceled_at", "extra",
)  # fmt: skip
TRANSACTION: Final = (
    "payment_intent_id", "amount", "addenda", "type", "payment_method", "status", "direction", "date",
    "preprocessed_at", "processed_at", "posted_at", "settled_at", "returned_at", "extra",
)  # fmt: skip


def of_contact(contact: resources.Contact) -> dict[str, Any]:
    return {
        "name": contact.name,
        "name_key": name_key(contact.name),
        "email": contact.email or "",
        "secondary_email": contact.secondary_email or "",
        "phone": contact.phone or "",
        "extra": dict(contact.extra),
    }


def of_payment_intent(intent: resources.PaymentIntent, row: PaymentIntent, contact: Contact | None) -> dict[str, Any]:
    """The columns of `row`, whose mark is not part of people's memo. An unknown contact leaves the known one alone."""
    values: dict[str, Any] = {name: getattr(intent, name) for name in PAYMENT_INTENT[1:-1]}
    values["note"] = intent.note or ""
    values["memo"] = memo.without(intent.memo or "", row.memo_reference)
    values["extra"] = dict(intent.extra)
    values["contact_id"] = contact.pk if contact else row.contact_id
    return values


def of_transaction(transaction: resources.Transaction, payment_intent: PaymentIntent) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(transaction, name) for name in TRANSACTION[1:-1]}
    values["addenda"] = transaction.addenda or ""
    values["extra"] = dict(transaction.extra)
    return {"payment_intent_id": payment_intent.pk, **values}


def why_unfit(intent: resources.PaymentIntent) -> str | None:
    """Why the database can't hold this intent, or None. The client has checked the amounts and times already."""
    row = PaymentIntent(memo_reference="")
    problem = _unfit(PaymentIntent, of_payment_intent(intent, row, None))
    if intent.contact:
        problem = problem or _unfit(Contact, of_contact(intent.contact))
    for transaction in intent.transactions or ():
        problem = problem or _unfit(Transaction, of_transaction(transaction, row))
    return problem


def _unfit(model: type[models.Model], values: Mapping[str, Any]) -> str | None:
    for name, value in values.items():
        limit = getattr(model._meta.get_field(name), "max_length", None)
        if isinstance(value, str) and limit and len(value) > limit:
            return _("%(field)s has %(length)d characters, and %(limit)d fit here") % {
                "field": name,
                "length": len(value),
                "limit": limit,
            }
        # PostgreSQL has no place for it in a text.
        if isinstance(value, str) and "\x00" in value:
            return _("%(field)s contains a NUL character") % {"field": name}
    return None


def change(row: models.Model, values: Mapping[str, Any]) -> bool:
    """Set what differs; whether anything did."""
    differing = [(name, value) for name, value in values.items() if getattr(row, name) != value]
    for name, value in differing:
        setattr(row, name, value)
    return bool(differing)
