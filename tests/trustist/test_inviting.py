"""Nobody is invited twice and nobody is forgotten: whatever Trustist, the network, or a process of ours does."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from tests.wishes import NOBODY_WAKES
from truss_portal.client import InvalidRequestError
from truss_portal.exceptions import ActionRefusedError
from truss_portal.trustist import actions, mirror, outbox, sync
from truss_portal.trustist.client import resources
from truss_portal.trustist.connection import connect
from truss_portal.trustist.exceptions import InvitedBeforeError, NotConfiguredError, SyncRunningError
from truss_portal.trustist.models import Invitation, SyncRun

pytestmark = pytest.mark.django_db(transaction=True)

EMAIL = "hello@fernandmoss.example"


@pytest.fixture
def alone(settings):
    """Nobody is woken: each step is done by the test."""
    settings.TASKS = NOBODY_WAKES


def invited(**given):
    return actions.invite(**{"name": "Fern & Moss", "email": EMAIL} | given)


def told(id_="abc", status="pending", minutes=0.0, **more):
    """A resource as Trustist's list brings it, asked for so many minutes from now."""
    at = timezone.now() + timedelta(minutes=minutes)
    return resources.parse_invitation({"id": id_, "status": status, **more}, fetched_at=at)


def the_only(trustist):
    """Both sides have this one invitation, and agree."""
    [theirs] = trustist.invitations()
    row = Invitation.objects.get()
    assert (row.invitation_id, row.delivery, row.email) == (theirs["id"], "sent", theirs["email"])
    return row


# --- the answer


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "error_before", "error_after", "garbage"])
@pytest.mark.parametrize("email", [EMAIL, "Hello@FernAndMoss.Example"])
def test_an_answer_that_is_lost_is_looked_for_before_anything_is_sent_again(trustist, fault, email):
    trustist.fault(fault, method="POST", path="invitations")
    row = invited(email=email)
    assert row.delivery == "unconfirmed"
    sync.sync()
    the_only(trustist)
    created = [each for each in trustist.requests() if each["method"] == "POST" and "invitations" in each["path"]]
    assert len(created) == (2 if fault.endswith("before") else 1)


def test_nothing_is_judged_within_the_grace_period(trustist, settings):
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"UNCONFIRMED_GRACE": 300}
    trustist.fault("drop_before", method="POST", path="invitations")
    row = invited()
    sync.sync()
    row.refresh_from_db()
    assert row.delivery == "unconfirmed"
    Invitation.objects.update(unconfirmed_at=timezone.now() - timedelta(seconds=301))
    sync.sync()
    the_only(trustist)


def test_a_listing_with_something_unreadable_shows_nothing_absent(trustist):
    trustist.create_many(1, name="Odd {n}", email="odd{n}@odd.example")
    trustist.fault("drop_before", method="POST", path="invitations")
    row = invited()
    trustist.alter(trustist.invitations()[0]["id"], extra={"status": None})
    run = sync.sync()
    assert (run.state, run.complete, run.rejected) == ("failed", False, 1)
    row.refresh_from_db()
    assert row.delivery == "unconfirmed"


def test_found_twice_is_left_to_a_person(trustist):
    trustist.fault("drop_before", method="POST", path="invitations")
    row = invited()
    trustist.create_many(2, name="Fern", email=EMAIL.upper())
    sync.sync()
    row.refresh_from_db()
    assert (row.delivery, row.needs_person) == ("unconfirmed", True)
    assert "more than one" in row.error
    assert Invitation.objects.count() == 3
    found = actions.candidates(row)
    assert len(found) == 2
    actions.this_is_it(row, found[0])
    assert (row.delivery, row.needs_person, row.invitation_id) == ("sent", False, found[0].invitation_id)
    assert Invitation.objects.count() == 2
    with pytest.raises(ActionRefusedError):
        actions.this_is_it(row, found[1])


def test_where_the_list_tells_no_emails_a_closer_look_may(trustist):
    """Only the list is bare."""
    trustist.fault("drop_after", method="POST", path="invitations")
    row = invited()
    [theirs] = trustist.invitations()
    # The list, as a Trustist would give it that tells no more than is published.
    mirror.write([told(theirs["id"], theirs["status"])])
    assert Invitation.objects.count() == 2
    sync.sync()
    assert the_only(trustist).pk == row.pk


def test_a_list_that_tells_no_emails_decides_nothing(trustist):
    trustist.partner(answers="as_published")
    trustist.fault("drop_before", method="POST", path="invitations")
    row = invited()
    trustist.create_many(1, email="someone@else.example")
    for _time in range(2):
        sync.sync()
    row.refresh_from_db()
    assert (row.delivery, row.needs_person) == ("unconfirmed", True)
    assert "doesn't tell" in row.error
    actions.send_again(row)
    assert row.delivery == "sent"
    with pytest.raises(ActionRefusedError):
        actions.send_again(row)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_is_refused_has_failed_and_can_be_tried_again(trustist, status):
    trustist.fault("error_before", method="POST", path="invitations", status=status)
    row = invited()
    assert (row.delivery, row.needs_person, row.response_status) == ("failed", True, status)
    actions.try_again(row)
    assert the_only(trustist).attempts == 1


def test_no_permission_or_a_rest_leaves_it_waiting(trustist):
    trustist.fault("rate_limit", method="POST", path="invitations", retry_after=120)
    row = invited()
    assert row.delivery == "queued"
    assert row.next_attempt_at > timezone.now() + timedelta(seconds=60)
    other = invited(email="other@other.example")
    assert (other.delivery, other.attempts) == ("queued", 0), "held back, and not an attempt"
    trustist.partner(client_secret="another")
    trustist.revoke_tokens()
    from truss_portal.client import pacing

    pacing.forget_rests()
    Invitation.objects.update(next_attempt_at=None)
    run = sync.sync()
    assert run.state == "failed"
    row.refresh_from_db()
    assert row.delivery == "queued"


def test_after_many_tries_it_is_a_persons(trustist):
    row = invited_without_asking()
    Invitation.objects.update(attempts=outbox.MOST_ATTEMPTS - 1)
    trustist.fault("rate_limit", method="POST", path="invitations", count=None, retry_after=None)
    outbox.perform([row.pk])
    row.refresh_from_db()
    assert (row.delivery, row.needs_person) == ("failed", True)


def invited_without_asking(**given):
    return invited(wait=False, **given)


def test_without_settings_it_waits(trustist, settings):
    settings.TRUSTIST = settings.TRUSTIST | {"CLIENT_ID": None}
    row = invited()
    assert row.delivery == "queued"
    assert "CLIENT_ID" in row.error
    with pytest.raises(NotConfiguredError):
        sync.sync()


def test_nobody_asks_inside_a_transaction(trustist):
    with transaction.atomic(), pytest.raises(RuntimeError):
        connect()


# --- deaths between every two steps


def die_after_recording(row):
    pass


def die_after_claiming(row):
    assert outbox.claim(row.pk)


def die_after_asking(row):
    claimed = outbox.claim(row.pk)
    with connect() as client:
        outbox.ask(claimed, client)


def die_after_writing(row):
    claimed = outbox.claim(row.pk)
    with connect() as client:
        outbox.write(claimed, outbox.ask(claimed, client))


def die_after_recovering(row):
    die_after_asking(row)
    Invitation.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert outbox.recover() == 1


def die_after_queueing_again(row):
    die_after_claiming(row)
    Invitation.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    outbox.recover()
    assert outbox.settle(timezone.now() + timedelta(seconds=1)) == 1


@pytest.mark.parametrize(
    "step",
    [
        die_after_recording,
        die_after_claiming,
        die_after_asking,
        die_after_writing,
        die_after_recovering,
        die_after_queueing_again,
    ],
)
def test_a_process_that_dies_invites_nobody_twice(trustist, alone, step):
    row = invited_without_asking()
    step(row)
    with pytest.raises(InvitedBeforeError):
        invited_without_asking()
    Invitation.objects.filter(delivery="sending").update(claimed_until=timezone.now() - timedelta(seconds=1))
    for _time in range(3):
        sync.sync()
    assert the_only(trustist).pk == row.pk


def test_nobody_takes_over_what_is_being_asked(trustist, alone):
    row = invited_without_asking()
    claimed = outbox.claim(row.pk)
    assert outbox.claim(row.pk) is None
    assert outbox.recover() == 0
    assert list(outbox.push()) == []
    with pytest.raises(ActionRefusedError, match="at this moment"):
        actions.withdraw(row)
    with pytest.raises(ActionRefusedError, match="at this moment"):
        actions.try_again(claimed)


def test_a_list_that_is_quicker_than_the_answer_makes_no_second_row(trustist, alone):
    trustist.partner(answers="as_published")
    claimed = outbox.claim(invited_without_asking().pk)
    with connect() as client:
        answer = outbox.ask(claimed, client)
        mirror.write(client.list_invitations())
    assert Invitation.objects.count() == 2
    outbox.write(claimed, answer)
    assert the_only(trustist).pk == claimed.pk


def test_an_answer_with_an_older_invitation_is_no_new_one(trustist, alone):
    mirror.write([told("old-one", minutes=-5)])
    Invitation.objects.update(known_since=timezone.now() - timedelta(minutes=5))
    claimed = outbox.claim(invited_without_asking().pk)
    outbox.write(claimed, told("OLD-ONE"))
    claimed.refresh_from_db()
    assert (claimed.delivery, claimed.needs_person) == ("failed", True)
    assert "there before" in claimed.error


def test_an_answer_that_the_database_cannot_hold_is_not_confirmed(trustist, alone):
    claimed = outbox.claim(invited_without_asking().pk)
    outbox.write(claimed, told("x" * 201))
    claimed.refresh_from_db()
    assert claimed.delivery == "unconfirmed"


# --- twice


@pytest.mark.parametrize("email", [EMAIL, EMAIL.upper(), f"  {EMAIL} "])
def test_inviting_twice_is_refused_with_a_pointer(trustist, email):
    first = invited()
    with pytest.raises(InvitedBeforeError) as refused:
        invited(email=email)
    assert refused.value.first == first.pk
    assert "Fern & Moss" in str(refused.value)


def test_the_database_refuses_it_too(trustist):
    row = invited()
    row.pk, row.invitation_id = None, "another"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_one_at_trustist_counts_as_well(trustist):
    trustist.create_many(1, name="By hand", email=EMAIL)
    sync.sync()
    with pytest.raises(InvitedBeforeError, match="By hand"):
        invited()


def test_who_was_withdrawn_or_has_vanished_may_be_invited_anew(trustist, alone):
    row = invited_without_asking()
    actions.withdraw(row)
    with pytest.raises(ActionRefusedError):
        actions.withdraw(row)
    again = invited_without_asking()
    outbox.perform([again.pk])
    again.refresh_from_db()
    trustist.vanish(again.invitation_id)
    trustist.create_many(1, email="another@one.example")
    sync.sync()
    again.refresh_from_db()
    assert again.missing_since
    third = invited_without_asking()
    outbox.perform([third.pk])
    third.refresh_from_db()
    assert third.delivery == "sent"


@pytest.mark.parametrize(("name", "email"), [("", EMAIL), ("A", "no email"), ("A\n", "a@a.example\x00")])
def test_what_trustist_would_refuse_isnt_recorded(trustist, name, email):
    with pytest.raises(InvalidRequestError):
        invited(name=name, email=email)
    assert not Invitation.objects.exists()


def test_a_name_that_is_too_long(trustist):
    with pytest.raises(ActionRefusedError, match="255"):
        invited(name="x" * 256)


def together(count, work):
    """Several threads at once; what each returned, or the exception that it met."""
    gate = threading.Barrier(count)
    found = []

    def run():
        try:
            gate.wait()
            found.append(work())
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            found.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_who_invite_at_once_one_does(trustist, alone):
    found = together(2, invited_without_asking)
    assert sorted(type(each).__name__ for each in found) == ["Invitation", "InvitedBeforeError"]
    assert Invitation.objects.count() == 1


def test_of_two_who_send_at_once_one_does(trustist, alone):
    rows = [invited_without_asking(email=f"m{n}@m.example").pk for n in range(4)]
    found = together(2, lambda: outbox.perform(rows))
    assert found == [None, None]
    assert sorted(each["email"] for each in trustist.invitations()) == [f"m{n}@m.example" for n in range(4)]
    assert set(Invitation.objects.values_list("delivery", flat=True)) == {"sent"}


def test_of_two_syncs_one_runs(trustist):
    trustist.fault("latency", path="invitations", seconds=1)
    found = together(2, sync.sync)
    assert sorted(type(each).__name__ for each in found) == ["SyncRun", "SyncRunningError"]


def test_a_sync_that_died_is_in_nobodys_way(trustist):
    dead = SyncRun.objects.create(
        environment="local", lease="local", lease_until=timezone.now() + timedelta(seconds=60)
    )
    with pytest.raises(SyncRunningError):
        sync.sync()
    SyncRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sync.sync().state == "done"
    dead.refresh_from_db()
    assert dead.state == "abandoned"


# --- the mirror


def test_an_older_look_undoes_nothing():
    mirror.write([told(status="COMPLETE")])
    written = mirror.write([told(status="pending", minutes=-1)])
    assert written.stale == 1
    assert Invitation.objects.get().stage == "complete"


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("sent", "invited"),
        ("Pending", "invited"),
        ("OPENED", "opened"),
        ("opened", "opened"),
        ("COMPLETE", "complete"),
        ("Completed", "complete"),
        ("completed", "complete"),
        ("Expired", "unknown"),
        ("Not complete", "unknown"),
    ],
)
def test_statuses_whatever_their_case(status, stage):
    mirror.write([told(status=status)])
    row = Invitation.objects.get()
    assert (row.status, row.stage) == (status, stage)


def test_what_isnt_told_stays_known_and_unknown_fields_are_kept():
    mirror.write([told(name="Fern", email=EMAIL, paymentTypes=["openbanking"], merchantId="m-1", link="https://x")])
    mirror.write([told("ABC", "sent")])
    row = Invitation.objects.get()
    assert (row.name, row.email, row.payment_types, row.merchant_id) == ("Fern", EMAIL, ["openbanking"], "m-1")
    assert row.extra == {"link": "https://x"}
    assert row.status == "sent"


def test_fields_that_are_named_like_secrets_arent_kept():
    mirror.write([told(details={"apiKey": "mk_live_1", "name": "x"}, token="t0k3n")])
    kept = json.dumps(Invitation.objects.get().extra)
    assert "mk_live_1" not in kept
    assert "t0k3n" not in kept
    assert "name" in kept


@pytest.mark.parametrize("more", [{"id_": "x" * 201}, {"status": "s" * 101}, {"name": "a\0b"}, {"email": "e" * 255}])
def test_what_the_database_cannot_hold_is_rejected(more):
    written = mirror.write([told(**more), told("fine")])
    assert len(written.rejected) == 1
    assert Invitation.objects.get().invitation_id == "fine"


def test_many_are_written_in_a_few_statements(django_assert_max_num_queries):
    with django_assert_max_num_queries(700):
        written = mirror.write([told(f"id-{n}", email=f"m{n}@m.example") for n in range(450)])
    assert written.created == 450
    assert mirror.write([told(f"id-{n}") for n in range(450)]).unchanged == 450


def test_what_vanishes_is_marked_and_comes_back(trustist):
    row, other = invited(), invited(email="other@other.example")
    trustist.vanish(row.invitation_id)
    run = sync.sync()
    assert (run.missing, run.complete) == (1, True)
    row.refresh_from_db()
    assert row.missing_since
    assert row.name == "Fern & Moss"
    mirror.write([told(row.invitation_id)])
    row.refresh_from_db()
    assert row.missing_since is None
    other.refresh_from_db()
    assert not other.missing_since


def test_rows_of_another_environment_are_left_alone(trustist, settings):
    row = invited()
    settings.TRUSTIST = settings.TRUSTIST | {"ENVIRONMENT": "sandbox"}
    sync.sync()
    assert Invitation.objects.count() == 2
    row.refresh_from_db()
    assert (row.environment, row.missing_since) == ("local", None)
    with pytest.raises(InvitedBeforeError):
        invited()


@pytest.mark.parametrize("count", [5])
def test_a_sync_stops_when_trustist_is_not_well(trustist, count):
    for n in range(count):
        invited(email=f"m{n}@m.example")
    for each in trustist.invitations():
        trustist.vanish(each["id"])
    trustist.fault("garbage", path="invitations/", count=None)
    run = sync.sync()
    assert run.state == "failed"
    assert len(run.problems) == sync.GIVE_UP_AFTER + 1
    assert not Invitation.objects.filter(missing_since__isnull=False).exists()
