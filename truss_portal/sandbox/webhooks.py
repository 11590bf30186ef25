"""What a company is told: an event for each change of an inbound intent, made in the transaction of the change.

https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intentupdated
https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intenttransactionadded

Only these two are published. So nothing is told of an intent that was created or has vanished, and nothing of a payment
that has settled. A company without an address has no events, and pays nothing for this.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from random import Random
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from truss_portal.sandbox import payloads
from truss_portal.sandbox.deliveries import wake
from truss_portal.sandbox.models import Company, PaymentIntent, Transaction, WebhookDelivery, WebhookEvent

UPDATED = "payment_intent.updated"
TRANSACTION_ADDED = "payment_intent.transaction.added"
ORDERS = ("made", "reversed", "random")
_INBOUND = 0
_BATCH = 500


def payment_intent_updated(intent: PaymentIntent) -> None:
    """Call it within `rules.writing`, as the other one."""
    if intent.company.webhook_url and intent.direction == _INBOUND:
        record(intent.company, [_event_of(intent)])


def transactions_added(company: Company, payments: Iterable[Transaction]) -> None:
    if company.webhook_url:
        added = [(payment.payment_intent, payment) for payment in payments]
        record(company, [_event_of(intent, payment) for intent, payment in added if intent and not intent.direction])


def _event_of(intent: PaymentIntent, payment: Transaction | None = None) -> WebhookEvent:
    name = TRANSACTION_ADDED if payment else UPDATED
    return make_event(intent.company, name, payloads.event_payload(intent, payment), intent.uid)


def make_event(company: Company, name: str, payload: Any, uid: uuid.UUID | None = None) -> WebhookEvent:
    """Not yet saved, and sent to nobody."""
    event = WebhookEvent(company=company, event_name=name, payment_intent_uid=uid, created_at=timezone.now())
    whole = {
        "event_id": str(event.event_id),
        "event_name": name,
        "event_created_at": payloads.timestamp(event.created_at),
        "event_payload": payload,
    }
    event.body = json.dumps(whole, ensure_ascii=False)
    return event


def record(company: Company, events: Sequence[WebhookEvent]) -> None:
    """Saves the events and, unless they are to be lost or held, has them sent once the transaction is through."""
    # Its row is locked: nobody else can count down or let go what is read now.
    company = Company.objects.get(pk=company.pk)
    lost = min(company.webhooks_to_lose, len(events))
    if lost:
        company.webhooks_to_lose -= lost
        company.save(update_fields=["webhooks_to_lose"])
    for event in events[:lost]:
        event.fate = WebhookEvent.Fate.LOST
    if company.webhooks_held:
        for event in events[lost:]:
            event.fate = WebhookEvent.Fate.HELD
    WebhookEvent.objects.bulk_create(events, batch_size=_BATCH)
    if not company.webhooks_held:
        send(company, [event for event in events[lost:] for _ in range(company.webhook_copies)])


def send(company: Company, events: Sequence[WebhookEvent]) -> None:
    """Each as often as it is given, in this order, after all that is on its way already."""
    deliveries = (WebhookDelivery(company=company, event=event) for event in events)
    if WebhookDelivery.objects.bulk_create(deliveries, batch_size=_BATCH):
        transaction.on_commit(partial(wake, company.pk), using=router.db_for_write(WebhookDelivery), robust=True)


def hold(company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(webhooks_held=True)


def release_all(company: Company, order: str, seed: int | None) -> list[WebhookEvent]:
    """Ends the hold. Copies of one event follow each other, unless the order is random."""
    company.refresh_from_db()
    Company.objects.filter(pk=company.pk).update(webhooks_held=False)
    held = WebhookEvent.objects.filter(company=company, fate=WebhookEvent.Fate.HELD)
    chosen = [event for event in held.order_by("pk") for _ in range(company.webhook_copies)]
    if order == "reversed":
        chosen.reverse()
    elif order == "random":
        Random(seed).shuffle(chosen)  # noqa: S311 - no secret
    held.update(fate=WebhookEvent.Fate.SENT)
    send(company, chosen)
    return chosen


def release_these(company: Company, event_ids: Sequence[uuid.UUID]) -> list[WebhookEvent]:
    """Whatever has become of them before. The others stay as they are, and a hold goes on."""
    events = WebhookEvent.objects.filter(company=company).in_bulk(event_ids, field_name="event_id")
    unknown = [str(event_id) for event_id in event_ids if event_id not in events]
    if unknown:
        raise LookupError(f"There is no event {', '.join(unknown)}.")
    for event in events.values():
        event.fate = WebhookEvent.Fate.SENT
    WebhookEvent.objects.bulk_update(events.values(), ["fate"], batch_size=_BATCH)
    chosen = [events[event_id] for event_id in event_ids]
    send(company, chosen)
    return chosen


def forge(company: Company, kind: str, intent: PaymentIntent | None) -> WebhookEvent:
    """What a swindler would send: that the intent has been paid. Neither held nor doubled nor lost."""
    if intent is None:
        uid, payload = uuid.uuid4(), {"direction": _INBOUND, "contact": {}, "transactions": []}
    else:
        uid, payload = intent.uid, payloads.event_payload(intent)
    paid = {"uid": str(uid), "status": "Paid", "balance_paid": f"{intent.total:.2f}" if intent else "100.00"}
    event = make_event(company, UPDATED, payload | paid, uid)
    event.forgery = kind
    event.save()
    send(company, [event])
    return event
