"""What each answer of Truss means, for each kind of wish: the table of docs/explanation/sending.md, line by line."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.db import IntegrityError
from django.utils import timezone

from tests import make
from tests.client.loopback import answer as answering
from tests.client.loopback import serving
from tests.wishes import NOBODY_WAKES, WISHES, cron, time_passes
from truss_portal import actions, outbox, sync
from truss_portal.connection import default_company
from truss_portal.models import Contact, Operation, PaymentIntent
from truss_portal.outbox.claims import MOST_ATTEMPTS, claim
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery

SECONDS: Final = timedelta(seconds=1)
BACKOFF: Final = (60 * SECONDS, 76 * SECONDS)
RETRY_AFTER: Final = 7200


@pytest.fixture(autouse=True)
def nobody_wakes(settings: Any) -> None:
    settings.TASKS = NOBODY_WAKES


# --- what may come


@dataclass(frozen=True)
class Answer:
    """Something that Truss, or the network, may answer with."""

    arrange: Callable[[Sandbox, Any, Operation], None]
    http_status: int | None = None


def fault(kind: str, **given: Any) -> Answer:
    def arrange(truss: Sandbox, settings: Any, operation: Operation) -> None:
        wish = WISHES[operation.kind]
        truss.fault(kind, method=wish.method, path=wish.path, **given)

    return Answer(arrange, given.get("status"))


def broken_rule(truss: Sandbox, settings: Any, operation: Operation) -> None:
    """The wish was fine when it was recorded, and isn't any more when Truss is about to be asked."""
    past = "2020-01-01"
    match operation.kind:
        case Kind.CREATE:
            PaymentIntent.objects.update(due_date=past)
        case Kind.CANCEL:
            settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CANCEL_PATH": None}
        case _:
            wrong = {"name": ""} if operation.kind == Kind.UPDATE_CONTACT else {"due_date": past}
            Operation.objects.filter(pk=operation.pk).update(body=wrong)


def nobody_there(truss: Sandbox, settings: Any, operation: Operation) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": "http://127.0.0.1:1"}


def timeout(truss: Sandbox, settings: Any, operation: Operation) -> None:
    """Truss does it after nobody waits for the answer any more."""
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"TIMEOUT": (5, 0.3)}
    fault("latency", seconds=0.8).arrange(truss, settings, operation)


ANSWERS: Final = {
    "a yes": Answer(lambda *_given: None),
    "a rule broken here": Answer(broken_rule),
    "400": fault("error_before", status=400),
    "401": Answer(fault("unauthorized").arrange, 401),
    "403": fault("error_before", status=403),
    "404": fault("error_before", status=404),
    "405": fault("error_before", status=405),
    "409": fault("error_before", status=409),
    "429": Answer(fault("rate_limit", retry_after=None).arrange, 429),
    "429 with Retry-After": Answer(fault("rate_limit", retry_after=RETRY_AFTER).arrange, 429),
    "never connected": Answer(nobody_there),
    "a time-out": Answer(timeout),
    "dropped before it was done": fault("drop_before"),
    "dropped after it was done": fault("drop_after"),
    "500 before it was done": fault("error_before", status=500),
    "503 before it was done": fault("error_before", status=503),
    "500 after it was done": fault("error_after", status=500),
    "503 after it was done": fault("error_after", status=503),
    "unreadable": Answer(fault("garbage").arrange, 200),
}


# --- what it means


@dataclass(frozen=True)
class Fate:
    """What becomes of a wish."""

    state: str
    delivery: str = Delivery.SENT
    """Of the invoice that is being sent. One that is at Truss stays sent whatever becomes of a change."""
    needs_person: bool = False
    next_attempt: tuple[timedelta, timedelta] | None = None
    """After how long, at least and at most."""
    asked_again: bool = False
    """Whether a push asks for it again once it is due."""


@dataclass(frozen=True)
class Case:
    kind: str
    answer: str
    truss_has_it: bool
    fate: Fate


DONE = Fate(State.DONE)
REFUSED = Fate(State.REFUSED, Delivery.FAILED, needs_person=True)
WAITS = Fate(State.QUEUED, Delivery.QUEUED, next_attempt=BACKOFF, asked_again=True)
WAITS_AS_TOLD = Fate(
    State.QUEUED, Delivery.QUEUED, next_attempt=(RETRY_AFTER * SECONDS, (RETRY_AFTER + 60) * SECONDS), asked_again=True
)
UNCONFIRMED = Fate(State.UNCONFIRMED, Delivery.UNCONFIRMED)
UNCONFIRMED_FOR_A_PERSON = Fate(State.UNCONFIRMED, needs_person=True)

# For each answer whether Truss has done it, and what it means for: a create, a resend, a cancel, an amendment or a
# change of a payer.
TABLE: Final[dict[str, tuple[bool, Fate, Fate | None, Fate, Fate]]] = {
    "a yes": (True, DONE, DONE, DONE, DONE),
    "a rule broken here": (False, REFUSED, None, REFUSED, REFUSED),  # a resend has nothing in it that breaks a rule
    "400": (False, REFUSED, REFUSED, REFUSED, REFUSED),
    "401": (False, WAITS, WAITS, WAITS, WAITS),
    "403": (False, WAITS, WAITS, WAITS, WAITS),
    "404": (False, REFUSED, REFUSED, REFUSED, REFUSED),
    "405": (False, REFUSED, REFUSED, REFUSED, REFUSED),
    "409": (False, REFUSED, REFUSED, REFUSED, REFUSED),
    "429": (False, WAITS, WAITS, WAITS, WAITS),
    "429 with Retry-After": (False, WAITS_AS_TOLD, WAITS_AS_TOLD, WAITS_AS_TOLD, WAITS_AS_TOLD),
    "never connected": (False, WAITS, WAITS, WAITS, WAITS),
    "a time-out": (True, UNCONFIRMED, UNCONFIRMED_FOR_A_PERSON, WAITS, WAITS),
    "dropped before it was done": (False, UNCONFIRMED, UNCONFIRMED_FOR_A_PERSON, WAITS, WAITS),
    # A cancel is read back whatever came: canceled is canceled.
    "dropped after it was done": (True, UNCONFIRMED, UNCONFIRMED_FOR_A_PERSON, DONE, WAITS),
    "500 before it was done": (False, UNCONFIRMED, UNCONFIRMED_FOR_A_PERSON, WAITS, WAITS),
    "503 before it was done": (False, UNCONFIRMED, UNCONFIRMED_FOR_A_PERSON, WAITS, WAITS),
    "500 after it was done": (True, UNCONFIRMED, UNCONFIRMED_FOR_A_PERSON, DONE, WAITS),
    "503 after it was done": (True, UNCONFIRMED, UNCONFIRMED_FOR_A_PERSON, DONE, WAITS),
    # A 2xx says that it was done. Only the new invoice's uid can't do without the body.
    "unreadable": (True, UNCONFIRMED, DONE, DONE, DONE),
}
COLUMNS: Final = {Kind.CREATE: 1, Kind.RESEND_EMAIL: 2, Kind.CANCEL: 3, Kind.AMEND: 4, Kind.UPDATE_CONTACT: 4}
CASES: Final = [
    pytest.param(Case(kind, answer, line[0], fate), id=f"{kind}: {answer}")
    for answer, line in TABLE.items()
    for kind, column in COLUMNS.items()
    if (fate := line[column]) is not None
]
# What the invoice's timeline tells, besides what stands there already.
TOLD: Final[dict[tuple[str, str], list[str]]] = {
    (Kind.CREATE, State.DONE): ["sent"],
    (Kind.CREATE, State.REFUSED): ["refused"],
    (Kind.CREATE, State.UNCONFIRMED): ["unconfirmed"],
    (Kind.AMEND, State.DONE): ["amended"],
    (Kind.RESEND_EMAIL, State.DONE): ["email_resent"],
    (Kind.CANCEL, State.DONE): ["canceled"],
}


def pushed() -> list[Operation]:
    return list(outbox.push(default_company()))


def shown_within(seconds: float, shows: Callable[[], bool]) -> bool:
    """Whether it comes true within that time."""
    until = time.monotonic() + seconds
    while not (true := shows()) and time.monotonic() < until:
        time.sleep(0.05)
    return true


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_the_table(truss: Sandbox, settings: Any, case: Case) -> None:
    kind, answer, truss_has_it, fate = case.kind, case.answer, case.truss_has_it, case.fate
    wish = WISHES[kind]
    intent, operation = wish.record()
    told_before = len(make.kinds(intent))
    sane = settings.TRUSS_PORTAL
    ANSWERS[answer].arrange(truss, settings, operation)

    started = timezone.now()
    [shown] = pushed()

    assert shown.pk == operation.pk
    assert (shown.state, shown.needs_person, shown.attempts) == (fate.state, fate.needs_person, 1)
    assert_due(shown.next_attempt_at, fate.next_attempt, started)
    assert shown.claimed_until is None
    if fate.state == State.UNCONFIRMED:
        assert shown.unconfirmed_at is not None
    assert (shown.finished_at is not None) == (fate.state in {State.DONE, State.REFUSED})
    assert (shown.error == "") == (fate.state == State.DONE)
    if fate.state != State.DONE:
        assert shown.response_status == ANSWERS[answer].http_status
    intent.refresh_from_db()
    assert intent.delivery == (fate.delivery if kind == Kind.CREATE else Delivery.SENT)
    assert intent.is_editable == (kind == Kind.CREATE and fate.state == State.REFUSED)
    assert make.kinds(intent)[told_before:] == TOLD.get((kind, fate.state), [])
    assert shown_within(5, lambda: wish.done_at(truss) == truss_has_it), "whether Truss has done it"

    # What was in the way is gone, and what waits is due: who is asked again?
    truss.clear_faults()
    settings.TRUSS_PORTAL = sane
    shown_within(5, lambda: wish.times_asked(truss) >= int(answer not in {"a rule broken here", "never connected"}))
    asked = wish.times_asked(truss)
    time_passes()
    again = pushed()
    assert wish.times_asked(truss) - asked == fate.asked_again
    assert [operation.state for operation in again] == [State.DONE] * fate.asked_again

    # In the end everything is done exactly once, but for what was refused and for emails that nobody can tell about.
    cron()
    operation.refresh_from_db()
    intent.refresh_from_db()
    settled = fate.state == State.DONE or fate.asked_again or (kind == Kind.CREATE and fate.state == State.UNCONFIRMED)
    assert operation.state == (State.DONE if settled else fate.state)
    assert operation.attempts == 1 + (settled and not truss_has_it) + (fate.asked_again and truss_has_it)
    assert wish.done_at(truss) == (settled or truss_has_it)
    assert intent.delivery == (Delivery.SENT if settled or kind != Kind.CREATE else fate.delivery)
    assert (operation.next_attempt_at, operation.claimed_until) == (None, None)


def assert_due(due: datetime | None, expected: tuple[timedelta, timedelta] | None, started: datetime) -> None:
    if expected is None:
        assert due is None
    else:
        least, most = expected
        assert due is not None
        assert started + least <= due <= timezone.now() + most


# --- beyond the first answer


def refused_for_now(truss: Sandbox, times: int = 1) -> None:
    truss.fault("rate_limit", method="POST", path="inbound/$", count=times, retry_after=None)


def waits(operations: list[Operation], started: datetime) -> list[float]:
    """In minutes."""
    return [(shown.next_attempt_at - started) / timedelta(minutes=1) for shown in operations if shown.next_attempt_at]


def test_each_pause_is_twice_the_last_one_up_to_an_hour_and_no_two_are_alike(truss: Sandbox, settings: Any) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": "http://127.0.0.1:1"}
    make.company()
    for number in range(6):
        actions.send(make.draft(reference=f"INV-{number}"))
    for least in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        started = timezone.now()
        paused = waits(pushed(), started)
        assert len(paused) == len(set(paused)) == 6, "what failed together needn't come back together"
        assert max(paused) - min(paused) > 1 / 60
        assert least <= min(paused) <= max(paused) <= least * 1.25 + 1
        time_passes()


def test_a_retry_after_that_is_shorter_than_the_pause_shortens_nothing(truss: Sandbox) -> None:
    truss.fault("rate_limit", method="POST", path="inbound/$", retry_after=0)
    actions.send(make.draft())
    started = timezone.now()
    [paused] = waits(pushed(), started)
    assert paused >= 1


def test_what_another_process_has_put_off_is_not_asked_for_before_its_time(truss: Sandbox) -> None:
    """Two pushes look at what is due; the first is told to come back in two hours before the second gets there."""
    operation = actions.send(make.draft())
    later = timezone.now() + timedelta(hours=2)
    Operation.objects.filter(pk=operation.pk).update(next_attempt_at=later)
    assert claim([operation.pk]) == []
    operation.refresh_from_db()
    assert (operation.state, operation.next_attempt_at, operation.attempts) == (State.QUEUED, later, 0)


def test_a_send_that_is_never_done_is_given_up_and_can_be_sent_again(truss: Sandbox) -> None:
    intent = make.draft()
    operation = actions.send(intent)
    Operation.objects.update(attempts=MOST_ATTEMPTS - 1)
    refused_for_now(truss)
    [given_up] = pushed()
    intent.refresh_from_db()
    assert (given_up.state, given_up.needs_person, given_up.attempts) == (State.GIVEN_UP, True, MOST_ATTEMPTS)
    assert (given_up.open_create_of, given_up.next_attempt_at, given_up.claimed_until) == (None, None, None)
    assert given_up.finished_at is not None
    assert f"asked {MOST_ATTEMPTS} times" in given_up.error
    assert (intent.delivery, intent.is_editable) == (Delivery.FAILED, True)
    assert f"asked {MOST_ATTEMPTS} times" in intent.delivery_error
    assert make.kinds(intent)[-1] == "given_up"
    cron()
    assert truss.payment_intents() == []

    actions.amend(intent, total="130.00")
    again = actions.send(intent)
    assert again.pk != operation.pk
    assert [shown.state for shown in pushed()] == [State.DONE]
    assert [there["total"] for there in truss.payment_intents()] == ["130.00"]
    given_up.refresh_from_db()
    assert (given_up.state, given_up.needs_person) == (State.GIVEN_UP, False)


@pytest.mark.parametrize("kind", [Kind.AMEND, Kind.RESEND_EMAIL, Kind.CANCEL, Kind.UPDATE_CONTACT])
def test_a_change_that_is_never_done_is_given_up_and_left_to_a_person(truss: Sandbox, kind: str) -> None:
    wish = WISHES[kind]
    intent, operation = wish.record()
    Operation.objects.filter(pk=operation.pk).update(attempts=MOST_ATTEMPTS - 1)
    truss.fault("rate_limit", method=wish.method, path=wish.path, retry_after=None)
    [given_up] = pushed()
    intent.refresh_from_db()
    assert (given_up.state, given_up.needs_person) == (State.GIVEN_UP, True)
    assert (intent.delivery, intent.is_editable) == (Delivery.SENT, False)
    cron()
    assert wish.done_at(truss) == 0
    actions.try_again(given_up)
    assert [shown.state for shown in pushed()] == [State.DONE]
    assert wish.done_at(truss) == 1


def test_a_change_whose_answer_is_always_lost_is_given_up_too(truss: Sandbox) -> None:
    _intent, operation = WISHES["amend"].record()
    Operation.objects.filter(pk=operation.pk).update(attempts=MOST_ATTEMPTS - 1)
    truss.fault("drop_before", method="PATCH")
    assert [shown.state for shown in pushed()] == [State.GIVEN_UP]


def test_a_send_whose_answer_is_always_lost_and_that_is_never_there_is_given_up(truss: Sandbox) -> None:
    intent = make.draft()
    actions.send(intent)
    Operation.objects.update(attempts=MOST_ATTEMPTS - 1)
    truss.fault("error_before", method="POST", path="inbound/$", count=None)
    assert [shown.state for shown in pushed()] == [State.UNCONFIRMED], "it may be there: nobody gives up what may be"
    cron()
    operation = Operation.objects.get()
    intent.refresh_from_db()
    assert (operation.state, operation.attempts) == (State.GIVEN_UP, MOST_ATTEMPTS)
    assert (operation.needs_person, operation.open_create_of, operation.unconfirmed_at) == (True, None, None)
    assert (intent.delivery, intent.is_editable) == (Delivery.FAILED, True)
    assert make.kinds(intent)[-2:] == ["unconfirmed", "given_up"]
    truss.clear_faults()
    actions.send(intent)
    assert [shown.state for shown in pushed()] == [State.DONE]
    assert len(truss.payment_intents()) == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("kind", list(WISHES))
def test_a_token_that_will_not_do_is_never_a_reason_to_give_up(truss: Sandbox, kind: str, status: int) -> None:
    wish = WISHES[kind]
    _intent, operation = wish.record()
    Operation.objects.filter(pk=operation.pk).update(attempts=3 * MOST_ATTEMPTS)
    spoilt = "unauthorized" if status == 401 else "error_before"
    truss.fault(spoilt, method=wish.method, path=wish.path, status=status, count=None)
    [shown] = pushed()
    assert (shown.state, shown.response_status) == (State.QUEUED, status)
    truss.clear_faults()
    time_passes()
    assert [shown.state for shown in pushed()] == [State.DONE]
    assert wish.done_at(truss) == 1


@pytest.mark.parametrize("token", ["pasted\n", "two words", "clé", "Bearer x"])
def test_a_token_that_can_t_be_sent_keeps_all_waiting_until_it_is_mended(
    truss: Sandbox, settings: Any, token: str
) -> None:
    """It is a mistake in the settings: nothing is wrong with the invoice, and nothing is refused because of it."""
    intent = make.draft()
    operation = actions.send(intent)
    sane = settings.TRUSS_PORTAL
    settings.TRUSS_PORTAL = sane | {"ACCESS_TOKEN": token}
    outbox.perform([operation.pk])
    operation.refresh_from_db()
    intent.refresh_from_db()
    assert (operation.state, operation.attempts, intent.delivery) == (State.QUEUED, 0, Delivery.QUEUED)
    assert "has a character that can't be sent" in operation.error
    assert token.strip() not in operation.error
    settings.TRUSS_PORTAL = sane
    assert [shown.state for shown in pushed()] == [State.DONE]


@pytest.mark.parametrize("status", [400, 401, 403, 409, 429, 500])
def test_no_token_is_in_what_is_kept_of_an_answer(settings: Any, status: int) -> None:
    """Truss, or a gateway in between, may repeat the request to us, its header included."""
    token = "not-a-real-token-7f3a9c"
    with serving() as server:
        told = {"detail": f"Bad: Authorization: Bearer {token}", "access_token": "another-fake-one", "total": ["Low."]}
        server.otherwise = answering(told, status)
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local", "API_URL": server.url, "ACCESS_TOKEN": token}
        make.company()
        intent = make.draft()
        actions.send(intent)
        [shown] = pushed()
    intent.refresh_from_db()
    kept = [shown.response_body, shown.error, intent.delivery_error, str(intent.timeline.values_list("data"))]
    assert "Low." in shown.response_body
    assert shown.response_status == status
    assert [text for text in kept if token in text or "another-fake-one" in text] == []


def test_only_the_beginning_of_a_long_answer_is_kept(settings: Any) -> None:
    with serving() as server:
        server.otherwise = answering({"detail": "x" * 100_000}, 400)
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local", "API_URL": server.url, "ACCESS_TOKEN": "not-a-real-token"}
        make.company()
        actions.send(make.draft())
        [shown] = pushed()
    assert 100 < len(shown.response_body) <= 4000


@pytest.mark.parametrize(("path", "status"), [("/v1/nowhere/{uid}/", 404), ("/v1/payment-intents/inbound/{uid}/", 405)])
def test_a_wrong_address_for_canceling_names_the_setting(truss: Sandbox, settings: Any, path: str, status: int) -> None:
    WISHES["cancel"].record()
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CANCEL_PATH": path}
    [shown] = pushed()
    assert (shown.state, shown.response_status, shown.needs_person) == (State.REFUSED, status, True)
    assert f"HTTP {status}" in shown.error
    assert 'TRUSS_PORTAL["CANCEL_PATH"]' in shown.error


def test_a_cancel_that_was_taken_and_not_done_is_told(truss: Sandbox, settings: Any) -> None:
    """The answer to a cancel isn't published: a 200 alone cancels nothing."""
    intent, _operation = WISHES["cancel"].record()
    with serving() as server:
        shown = truss.payment_intents()[0]
        server.otherwise = answering(shown)
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": server.url}
        [operation] = pushed()
    assert (operation.state, operation.needs_person) == (State.REFUSED, True)
    assert "still “Unpaid”" in operation.error
    intent.refresh_from_db()
    assert intent.status == "Pending"


def test_an_invoice_has_one_open_send_by_the_database_s_own_rule(truss: Sandbox) -> None:
    intent = make.draft()
    operation = actions.send(intent)
    with pytest.raises(IntegrityError):
        Operation.objects.create(
            company=intent.company, payment_intent=intent, kind=Kind.CREATE, open_create_of=intent, state=State.QUEUED
        )
    assert list(Operation.objects.all()) == [operation]
    pushed()
    closed = Operation.objects.get()
    assert (closed.state, closed.open_create_of) == (State.DONE, None)


@pytest.mark.parametrize("lost", ["drop_before", "drop_after", "error_before", "error_after"])
def test_an_amendment_whose_answer_was_lost_ends_right(truss: Sandbox, lost: str) -> None:
    intent, _operation = WISHES["amend"].record()
    truss.fault(lost, method="PATCH")
    assert [shown.state for shown in pushed()] == [State.QUEUED]
    time_passes()
    [shown] = pushed()
    assert (shown.state, shown.attempts, shown.error) == (State.DONE, 2, "")
    intent.refresh_from_db()
    assert str(intent.total) == truss.payment_intents()[0]["total"] == "130.00"
    assert make.kinds(intent).count("amended") == 1


def test_a_change_that_was_withdrawn_takes_no_other_s_place(truss: Sandbox) -> None:
    intent, older = WISHES["amend"].record()
    newer = actions.amend(intent, total="140.00", note="Thanks")
    assert newer is not None
    actions.withdraw([newer.pk])
    assert [(shown.pk, shown.state) for shown in pushed()] == [(older.pk, State.DONE)]
    assert truss.payment_intents()[0]["total"] == "130.00"


def test_an_invoice_that_truss_has_twice_is_kept_twice_and_marked(truss: Sandbox) -> None:
    """Somebody has copied it in Truss, mark and all, while its answer was lost."""
    truss.fault("drop_after", method="POST", path="inbound/$")
    intent = make.draft()
    actions.send(intent)
    assert [shown.state for shown in pushed()] == [State.UNCONFIRMED]
    [there] = truss.payment_intents()
    truss.create_many(1, memo=there["memo"], total="120.00")
    assert sync.sync_all(default_company()).state == "done"
    intent.refresh_from_db()
    uids = {there["uid"] for there in truss.payment_intents()}
    assert {str(uid) for uid in PaymentIntent.objects.values_list("uid", flat=True)} == uids
    assert len(uids) == 2
    assert all(uid in intent.attention for uid in uids)
    assert make.kinds(intent)[-2:] == ["sent", "attention"]
    assert Operation.objects.get().state == State.DONE
    cron()
    assert len(truss.payment_intents()) == 2
    assert make.kinds(intent).count("attention") == 1


# --- what arrives late


@pytest.mark.parametrize("kind", [Kind.AMEND, Kind.UPDATE_CONTACT])
@pytest.mark.slow
def test_a_change_that_arrives_late_undoes_no_newer_one(truss: Sandbox, settings: Any, kind: str) -> None:
    """Truss does the first one after nobody waits for its answer any more, and after the second was asked for."""
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"UNCONFIRMED_GRACE": 2}
    sane = settings.TRUSS_PORTAL
    wish = WISHES[kind]
    intent, older = wish.record()
    timeout(truss, settings, older)
    assert [shown.state for shown in pushed()] == [State.QUEUED]
    settings.TRUSS_PORTAL = sane
    newer = change_again(intent, kind)
    pushed()
    newer.refresh_from_db()
    assert (newer.state, newer.attempts) == (State.QUEUED, 0)
    assert "may still arrive" in newer.error
    assert newer.next_attempt_at is not None
    assert shown_within(5, lambda: wish.done_at(truss) == 1), "the older one arrives"

    assert shown_within(10, lambda: [shown.pk for shown in pushed()] == [newer.pk])
    assert wish.done_at(truss) == 0, "the newer one has taken its place"
    time_passes()
    assert [shown.pk for shown in pushed()] == [older.pk]
    assert wish.done_at(truss) == 0
    assert set(Operation.objects.values_list("state", flat=True)) == {State.DONE}


def change_again(intent: PaymentIntent, kind: str) -> Operation:
    if kind == Kind.AMEND:
        operation = actions.amend(intent, total="140.00", note="Thanks")
    else:
        operation = actions.update_contact(Contact.objects.get(), email="again@acme.test")
    assert operation is not None
    return operation


def test_only_a_change_of_the_same_thing_waits_for_what_may_arrive_late(truss: Sandbox) -> None:
    intent, _older = WISHES["amend"].record()
    truss.fault("drop_before", method="PATCH")
    assert [shown.state for shown in pushed()] == [State.QUEUED]
    other = actions.amend(intent, note="Thanks")
    assert other is not None
    assert [(shown.pk, shown.state) for shown in pushed()] == [(other.pk, State.DONE)]
    actions.cancel(intent)
    assert [shown.state for shown in pushed()] == [State.DONE]


def test_what_a_dead_process_asked_for_may_arrive_late_too(truss: Sandbox) -> None:
    intent, older = WISHES["amend"].record()
    claim([older.pk])
    time_passes()
    outbox.recover()
    newer = change_again(intent, Kind.AMEND)
    assert [shown.pk for shown in pushed()] == [older.pk]
    newer.refresh_from_db()
    assert (newer.state, newer.attempts) == (State.QUEUED, 0)
    assert newer.next_attempt_at is not None
