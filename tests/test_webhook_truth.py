"""However Truss's webhooks come (in any order, again and again, not at all): in the end we have Truss's truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.webhooks import IN_BACKGROUND, SECRET, TASKS, post
from truss_portal import sync, webhooks
from truss_portal.client import RefusedError, TrussClient, UpdateInboundPaymentIntentRequest
from truss_portal.connection import connect, default_company
from truss_portal.models import Contact, PaymentIntent, SyncRun, TimelineEntry, Transaction, WebhookEvent
from truss_portal.testing.sandbox import Sandbox, SandboxError

pytestmark = pytest.mark.django_db(transaction=True)

INVOICES = 3
AT_ONCE = {"default": {"BACKEND": f"{TASKS}.backends.immediate.ImmediateBackend"}}

which = st.integers(0, INVOICES - 1)
# What happens at Truss to one of the invoices.
changes = st.tuples(st.sampled_from(["pay", "pay a part", "return", "amend", "cancel"]), which)
# One of the events that there are by then, old or new, for the first time or again. What is never chosen is lost.
deliveries = st.tuples(st.just("deliver"), st.integers(0, 99))
works = st.sampled_from([("process", False), ("process", True), ("fail", 1), ("fail", 3), ("sync", "open")])
histories = st.lists(st.one_of(changes, changes, deliveries, deliveries, works), min_size=4, max_size=25)


class World:
    """Truss, three invoices there, and this site."""

    def __init__(self, truss: Sandbox, payload: str) -> None:
        self.truss = truss
        truss.reset()
        for model in (WebhookEvent, TimelineEntry, Transaction, PaymentIntent, Contact, SyncRun):
            model._default_manager.all().delete()
        # Nobody listens there, and nothing is sent: the test is the network between Truss and us.
        truss.webhooks("http://127.0.0.1:9/", secret=SECRET, payload=payload)
        truss.hold_webhooks()
        self.company = default_company()
        self.uids = truss.create_many(INVOICES, total="100.00")
        self.changed_at: dict[str, datetime] = {}
        sync.sync_all(self.company)
        # Of the last one nobody has heard yet.
        PaymentIntent.objects.filter(uid=self.uids[-1]).delete()

    def happen(self, what: str, value: Any) -> None:
        if what == "deliver":
            self.deliver(value)
        elif what == "process":
            if value:
                webhooks.make_due(WebhookEvent.objects.exclude(state="processed"))
            webhooks.process(self.company, hurried=True)
            self.truss.clear_faults()
        elif what == "fail":
            self.truss.fault("error_before", method="GET", count=value, status=500)
        elif what == "sync":
            with without_faults(self.truss):
                sync.sync_open(self.company)
        else:
            self.change(what, self.uids[value])
        self.check_that_what_is_processed_was_looked_at()

    def check_that_what_is_processed_was_looked_at(self) -> None:
        looked_at = dict(PaymentIntent.objects.values_list("uid", "detailed_at"))
        for event in WebhookEvent.objects.filter(state="processed").exclude(payment_intent_uid=None):
            at = looked_at[event.payment_intent_uid]
            assert at is not None
            assert at > event.received_at

    def deliver(self, number: int) -> None:
        events = self.truss.webhook_events()
        if events:
            assert post(events[number % len(events)]["body"].encode()).status_code == 200

    def change(self, what: str, uid: str) -> None:
        """Not every change is possible at every time: what Truss refuses doesn't happen."""
        with without_faults(self.truss):
            there = next(intent for intent in self.truss.payment_intents() if intent["uid"] == uid)
            try:
                if what == "pay" and Decimal(there["total"]) > Decimal(there["balance_paid"]):
                    self.truss.pay(uid)
                elif what == "pay a part":
                    self.truss.pay(uid, "1.00")
                elif what == "return":
                    for payment in there["transactions"][:1]:
                        self.truss.return_transaction(payment["uid"])
                elif what in {"amend", "cancel"}:
                    with connect(self.company) as client:
                        by_the_api(client, what, uid, there)
            except (SandboxError, RefusedError):
                return
        self.changed_at[uid] = timezone.now()

    def last_looked_at(self, uid: str) -> datetime | None:
        done = WebhookEvent.objects.filter(payment_intent_uid=uid, state="processed").order_by("-processed_at")
        return done.values_list("processed_at", flat=True).first()


def by_the_api(client: TrussClient, what: str, uid: str, there: dict[str, Any]) -> None:
    if what == "cancel":
        client.cancel_payment_intent(UUID(uid))
    else:
        more = UpdateInboundPaymentIntentRequest(total=Decimal(there["total"]) + 1, addenda=there["addenda"] + "+")
        client.update_payment_intent(UUID(uid), more)


@contextmanager
def without_faults(truss: Sandbox) -> Iterator[None]:
    left = truss.faults()
    truss.clear_faults()
    yield
    for fault in left:
        truss.fault(fault["kind"], method=fault["method"], count=fault["count"], status=fault["status"])


def money(uid: Any, status: str, balance_paid: Any, total: Any, addenda: str) -> tuple[str, str, Decimal, Decimal, str]:
    return str(uid), status, Decimal(balance_paid), Decimal(total), addenda


def here(intent: PaymentIntent) -> set[tuple[str, Decimal, int, str, bool]]:
    """Its payments, as we know them."""
    rows = intent.transactions.filter(missing_since=None)
    return {(str(row.uid), row.amount, row.direction, row.status, row.returned_at is not None) for row in rows}


def there(intent: dict[str, Any]) -> set[tuple[str, Decimal, int, str, bool]]:
    """Its payments, as Truss has them."""
    return {
        (row["uid"], Decimal(row["amount"]), row["direction"], row["status"], bool(row.get("returned_at")))
        for row in intent["transactions"]
    }


def comes_to_truth(truss: Sandbox, history: list[tuple[str, Any]], payload: str, tasks: dict[str, Any]) -> None:
    site = {
        "ENVIRONMENT": "local",
        "API_URL": truss.url,
        "ACCESS_TOKEN": truss.token,
        "WEBHOOK_SECRETS": [SECRET],
    }
    with override_settings(TRUSS_PORTAL=site, TASKS=tasks):
        note(f"{payload}, {tasks['default']['BACKEND']}: {history}")
        world = World(truss, payload)
        for what, value in history:
            world.happen(what, value)
        truss.clear_faults()
        before = {str(intent.uid): (intent.status, intent.balance_paid) for intent in PaymentIntent.objects.all()}
        moving = {str(row.payment_intent.uid) for row in Transaction.objects.still_moving(timezone.now())}
        assert sync.sync_all(world.company).problems == []
        truth = truss.payment_intents()
        names = ("uid", "status", "balance_paid", "total", "addenda")
        assert {money(*row) for row in PaymentIntent.objects.values_list(*names)} == {
            money(*(intent[name] for name in names)) for intent in truth
        }
        silent = []
        for intent in truth:
            uid = intent["uid"]
            looked_at, changed_at = world.last_looked_at(uid), world.changed_at.get(uid)
            told = looked_at is not None and (changed_at is None or looked_at > changed_at)
            # One that nobody had heard of is found as if it were new: unpaid.
            moved = before.get(uid, ("Pending", 0)) != (intent["status"], Decimal(intent["balance_paid"]))
            if here(PaymentIntent.objects.get(uid=uid)) != there(intent):
                # Payments came and went between two looks, the balance is what it was, and every event was lost: no
                # listing shows that. See docs/explanation/freshness.md.
                assert not told, "it was looked at after the last change"
                assert not moved, "the listing shows that something has changed"
                assert uid not in moving, "it had a payment that may still move"
                silent.append(uid)
        if silent:
            note(f"only --open finds {silent}")
            assert sync.sync_open(world.company).problems == []
        for intent in truth:
            assert here(PaymentIntent.objects.get(uid=intent["uid"])) == there(intent)


def properties(examples: int) -> Any:
    def decorate(test: Any) -> Any:
        drawn = given(
            history=histories,
            payload=st.sampled_from(["whole", "whole", "as_published"]),
            tasks=st.sampled_from([IN_BACKGROUND, AT_ONCE]),
        )(test)
        checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        return hypothesis_settings(max_examples=examples, deadline=None, suppress_health_check=checks)(drawn)

    return decorate


@properties(6)
def test_any_order_repeats_and_losses_followed_by_one_sync_end_at_truss_s_truth(
    truss_sandbox: Sandbox, history: list[tuple[str, Any]], payload: str, tasks: dict[str, Any]
) -> None:
    comes_to_truth(truss_sandbox, history, payload, tasks)


@pytest.mark.slow
@properties(200)
def test_any_order_at_length(
    truss_sandbox: Sandbox, history: list[tuple[str, Any]], payload: str, tasks: dict[str, Any]
) -> None:
    comes_to_truth(truss_sandbox, history, payload, tasks)


def test_what_is_posted_is_known_without_any_sync(truss: Sandbox, settings: Any, live_server: Any) -> None:
    """Over the wire: signed and posted by the pretend Truss; doubled, shuffled, forged, and one of them lost."""
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [SECRET]}
    paid, part_paid, returned = truss.create_many(3, total="100.00")
    company = default_company()
    sync.sync_all(company)
    truss.webhooks(f"{live_server.url}/truss/webhook/default/", secret=SECRET)
    truss.double_webhooks(3)
    truss.hold_webhooks()
    truss.lose_webhooks(1)
    truss.pay(paid)
    truss.pay(part_paid, "40.00")
    truss.return_transaction(truss.pay(returned)["uid"])
    truss.release_webhooks("random", seed=7)
    truss.forge_webhook(uid=part_paid)
    truss.forge_webhook("unsigned", uid=returned)
    truss.wait_for_webhooks()
    events = {event["event_id"]: event for event in truss.webhook_events()}
    sent = [event for event in events.values() if event["fate"] == "sent" and not event["forgery"]]
    assert len(sent) == len(events) - 3
    assert {delivery["last_status"] for event in sent for delivery in event["deliveries"]} == {200}
    forged = [event for event in events.values() if event["forgery"]]
    assert [delivery["last_status"] for event in forged for delivery in event["deliveries"]] == [400, 400]
    assert WebhookEvent.objects.count() == WebhookEvent.objects.filter(state="processed").count() == len(sent)
    company.refresh_from_db()
    assert company.webhooks_refused == 2
    for intent in truss.payment_intents():
        row = PaymentIntent.objects.get(uid=intent["uid"])
        assert (row.status, row.balance_paid) == (intent["status"], Decimal(intent["balance_paid"]))
        assert here(row) == there(intent)
    assert SyncRun.objects.count() == 1
