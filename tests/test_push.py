"""Many operations at once: exactly once each, whatever happens on the way."""

import os
import threading
import time
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from truss_portal import actions, outbox, sync
from truss_portal.connection import connect, default_company, learn_company
from truss_portal.models import Contact, Operation, PaymentIntent
from truss_portal.outbox.asking import ask
from truss_portal.outbox.claims import claim, release
from truss_portal.outbox.writing import write
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def queue(count: int, *, payers: int = 4, **given: Any) -> list[PaymentIntent]:
    """So many invoices that wait to be sent, to so many payers whom Truss doesn't know."""
    intents = []
    for number in range(count):
        contact = {"name": f"Payer {number % payers}", "email": f"payer{number % payers}@acme.test"}
        intents.append(make.draft(contact=contact, reference=f"INV-{number}", **given))
        actions.send(intents[-1], wait=False)
    return intents


def test_many_are_sent_once_each_and_their_payers_once(truss: Sandbox) -> None:
    intents = queue(40)
    told: list[tuple[str, int, int | None]] = []
    pushed = list(outbox.push(default_company(), progress=lambda *step: told.append(step)))
    assert [operation.state for operation in pushed] == ["done"] * 40
    there = truss.payment_intents()
    assert len({row["memo"] for row in there}) == len(there) == 40
    assert len({row["contact"]["uid"] for row in there}) == 4
    assert Contact.objects.exclude(uid=None).count() == Contact.objects.count() == 4
    assert {intent.pk for intent in intents} == set(
        PaymentIntent.objects.filter(delivery="sent").values_list("pk", flat=True)
    )
    assert told[-1] == ("send", 40, 40)


def test_several_are_under_way_at_once(truss: Sandbox, settings: Any) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 8}
    queue(16, payers=16)
    truss.fault("latency", method="POST", count=None, seconds=0.5)
    started = time.monotonic()
    assert len(list(outbox.push(default_company()))) == 16
    assert time.monotonic() - started < 16 * 0.5 / 2, "one after the other would take eight seconds"


def test_at_most_six_statements_for_each_where_eight_are_under_way(truss: Sandbox) -> None:
    queue(8, payers=1)
    queue_ids = list(Operation.objects.values_list("pk", flat=True))
    company = default_company()
    with connect(company) as client:
        learn_company(company, client)
        with CaptureQueriesContext(connection) as captured:
            answers = [ask(operation, client) for operation in claim(queue_ids)]
            write(company, answers)
    noise = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    statements = [query["sql"] for query in captured.captured_queries if not query["sql"].startswith(noise)]
    assert PaymentIntent.objects.filter(delivery="sent").count() == 8
    assert len(statements) <= 6 * 8


@pytest.mark.parametrize("kind", ["drop_after", "error_after", "drop_before", "error_before", "garbage", "rate_limit"])
def test_whatever_goes_wrong_nothing_is_sent_twice_or_lost(truss: Sandbox, kind: str) -> None:
    queue(30)
    truss.fault(kind, method="POST", probability=0.4, count=12, retry_after=0)
    states = [operation.state for operation in outbox.push(default_company())]
    assert len(states) == 30
    assert set(states) <= {"done", "unconfirmed", "queued"}
    truss.clear_faults()
    for _round in range(3):
        Operation.objects.update(next_attempt_at=None)
        Operation.objects.filter(state="unconfirmed").update(unconfirmed_at=make.NOON.replace(year=2020))
        outbox.settle(sync.sync_all(default_company()))
        list(outbox.push(default_company()))
    marks = [row["memo"] for row in truss.payment_intents()]
    assert len(marks) == len(set(marks)) == 30
    assert PaymentIntent.objects.filter(delivery="sent").count() == 30
    assert not Operation.objects.exclude(state="done").exists()


@pytest.mark.slow
def test_after_a_429_all_threads_rest(truss: Sandbox, settings: Any) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 4}
    queue(12, payers=12)
    truss.fault("rate_limit", method="POST", count=1, retry_after=2)
    started = time.monotonic()
    states = [operation.state for operation in outbox.push(default_company())]
    assert sorted(states) == ["done"] * 11 + ["queued"]
    assert time.monotonic() - started >= 1.5


def test_who_stops_early_leaves_nothing_half_done(truss: Sandbox, settings: Any) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 2}
    queue(20, payers=20)
    truss.fault("latency", method="POST", count=None, seconds=0.1)
    pushing = outbox.push(default_company())
    assert len(list(islice(pushing, 3))) == 3
    pushing.close()
    truss.clear_faults()
    assert set(Operation.objects.values_list("state", flat=True)) == {"done", "queued"}
    assert PaymentIntent.objects.filter(delivery="sent").count() == len(truss.payment_intents())
    list(outbox.push(default_company()))
    assert len(truss.payment_intents()) == 20


def test_two_pushes_at_once_send_each_once(truss: Sandbox) -> None:
    queue(30, payers=30)
    company = default_company()
    company.checkout_link_id = "k7m2p9qx"
    company.save()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            list(outbox.push(company))
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    marks = [row["memo"] for row in truss.payment_intents()]
    assert len(marks) == len(set(marks)) == 30
    assert Operation.objects.filter(state="done").count() == 30


def test_a_claim_is_one_s_own_and_can_be_given_back() -> None:
    make.company()
    [intent] = queue(1)
    operation = Operation.objects.get()
    [mine] = claim([operation.pk])
    assert claim([operation.pk]) == claim([]) == []
    intent.refresh_from_db()
    assert (mine.state, mine.attempts, intent.delivery) == ("sending", 1, "sending")
    assert mine.claim_token.startswith(f"{os.getpid()}-"), "who is at it can be told"
    release(mine)
    release(mine)
    operation.refresh_from_db()
    intent.refresh_from_db()
    assert (operation.state, operation.attempts, intent.delivery) == ("queued", 0, "queued")


def test_a_trap_among_many_stops_only_its_own(truss: Sandbox) -> None:
    queue(3)
    for number in range(2):
        intent = make.draft(contact={"name": "Twin", "email": f"twin{number}@acme.test"}, reference=f"TWIN-{number}")
        PaymentIntent.objects.filter(pk=intent.pk).update(delivery="queued")
        Operation.objects.create(
            company=intent.company, payment_intent=intent, kind="create", open_create_of=intent, state="queued"
        )
    states = [operation.state for operation in outbox.push(default_company())]
    assert sorted(states) == ["done", "done", "done", "refused", "refused"]


def test_a_mistake_of_ours_takes_no_other_answer_along(truss: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    intents = queue(6, payers=6)
    Operation.objects.filter(payment_intent=intents[2]).update(kind="amend", open_create_of=None)
    states = [operation.state for operation in outbox.push(default_company())]
    assert states == ["done"] * 5
    assert PaymentIntent.objects.filter(delivery="sent").count() == len(truss.payment_intents()) == 5
    assert "failed on our side" in caplog.text


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_will_not_do_keeps_the_queue_and_is_not_tried_out_on_it(truss: Sandbox, status: int) -> None:
    queue(60, payers=60)
    if status == 401:
        truss.fault("unauthorized", method="POST", count=None)
    else:
        truss.company(scopes=["payment_intent.inbound:read", "transactions:read"])
    states = [operation.state for operation in outbox.push(default_company())]
    assert set(states) == {"queued"}
    assert len(states) <= 3 * 8
    assert set(PaymentIntent.objects.values_list("delivery", flat=True)) == {"queued"}
    truss.clear_faults()
    truss.company(scopes=None)
    Operation.objects.update(next_attempt_at=None)
    assert [operation.state for operation in outbox.push(default_company())] == ["done"] * 60


def test_a_claim_that_ran_out_before_its_turn_is_not_asked_for(truss: Sandbox) -> None:
    queue(1)
    company = default_company()
    [operation] = claim(list(Operation.objects.values_list("pk", flat=True)))
    operation.claimed_until = make.NOON.replace(year=2020)
    with connect(company) as client:
        write(company, [ask(operation, client)])
    assert truss.payment_intents() == []
    assert Operation.objects.get().state == "queued"


def test_who_waits_for_the_outbox_does_not_wait_out_a_long_rest(truss: Sandbox) -> None:
    told, kept_waiting = actions.send(make.draft(), wait=False), actions.send(make.draft(), wait=False)
    truss.fault("rate_limit", method="POST", count=1, retry_after=30)
    outbox.perform([told.pk])
    started = time.monotonic()
    outbox.perform([kept_waiting.pk], seconds=1)
    assert time.monotonic() - started < 10
    kept_waiting.refresh_from_db()
    assert (kept_waiting.state, kept_waiting.attempts) == ("queued", 0), "Truss was not asked for it"
    assert kept_waiting.next_attempt_at is not None
    assert 20 < (kept_waiting.next_attempt_at - timezone.now()).total_seconds() <= 30
    assert truss.payment_intents() == []


def test_a_claim_that_may_run_out_while_a_request_waits_for_its_turn_is_not_asked_for(truss: Sandbox) -> None:
    """A rest after a 429 and the renewal of a token come before the request: minutes, at the worst."""
    queue(1)
    company = default_company()
    [operation] = claim(list(Operation.objects.values_list("pk", flat=True)))
    operation.claimed_until = timezone.now() + timedelta(minutes=2)
    with connect(company) as client:
        write(company, [ask(operation, client)])
    assert truss.payment_intents() == []
    assert Operation.objects.get().state == "queued"
