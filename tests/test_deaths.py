"""A process dies while it sends: between every two steps, before every statement, and by SIGKILL.

What it leaves is what the rows say. Then time passes, and cron comes, as it does anyway: in the end everything has been
done exactly once, and both sides agree.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction

from tests.wishes import NOBODY_WAKES, WISHES, Wish, cron
from truss_portal import outbox, signals
from truss_portal.connection import connect, default_company, learn_company
from truss_portal.models import Operation, PaymentIntent, TimelineEntry
from truss_portal.outbox.asking import Answer, ask
from truss_portal.outbox.claims import claim
from truss_portal.outbox.writing import write
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

Kind = Operation.Kind
State = Operation.State


class Death(BaseException):
    """The process ends here. Nothing may catch it as an error."""


@pytest.fixture(autouse=True)
def nobody_wakes(settings: Any) -> None:
    settings.TASKS = NOBODY_WAKES


@pytest.fixture
def told() -> Iterator[list[int]]:
    """The invoices that the site's own code was told of as sent."""
    told: list[int] = []

    def receiver(payment_intent: PaymentIntent, **_rest: Any) -> None:
        told.append(payment_intent.pk)

    signals.payment_intent_sent.connect(receiver)
    yield told
    signals.payment_intent_sent.disconnect(receiver)


# --- the steps, each the real one


def claimed(operation: Operation) -> Operation:
    [mine] = claim([operation.pk])
    return mine


def answered(operation: Operation) -> Answer:
    mine = claimed(operation)
    with connect(mine.company) as client:
        learn_company(mine.company, client)
        return ask(mine, client)


def after_the_wish(truss: Sandbox, operation: Operation) -> None:
    """Nobody was woken: the task backend was down, or the process ended right after the commit."""


def after_the_claim(truss: Sandbox, operation: Operation) -> None:
    claimed(operation)


def before_the_answer(truss: Sandbox, operation: Operation) -> None:
    """The request has arrived, and Truss does it; the answer finds nobody."""
    wish = WISHES[operation.kind]
    truss.fault("drop_after", method=wish.method, path=wish.path)
    answered(operation)


def after_the_answer(truss: Sandbox, operation: Operation) -> None:
    assert answered(operation).error is None


def in_the_middle_of_the_write(truss: Sandbox, operation: Operation) -> None:
    """The database rolls back what wasn't committed."""
    answer = answered(operation)
    with suppress(Death), transaction.atomic():
        write(operation.company, [answer])
        raise Death


def after_the_write(truss: Sandbox, operation: Operation) -> None:
    """It is committed, and the site's own code is still to be told."""

    def dies(**_rest: Any) -> None:
        raise Death

    answer = answered(operation)
    signals.payment_intent_sent.connect(dies)
    signals.payment_intent_canceled.connect(dies)
    try:
        with suppress(Death):
            write(operation.company, [answer])
    finally:
        signals.payment_intent_sent.disconnect(dies)
        signals.payment_intent_canceled.disconnect(dies)


MOMENTS: Final = [
    after_the_wish,
    after_the_claim,
    before_the_answer,
    after_the_answer,
    in_the_middle_of_the_write,
    after_the_write,
]
HOLDS_A_CLAIM: Final = {after_the_claim, before_the_answer, after_the_answer, in_the_middle_of_the_write}
ARRIVED: Final = {before_the_answer, after_the_answer, in_the_middle_of_the_write, after_the_write}


def left_by(moment: Callable[[Sandbox, Operation], None], kind: str) -> str:
    if moment is after_the_wish:
        return State.QUEUED
    # What was read back after a cancel, and is told, is written before the cancel itself is done.
    return State.DONE if moment is after_the_write and kind != Kind.CANCEL else State.SENDING


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
@pytest.mark.parametrize("kind", list(WISHES))
def test_wherever_it_dies_it_is_done_once(
    truss: Sandbox, told: list[int], kind: str, moment: Callable[[Sandbox, Operation], None]
) -> None:
    wish = WISHES[kind]
    intent, operation = wish.record()
    told.clear()
    moment(truss, operation)
    assert wish.done_at(truss) == (moment in ARRIVED)

    operation.refresh_from_db()
    assert operation.state == left_by(moment, kind)
    if moment in HOLDS_A_CLAIM:
        assert outbox.recover() == 0, "nobody may know yet that it is dead"
        assert list(outbox.push(default_company())) == []

    cron()
    operation.refresh_from_db()
    intent.refresh_from_db()
    if kind == Kind.RESEND_EMAIL and moment in HOLDS_A_CLAIM:
        # Whether the email went out no listing tells: nobody sends it again but a person.
        assert (operation.state, operation.needs_person) == (State.UNCONFIRMED, True)
        assert len(truss.mailbox()) == (moment in ARRIVED)
    else:
        assert operation.state == State.DONE
        assert wish.done_at(truss) == 1
    assert_both_sides_agree(truss)
    assert set(told) == ({intent.pk} if kind == Kind.CREATE else set()), "at least once"


def assert_both_sides_agree(truss: Sandbox) -> None:
    """Each invoice is at Truss once, its row says what Truss says, and nothing waits for anything."""
    there = {shown["uid"]: shown for shown in truss.payment_intents()}
    rows = list(PaymentIntent.objects.select_related("contact"))
    assert len(there) == len(rows)
    for row in rows:
        shown = there[str(row.uid)]
        assert shown["memo"] == f"[TP-{row.memo_reference}]"
        assert (row.delivery, row.attention) == ("sent", "")
        assert (row.status, str(row.total)) == (shown["status"], shown["total"])
        assert row.contact is not None
        assert (str(row.contact.uid), row.contact.email) == (shown["contact"]["uid"], shown["contact"]["email"])
        assert row.timeline.filter(kind="sent").count() == 1
    assert not Operation.objects.under_way().exists()
    assert not Operation.objects.exclude(open_create_of=None).exists()
    assert not Operation.objects.exclude(claimed_until=None).exists()
    assert not TimelineEntry.objects.filter(signal_due=True).exists()


# --- before every statement


class Dying:
    """For `execute_wrapper`: the process ends just before its n-th statement, and does nothing afterwards."""

    def __init__(self, before: int) -> None:
        self.left = before
        self.dead = False

    def __call__(self, execute: Callable[..., Any], *statement: Any) -> Any:
        self.left -= 1
        self.dead = self.dead or self.left == 0
        if self.dead:
            raise Death
        return execute(*statement)


@contextmanager
def dying(before: int) -> Iterator[Dying]:
    """The database forgets what the dead process hasn't committed."""
    end = Dying(before)
    with connection.execute_wrapper(end), suppress(Death):
        yield end
    if end.dead:
        connection.close()


@pytest.mark.parametrize("kind", list(WISHES))
@pytest.mark.slow
def test_before_whichever_statement_it_dies_it_is_done_once(truss: Sandbox, told: list[int], kind: str) -> None:
    """One invoice for each statement of a push, and a process that dies just before it."""
    wish = WISHES[kind]
    mine: list[Operation] = []
    for number in range(1, 100):
        intent, operation = record_one_more(wish, number)
        mine.append(operation)
        with dying(number) as end, closing(outbox.push(intent.company, among=among(operation))) as pushing:
            assert [shown.state for shown in pushing] == [State.DONE]
        if not end.dead:
            break
    assert 15 < number < 60, "a push has about so many statements"
    states = set(Operation.objects.filter(pk__in=[operation.pk for operation in mine]).values_list("state", flat=True))
    assert states == {State.QUEUED, State.SENDING, State.DONE}

    cron()
    for operation in mine:
        operation.refresh_from_db()
    left = [operation for operation in mine if operation.state != State.DONE]
    if kind == Kind.RESEND_EMAIL:
        assert {(operation.state, operation.needs_person) for operation in left} == {(State.UNCONFIRMED, True)}
        assert len(mine) - len(left) <= len(truss.mailbox()) <= len(mine)
        links = [mail["link"] for mail in truss.mailbox()]
        assert len(links) == len(set(links)), "nobody gets two"
    else:
        assert left == []
    assert_both_sides_agree(truss)
    assert set(told) == set(PaymentIntent.objects.values_list("pk", flat=True))


def among(operation: Operation) -> Any:
    return Operation.objects.filter(pk=operation.pk)


def record_one_more(wish: Wish, number: int) -> tuple[PaymentIntent, Operation]:
    """With a payer of its own, whose email is changed to one of its own."""
    return wish.record(contact={"name": f"Payer {number}", "email": f"payer{number}@acme.test"})


# --- by SIGKILL


def environment_of_this_site() -> dict[str, str]:
    """The environment of another process of this site: this database, this sandbox."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.process_settings",
        "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "TEST_TRUSS": json.dumps(django_settings.TRUSS_PORTAL),
    }


@pytest.mark.parametrize("kind", [Kind.CREATE, Kind.AMEND, Kind.RESEND_EMAIL])
@pytest.mark.slow
def test_killed_while_truss_is_at_work(truss: Sandbox, told: list[int], kind: str) -> None:
    """A real `truss_push` gets SIGKILL when Truss has its request and before there is an answer."""
    wish = WISHES[kind]
    intent, operation = wish.record()
    told.clear()
    truss.fault("latency", method=wish.method, path=wish.path, seconds=2.5)
    command = [sys.executable, "-m", "django", "truss_push", "--no-progress"]
    worker = subprocess.Popen(command, env=environment_of_this_site())
    try:
        wait_until(lambda: truss.faults()[0]["count"] == 0, "the request arrives", seconds=60)
        time.sleep(0.5)  # that was its head, and the body comes after it
    finally:
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
    operation.refresh_from_db()
    assert (operation.state, wish.done_at(truss)) == (State.SENDING, 0)
    wait_until(lambda: wish.done_at(truss) == 1, "Truss has done it", seconds=30)

    cron()
    operation.refresh_from_db()
    assert operation.state == (State.UNCONFIRMED if kind == Kind.RESEND_EMAIL else State.DONE)
    assert wish.done_at(truss) == 1
    assert_both_sides_agree(truss)
    assert told == [intent.pk] * (kind == Kind.CREATE)


def wait_until(true: Callable[[], bool], what: str, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"still waiting until {what}"
        time.sleep(0.02)
