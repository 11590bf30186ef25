"""Things that tests are made of: Truss's payloads and resources, and rows."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from truss_portal import actions
from truss_portal.client import resources
from truss_portal.models import Company, Contact, PaymentIntent

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def contact_payload(**given: Any) -> dict[str, Any]:
    return {
        "uid": str(uuid.uuid4()),
        "name": "Ortega Bakery LLC",
        "email": "accounts@ortegabakery.example",
        "secondary_email": None,
        "phone": None,
    } | given


def transaction_payload(**given: Any) -> dict[str, Any]:
    return {
        "uid": str(uuid.uuid4()),
        "amount": "500.00",
        "addenda": "Invoice 1042",
        "type": "transaction",
        "payment_method": "ach",
        "date": "2026-11-20T12:30:00Z",
        "processed_at": "2026-11-20T12:30:01Z",
        "status": "ProcessedCredit",
        "direction": 0,
    } | given


def payload(**given: Any) -> dict[str, Any]:
    """A payment intent as the published example shows it."""
    return {
        "uid": str(uuid.uuid4()),
        "total": "1250.00",
        "addenda": "Invoice 1042 - oven hood repair",
        "direction": 0,
        "note": "Thank you for your business.",
        "memo": "Job 88, second visit",
        "due_date": "2035-05-15",
        "contact": contact_payload(),
        "status": "Pending",
        "balance_paid": "0.00",
        "created_at": "2026-11-20T12:00:00Z",
        "pending_at": "2026-11-20T12:00:00Z",
        "paid_at": None,
        "canceled_at": None,
        "transactions": [],
    } | given


def listed(body: dict[str, Any], minutes: float = 0) -> resources.PaymentIntent:
    """As a list brings it, asked for so many minutes after noon: transactions not filled."""
    return resources.parse_payment_intent(body, fetched_at=at(minutes), detailed=False)


def detailed(body: dict[str, Any], minutes: float = 0) -> resources.PaymentIntent:
    """As the single GET brings it."""
    return resources.parse_payment_intent(body, fetched_at=at(minutes), detailed=True)


def company(**given: Any) -> Company:
    columns = {"slug": "default", "environment": "local", "checkout_link_id": "k7m2p9qx"} | given
    made: Company = Company.objects.get_or_create(slug=columns["slug"], defaults=columns)[0]
    return made


def draft(**given: Any) -> PaymentIntent:
    """An invoice that isn't sent yet."""
    number = given.get("reference") or f"INV-{PaymentIntent.objects.count() + 1001}"
    wanted: dict[str, Any] = {
        "contact": {"name": "Acme", "email": "ap@acme.test"},
        "total": "120.00",
        "addenda": number,
        "reference": number,
    }
    return actions.draft(**wanted | given)


def sent(**given: Any) -> PaymentIntent:
    """An invoice at the pretend Truss. Needs the `truss` fixture and no transaction around."""
    intent = draft(**given)
    actions.send(intent)
    assert intent.delivery == PaymentIntent.Delivery.SENT, intent.delivery_error
    return intent


def row(**given: Any) -> PaymentIntent:
    """A row as if Truss had it, without asking anybody."""
    owner = given.pop("company", None) or company()
    payer = given.pop("contact", None) or Contact.objects.create(
        company=owner, uid=uuid.uuid4(), name=f"Payer {uuid.uuid4().hex[:6]}", email="payer@example.test"
    )
    columns = {
        "uid": uuid.uuid4(),
        "total": "120.00",
        "addenda": "Row",
        "status": "Pending",
        "delivery": PaymentIntent.Delivery.SENT,
        "fetched_at": timezone.now(),
    }
    made = PaymentIntent.objects.create(company=owner, contact=payer, **columns | given)
    made.refresh_from_db()
    return made


def kinds(intent: PaymentIntent) -> list[str]:
    """What the timeline tells, in order."""
    return list(intent.timeline.values_list("kind", flat=True))
