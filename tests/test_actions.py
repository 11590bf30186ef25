"""Asking for changes: what is refused before the network, and what each answer of Truss leads to."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from tests import make
from truss_portal import actions, outbox, sync
from truss_portal.client import InvalidRequestError, UnreadableAnswerError, pacing
from truss_portal.connection import connect, default_company
from truss_portal.exceptions import ActionRefusedError, NotConnectedError
from truss_portal.models import Company, Contact, Operation, PaymentIntent
from truss_portal.outbox.writing import write_failure
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)
Delivery = PaymentIntent.Delivery


class TestDraft:
    def test_the_same_reference_is_the_same_row(self) -> None:
        first = make.draft(reference="INV-1", total="120.00")
        again = make.draft(reference="INV-1", total="130.00")
        assert first == again
        assert again.total == Decimal("130.00")
        assert PaymentIntent.objects.count() == Contact.objects.count() == 1

    def test_a_reference_that_is_at_truss_already_is_returned_as_it_is(self, truss: Sandbox) -> None:
        make.sent(reference="INV-1", total="120.00")
        assert make.draft(reference="INV-1", total="999.00").total == Decimal("120.00")

    def test_without_a_reference_each_draft_is_a_row(self) -> None:
        for _ in range(2):
            actions.draft(contact={"name": "Acme", "email": "ap@acme.test"}, total="1.00", addenda="x")
        assert PaymentIntent.objects.filter(reference=None).count() == 2

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"total": "0.99"}, "total"),
            ({"total": "12.345"}, "total"),
            ({"total": "a lot"}, "total"),
            ({"total": Decimal("NaN")}, "total"),
            ({"addenda": ""}, "addenda"),
            ({"addenda": "x" * 81}, "addenda"),
            ({"note": "x" * 501}, "note"),
            ({"memo": "x" * 485}, "memo"),
            ({"due_date": timezone.now().date()}, "due_date"),
            ({"contact": {"name": "Acme"}}, "contact"),
            ({"contact": {"name": "Acme", "email": "not an email"}}, "contact.email"),
            ({"contact": {"name": "Acme", "email": "a@b.test", "fax": "1"}}, "contact"),
            ({"contact": {"uid": "nonsense"}}, "contact.uid"),
            ({"contact": {"uid": str(uuid.uuid4())}}, "contact.uid"),
            ({"contact": {"name": "Acme", "email": "a@b.test", "phone": "555-1234"}}, "contact.phone"),
            ({"contact": {"name": "A", "email": "a@b.test", "secondary_email": "A@b.test"}}, "contact.secondary_email"),
        ],
    )
    def test_a_broken_rule_names_the_field_and_writes_nothing(self, given: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            make.draft(**given)
        assert field in [error.field for error in caught.value.errors]
        assert field in str(caught.value)
        assert not PaymentIntent.objects.exists()
        assert not Contact.objects.exists()

    def test_a_memo_leaves_room_for_our_mark(self, truss: Sandbox) -> None:
        intent = make.sent(memo="x" * 484)
        [there] = truss.payment_intents()
        assert len(there["memo"]) == 500
        assert there["memo"] == f"{'x' * 484} [TP-{intent.memo_reference}]"
        assert intent.memo == "x" * 484

    def test_a_payer_that_truss_knows_is_used_by_uid_or_by_name_and_email(self) -> None:
        known = Contact.objects.create(
            company=make.company(), uid=uuid.uuid4(), name="Acme", email="ap@acme.test", phone="4155550132"
        )
        Contact.objects.create(company=make.company(), name="Acme", email="ap@acme.test")
        assert make.draft(contact={"uid": known.uid}).contact == known
        assert make.draft(contact={"name": "ACME", "email": "AP@acme.test"}).contact == known
        assert make.draft(contact=known).contact == known
        with pytest.raises(ActionRefusedError, match="another phone"):
            make.draft(contact={"name": "Acme", "email": "ap@acme.test", "phone": "4155550199"})

    def test_a_payer_of_another_company_is_refused(self) -> None:
        stranger = Contact.objects.create(company=make.company(slug="other"), name="Acme", email="ap@acme.test")
        with pytest.raises(ActionRefusedError, match="another company"):
            make.draft(company=make.company(), contact=stranger)

    def test_who_wrote_it_is_told(self) -> None:
        clerk = get_user_model().objects.create_user("clerk")
        intent = make.draft(actor=clerk)
        assert intent.timeline.get().actor == clerk


class TestSend:
    def test_an_invoice_is_created_at_truss_with_our_mark_and_mirrored(self, truss: Sandbox) -> None:
        due = timezone.now().date() + timedelta(days=30)
        intent = make.draft(memo="Job 88", note="Thanks", due_date=due, send_email=True, reference="INV-1")
        clerk = get_user_model().objects.create_user("clerk")
        operation = actions.send(intent, actor=clerk)
        [there] = truss.payment_intents()
        assert there["memo"] == f"Job 88 [TP-{intent.memo_reference}]"
        assert (there["total"], there["addenda"], there["note"]) == ("120.00", "INV-1", "Thanks")
        assert there["due_date"] == due.isoformat()
        assert (intent.delivery, str(intent.uid), intent.memo) == ("sent", there["uid"], "Job 88")
        assert intent.status == "Pending"
        assert intent.created_at is not None
        assert intent.contact is not None
        assert str(intent.contact.uid) == there["contact"]["uid"]
        assert (operation.state, operation.requested_by, operation.attempts) == ("done", clerk, 1)
        assert make.kinds(intent) == ["drafted", "queued", "sent"]
        assert intent.timeline.get(kind="sent").actor == clerk
        assert default_company().checkout_link_id
        assert [mail["to"] for mail in truss.mailbox()] == ["ap@acme.test"]

    def test_once_a_contact_is_known_it_is_sent_by_uid(self, truss: Sandbox) -> None:
        first, second = make.sent(), make.sent()
        assert first.contact == second.contact
        assert first.contact is not None
        first.contact.refresh_from_db()
        body = outbox.create_request(second).payload()
        assert body["contact"] == {"uid": str(first.contact.uid)}

    def test_sending_twice_sends_once(self, truss: Sandbox) -> None:
        intent = make.sent()
        actions.send(intent)
        actions.send(PaymentIntent.objects.get())
        assert len(truss.payment_intents()) == 1

    def test_two_payers_of_one_name_are_refused_before_sending_and_told_why(self, truss: Sandbox) -> None:
        one = make.draft(contact={"name": "Acme", "email": "boston@acme.test"})
        other = make.draft(contact={"name": "acme", "email": "denver@acme.test"})
        for intent in (one, other):
            with pytest.raises(ActionRefusedError, match=r"Two payers are named “(A|a)cme”.*overwrite.*another name"):
                actions.send(intent)
        assert truss.requests() == []
        assert other.contact is not None
        actions.update_contact(other.contact, name="Acme Denver")
        actions.send(one)
        actions.send(other)
        assert {there["contact"]["email"] for there in truss.payment_intents()} == {
            "boston@acme.test",
            "denver@acme.test",
        }

    def test_a_namesake_that_came_while_it_waited_is_refused_too(self, truss: Sandbox) -> None:
        intent = make.draft()
        operation = actions.send(intent, wait=False)
        Contact.objects.create(company=intent.company, uid=uuid.uuid4(), name="Acme", email="other@acme.test")
        outbox.perform([operation.pk])
        intent.refresh_from_db()
        assert intent.delivery == Delivery.FAILED
        assert "Two payers" in intent.delivery_error
        assert not [request for request in truss.requests() if request["method"] == "POST"]

    def test_a_refusal_can_be_mended_and_sent_again(self, truss: Sandbox) -> None:
        truss.company(checkout_link_id="")
        intent = make.draft()
        operation = actions.send(intent)
        assert (operation.state, operation.response_status, intent.delivery) == ("refused", 400, Delivery.FAILED)
        assert "400" in intent.delivery_error
        assert make.kinds(intent) == ["drafted", "queued", "refused"]
        truss.company(checkout_link_id="k7m2p9qx")
        actions.amend(intent, total="130.00")
        actions.send(intent)
        assert intent.delivery == Delivery.SENT
        assert truss.payment_intents()[0]["total"] == "130.00"
        assert Operation.objects.filter(payment_intent=intent).count() == 2

    def test_what_truss_surely_did_not_do_waits_and_is_pushed_later(self, truss: Sandbox) -> None:
        truss.fault("rate_limit", method="POST", count=1, retry_after=7)
        intent = make.draft()
        operation = actions.send(intent)
        assert (operation.state, intent.delivery) == ("queued", Delivery.QUEUED)
        assert operation.next_attempt_at is not None
        assert operation.next_attempt_at > timezone.now() + timedelta(seconds=5)
        assert list(outbox.push(intent.company)) == [], "not before its time"
        Operation.objects.update(next_attempt_at=timezone.now())
        pacing.forget_rests()
        [pushed] = outbox.push(intent.company)
        assert (pushed.state, pushed.attempts) == ("done", 2)
        assert len(truss.payment_intents()) == 1

    def test_nobody_there_leaves_it_queued(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"API_URL": "http://127.0.0.1:1"}
        intent = make.draft()
        operation = actions.send(intent)
        assert (operation.state, operation.response_status, intent.delivery) == ("queued", None, Delivery.QUEUED)
        assert "127.0.0.1" in operation.error or "reach" in operation.error.lower()

    def test_without_a_connection_the_wish_is_kept_and_says_what_is_missing(self, settings: Any) -> None:
        make.company()
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        intent = make.draft(company=make.company())
        operation = actions.send(intent)
        assert (operation.state, intent.delivery) == ("queued", Delivery.QUEUED)
        assert "ACCESS_TOKEN" in operation.error

    @pytest.mark.parametrize("fault", ["drop_after", "error_after", "garbage"])
    def test_a_lost_answer_is_unconfirmed_and_found_by_its_mark(self, truss: Sandbox, fault: str) -> None:
        truss.fault(fault, method="POST", path="inbound/$", count=1)
        intent = make.draft(memo="Job 88")
        operation = actions.send(intent)
        assert (operation.state, intent.delivery, intent.uid) == ("unconfirmed", Delivery.UNCONFIRMED, None)
        assert make.kinds(intent) == ["drafted", "queued", "unconfirmed"]
        actions.send(intent)
        assert len(truss.payment_intents()) == 1, "an unconfirmed create is never blindly repeated"
        run = sync.sync_all(intent.company)
        assert outbox.settle(run) == 0
        intent.refresh_from_db()
        operation.refresh_from_db()
        [there] = truss.payment_intents()
        assert (str(intent.uid), intent.delivery, intent.delivery_error) == (there["uid"], Delivery.SENT, "")
        assert (operation.state, operation.open_create_of) == ("done", None)
        assert make.kinds(intent) == ["drafted", "queued", "unconfirmed", "sent"]

    @pytest.mark.parametrize("fault", ["drop_before", "error_before"])
    def test_what_a_complete_listing_after_the_grace_shows_absent_is_sent_again(
        self, truss: Sandbox, fault: str
    ) -> None:
        truss.fault(fault, method="POST", path="inbound/$", count=1)
        intent = make.draft()
        actions.send(intent)
        assert intent.delivery == Delivery.UNCONFIRMED
        assert outbox.settle(sync.sync_all(intent.company)) == 0, "within the grace nothing is judged"
        Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(seconds=301))
        assert outbox.settle(sync.sync_open(intent.company)) == 0, "only a listing shows absence"
        assert outbox.settle(sync.sync_all(intent.company)) == 1
        [operation] = outbox.push(intent.company)
        intent.refresh_from_db()
        assert (operation.state, intent.delivery) == ("done", Delivery.SENT)
        assert len(truss.payment_intents()) == 1
        assert make.kinds(intent) == ["drafted", "queued", "unconfirmed", "absent", "sent"]

    def test_an_incomplete_listing_proves_no_absence(self, truss: Sandbox) -> None:
        truss.fault("error_before", method="POST", path="inbound/$", count=1)
        intent = make.draft()
        actions.send(intent)
        Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(seconds=301))
        uids = truss.create_many(2)
        truss.alter(uids[0], extra={"total": "not money"})
        run = sync.sync_all(intent.company)
        assert (run.complete, run.rejected) == (False, 1)
        assert outbox.settle(run) == 0

    def test_a_death_while_sending_is_found_again(self, truss: Sandbox) -> None:
        intent = make.draft()
        operation = actions.send(intent, wait=False)
        Operation.objects.update(
            state=Operation.State.SENDING, claimed_until=timezone.now() - timedelta(seconds=1), attempts=1
        )
        PaymentIntent.objects.update(delivery=Delivery.SENDING)
        assert outbox.recover() == 1
        assert outbox.recover() == 0
        operation.refresh_from_db()
        intent.refresh_from_db()
        assert (operation.state, intent.delivery) == ("unconfirmed", Delivery.UNCONFIRMED)

    def test_a_claimed_operation_is_nobody_else_s(self, truss: Sandbox) -> None:
        operation = actions.send(make.draft(), wait=False)
        Operation.objects.update(state=Operation.State.SENDING, claimed_until=timezone.now() + timedelta(minutes=1))
        outbox.perform([operation.pk])
        operation.refresh_from_db()
        assert operation.state == "sending"
        assert outbox.recover() == 0
        assert truss.payment_intents() == []

    def test_a_listing_that_finds_it_first_wins_over_a_late_failure(self, truss: Sandbox) -> None:
        truss.fault("latency", method="POST", path="inbound/$", count=1, seconds=0)
        truss.fault("drop_after", method="POST", path="inbound/$", count=1)
        intent = make.draft()
        operation = actions.send(intent)
        sync.sync_all(intent.company)
        write_failure(operation, UnreadableAnswerError("late"))
        intent.refresh_from_db()
        assert intent.delivery == Delivery.SENT

    def test_inside_a_transaction_it_is_sent_after_the_commit(self, truss: Sandbox) -> None:
        with transaction.atomic():
            intent = make.draft()
            actions.send(intent)
            assert truss.payment_intents() == []
        assert intent.delivery == Delivery.SENT

    def test_a_rolled_back_wish_is_never_sent(self, truss: Sandbox) -> None:
        with transaction.atomic():
            actions.send(make.draft())
            transaction.set_rollback(True)
        assert truss.payment_intents() == []
        assert not Operation.objects.exists()

    def test_an_invoice_made_at_truss_has_nothing_to_send(self) -> None:
        with pytest.raises(ActionRefusedError, match="made at Truss"):
            actions.send(make.row(discovered=True))

    def test_the_network_is_refused_inside_a_transaction(self, truss: Sandbox) -> None:
        company = default_company()
        with pytest.raises(RuntimeError), transaction.atomic():
            connect(company)


class TestAmend:
    def test_a_draft_is_changed_here(self) -> None:
        intent = make.draft()
        assert actions.amend(intent, total="130.00", memo="new") is None
        intent.refresh_from_db()
        assert (intent.total, intent.memo) == (Decimal("130.00"), "new")
        with pytest.raises(InvalidRequestError):
            actions.amend(intent, addenda="")

    def test_truss_is_asked_and_the_truth_read_back(self, truss: Sandbox) -> None:
        intent = make.sent(memo="Job 88", note="Thanks")
        clerk = get_user_model().objects.create_user("clerk")
        due = timezone.now().date() + timedelta(days=9)
        operation = actions.amend(intent, total="130.00", memo="Job 89", note="", due_date=due, actor=clerk)
        assert operation is not None
        [there] = truss.payment_intents()
        assert (there["total"], there["note"], there["due_date"]) == ("130.00", None, due.isoformat())
        assert there["memo"] == f"Job 89 [TP-{intent.memo_reference}]"
        assert (operation.state, intent.total, intent.memo, intent.note) == ("done", Decimal("130.00"), "Job 89", "")
        told = {entry.data["field"]: entry.data for entry in intent.timeline.filter(kind="amended", actor=clerk)}
        assert (told["total"]["was"], told["total"]["now"]) == ("120.00", "130.00")
        assert (told["memo"]["was"], told["memo"]["now"]) == ("Job 88", "Job 89")

    def test_a_memo_made_at_truss_gets_no_mark(self, truss: Sandbox) -> None:
        truss.create_many(1, memo="theirs")
        sync.sync_all(default_company())
        intent = PaymentIntent.objects.get()
        actions.amend(intent, memo="ours now")
        assert truss.payment_intents()[0]["memo"] == "ours now"
        with pytest.raises(InvalidRequestError, match="at most 500"):
            actions.amend(intent, memo="x" * 501)

    def test_what_truss_would_refuse_is_refused_before_the_network(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.pay(str(intent.uid), amount="100.00")
        sync.refresh(intent)
        asked = len(truss.requests())
        with pytest.raises(ActionRefusedError, match=r"\$100\.00 of invoice .* at least \$101\.00"):
            actions.amend(intent, total="100.99")
        with pytest.raises(ActionRefusedError, match="Nothing in invoice"):
            actions.amend(intent, total="120.00")
        with pytest.raises(InvalidRequestError, match="memo must have at most 484"):
            actions.amend(intent, memo="x" * 485)
        with pytest.raises(InvalidRequestError, match="addenda"):
            actions.amend(intent, addenda="x" * 81)
        with pytest.raises(ActionRefusedError, match="unpaid"):
            actions.cancel(intent)
        truss.pay(str(intent.uid))
        sync.refresh(intent)
        asked += 1
        with pytest.raises(ActionRefusedError, match="is paid: its description, note can't be changed"):
            actions.amend(intent, addenda="new", note="new")
        with pytest.raises(ActionRefusedError, match="no more email"):
            actions.resend_email(intent)
        assert len([r for r in truss.requests() if not r["path"].startswith("/control")]) == asked
        actions.amend(intent, memo="a memo may always change")
        assert intent.memo == "a memo may always change"

    def test_nothing_is_asked_about_an_invoice_that_is_not_there(self) -> None:
        for delivery in (Delivery.QUEUED, Delivery.UNCONFIRMED):
            intent = make.row(uid=None, delivery=delivery, status="")
            with pytest.raises(ActionRefusedError, match="send it first"):
                actions.amend(intent, total="99.00")
        with pytest.raises(ActionRefusedError, match="no longer found"):
            actions.amend(make.row(missing_since=timezone.now()), total="99.00")

    def test_a_lost_answer_waits_to_be_asked_again(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("drop_after", method="PATCH", count=1)
        operation = actions.amend(intent, total="130.00")
        assert operation is not None
        assert operation.state == "queued"
        Operation.objects.update(next_attempt_at=None)
        assert [done.state for done in outbox.push(intent.company)] == ["done"]
        intent.refresh_from_db()
        assert intent.total == Decimal("130.00")

    def test_a_change_that_cannot_be_read_back_is_looked_at_by_the_next_sync(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("unauthorized", method="GET", count=1)
        operation = actions.amend(intent, total="130.00")
        assert operation is not None
        assert (operation.state, intent.details_due) == ("done", True)


class TestResendAndCancel:
    def test_the_email_is_sent_again(self, truss: Sandbox) -> None:
        intent = make.sent()
        assert actions.resend_email(intent).state == "done"
        assert len(truss.mailbox()) == 1
        assert make.kinds(intent)[-1] == "email_resent"

    def test_an_unpaid_invoice_is_canceled_and_by_whom_is_told(self, truss: Sandbox) -> None:
        intent = make.sent()
        manager = get_user_model().objects.create_user("manager")
        operation = actions.cancel(intent, actor=manager)
        assert (operation.state, intent.status) == ("done", "Canceled")
        assert intent.canceled_at is not None
        assert intent.timeline.get(kind="canceled").actor == manager
        with pytest.raises(ActionRefusedError, match="canceled already"):
            actions.cancel(intent)

    def test_a_path_that_truss_does_not_know_explains_the_setting(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CANCEL_PATH": "/v1/payment-intents/inbound/{uid}/void/"}
        intent = make.sent()
        operation = actions.cancel(intent)
        assert operation.state == "refused"
        assert "CANCEL_PATH" in operation.error
        assert intent.status == "Pending"

    def test_canceling_can_be_switched_off(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"CANCEL_PATH": None}
        with pytest.raises(ActionRefusedError, match="switched off"):
            actions.cancel(make.sent())

    def test_a_lost_answer_to_a_cancel_is_settled_by_looking(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("drop_after", method="POST", path="cancel", count=1)
        assert actions.cancel(intent).state == "done"
        assert intent.status == "Canceled"

    def test_a_payment_that_came_first_makes_truss_refuse(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.pay(str(intent.uid), amount="5.00")
        operation = actions.cancel(intent)
        assert operation.state == "refused"
        assert (intent.status, intent.balance_paid) == ("PartiallyPaid", Decimal("5.00")), "read back all the same"

    def test_a_cancel_that_cannot_be_read_back_is_left_to_the_sync(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("unauthorized", method="GET", count=1)
        assert actions.cancel(intent).state == "done"
        assert intent.details_due


class TestUpdateContact:
    def test_one_that_exists_only_here_is_changed_here(self) -> None:
        contact = make.draft().contact
        assert contact is not None
        assert actions.update_contact(contact, phone="4155550132", secondary_email=None) is None
        contact.refresh_from_db()
        assert contact.phone == "4155550132"

    def test_truss_is_asked_for_one_that_it_knows(self, truss: Sandbox) -> None:
        intent = make.sent()
        contact = intent.contact
        assert contact is not None
        operation = actions.update_contact(contact, email="new@acme.test", phone="4155550132")
        assert operation is not None
        assert operation.state == "done"
        there = truss.payment_intents()[0]["contact"]
        assert (there["email"], there["phone"]) == ("new@acme.test", "4155550132")
        assert (contact.email, contact.phone) == ("new@acme.test", "4155550132")

    def test_rules_are_checked_against_what_stays(self) -> None:
        contact = make.draft().contact
        assert contact is not None
        with pytest.raises(InvalidRequestError, match="secondary_email"):
            actions.update_contact(contact, secondary_email="AP@acme.test")
        with pytest.raises(InvalidRequestError, match="name"):
            actions.update_contact(contact, name="")

    def test_a_token_that_will_not_do_leaves_the_change_waiting(self, truss: Sandbox) -> None:
        contact = make.sent().contact
        assert contact is not None
        truss.fault("unauthorized", method="PATCH", count=1)
        operation = actions.update_contact(contact, email="new@acme.test")
        assert operation is not None
        assert (operation.state, operation.response_status) == ("queued", 401)
        assert contact.email == "ap@acme.test"


class TestConnection:
    def test_the_default_company_exists_from_the_first_use_on(self) -> None:
        assert not Company.objects.exists()
        assert default_company() == default_company()
        assert Company.objects.get().slug == "default"

    def test_environments_never_mix(self, truss: Sandbox, settings: Any) -> None:
        company = default_company()
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENVIRONMENT": "sandbox"}
        with pytest.raises(NotConnectedError, match="never mix"):
            connect(company)

    def test_what_is_missing_is_named(self, settings: Any) -> None:
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "production", "ACCESS_TOKEN": "not-a-real-token"}
        with pytest.raises(NotConnectedError, match="API_URL"):
            connect(default_company())
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "production"}
        Company.objects.all().delete()
        with pytest.raises(NotConnectedError, match="ACCESS_TOKEN"):
            default_company()
