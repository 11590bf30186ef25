"""Rows as Truss would send them. Written out by hand: the site's own REST framework settings must not change an answer.

https://docs.trusspayments.com/api-references/model/PaymentIntent
https://docs.trusspayments.com/api-references/model/PaymentIntentTransaction
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from truss_portal.sandbox.models import Company, Contact, Mail, PaymentIntent, Transaction

Payload = dict[str, Any]


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
        "created_at": _timestamp(intent.created_at),
        "pending_at": _timestamp(intent.pending_at),
        "paid_at": _timestamp(intent.paid_at),
        "canceled_at": _timestamp(intent.canceled_at),
        "transactions": [],
    }
    if detailed:
        payload["transactions"] = [
            transaction_payload(each) for each in sorted(intent.transactions.all(), key=lambda each: each.pk)
        ]
    extra: Mapping[str, Any] = intent.extra
    return payload | dict(extra)


def transaction_payload(transaction: Transaction) -> Payload:
    return {
        "uid": str(transaction.uid),
        "amount": f"{transaction.amount:.2f}",
        "addenda": transaction.addenda or None,
        "type": transaction.type,
        "payment_method": transaction.payment_method,
        "status": transaction.status,
        "direction": transaction.direction,
        "date": _timestamp(transaction.date),
        "preprocessed_at": _timestamp(transaction.preprocessed_at),
        "processed_at": _timestamp(transaction.processed_at),
        "posted_at": _timestamp(transaction.posted_at),
        "settled_at": _timestamp(transaction.settled_at),
        "returned_at": _timestamp(transaction.returned_at),
    }


def mail_payload(mail: Mail) -> Payload:
    return {
        "kind": mail.kind,
        "to": mail.to,
        "subject": mail.subject,
        "body": mail.body,
        "link": mail.link,
        "code": mail.code,
        "created_at": _timestamp(mail.created_at),
    }


def _timestamp(moment: dt.datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
