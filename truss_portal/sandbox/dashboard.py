"""What happens at Truss without the API: intents made in the dashboard, changed, or gone; and a reset of everything."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import models, router, transaction
from django.utils import timezone

from truss_portal.sandbox import deliveries, rules, webhooks
from truss_portal.sandbox.models import (
    AuthorizationCode,
    Company,
    Contact,
    Fault,
    Mail,
    PaymentIntent,
    SignIn,
    Token,
    Transaction,
    WebhookDelivery,
    WebhookEvent,
    name_digest,
)
from truss_portal.sandbox.trustist import progress
from truss_portal.sandbox.trustist.models import Invitation, MerchantKey, PartnerToken

MOST_AT_ONCE = 100_000
_CENT = Decimal("0.01")
_BATCH = 500
_CHILDREN_FIRST: tuple[type[models.Model], ...] = (
    WebhookDelivery, WebhookEvent, MerchantKey, Invitation, PartnerToken, Transaction,
    PaymentIntent, Contact, AuthorizationCode, Token, SignIn, Mail, Fault,
    Company,
)  # fmt: skip
_FORCED = frozenset(
    {
        "total", "balance_paid", "addenda", "direction", "note", "memo", "due_date", "status",
        "created_at", "pending_at", "paid_at", "canceled_at", "extra",
    }
)  # fmt: skip


def reset() -> None:
    """Deletes everything. A webhook that is being sent is waited for: it must not reach whoever comes next."""
    progress.cancel_all()
    with transaction.atomic(using=router.db_for_write(Company)):
        for model in _CHILDREN_FIRST:
            model._default_manager.all().delete()
    deliveries.come_to_rest()


def amount(text: str) -> Decimal:
    """Dollars and cents, above zero."""
    value = Decimal(text)
    if not value.is_finite() or value < _CENT or value != value.quantize(_CENT):
        raise ValueError(f"{text!r} is not an amount.")
    return value


def vanish(intent: PaymentIntent) -> None:
    """From now on Truss doesn't know the intent."""
    with rules.writing(intent.company):
        intent.transactions.all().delete()
        PaymentIntent.objects.filter(pk=intent.pk).delete()


def alter(intent: PaymentIntent, columns: Mapping[str, Any]) -> PaymentIntent:
    """Forces columns to any values that they can hold, against all rules. `extra` is laid over every answer."""
    with rules.writing(intent.company):
        intent = PaymentIntent.objects.select_related("contact", "company").get(pk=intent.pk)
        _force(intent, columns)
        intent.save()
        webhooks.payment_intent_updated(intent)
    return intent


def create_many(company: Company, count: int, template: Mapping[str, Any]) -> list[PaymentIntent]:
    """Intents made in the dashboard, quickly.

    `template` has the columns to force, `contact` (a dict) and `paid` (an amount that has been paid on each). `{n}`
    in a text becomes the intent's number, from 1 on.
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise ValueError(f"count is between 1 and {MOST_AT_ONCE}.")
    template = {"addenda": "Invoice {n}", "total": "100.00"} | dict(template)
    customer = template.pop("contact", {"name": "Customer {n}", "email": "customer{n}@example.test"})
    paid = amount(template.pop("paid")) if "paid" in template else None
    started = timezone.now()
    with rules.writing(company):
        contacts = _contacts(company, [_numbered(customer, n) for n in range(1, count + 1)])
        intents = []
        for n, contact in enumerate(contacts, start=1):
            created_at = started + dt.timedelta(microseconds=n)
            intent = PaymentIntent(company=company, contact=contact, created_at=created_at, pending_at=created_at)
            _force(intent, _numbered(template, n))
            if paid is not None:
                _mark_paid(intent, paid)
            intents.append(intent)
        PaymentIntent.objects.bulk_create(intents, batch_size=_BATCH)
        if paid is not None:
            payments = [_payment(intent, paid) for intent in intents]
            Transaction.objects.bulk_create(payments, batch_size=_BATCH)
            webhooks.transactions_added(company, payments)
    return intents


def _force(intent: PaymentIntent, columns: Mapping[str, Any]) -> None:
    unknown = sorted(set(columns) - _FORCED)
    if unknown:
        raise ValueError(f"Unknown: {', '.join(unknown)}; known are {', '.join(sorted(_FORCED))}.")
    for name, value in columns.items():
        field = PaymentIntent._meta.get_field(name)
        assert isinstance(field, models.Field)  # noqa: S101 - tells the type checker that it is no relation
        setattr(intent, name, field.clean(value, intent) if value not in (None, "", {}) else value)


def _mark_paid(intent: PaymentIntent, paid: Decimal) -> None:
    intent.balance_paid = paid
    intent.status = rules.status_for(intent.total, paid)
    intent.paid_at = intent.created_at if intent.status == "Paid" else None


def _payment(intent: PaymentIntent, paid: Decimal) -> Transaction:
    return Transaction(
        company=intent.company,
        payment_intent=intent,
        amount=paid,
        addenda=intent.addenda,
        payment_method="ach",
        date=intent.created_at,
        preprocessed_at=intent.created_at,
    )


def _contacts(company: Company, wanted: list[dict[str, str]]) -> list[Contact]:
    by_digest: dict[str, Contact] = {}
    digests = sorted({name_digest(columns["name"]) for columns in wanted})
    for start in range(0, len(digests), _BATCH):
        known = Contact.objects.filter(company=company, name_digest__in=digests[start : start + _BATCH])
        by_digest.update((contact.name_digest, contact) for contact in known)
    new = {}
    for columns in wanted:
        digest = name_digest(columns["name"])
        if digest not in by_digest:
            by_digest[digest] = new[digest] = Contact(company=company, name_digest=digest, **columns)
    Contact.objects.bulk_create(new.values(), batch_size=_BATCH)
    return [by_digest[name_digest(columns["name"])] for columns in wanted]


def _numbered(template: Mapping[str, Any], n: int) -> dict[str, Any]:
    return {key: value.replace("{n}", str(n)) if isinstance(value, str) else value for key, value in template.items()}
