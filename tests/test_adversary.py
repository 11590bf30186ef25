"""What only goes wrong when two things happen at once, a process dies, or somebody is up to something."""

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
import requests
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from tests import make
from tests.client.loopback import answer, serving
from tests.wishes import NOBODY_WAKES, WISHES
from truss_portal import actions, checkout, mirror, outbox, signals, sync
from truss_portal.checks import check_settings
from truss_portal.client import RateLimitedError, RefusedError, TrussClient, resources
from truss_portal.connection import connect, default_company
from truss_portal.exceptions import NotPayableError
from truss_portal.models import Contact, Operation, PayerReturn, PaymentIntent
from truss_portal.outbox.asking import ask
from truss_portal.outbox.claims import claim
from truss_portal.outbox.writing import write, write_failure
from truss_portal.testing.sandbox import Sandbox
from truss_portal.views import ReturnView

pytestmark = pytest.mark.django_db(transaction=True)
Delivery = PaymentIntent.Delivery


def at_once(*work: Callable[[], Any]) -> list[BaseException]:
    """Do these in threads that start together; what they raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(job: Callable[[], Any]) -> None:
        try:
            start.wait(timeout=10)
            job()
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(job,)) for job in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return errors


def due_now() -> None:
    Operation.objects.update(next_attempt_at=timezone.now())


class SlowClient:
    """A client whose create takes so long that `meanwhile` happens before its answer is there."""

    def __init__(self, meanwhile: Callable[[], Any], answer: Exception) -> None:
        self.meanwhile = meanwhile
        self.answer = answer

    def create_payment_intent(self, *_given: Any, **_more: Any) -> resources.PaymentIntent:
        self.meanwhile()
        raise self.answer


class TestRepeats:
    def test_an_older_amendment_never_overtakes_a_newer_one(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("rate_limit", method="PATCH", count=1)
        older = actions.amend(intent, total="130.00", note="Thanks")
        assert older is not None
        assert older.state == "queued"
        actions.amend(intent, total="140.00")
        assert intent.total == Decimal("140.00")
        due_now()
        list(outbox.push(intent.company))
        [there] = truss.payment_intents()
        assert (there["total"], there["note"]) == ("140.00", "Thanks")

    def test_an_older_change_of_a_payer_never_overtakes_a_newer_one(self, truss: Sandbox) -> None:
        contact = make.sent().contact
        assert contact is not None
        truss.fault("error_after", method="PATCH", count=1)
        actions.update_contact(contact, email="typo@acme.test")
        actions.update_contact(contact, email="right@acme.test")
        for _push in range(2):
            due_now()
            Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(hours=1))
            states = [operation.state for operation in outbox.push(contact.company)]
            assert states == ["done"]
        assert truss.payment_intents()[0]["contact"]["email"] == "right@acme.test"

    @pytest.mark.parametrize("fault", ["error_after", "drop_after"])
    def test_a_payer_gets_no_second_email_because_an_answer_was_lost(self, truss: Sandbox, fault: str) -> None:
        intent = make.sent()
        truss.fault(fault, method="PATCH", count=1)
        operation = actions.resend_email(intent)
        assert operation.state == "unconfirmed"
        due_now()
        list(outbox.push(intent.company))
        assert len(truss.mailbox()) == 1

    def test_a_payer_gets_no_second_email_because_a_process_died(self, truss: Sandbox) -> None:
        intent = make.sent()
        actions.resend_email(intent)
        past = timezone.now() - timedelta(seconds=1)
        Operation.objects.filter(kind="resend_email").update(state="sending", claimed_until=past, finished_at=None)
        outbox.recover()
        list(outbox.push(intent.company))
        assert len(truss.mailbox()) == 1


class TestClaims:
    @pytest.mark.parametrize("late", [RateLimitedError(), RefusedError()])
    def test_who_lost_the_claim_cannot_end_the_next_one_s(self, truss: Sandbox, late: Exception) -> None:
        make.company()
        operation = actions.send(make.draft(), wait=False)

        def everybody_thinks_it_dead() -> None:
            Operation.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
            outbox.recover()
            Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(hours=1))
            outbox.settle(sync.sync_all(operation.company))
            assert claim([operation.pk]), "the next one is at it"

        [claimed] = claim([operation.pk])
        write(operation.company, [ask(claimed, cast("TrussClient", SlowClient(everybody_thinks_it_dead, late)))])
        operation.refresh_from_db()
        intent = PaymentIntent.objects.get()
        assert (operation.state, intent.delivery) == ("sending", Delivery.SENDING)
        assert not intent.is_editable

    def test_an_answer_that_names_another_invoice_of_ours_takes_nothing_from_it(self, truss: Sandbox) -> None:
        first = make.sent(reference="INV-1")
        second = make.draft(reference="INV-2")
        with connect(first.company) as client:
            answer = client.fetch_payment_intent(cast("Any", first.uid))
        written = mirror.write(first.company, [answer], adopt={answer.uid: second.pk})
        assert "INV-2" in written.rejected[0].reason
        first.refresh_from_db()
        assert first.reference == "INV-1"
        assert make.kinds(first)[:3] == ["drafted", "queued", "sent"]
        second.refresh_from_db()
        assert second.uid is None


class TestAtOnce:
    def test_one_reference_drafted_twice_at_once_is_one_row(self) -> None:
        make.company()
        Contact.objects.create(company=make.company(), name="Acme", email="ap@acme.test")
        for number in range(5):
            reference = f"INV-{number}"
            assert at_once(*[lambda r=reference: make.draft(reference=r)] * 4) == []
            assert PaymentIntent.objects.filter(reference=reference).count() == 1

    def test_a_listing_and_the_failure_of_a_create_do_not_block_each_other(self, truss: Sandbox) -> None:
        """The listing holds the invoice and wants its operation; the failure must not hold them the other way round."""
        if connection.vendor == "sqlite":
            pytest.skip("SQLite has one writer at a time: run this with TEST_DATABASE=postgresql or mariadb")
        company = default_company()
        intent = make.draft()
        operation = actions.send(intent, wait=False)
        [claimed] = claim([operation.pk])
        has_intent, wants_both = threading.Event(), threading.Event()
        found = make.listed(make.payload(memo=f"[TP-{intent.memo_reference}]"))

        def listing() -> None:
            with transaction.atomic():
                PaymentIntent.objects.select_for_update().get(pk=intent.pk)
                has_intent.set()
                wants_both.wait(timeout=1)
                mirror.write(company, [found])

        def failure() -> None:
            has_intent.wait(timeout=10)
            write_failure(claimed, RefusedError())

        assert at_once(listing, failure) == []
        intent.refresh_from_db()
        assert intent.delivery == Delivery.SENT

    def test_a_listing_and_a_claim_do_not_block_each_other(self, truss: Sandbox, settings: Any) -> None:
        """The listing holds a payer and wants the payer's invoice; a claim of changes of both must not hold that."""
        if connection.vendor == "sqlite":
            pytest.skip("SQLite has one writer at a time: run this with TEST_DATABASE=postgresql or mariadb")
        settings.TASKS = NOBODY_WAKES
        intent, amended = WISHES["amend"].record()
        moved = actions.update_contact(Contact.objects.get(), email="moved@acme.test")
        assert moved is not None
        has_payer, wants_both = threading.Event(), threading.Event()
        claimed: list[Operation] = []

        def listing() -> None:
            with transaction.atomic():
                Contact.objects.select_for_update().get()
                has_payer.set()
                wants_both.wait(timeout=1)
                PaymentIntent.objects.select_for_update().get(pk=intent.pk)

        def claims() -> None:
            has_payer.wait(timeout=10)
            claimed.extend(claim([amended.pk, moved.pk]))

        assert at_once(listing, claims) == []
        assert {operation.pk for operation in claimed} == {amended.pk, moved.pk}

    def test_two_processes_sending_one_invoice_send_it_once(self, truss: Sandbox) -> None:
        intent = make.draft()
        jobs = [lambda: actions.send(PaymentIntent.objects.get(pk=intent.pk))] * 4
        assert at_once(*jobs) == []
        assert len(truss.payment_intents()) == 1


class TestContacts:
    def test_a_payer_that_truss_got_to_know_meanwhile_is_changed_at_truss(self, truss: Sandbox) -> None:
        intent = make.draft()
        held = Contact.objects.get()
        actions.send(intent)
        operation = actions.update_contact(held, email="new@acme.test")
        assert operation is not None
        assert truss.payment_intents()[0]["contact"]["email"] == "new@acme.test"

    def test_drafting_never_takes_a_payer_s_uid_away(self) -> None:
        if connection.vendor == "sqlite":
            pytest.skip("SQLite has one writer at a time: run this with TEST_DATABASE=postgresql or mariadb")
        contact = make.draft().contact
        assert contact is not None
        given: list[BaseException] = []

        def adopt_after_the_look(execute: Any, sql: str, *rest: Any) -> Any:
            result = execute(sql, *rest)
            if "name_key" in sql and sql.startswith("SELECT") and not given:
                uid = make.contact_payload()["uid"]
                given.extend(at_once(lambda: Contact.objects.update(uid=uid)) or [Warning("done")])
            return result

        with connection.execute_wrapper(adopt_after_the_look):
            make.draft(contact={"name": "Acme", "email": "ap@acme.test", "phone": "4155550132"})
        assert [str(error) for error in given] == ["done"]
        contact.refresh_from_db()
        assert contact.uid is not None


class TestReturn:
    @pytest.mark.parametrize("result", ["\x00", "suc\x00cess", "😀", "\x1b[31m", "a" * 5000])
    def test_no_result_breaks_the_page(self, client: Client, truss: Sandbox, result: str) -> None:
        intent = make.sent()
        for token in ({}, {"t": checkout.make_token(intent)}):
            assert client.get("/truss/return/", {"result": result, **token}).status_code == 200

    def test_only_a_payer_s_browser_is_a_return(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent()
        address = {"t": checkout.make_token(intent), "result": "success"}
        assert client.head("/truss/return/", address).status_code == 200
        client.get("/truss/return/", address, headers={"Sec-Purpose": "prefetch;prerender"})
        assert not PayerReturn.objects.exists()
        assert "payer_returned" not in make.kinds(intent)

    def test_nobody_who_paid_too_much_is_asked_for_more(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent()
        truss.alter(str(intent.uid), status="PartiallyPaid", balance_paid="150.00")
        answer = client.get("/truss/return/", {"t": checkout.make_token(intent), "result": "success"})
        assert answer.context["state"] == "paid"
        intent.refresh_from_db()
        with pytest.raises(NotPayableError) as caught:
            intent.checkout_url()
        assert caught.value.reason == "paid"

    def test_under_atomic_requests_of_a_database_by_another_name(self) -> None:
        connections.settings["elsewhere"] = connections.settings["default"]
        try:
            assert ReturnView.as_view()._non_atomic_requests >= {"default", "elsewhere"}  # type: ignore[attr-defined]
        finally:
            del connections.settings["elsewhere"]


class TestWhatIsKnown:
    def test_a_failed_look_makes_nothing_fresher(self, truss: Sandbox) -> None:
        _good, bad = truss.create_many(2)
        sync.sync_all(default_company())
        before = PaymentIntent.objects.get(uid=bad).known_as_of
        truss.alter(bad, extra={"total": "a fortune"})
        assert sync.sync_all(default_company()).state == "failed"
        assert PaymentIntent.objects.get(uid=bad).known_as_of == before

    def test_a_wrong_address_makes_nothing_missing(self, truss: Sandbox, settings: Any) -> None:
        truss.create_many(3)
        sync.sync_all(default_company())
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": f"{truss.url}/nowhere"}
        run = sync.sync_open(default_company())
        assert run.state == "failed"
        assert "address right" in run.problems[0]
        assert not PaymentIntent.objects.exclude(missing_since=None).exists()

    def test_a_listing_that_kept_something_back_proves_no_absence(self, truss: Sandbox, settings: Any) -> None:
        kept_back, _other = truss.create_many(2)
        sync.sync_all(default_company())
        truss.fault("error_before", method="POST", path="inbound/$")
        operation = actions.send(make.draft())
        Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(hours=1))

        def list_without_it(handler: Any) -> None:
            headers = {"Authorization": handler.headers["Authorization"]}
            body = requests.get(truss.url + handler.path, headers=headers, timeout=10).json()
            if "results" in body:
                body["results"] = [item for item in body["results"] if item["uid"] != kept_back]
                body["count"] = len(body["results"])
            answer(body)(handler)

        with serving() as server:
            server.otherwise = list_without_it
            settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": server.url}
            run = sync.sync_all(default_company())
        assert (run.state, run.complete, run.missing) == ("done", False, 0)
        assert outbox.settle(run) == 0
        operation.refresh_from_db()
        assert operation.state == "unconfirmed"

    def test_an_error_s_body_may_hold_anything(self, settings: Any) -> None:
        with serving() as server:

            def odd(handler: Any) -> None:
                handler.send_response(400)
                handler.send_header("Content-Length", "4")
                handler.end_headers()
                handler.wfile.write(b"a\x00b\xff")

            server.otherwise = odd
            settings.TRUSS_PORTAL = {"ENVIRONMENT": "local", "API_URL": server.url, "ACCESS_TOKEN": "x"}
            operation = actions.send(make.draft())
        assert operation.state == "refused"


class TestMoney:
    def test_an_amendment_takes_the_amounts_that_a_draft_takes(self, truss: Sandbox) -> None:
        intent = make.sent(total=Decimal("1.2E+2"))
        actions.amend(intent, total=Decimal("1.3E+2"))
        assert intent.total == Decimal("130.00")
        actions.amend(intent, total=Decimal("140.0000"))
        assert truss.payment_intents()[0]["total"] == "140.00"


class TestUnusualSites:
    def test_a_claim_outlasts_the_timeouts(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"TIMEOUT": (5, 3600)}
        operation = actions.send(make.draft(), wait=False)
        [claimed] = claim([operation.pk])
        assert claimed.claimed_until is not None
        assert claimed.claimed_until > timezone.now() + timedelta(hours=1)

    def test_a_company_may_have_any_name(self, truss: Sandbox) -> None:
        truss.company(name="x" * 400)
        assert make.sent().company.name == "x" * 255

    def test_an_invoice_deleted_in_the_transaction_that_sent_it_is_not_sent(self, truss: Sandbox) -> None:
        with transaction.atomic():
            intent = make.draft()
            actions.send(intent)
            intent.delete()
        assert truss.payment_intents() == []

    def test_a_site_without_time_zones_is_told(self, settings: Any) -> None:
        settings.USE_TZ = False
        assert [message.id for message in check_settings()] == ["truss_portal.E010"]

    def test_a_receiver_may_ask_for_changes(self, truss: Sandbox) -> None:
        def changes_its_mind(payment_intent: PaymentIntent, **_rest: Any) -> None:
            actions.amend(payment_intent, total="130.00")
            sync.refresh(payment_intent)
            actions.cancel(payment_intent)

        signals.payment_intent_sent.connect(changes_its_mind)
        try:
            intent = make.sent()
        finally:
            signals.payment_intent_sent.disconnect(changes_its_mind)
        intent.refresh_from_db()
        assert (intent.status, intent.total) == ("Canceled", Decimal("130.00"))
