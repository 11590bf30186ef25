"""Many invoices looked at by the outbox: what each answer means, who comes first, what it never does."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone

from tests import make
from tests.wishes import NOBODY_WAKES, time_passes
from truss_portal import actions, outbox, sync
from truss_portal.connection import connect, default_company
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Operation, PaymentIntent
from truss_portal.outbox.asking import ask
from truss_portal.outbox.claims import MOST_LOOKS, claim
from truss_portal.outbox.writing import write
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

Kind = Operation.Kind
State = Operation.State


def look_at(*intents: PaymentIntent, **given: Any) -> list[Operation]:
    """Wishes to look at these, which wait."""
    batch = actions.ask_for_many(Kind.REFRESH, [intent.pk for intent in intents], wait=False, **given)
    return list(batch.operations.order_by("pk"))


def pushed() -> list[Operation]:
    return list(outbox.push(default_company()))


def reads(truss: Sandbox) -> int:
    """How often Truss was asked for one invoice."""
    return sum(seen["method"] == "GET" and "/inbound/" in seen["path"] for seen in truss.requests())


def fault(kind: str, **given: Any) -> Callable[[Sandbox, Any], None]:
    def arrange(truss: Sandbox, _settings: Any) -> None:
        truss.fault(kind, method="GET", path="inbound/", count=None, **given)

    return arrange


def nobody_there(_truss: Sandbox, settings: Any) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": "http://127.0.0.1:1"}


# The column "look" of the table in docs/explanation/sending.md.
TABLE = {
    "a yes": (lambda *_given: None, State.DONE),
    "400": (fault("error_before", status=400), State.REFUSED),
    "401": (fault("unauthorized"), State.QUEUED),
    "403": (fault("error_before", status=403), State.QUEUED),
    "409": (fault("error_before", status=409), State.REFUSED),
    "429": (fault("rate_limit", retry_after=None), State.QUEUED),
    "never connected": (nobody_there, State.QUEUED),
    "dropped": (fault("drop_before"), State.QUEUED),
    "500": (fault("error_before", status=500), State.QUEUED),
    "unreadable": (fault("garbage"), State.QUEUED),
}


@pytest.mark.parametrize("answer", list(TABLE))
@pytest.mark.slow
def test_the_table(truss: Sandbox, settings: Any, answer: str) -> None:
    arrange, state = TABLE[answer]
    intent = make.sent()
    truss.pay(intent.uid, "20.00")
    told_before = make.kinds(intent)
    sane = settings.TRUSS_PORTAL
    [operation] = look_at(intent)
    arrange(truss, settings)
    [shown] = pushed()
    assert (shown.pk, shown.state, shown.needs_person) == (operation.pk, state, False), "a look needs nobody"
    assert (shown.error == "") == (state == State.DONE)
    assert (shown.next_attempt_at is not None) == (state == State.QUEUED)
    intent.refresh_from_db()
    assert intent.balance_paid == (20 if state == State.DONE else 0)
    assert (intent.delivery, intent.missing_since) == ("sent", None)
    if state != State.DONE:
        assert make.kinds(intent) == told_before, "the timeline tells of changes, not of looks"
    settings.TRUSS_PORTAL = sane
    truss.clear_faults()
    time_passes()
    again = pushed()
    assert [shown.state for shown in again] == ([State.DONE] if state == State.QUEUED else [])


def test_what_truss_shows_is_written_and_is_nobody_s_doing(truss: Sandbox) -> None:
    clerk = get_user_model().objects.create(username="clerk")
    canceled, paid = make.sent(), make.sent()
    truss.alter(canceled.uid, status="Canceled")
    truss.pay(paid.uid, "120.00")
    look_at(canceled, paid, actor=clerk)
    assert {shown.state for shown in pushed()} == {State.DONE}
    canceled.refresh_from_db()
    paid.refresh_from_db()
    assert (canceled.status, paid.status) == ("Canceled", "Paid")
    assert canceled.timeline.get(kind="canceled").actor is None, "who only looked didn't cancel it"
    assert paid.transactions.count() == 1


def test_what_is_gone_is_marked_missing_and_told(truss: Sandbox) -> None:
    there, gone = make.sent(), make.sent()
    truss.vanish(gone.uid)
    look_at(gone, there)
    told = {shown.payment_intent_id: (shown.state, shown.error) for shown in pushed()}
    assert told == {there.pk: (State.DONE, ""), gone.pk: (State.DONE, "No longer found at Truss.")}
    gone.refresh_from_db()
    assert gone.missing_since is not None
    assert not Operation.objects.for_a_person().exists()


def test_a_wrong_address_marks_nothing_missing(truss: Sandbox, settings: Any) -> None:
    """It answers 404 to everything: ten thousand invoices aren't gone because of it."""
    intents = [make.sent() for _ in range(3)]
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": truss.url + "/elsewhere"}
    look_at(*intents)
    assert {shown.state for shown in pushed()} == {State.QUEUED}
    assert "is the address of Truss right?" in Operation.objects.filter(kind=Kind.REFRESH).first().error  # type: ignore[union-attr]
    assert not PaymentIntent.objects.exclude(missing_since=None).exists()


@pytest.mark.slow
def test_a_404_whose_list_can_t_be_had_waits_with_the_list_s_reason(truss: Sandbox) -> None:
    intent = make.sent()
    truss.vanish(intent.uid)
    look_at(intent)
    truss.fault("error_before", method="GET", path="inbound/$", status=503, count=None)
    [shown] = pushed()
    assert (shown.state, shown.response_status) == (State.QUEUED, 503)
    intent.refresh_from_db()
    assert intent.missing_since is None


@pytest.mark.slow
def test_it_is_given_up_after_a_few_tries_and_needs_nobody(truss: Sandbox) -> None:
    intent = make.sent()
    look_at(intent)
    Operation.objects.filter(kind=Kind.REFRESH).update(attempts=MOST_LOOKS - 1)
    truss.fault("drop_before", method="GET", count=None)
    [shown] = pushed()
    assert (shown.state, shown.needs_person) == (State.GIVEN_UP, False)
    assert f"asked {MOST_LOOKS} times" in shown.error
    truss.clear_faults()
    again = actions.try_again(shown, wait=False)
    assert again.pk != shown.pk
    assert [shown.state for shown in pushed()] == [State.DONE]


@pytest.mark.parametrize(("attempts", "state"), [(1, State.QUEUED), (MOST_LOOKS, State.GIVEN_UP)])
def test_what_a_dead_process_left_is_looked_at_again_for_a_while(truss: Sandbox, attempts: int, state: str) -> None:
    look_at(make.sent())
    past = timezone.now() - timedelta(hours=1)
    mine = Operation.objects.filter(kind=Kind.REFRESH)
    mine.update(state=State.SENDING, claimed_until=past, attempts=attempts)
    assert outbox.recover() == 1
    left = mine.get()
    assert (left.state, left.needs_person) == (state, False)


def test_an_older_answer_never_overwrites_what_was_asked_for_later(truss: Sandbox) -> None:
    """A look that was asked for before a change, and is written after it, is dropped."""
    intent = make.sent()
    [mine] = claim([look_at(intent)[0].pk])
    with connect(mine.company) as client:
        before = ask(mine, client)
    actions.cancel(intent)
    intent.refresh_from_db()
    assert intent.status == "Canceled", "a change doesn't wait for a look"
    write(mine.company, [before])
    intent.refresh_from_db()
    mine.refresh_from_db()
    assert (intent.status, mine.state) == ("Canceled", State.DONE)


def test_a_look_does_not_wait_for_a_change(truss: Sandbox) -> None:
    intent = make.sent()
    Operation.objects.create(
        company=intent.company, payment_intent=intent, kind=Kind.AMEND, body={"note": "x"}, state=State.SENDING,
        claimed_until=timezone.now() + timedelta(minutes=5),
    )  # fmt: skip
    [look] = look_at(intent)
    assert [claimed.pk for claimed in claim([look.pk])] == [look.pk]


def test_looks_come_after_all_changes(truss: Sandbox, settings: Any) -> None:
    settings.TASKS = NOBODY_WAKES
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 1}
    known = [make.draft(reference=f"OLD-{number}") for number in range(9)]
    outbox.perform([actions.send(intent).pk for intent in known])
    for intent in known:
        intent.refresh_from_db()
    look_at(*known)
    actions.send(make.draft(reference="NEW"))
    assert {shown.state for shown in pushed()} == {State.DONE}
    methods = [seen["method"] for seen in truss.requests()][-10:]
    assert methods.index("POST") < 3, "with the first three that are claimed together"


def test_what_was_not_sent_is_left_out(truss: Sandbox) -> None:
    batch = actions.ask_for_many(Kind.REFRESH, [make.draft().pk, make.sent().pk])
    assert [reason for _pk, _name, reason in batch.left_out] == ["Not sent to Truss yet: there is nothing to look at."]
    assert [shown.state for shown in batch.operations.all()] == [State.DONE]


def test_a_look_settles_nothing_that_needs_a_person(truss: Sandbox) -> None:
    intent = make.sent()
    truss.fault("error_before", method="PATCH", status=409)
    refused = actions.amend(intent, total="900.00")
    assert refused is not None
    look_at(intent)
    pushed()
    assert list(Operation.objects.for_a_person()) == [refused]
    truss.clear_faults()
    actions.resend_email(intent)
    assert list(Operation.objects.for_a_person()) == [refused], "nor does an email"


def test_a_finished_look_can_t_be_tried_again(truss: Sandbox) -> None:
    look_at(make.sent())
    [shown] = pushed()
    with pytest.raises(ActionRefusedError, match="Nothing is left"):
        actions.try_again(shown)


def test_truss_push_counts_looks_like_everything_else(truss: Sandbox) -> None:
    intents = [make.sent(), make.sent()]
    look_at(*intents)
    out = io.StringIO()
    call_command("truss_push", "--json", stdout=out)
    assert json.loads(out.getvalue())["asked"]["done"] == 2
    look_at(*intents)
    truss.fault("error_before", method="GET", path="inbound/", status=409)
    with pytest.raises(SystemExit) as ended:
        call_command("truss_push", "--json", stdout=out, stderr=io.StringIO())
    assert ended.value.code == 1


def test_what_no_column_holds_waits_with_the_reason_and_the_others_are_written(truss: Sandbox) -> None:
    odd, fine = make.sent(), make.sent()
    truss.pay(fine.uid, "20.00")
    wishes = look_at(odd, fine)
    claimed = claim([wish.pk for wish in wishes])
    with connect(odd.company) as client:
        first, second = (ask(mine, client) for mine in claimed)
    assert first.read_back is not None
    write(odd.company, [replace(first, read_back=replace(first.read_back, status="x" * 100)), second])
    told = {shown.payment_intent_id: shown for shown in Operation.objects.filter(kind=Kind.REFRESH)}
    assert (told[odd.pk].state, told[fine.pk].state) == (State.QUEUED, State.DONE)
    assert "100 characters" in told[odd.pk].error
    odd.refresh_from_db()
    fine.refresh_from_db()
    assert (odd.status, fine.balance_paid) == ("Pending", 20)


def test_a_hundred_are_written_together(truss: Sandbox, django_assert_max_num_queries: Any) -> None:
    truss.create_many(100)
    assert sync.sync_all(default_company()).state == "done"
    intents = list(PaymentIntent.objects.all())
    look_at(*intents)
    with django_assert_max_num_queries(100 * 14):
        assert {shown.state for shown in pushed()} == {State.DONE}
    assert reads(truss) >= 100
