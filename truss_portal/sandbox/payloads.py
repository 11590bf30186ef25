"""Rows as Truss would send them. Written out by hand: the site's own REST framework settings must not change an answer.

https://docs.trusspayments.com/api-references/model/PaymentIntent
https://docs.trusspayments.com/api-references/model/PaymentIntentTransaction
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from truss_portal.sandbox.models import Company, Contact, Mail, PaymentIntent, Transaction, WebhookEvent

Payload = dict[str, Any]

EVENT_PAYLOADS = ("whole", "as_published")


def company_payload(company: Company) -> Payload:
    return {"checkout_link_id": company.checkout_link_id, "name": company.name}


def contact_payload(contact: Contact) -> Payload:
    return {
        "uid": str(contact.uid),
        "name": contact.name,
        "email": contact.email or None,
        "secondary_email": contact.secondary_email or None,
        "phone": contact.phone or None,
    }


def payment_intent_payload(intent: PaymentIntent, *, detailed: bool = False) -> Payload:
    """`transactions` is filled only when `detailed`, which only the single GET asks for."""
    payload: Payload = {
        "uid": str(intent.uid),
        "total": f"{intent.total:.2f}",
        "addenda": intent.addenda,
        "direction": intent.direction,
        "note": intent.note or None,
        "memo": intent.memo or None,
        "due_date": intent.due_date and intent.due_date.isoformat(),
        "contact": contact_payload(intent.contact),
        "status": intent.status,
        "balance_paid": f"{intent.balance_paid:.2f}",
        "created_at": timestamp(intent.created_at),
        "pending_at": timestamp(intent.pending_at),
        "paid_at": timestamp(intent.paid_at),
        "canceled_at": timestamp(intent.canceled_at),
        "transactions": [],
    }
    if detailed:
        payload["transactions"] = [
            transaction_payload(each) for each in sorted(intent.transactions.all(), key=lambda each: each.pk)
        ]
    extra: Mapping[str, Any] = intent.extra
    return payload | dict(extra)


def event_payload(intent: PaymentIntent, payment: Transaction | None = None) -> Payload:
    """What an event says of an intent: with the `payment` that was added, or with a list that is never filled.

    https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intentupdated
    https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intenttransactionadded
    The published examples have `direction`, an empty `contact`, `balance_paid` and what is told here last; that the
    whole intent is sent is only probable.
    """
    payload = payment_intent_payload(intent)
    if intent.company.webhook_payload == "as_published":
        payload = {"direction": intent.direction, "contact": {}, "balance_paid": payload["balance_paid"]}
    told: Payload = {"transactions": []} if payment is None else {"transaction": transaction_payload(payment)}
    return {key: value for key, value in payload.items() if key != "transactions"} | told


def transaction_payload(transaction: Transaction) -> Payload:
    return {
        "uid": str(transaction.uid),
        "amount": f"{transaction.amount:.2f}",
        "addenda": transaction.addenda or None,
        "type": transaction.type,
        "payment_method": transaction.payment_method,
        "status": transaction.status,
        "direction": transaction.direction,
        "date": timestamp(transaction.date),
        "preprocessed_at": timestamp(transaction.preprocessed_at),
        "processed_at": timestamp(transaction.processed_at),
        "posted_at": timestamp(transaction.posted_at),
        "settled_at": timestamp(transaction.settled_at),
        "returned_at": timestamp(transaction.returned_at),
    }


def mail_payload(mail: Mail) -> Payload:
    return {
        "kind": mail.kind,
        "to": mail.to,
        "subject": mail.subject,
        "body": mail.body,
        "link": mail.link,
        "code": mail.code,
        "created_at": timestamp(mail.created_at),
    }


def webhook_event_payload(event: WebhookEvent) -> Payload:
    """An event as the control API tells of it."""
    deliveries = sorted(event.deliveries.all(), key=lambda each: each.pk)
    return {
        "event_id": str(event.event_id),
        "event_name": event.event_name,
        "payment_intent_uid": event.payment_intent_uid and str(event.payment_intent_uid),
        "body": event.body,
        "forgery": event.forgery,
        "fate": event.fate,
        "created_at": timestamp(event.created_at),
        "deliveries": [
            {
                "is_waiting": delivery.is_waiting,
                "attempts": delivery.attempts,
                "last_status": delivery.last_status,
                "error": delivery.error,
                "delivered_at": timestamp(delivery.delivered_at),
            }
            for delivery in deliveries
        ],
    }


def timestamp(moment: dt.datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
