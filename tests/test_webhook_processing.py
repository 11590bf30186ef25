"""From what Truss has told to what Truss has: looked up once, kept until it is done, given up loudly."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from tests import joined, make
from tests.test_adversary import at_once
from tests.webhooks import IN_BACKGROUND, SECRET, body, post, tell
from truss_portal import actions, mirror, sync, tasks, webhooks
from truss_portal.connection import connect, default_company
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Company, PaymentIntent, SyncRun, WebhookEvent
from truss_portal.testing.sandbox import Sandbox
from truss_portal.webhooks import claims, processing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _told(request: pytest.FixtureRequest, settings: Any) -> None:
    """A site that Truss tells of changes, and whose worker has all the time in the world."""
    if "truss" in request.fixturenames:
        request.getfixturevalue("truss")
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [SECRET]}
    settings.TASKS = IN_BACKGROUND


def process(**how: Any) -> webhooks.Processed:
    return webhooks.process(default_company(), **how)


def counts(**how: Any) -> tuple[int, int, int, int]:
    """Processed, failed, given up, postponed."""
    told = process(**how)
    return told.processed, told.failed, told.given_up, told.postponed


def looks(truss: Sandbox) -> list[str]:
    """The uids that Truss was asked for one by one."""
    paths = [request["path"].rstrip("/") for request in truss.requests() if request["method"] == "GET"]
    return [path[-36:] for path in paths if path[-36:].count("-") == 4]


def due_now() -> None:
    WebhookEvent.objects.filter(state="waiting").update(next_attempt_at=timezone.now())


def known(truss: Sandbox, count: int) -> list[str]:
    """So many invoices, at Truss and here."""
    uids = truss.create_many(count)
    sync.sync_all(default_company())
    return uids


def behind(run: Callable[[], Any]) -> threading.Thread:
    """Do it in another thread, as another process would."""

    def work() -> None:
        try:
            run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


class TestOneInvoice:
    def test_whatever_is_told_of_it_is_settled_by_one_look(self, truss: Sandbox) -> None:
        first, second = known(truss, 2)
        truss.pay(first, amount="20.00")
        tell(first, second, first, first)
        WebhookEvent.objects.filter(payment_intent_uid=first).order_by("pk").first().delete()
        tell(first, event_name="payment_intent.transaction.added")
        tell(first, event_name="")
        before = len(looks(truss))
        assert counts() == (5, 0, 0, 0)
        assert sorted(looks(truss)[before:]) == sorted([first, second])
        intent = PaymentIntent.objects.get(uid=first)
        assert (intent.status, intent.balance_paid) == ("PartiallyPaid", Decimal("20.00"))
        assert intent.transactions.count() == 1
        for event in WebhookEvent.objects.all():
            assert (event.state, event.attempts, event.error, event.claimed_until) == ("processed", 1, "", None)
            assert event.processed_at is not None
        assert counts() == (0, 0, 0, 0)

    def test_one_that_is_not_known_here_becomes_known(self, truss: Sandbox) -> None:
        [uid] = truss.create_many(1)
        truss.pay(uid)
        tell(uid)
        assert counts() == (1, 0, 0, 0)
        intent = PaymentIntent.objects.get()
        assert (intent.discovered, intent.status, intent.transactions.count()) == (True, "Paid", 1)

    def test_one_of_ours_whose_answer_was_lost_is_found_by_it(self, truss: Sandbox) -> None:
        truss.fault("drop_after", method="POST", path="inbound/$")
        intent = make.draft()
        actions.send(intent)
        from truss_portal import outbox

        list(outbox.push(default_company()))
        intent.refresh_from_db()
        assert intent.delivery == "unconfirmed"
        tell(truss.payment_intents()[0]["uid"])
        assert counts() == (1, 0, 0, 0)
        intent.refresh_from_db()
        assert (intent.delivery, intent.discovered, PaymentIntent.objects.count()) == ("sent", False, 1)

    def test_one_that_truss_does_not_have_is_done_with_a_note(self, truss: Sandbox) -> None:
        tell(uuid.uuid4())
        assert counts() == (1, 0, 0, 0)
        event = WebhookEvent.objects.get()
        assert (event.state, event.error) == ("processed", "Truss doesn't have this invoice (404).")
        assert not PaymentIntent.objects.exists()

    def test_whether_a_known_one_is_gone_is_found_by_the_next_sync(self, truss: Sandbox) -> None:
        uid, _other = known(truss, 2)
        truss.vanish(uid)
        tell(uid)
        assert counts() == (1, 0, 0, 0)
        assert PaymentIntent.objects.get(uid=uid).missing_since is None, "a wrong address would say the same of all"
        sync.sync_open(default_company())
        assert PaymentIntent.objects.get(uid=uid).missing_since is not None

    def test_what_comes_while_truss_is_asked_is_not_settled_by_that_look(self, truss: Sandbox) -> None:
        [uid] = known(truss, 1)
        tell(uid)
        truss.fault("latency", path=uid, seconds=2)
        thread = behind(process)
        until(lambda: WebhookEvent.objects.exclude(claimed_until=None).exists())
        truss.pay(uid)
        tell(uid)
        thread.join()
        assert looks(truss) == [uid, uid]
        assert PaymentIntent.objects.get().status == "Paid"
        assert set(WebhookEvent.objects.values_list("state", "attempts")) == {("processed", 1)}

    def test_an_answer_that_a_listing_has_overtaken_is_asked_for_again(self, truss: Sandbox) -> None:
        """Else a payment that came and went would be lost: the listing shows neither it nor that it was taken back."""
        [uid] = known(truss, 1)
        company = default_company()
        payment = truss.pay(uid)
        truss.return_transaction(payment["uid"])
        tell(uid)
        truss.fault("latency", path=uid, seconds=2)
        thread = behind(process)
        until(lambda: PaymentIntent.objects.exclude(asked_at=None).exists())
        with connect(company) as client:
            [page] = client.list_payment_intents()
        mirror.write(company, page.payment_intents)
        thread.join()
        assert looks(truss) == [uid, uid]
        intent = PaymentIntent.objects.get()
        assert (intent.status, intent.transactions.count()) == ("Pending", 2)
        assert WebhookEvent.objects.get().state == "processed"

    def test_without_the_scope_for_payments_it_is_done_all_the_same(
        self, truss: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        [uid] = known(truss, 1)
        truss.pay(uid)
        truss.alter(uid, extra={"transactions": None})
        tell(uid)
        assert counts() == (1, 0, 0, 0)
        intent = PaymentIntent.objects.get()
        assert (intent.status, intent.details_due) == ("Paid", False)
        assert "transactions:read" in caplog.text


class TestEverything:
    def test_what_names_no_invoice_leads_to_one_look_at_all_that_can_still_change(self, truss: Sandbox) -> None:
        paid, part_paid, still = known(truss, 3)
        truss.pay(paid)
        truss.pay(part_paid, amount="1.00")
        tell(None, None, None)
        before = len(looks(truss))
        assert counts() == (3, 0, 0, 0)
        assert sorted(looks(truss)[before:]) == sorted([paid, part_paid, still])
        statuses = dict(PaymentIntent.objects.values_list("uid", "status"))
        assert statuses[uuid.UUID(paid)] == "Paid"
        assert statuses[uuid.UUID(part_paid)] == "PartiallyPaid"

    def test_something_that_we_do_not_know_leads_there_too_and_to_the_invoice_that_it_names(
        self, truss: Sandbox
    ) -> None:
        changed, _other = known(truss, 2)
        [new] = truss.create_many(1)
        truss.pay(changed)
        tell(new, uuid.uuid4(), event_name="payment_intent.admired")
        tell(changed, event_name="a" * 300)
        assert counts() == (3, 0, 0, 0)
        assert PaymentIntent.objects.get(uid=changed).status == "Paid"
        assert PaymentIntent.objects.get(uid=new).discovered
        assert SyncRun.objects.filter(kind="open").count() == 1

    def test_while_another_sync_is_at_it_they_wait_and_nobody_counts_it_against_them(self, truss: Sandbox) -> None:
        default_company()
        tell(None)
        Company.objects.update(sync_token="other", sync_until=timezone.now() + timedelta(minutes=1))
        for _ in range(2 * claims.ATTEMPTS):
            due_now()
            assert counts() == (0, 0, 0, 1)
        event = WebhookEvent.objects.get()
        assert (event.state, event.attempts) == ("waiting", 0)
        assert event.next_attempt_at > timezone.now()
        assert "Another sync" in event.error
        Company.objects.update(sync_until=timezone.now())
        due_now()
        assert counts() == (1, 0, 0, 0)
        assert WebhookEvent.objects.get().error == ""

    def test_a_look_that_fails_is_made_again(self, truss: Sandbox) -> None:
        good, bad = known(truss, 2)
        truss.pay(good)
        truss.alter(bad, extra={"total": "a fortune"})
        tell(None)
        assert counts() == (0, 1, 0, 0)
        assert "total" in WebhookEvent.objects.get().error
        assert PaymentIntent.objects.get(uid=good).status == "Paid"
        truss.alter(bad, extra={})
        due_now()
        assert counts() == (1, 0, 0, 0)

    def test_the_invoice_that_it_names_may_be_what_fails(self, truss: Sandbox) -> None:
        [bad] = truss.create_many(1)
        truss.alter(bad, extra={"total": "a fortune"})
        tell(bad, event_name="payment_intent.admired")
        tell(None)
        assert counts() == (1, 1, 0, 0)
        assert WebhookEvent.objects.get(state="waiting").payment_intent_uid == uuid.UUID(bad)


class TestFailures:
    def test_it_is_kept_with_its_error_and_tried_again_later_and_later(self, truss: Sandbox) -> None:
        [uid] = known(truss, 1)
        truss.pay(uid)
        tell(uid)
        truss.fault("error_before", method="GET", path=uid, count=None)
        pauses = []
        for attempts in range(1, 9):
            now = timezone.now()
            assert counts(hurried=True) == (0, 1, 0, 0)
            event = WebhookEvent.objects.get()
            assert (event.state, event.attempts, event.claimed_until) == ("waiting", attempts, None)
            assert "503" in event.error
            pauses.append((event.next_attempt_at - now).total_seconds() / 60)
            assert counts(hurried=True) == (0, 0, 0, 0), "it isn't due yet"
            due_now()
        for pause, longest in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=True):
            assert longest / 2 <= pause <= longest + 0.1
        truss.clear_faults()
        assert counts() == (1, 0, 0, 0)
        assert (WebhookEvent.objects.get().error, PaymentIntent.objects.get().status) == ("", "Paid")

    def test_those_that_fail_together_do_not_come_back_together(self, truss: Sandbox) -> None:
        uids = known(truss, 4)
        tell(*uids)
        truss.fault("error_before", method="GET", count=None)
        process(hurried=True)
        assert len(set(WebhookEvent.objects.values_list("next_attempt_at", flat=True))) == 4

    def test_after_so_many_attempts_it_is_given_up_loudly(
        self, truss: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        [uid] = known(truss, 1)
        tell(uid)
        truss.fault("error_before", method="GET", path=uid, count=None)
        for _ in range(claims.ATTEMPTS - 1):
            assert counts(hurried=True) == (0, 1, 0, 0)
            due_now()
        assert "ERROR" not in {record.levelname for record in caplog.records}
        told = process(hurried=True)
        assert (told.failed, told.given_up) == (0, 1)
        assert "503" in told.problems[0]
        event = WebhookEvent.objects.get()
        assert (event.state, event.attempts, event.next_attempt_at) == ("given_up", claims.ATTEMPTS, None)
        [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert "was given up after 10 attempts" in record.getMessage()
        assert "truss_webhooks --retry" in record.getMessage()
        truss.clear_faults()
        assert counts() == (0, 0, 0, 0), "it stays given up until somebody asks for it"
        assert webhooks.make_due(WebhookEvent.objects.all()) == 1
        assert counts() == (1, 0, 0, 0)

    def test_what_was_given_up_is_settled_by_a_later_look_at_its_invoice(self, truss: Sandbox) -> None:
        [uid] = known(truss, 1)
        tell(uid, uid)
        WebhookEvent.objects.update(state="given_up", attempts=10)
        WebhookEvent.objects.filter(pk=WebhookEvent.objects.first().pk).update(
            state="waiting", next_attempt_at=timezone.now() + timedelta(hours=1)
        )
        tell(uid)
        assert counts() == (3, 0, 0, 0)

    def test_news_of_the_same_invoice_does_not_use_up_the_tries_of_the_old(
        self, truss: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A busy invoice would else have everything given up minutes after Truss began to fail."""
        [uid] = known(truss, 1)
        truss.fault("error_before", method="GET", path=uid, count=None)
        tell(uid)
        WebhookEvent.objects.update(state="given_up", attempts=10, error="old")
        for _ in range(2 * claims.ATTEMPTS):
            tell(uid)
            assert counts(hurried=True) == (0, 1, 0, 0)
        assert set(WebhookEvent.objects.values_list("state", "attempts", "claimed_until")) == {
            ("given_up", 10, None),
            ("waiting", 1, None),
        }
        assert WebhookEvent.objects.get(state="given_up").error == "old"
        assert "ERROR" not in {record.levelname for record in caplog.records}

    def test_one_more_try_of_what_was_given_up_is_one_more(self, truss: Sandbox) -> None:
        [uid] = known(truss, 1)
        tell(uid)
        WebhookEvent.objects.update(state="given_up", attempts=10)
        truss.fault("error_before", method="GET", count=None)
        webhooks.make_due(WebhookEvent.objects.all())
        assert counts(hurried=True) == (0, 0, 1, 0)
        assert WebhookEvent.objects.get().attempts == 11

    def test_truss_says_when(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 1}
        first, second = known(truss, 2)
        tell(first)
        truss.fault("rate_limit", method="GET", retry_after=7200)
        assert counts(hurried=True) == (0, 1, 0, 0)
        assert WebhookEvent.objects.get().next_attempt_at > timezone.now() + timedelta(minutes=100)
        # Until then nobody asks, and who would have asked has not failed.
        tell(second)
        asked = len(truss.requests())
        assert counts(hurried=True) == (0, 0, 0, 1)
        assert len(truss.requests()) == asked
        event = WebhookEvent.objects.get(payment_intent_uid=second)
        assert (event.state, event.attempts) == ("waiting", 0)
        assert event.next_attempt_at > timezone.now() + timedelta(seconds=50)

    def test_a_token_that_will_not_do_is_not_shown_again_and_again(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 2}
        tell(*[uuid.uuid4() for _ in range(10)], None)
        truss.fault("unauthorized", count=None)
        told = process()
        assert (told.failed, told.postponed) == (0, 2)
        assert "access token" in told.problems[0]
        assert set(WebhookEvent.objects.values_list("state", "attempts")) == {("waiting", 0)}

    def test_while_truss_is_down_the_rest_is_left_alone(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 3}
        tell(*[uuid.uuid4() for _ in range(20)])
        truss.fault("error_before", count=None, status=500)
        told = patient_run_of_single_tries()
        assert (told.processed, told.failed) == (0, 6)
        assert WebhookEvent.objects.filter(attempts=0).count() == 14

    def test_nor_is_it_asked_for_all_that_is_named_by_what_we_do_not_know(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 3}
        tell(*[uuid.uuid4() for _ in range(20)], event_name="payment_intent.admired")
        truss.fault("error_before", count=None, status=500)
        told = patient_run_of_single_tries()
        assert (told.processed, told.failed) == (0, 6)
        assert WebhookEvent.objects.filter(attempts=0, claimed_until=None, next_attempt_at=None).count() == 14

    def test_the_first_few_problems_are_told(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 25}
        tell(*[uuid.uuid4() for _ in range(25)])
        truss.fault("error_before", count=None, status=500)
        told = process(hurried=True)
        assert (told.failed, len(told.problems)) == (25, 20)

    def test_one_bad_invoice_stops_no_other(self, truss: Sandbox) -> None:
        unreadable, unfit, good = truss.create_many(3)
        truss.alter(unreadable, extra={"total": "a fortune"})
        truss.alter(unfit, extra={"addenda": "x" * 300})
        truss.pay(good)
        tell(unreadable, unfit, good)
        told = process()
        assert (told.processed, told.failed) == (1, 2)
        errors = {str(event.payment_intent_uid): event.error for event in WebhookEvent.objects.filter(state="waiting")}
        assert "total" in errors[unreadable]
        assert "addenda has 300 characters" in errors[unfit]
        assert PaymentIntent.objects.get().status == "Paid"

    def test_a_mistake_of_ours_takes_no_other_along(self, truss: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
        first, second = known(truss, 2)
        truss.pay(first, amount="11.00")
        truss.pay(second, amount="22.00")
        tell(first, second)

        def mistake(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
            if "INSERT INTO" in sql and "truss_portal_transaction" in sql and "'11.00'" in str(params):
                raise RuntimeError("a secret detail")
            return execute(sql, params, *rest)

        with connection.execute_wrapper(mistake):
            assert counts() == (1, 1, 0, 0)
        failed = WebhookEvent.objects.get(state="waiting")
        assert str(failed.payment_intent_uid) == first
        assert failed.error == "Truss's answer couldn't be written (RuntimeError): see the log."
        assert "a secret detail" in caplog.text
        due_now()
        assert counts() == (1, 0, 0, 0)

    def test_without_a_connection_nothing_is_lost_and_nothing_counted(self, settings: Any) -> None:
        make.company()
        assert counts() == (0, 0, 0, 0), "nothing is due, and so nothing is missing"
        tell(uuid.uuid4(), None)
        company = default_company()
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ACCESS_TOKEN": None}
        with pytest.raises(NotConnectedError):
            webhooks.process(company)
        assert set(WebhookEvent.objects.values_list("state", "attempts")) == {("waiting", 0)}


def patient_run_of_single_tries() -> webhooks.Processed:
    """A patient run, with a client that doesn't wait between its tries."""
    run = processing._Run(default_company(), hurried=False)
    with connect(default_company(), hurried=True) as client:
        run.process(client)
    return run.report


class TestWorkers:
    def test_several_at_once_look_once(self, truss: Sandbox) -> None:
        uids = known(truss, 12)
        tell(*uids, *uids)
        before = len(looks(truss))
        assert at_once(*[process] * 3) == []
        asked = looks(truss)[before:]
        assert sorted(asked) == sorted(uids)
        assert set(WebhookEvent.objects.values_list("state", "attempts")) == {("processed", 1)}

    def test_what_a_dead_worker_was_at_is_taken_up_when_its_time_is_up(self, truss: Sandbox) -> None:
        [uid] = known(truss, 1)
        tell(uid)
        assert claims.claim_for_invoices(default_company(), 8).due
        assert counts() == (0, 0, 0, 0)
        assert webhooks.make_due(WebhookEvent.objects.all()) == 0, "somebody is at it"
        WebhookEvent.objects.update(claimed_until=timezone.now())
        assert counts() == (1, 0, 0, 0)
        assert WebhookEvent.objects.get().attempts == 2

    @pytest.mark.parametrize("named", [True, False])
    def test_one_at_which_every_worker_dies_is_given_up(self, truss: Sandbox, named: bool) -> None:
        tell(uuid.uuid4() if named else None)
        WebhookEvent.objects.update(attempts=claims.ATTEMPTS, claimed_until=timezone.now())
        assert counts() == (0, 0, 1, 0)
        event = WebhookEvent.objects.get()
        assert (event.state, event.claimed_until) == ("given_up", None)
        assert "without a word" in event.error

    def test_who_was_too_slow_does_not_end_the_next_one_s_claim(self, truss: Sandbox) -> None:
        [uid] = known(truss, 1)
        tell(uid)
        slow = claims.claim_for_invoices(default_company(), 8)
        WebhookEvent.objects.update(claimed_until=timezone.now())
        quick = claims.claim_for_invoices(default_company(), 8)
        assert slow is not None
        assert quick is not None
        run = processing._Run(default_company(), hurried=False)
        run._settle(slow, slow.due, ValueError("too late"))
        event = WebhookEvent.objects.get()
        assert (event.claimed_until, event.error) == (quick.until, "")
        # But a look that was begun after the event came has settled it, whoever is at it now.
        run._settle(slow, slow.due, "")
        assert WebhookEvent.objects.get().state == "processed"
        run._settle(quick, quick.due, ValueError("later still"))
        assert WebhookEvent.objects.get().state == "processed"

    def test_who_is_quicker_leaves_nothing_to_take(self, truss: Sandbox) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("SQLite has one writer at a time: run this with TEST_DATABASE=postgresql or mariadb")
        [uid] = known(truss, 1)
        tell(uid)
        company = default_company()
        taken: list[Any] = []

        def between(execute: Any, sql: str, *rest: Any) -> Any:
            result = execute(sql, *rest)
            if "SELECT" in sql and "payment_intent_uid" in sql and not taken:
                taken.append(None)
                taken.extend(at_once(lambda: taken.append(claims.claim_for_invoices(company, 8))))
            return result

        with connection.execute_wrapper(between):
            claimed = claims.claim_for_invoices(company, 8)
        assert claimed is not None
        assert claimed.due == []
        assert len(taken[1].due) == 1

    def test_a_claim_outlasts_the_timeouts(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"TIMEOUT": (5, 3600)}
        tell(uuid.uuid4())
        assert claims.claim_for_invoices(default_company(), 8).until > timezone.now() + timedelta(hours=1)


class TestHurried:
    def test_somebody_who_waits_is_not_kept_by_a_backlog_or_a_slow_answer(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 2, "TIMEOUT": (1, 0.2)}
        uids = known(truss, 5)
        tell(*uids)
        assert counts(hurried=True) == (2, 0, 0, 0)
        truss.fault("latency", method="GET", seconds=1, count=None)
        asked = len(truss.requests())
        assert counts(hurried=True) == (0, 2, 0, 0)
        truss.clear_faults()
        until(lambda: len(truss.requests()) == asked + 2)
        assert counts() == (1, 0, 0, 0)

    def test_a_look_at_all_is_made_while_somebody_waits_where_there_are_few(self, truss: Sandbox) -> None:
        [uid, *_others] = known(truss, processing.FEW)
        truss.pay(uid)
        tell(None)
        assert counts(hurried=True) == (1, 0, 0, 0)
        assert PaymentIntent.objects.get(uid=uid).status == "Paid"
        truss.create_many(2)
        sync.sync_all(default_company())
        tell(None)
        assert counts(hurried=True) == (0, 0, 0, 0)
        assert WebhookEvent.objects.get(state="waiting").attempts == 0
        assert counts() == (1, 0, 0, 0)

    def test_in_a_worker_there_is_time_for_all(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CONCURRENCY": 2}
        tell(*known(truss, 5))
        tasks.process_webhooks.call(default_company().pk)
        assert not WebhookEvent.objects.exclude(state="processed").exists()


class TestTask:
    def test_a_company_that_is_gone_or_not_connected_is_nobody_s_error(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        tell(None)
        tasks.process_webhooks.call(0)
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ACCESS_TOKEN": None}
        tasks.process_webhooks.call(Company.objects.get().pk)
        [record] = [record for record in caplog.records if record.name == "truss_portal.tasks"]
        assert record.levelname == "WARNING"
        assert "The webhooks of default wait" in record.getMessage()

    def test_a_mistake_of_ours_is_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        tell(None)

        def mistake(execute: Any, sql: str, *rest: Any) -> Any:
            if "webhookevent" in sql:
                raise RuntimeError("our mistake")
            return execute(sql, *rest)

        with connection.execute_wrapper(mistake), pytest.raises(RuntimeError):
            tasks.process_webhooks.call(Company.objects.get().pk)
        assert "They wait for truss_webhooks." in caplog.text


def test_a_connection_that_ends_in_the_middle_of_a_run_is_nobody_s_failed_attempt(
    truss: Sandbox, settings: Any
) -> None:
    settings.TRUSS_PORTAL = joined.settings_for(truss, WEBHOOK_SECRETS=[SECRET])
    row = joined.connected(truss)
    for uid in (uuid.uuid4(), None):
        assert post(body(uid), url="/truss/webhook/acme/").status_code == 200
    truss.fault("unauthorized", path="intents", count=None)
    truss.fault("error_before", path=joined.TOKEN_PATH, status=400, count=None)
    told = webhooks.process(row.company)
    assert (told.processed, told.failed, told.given_up, told.postponed) == (0, 0, 0, 1)
    with pytest.raises(NotConnectedError):
        webhooks.process(row.company)
    assert set(WebhookEvent.objects.values_list("state", "attempts")) == {("waiting", 0)}
    truss.clear_faults()
    joined.connected(truss, row.company)
    due_now()
    assert webhooks.process(row.company).processed == 2


def test_the_mirror_never_hears_of_a_payload(truss: Sandbox) -> None:
    """An event that lies, though rightly signed, changes nothing: what counts is what Truss answers."""
    [uid] = known(truss, 1)
    lie = {"uid": uid, "status": "Paid", "balance_paid": "100.00", "transactions": [make.transaction_payload()]}
    assert post(body(event_payload=lie)).status_code == 200
    assert counts() == (1, 0, 0, 0)
    intent = PaymentIntent.objects.get()
    assert (intent.status, intent.balance_paid, intent.transactions.count()) == ("Pending", Decimal(0), 0)
