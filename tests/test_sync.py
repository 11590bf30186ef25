"""Learning what Truss has."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests import make
from truss_portal import actions, outbox, signals, sync, timeline
from truss_portal.connection import default_company
from truss_portal.exceptions import LeaseHeldError, NotConnectedError, TrussError
from truss_portal.models import Company, PaymentIntent, SyncRun, TimelineEntry, Transaction
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def _gets(truss: Sandbox) -> list[str]:
    """The single looks since the last call: their uids."""
    paths = [request["path"] for request in truss.requests() if request["method"] == "GET"]
    return [path.rstrip("/").rsplit("/", 1)[1] for path in paths if path.rstrip("/")[-36:].count("-") == 4]


def _lists(truss: Sandbox) -> int:
    return len([r for r in truss.requests() if r["method"] == "GET" and r["path"].endswith("/inbound/")])


class TestAll:
    def test_every_page_is_mirrored_and_the_second_run_changes_nothing(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"PAGE_SIZE": 10}
        truss.create_many(25)
        run = sync.sync_all(default_company())
        assert (run.state, run.complete, run.listed, run.created, run.problems) == ("done", True, 25, 25, [])
        assert _lists(truss) == 3
        assert PaymentIntent.objects.count() == 25
        again = sync.sync_all(default_company())
        assert (again.created, again.updated, again.unchanged, again.detailed) == (0, 0, 25, 0)
        assert default_company().listed_at == again.started_at
        assert default_company().checkout_link_id

    def test_details_are_fetched_only_where_they_can_tell_more(self, truss: Sandbox) -> None:
        uids = truss.create_many(6)
        sync.sync_all(default_company())
        assert _gets(truss) == []
        payment = truss.pay(uids[0], amount="10.00")
        truss.pay(uids[1])
        run = sync.sync_all(default_company())
        assert set(_gets(truss)) == {uids[0], uids[1]}
        assert (run.listed, run.created, run.updated, run.unchanged, run.detailed) == (6, 0, 2, 4, 2)
        assert Transaction.objects.count() == 2
        # Both payments are on their way: they are looked at until they settle, and then no more.
        truss.settle(payment["uid"])
        truss.settle(truss.payment_intents()[1]["transactions"][0]["uid"])
        assert sync.sync_all(default_company()).detailed == 2
        assert set(Transaction.objects.values_list("settled_at", flat=True)) != {None}
        assert sync.sync_all(default_company()).detailed == 0

    def test_a_payment_that_comes_back_makes_a_paid_invoice_unpaid_again(self, truss: Sandbox) -> None:
        intent = make.sent()
        payment = truss.pay(str(intent.uid))
        sync.sync_all(intent.company)
        truss.settle(payment["uid"])
        sync.sync_all(intent.company)
        truss.return_transaction(payment["uid"])
        sync.sync_all(intent.company)
        intent.refresh_from_db()
        assert (intent.status, intent.balance_paid) == ("Pending", Decimal(0))
        assert make.kinds(intent)[3:] == [
            "paid",
            "payment_received",
            "payment_settled",
            "status_changed",
            "payment_returned",
        ]

    def test_what_vanished_is_marked_and_what_a_shifted_page_hid_is_not(self, truss: Sandbox) -> None:
        uids = truss.create_many(3)
        sync.sync_all(default_company())
        truss.vanish(uids[1])
        run = sync.sync_all(default_company())
        assert (run.missing, run.state) == (1, "done")
        gone = PaymentIntent.objects.get(uid=uids[1])
        assert gone.missing_since is not None
        assert gone.known_as_of == gone.fetched_at
        assert PaymentIntent.objects.exclude(missing_since=None).count() == 1
        assert sync.sync_all(default_company()).missing == 0

    def test_one_bad_item_is_reported_and_the_rest_goes_in(self, truss: Sandbox) -> None:
        uids = truss.create_many(3)
        truss.alter(uids[1], extra={"total": "a fortune"})
        run = sync.sync_all(default_company())
        assert (run.created, run.rejected, run.complete, run.state) == (2, 1, False, "failed")
        assert uids[1] in run.problems[0]
        assert "total" in run.problems[0]

    def test_unknown_words_are_kept(self, truss: Sandbox) -> None:
        [uid] = truss.create_many(1)
        truss.alter(uid, status="Pondering", extra={"mood": "hopeful"})
        sync.sync_all(default_company())
        intent = PaymentIntent.objects.get()
        assert (intent.status, intent.extra) == ("Pondering", {"mood": "hopeful"})

    def test_truss_being_down_fails_the_run_and_frees_the_lease(self, truss: Sandbox) -> None:
        truss.create_many(2)
        truss.fault("unauthorized", count=None)
        run = sync.sync_all(default_company())
        assert run.state == "failed"
        assert "access token" in run.problems[0]
        truss.clear_faults()
        assert sync.sync_all(default_company()).state == "done"

    def test_a_hiccup_is_survived(self, truss: Sandbox) -> None:
        truss.create_many(2)
        truss.fault("error_before", method="GET", count=1)
        truss.fault("drop_before", method="GET", count=1)
        truss.fault("rate_limit", method="GET", count=1, retry_after=0)
        assert sync.sync_all(default_company()).state == "done"

    def test_a_run_that_died_after_the_listing_is_finished_by_the_next(self, truss: Sandbox) -> None:
        uids = truss.create_many(8)
        sync.sync_all(default_company())
        for uid in uids:
            truss.pay(uid)
        truss.fault("unauthorized", method="GET", path=r"inbound/[^/]+/$", count=None)
        run = sync.sync_all(default_company())
        assert (run.state, run.updated, run.detailed) == ("failed", 8, 0)
        assert PaymentIntent.objects.filter(status="Paid", details_due=True).count() == 8
        truss.clear_faults()
        run = sync.sync_all(default_company())
        assert (run.state, run.detailed) == ("done", 8)
        assert Transaction.objects.count() == 8

    def test_a_run_stops_asking_when_nobody_answers(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 2}
        uids = truss.create_many(101)
        sync.sync_all(default_company())
        PaymentIntent.objects.filter(uid__in=uids).update(details_due=True)
        truss.fault("unauthorized", method="GET", path=r"inbound/[^/]+/$", count=None)
        run = sync.sync_all(default_company())
        assert len(_gets(truss)) == sync.BATCH
        assert "left to the next run" in run.problems[-1] or len(run.problems) == sync.PROBLEMS_KEPT

    def test_two_runs_never_overlap_and_a_dead_run_s_lease_ends(self, truss: Sandbox) -> None:
        company = default_company()
        with sync._lease(company):
            SyncRun.objects.create(company=company, kind="all")
            with pytest.raises(LeaseHeldError, match="running"):
                sync.sync_all(company)
            with pytest.raises(LeaseHeldError):
                sync.sync_open(company)
            Company.objects.update(sync_until=timezone.now() - timedelta(seconds=1))
            assert sync.sync_all(company).state == "done"
            assert list(SyncRun.objects.order_by("pk").values_list("state", flat=True)) == ["abandoned", "done"]

    def test_a_run_that_lost_its_lease_stops(self, truss: Sandbox) -> None:
        company = default_company()
        truss.create_many(3)

        def steal(*_told: Any) -> None:
            Company.objects.update(sync_token="somebody else", sync_until=timezone.now() + timedelta(minutes=1))

        truss.company(page_size_max=1)
        run = sync.sync_all(company, progress=steal)
        assert run.state == "failed"
        assert "another one has begun" in run.problems[0]
        assert Company.objects.get().sync_token == "somebody else"

    def test_the_company_is_learnt_and_what_was_entered_by_hand_stays(self, truss: Sandbox) -> None:
        company = default_company()
        Company.objects.update(checkout_link_id="by-hand")
        truss.company(checkout_link_id="")
        sync.sync_all(Company.objects.get())
        assert Company.objects.get().checkout_link_id == "by-hand"
        truss.company(checkout_link_id="k7m2p9qx")
        sync.sync_all(Company.objects.get())
        assert Company.objects.get().checkout_link_id == "k7m2p9qx"
        truss.fault("unauthorized", path="company", count=None)
        assert sync.sync_all(company).state == "done", "which scope the company needs isn't published"

    def test_payments_that_truss_does_not_show_are_not_asked_for_for_ever(self, truss: Sandbox) -> None:
        [uid] = truss.create_many(1)
        truss.pay(uid)
        truss.alter(uid, extra={"transactions": None})
        assert sync.sync_all(default_company()).detailed == 1
        assert sync.sync_all(default_company()).detailed == 0

    def test_progress_is_told(self, truss: Sandbox) -> None:
        told: list[tuple[str, int, int | None]] = []
        states: list[str] = []

        def tell(*step: Any) -> None:
            told.append(step)
            states.append(SyncRun.objects.get().state)

        uids = truss.create_many(2)
        truss.pay(uids[0])
        sync.sync_all(default_company(), progress=tell)
        assert told == [("list", 2, 2), ("look", 1, 1)]
        assert states == ["running", "running"]

    def test_truth_is_reached_from_any_mess(self, truss: Sandbox) -> None:
        uids = truss.create_many(20)
        sync.sync_all(default_company())
        for number, uid in enumerate(uids):
            match number % 5:
                case 0:
                    truss.pay(uid)
                case 1:
                    truss.pay(uid, amount="1.00")
                case 2:
                    # A payment that came and went between two runs leaves no trace in a listing: see freshness.md.
                    truss.return_transaction(truss.pay(uid, amount="1.00")["uid"])
                    truss.pay(uid, amount="1.00")
                case 3:
                    truss.alter(uid, addenda=f"changed {number}")
        truss.fault("error_before", method="GET", probability=0.2, count=10)
        sync.sync_all(default_company())
        truss.clear_faults()
        assert sync.sync_all(default_company()).state == "done"
        for there in truss.payment_intents():
            here = PaymentIntent.objects.get(uid=there["uid"])
            assert (str(here.total), here.status, str(here.balance_paid), here.addenda) == (
                there["total"],
                there["status"],
                there["balance_paid"],
                there["addenda"],
            )
            assert {str(row.uid) for row in here.transactions.all()} == {row["uid"] for row in there["transactions"]}


class TestOpen:
    def test_only_what_can_still_change_is_asked_about_one_by_one(self, truss: Sandbox) -> None:
        uids = truss.create_many(4)
        payment = truss.pay(uids[0])
        truss.settle(payment["uid"])
        sync.sync_all(default_company())
        before = len(_gets(truss))
        lists = _lists(truss)
        truss.pay(uids[1])
        truss.vanish(uids[2])
        run = sync.sync_open(default_company())
        assert (run.kind, run.state, run.detailed, run.missing) == ("open", "done", 2, 1)
        assert set(_gets(truss)[before:]) == set(uids[1:])
        assert _lists(truss) == lists
        assert PaymentIntent.objects.get(uid=uids[1]).status == "Paid"


class TestRefresh:
    def test_one_invoice_with_its_payments(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.pay(str(intent.uid), amount="20.00")
        assert sync.refresh(intent)
        assert (intent.status, intent.balance_paid) == ("PartiallyPaid", Decimal("20.00"))
        assert intent.transactions.get().amount == Decimal("20.00")

    def test_truss_is_not_asked_again_too_soon(self, truss: Sandbox) -> None:
        intent = make.sent()
        assert sync.refresh(intent, not_within=timedelta(seconds=60))
        assert not sync.refresh(intent, not_within=timedelta(seconds=60))
        assert len(_gets(truss)) == 1

    def test_what_is_gone_is_marked_missing(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.vanish(str(intent.uid))
        assert sync.refresh(intent)
        assert intent.missing_since is not None

    def test_what_is_not_there_yet_is_not_asked_about(self) -> None:
        assert not sync.refresh(make.draft())

    def test_failures_are_raised(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("unauthorized", count=1)
        with pytest.raises(TrussError):
            sync.refresh(intent)

    def test_without_a_connection(self, settings: Any) -> None:
        intent = make.row()
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        with pytest.raises(NotConnectedError):
            sync.refresh(intent)


class TestSignals:
    def test_each_is_sent_after_the_commit_with_the_row_and_the_entry(self, truss: Sandbox) -> None:
        heard: list[tuple[str, str]] = []

        def hear(sender: Any, payment_intent: PaymentIntent, entry: TimelineEntry, **_rest: Any) -> None:
            assert sender is PaymentIntent
            heard.append((entry.kind, payment_intent.status))

        listened = [
            signals.payment_intent_sent,
            signals.payment_received,
            signals.payment_intent_paid,
            signals.payment_intent_canceled,
            signals.payment_returned,
        ]
        for signal in listened:
            signal.connect(hear)
        try:
            intent = make.sent()
            payment = truss.pay(str(intent.uid))
            sync.refresh(intent)
            truss.return_transaction(payment["uid"])
            sync.refresh(intent)
            actions.cancel(make.sent())
        finally:
            for signal in listened:
                signal.disconnect(hear)
        assert heard == [
            ("sent", "Pending"),
            ("payment_received", "Paid"),
            ("paid", "Paid"),
            ("payment_returned", "Pending"),
            ("sent", "Pending"),
            ("canceled", "Canceled"),
        ]
        assert not TimelineEntry.objects.filter(signal_due=True).exists()

    def test_a_receiver_that_delivers_is_not_told_of_the_same_again(self, truss: Sandbox) -> None:
        heard: list[int] = []

        def delivers(**_rest: Any) -> None:
            heard.append(1)
            timeline.deliver_due()

        signals.payment_intent_sent.connect(delivers)
        try:
            make.sent()
        finally:
            signals.payment_intent_sent.disconnect(delivers)
        assert heard == [1]

    def test_a_receiver_that_raises_stops_no_other_and_is_told_again(self, truss: Sandbox) -> None:
        heard: list[str] = []
        trouble = [True]

        def raises(**_rest: Any) -> None:
            heard.append("raises")
            if trouble[0]:
                raise ValueError("the shop is on fire")

        def hears(**_rest: Any) -> None:
            heard.append("hears")

        signals.payment_intent_sent.connect(raises)
        signals.payment_intent_sent.connect(hears)
        try:
            make.sent()
            assert heard == ["raises", "hears"]
            assert timeline.deliver_due() == 0
            trouble[0] = False
            assert timeline.deliver_due() == 1
            assert timeline.deliver_due() == 0
        finally:
            signals.payment_intent_sent.disconnect(raises)
            signals.payment_intent_sent.disconnect(hears)
        assert heard == ["raises", "hears"] * 3

    def test_a_receiver_that_keeps_failing_is_told_less_and_less_often(self, truss: Sandbox) -> None:
        told: list[datetime] = []

        def raises(**_rest: Any) -> None:
            told.append(timezone.now())
            raise ValueError("the shop is still on fire")

        signals.payment_intent_sent.connect(raises)
        try:
            with time_machine.travel(make.NOON, tick=False) as clock:
                make.sent()
                for _minute in range(60):
                    timeline.deliver_due()
                    timeline.deliver_due()
                    clock.shift(timedelta(minutes=1))
        finally:
            signals.payment_intent_sent.disconnect(raises)
        minutes = [round((at - make.NOON) / timedelta(minutes=1)) for at in told]
        assert minutes == [0, 0, 0, 1, 2, 4, 8, 16, 32]

    def test_of_two_processes_that_deliver_one_tells(self, truss: Sandbox) -> None:
        heard: list[int] = []

        def hears(**_rest: Any) -> None:
            heard.append(1)

        intent = make.sent()
        TimelineEntry.objects.filter(kind="sent").update(signal_due=True)
        with time_machine.travel(timezone.now(), tick=False):
            left_behind = TimelineEntry.objects.undelivered(timezone.now()).get()
            other = TimelineEntry.objects.filter(pk=left_behind.pk)
            other.update(signal_attempts=1, signal_after=timezone.now() + timedelta(minutes=1))
            signals.payment_intent_sent.connect(hears)
            try:
                assert timeline.deliver_due() == 0, "another process is at it"
                other.update(signal_after=timezone.now())
                assert timeline.deliver_due() == 1, "it died"
            finally:
                signals.payment_intent_sent.disconnect(hears)
        assert heard == [1], intent

    def test_an_entry_of_a_deleted_invoice_owes_nothing(self) -> None:
        intent = make.draft()
        entry = TimelineEntry.objects.create(payment_intent=intent, kind="sent", signal_due=True)
        intent.delete()
        heard: list[Any] = []

        def hear(**told: Any) -> None:
            heard.append(told)

        signals.payment_intent_sent.connect(hear)
        try:
            timeline._deliver([entry])
        finally:
            signals.payment_intent_sent.disconnect(hear)
        assert heard == []


def test_settle_wants_a_complete_and_finished_listing() -> None:
    company = make.company()
    for columns in ({"kind": "open"}, {"state": "failed"}, {"complete": False}):
        run = SyncRun(**{"company": company, "kind": "all", "state": "done", "complete": True} | columns)
        assert outbox.settle(run) == 0


def test_what_is_known_as_of_when() -> None:
    company = make.company()
    intent = make.row(fetched_at=make.at(0))
    assert intent.known_as_of == make.at(0)
    company.listed_at = make.at(5)
    company.save()
    intent = PaymentIntent.objects.get(uid=intent.uid)
    assert intent.known_as_of == make.at(5)
    assert make.row(uid=uuid.uuid4(), fetched_at=make.at(9)).known_as_of == make.at(9)
