"""Rows → the requests that are sent for them. Touches no database, where contact and company are loaded."""

from datetime import date
from typing import Any

from django.utils import timezone

from truss_portal import memo
from truss_portal.client import (
    UNSET,
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)
from truss_portal.models import PaymentIntent


def today() -> date:
    """The latest date that it may be for Truss or here: a due date after it is in the future for both.

    Whether Truss takes a due date of today, and in which time zone, isn't published.
    """
    return max(timezone.localdate(), timezone.now().date())


def create_request(intent: PaymentIntent) -> CreateInboundPaymentIntentRequest:
    """What is sent to create this invoice. By uid once the contact's uid is known: a uid can't be mistaken."""
    contact = intent.contact
    if contact is None:
        who = CreateOrUpdateContactRequest()
    elif contact.uid:
        who = CreateOrUpdateContactRequest(uid=contact.uid)
    else:
        who = CreateOrUpdateContactRequest(
            name=contact.name,
            email=contact.email,
            secondary_email=contact.secondary_email or UNSET,
            phone=contact.phone or UNSET,
        )
    return CreateInboundPaymentIntentRequest(
        addenda=intent.addenda,
        total=intent.total,
        contact=who,
        due_date=intent.due_date,
        memo=memo.join(intent.memo, intent.memo_reference),
        note=intent.note,
        send_email=intent.send_email,
        send_sms=intent.send_sms,
    )


def update_request(changes: dict[str, Any]) -> UpdateInboundPaymentIntentRequest:
    """An amendment as the operation's row holds it → the request."""
    changes = dict(changes)
    if changes.get("due_date"):
        changes["due_date"] = date.fromisoformat(changes["due_date"])
    return UpdateInboundPaymentIntentRequest(**changes)
