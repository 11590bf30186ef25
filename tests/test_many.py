"""Asking for many at once, and what a person does about what doesn't get on by itself."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from tests import make
from truss_portal import actions, outbox, sync
from truss_portal.connection import default_company
from truss_portal.exceptions import ActionRefusedError, InvalidRequestError
from truss_portal.models import Operation, PaymentIntent, TimelineEntry
from truss_portal.outbox.claims import MOST_ATTEMPTS
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery


def drafts(count: int) -> list[PaymentIntent]:
    return [make.draft(reference=f"INV-{number}", addenda=f"INV-{number}") for number in range(count)]


def total_at(truss: Sandbox, intent: PaymentIntent) -> str:
    [shown] = [shown for shown in truss.payment_intents() if shown["uid"] == str(intent.uid)]
    return str(shown["total"])


class TestMany:
    def test_all_are_sent_once_and_stand_in_one_batch(self, truss: Sandbox) -> None:
        clerk = get_user_model().objects.create(username="clerk")
        intents = drafts(12)
        batch = actions.ask_for_many(Kind.CREATE, [intent.pk for intent in intents], actor=clerk)
        assert len(truss.payment_intents()) == 12
        assert (batch.chosen, batch.left_out, batch.requested_by) == (12, [], clerk)
        assert {operation.state for operation in batch.operations.all()} == {State.DONE}
        assert set(PaymentIntent.objects.values_list("delivery", flat=True)) == {Delivery.SENT}
        queued = TimelineEntry.objects.filter(kind="queued")
        assert (queued.count(), {entry.actor for entry in queued}) == (12, {clerk})

    def test_rows_in_every_state_are_sent_or_left_out_with_the_reason(self, truss: Sandbox) -> None:
        sent = make.sent(reference="SENT")
        fresh = make.draft(reference="FRESH")
        waiting = make.draft(reference="WAITS")
        actions.send(waiting, wait=False)
        broken = make.draft(reference="BROKEN")
        PaymentIntent.objects.filter(pk=broken.pk).update(addenda="x" * 90)
        lost = make.draft(reference="LOST")
        truss.fault("drop_after", method="POST", count=1)
        actions.send(lost)
        alike = make.draft(reference="ALIKE", contact={"name": "Twin", "email": "one@twin.example"})
        make.draft(reference="OTHER", contact={"name": "Twin", "email": "two@twin.example"})
        chosen = [intent.pk for intent in (sent, fresh, waiting, broken, lost, alike)]
        batch = actions.ask_for_many(Kind.CREATE, chosen)
        reasons = {name: reason for _pk, name, reason in batch.left_out}
        assert reasons.keys() == {"SENT", "BROKEN", "LOST", "ALIKE"}
        assert reasons["SENT"] == "Sent already."
        assert "80" in reasons["BROKEN"]
        assert "answer was lost" in reasons["LOST"]
        assert "Two payers are named" in reasons["ALIKE"]
        done = {str(operation.payment_intent) for operation in batch.operations.filter(state=State.DONE)}
        assert done == {"FRESH", "WAITS"}, "one that waits joins the batch"
        assert len(truss.payment_intents()) == 4, "with the one that is sent and the one whose answer was lost"

    def test_two_people_who_choose_the_same_send_each_once(self, truss: Sandbox) -> None:
        chosen = [intent.pk for intent in drafts(5)]
        first = actions.ask_for_many(Kind.CREATE, chosen, wait=False)
        second = actions.ask_for_many(Kind.CREATE, chosen, wait=False)
        assert (first.operations.count(), second.operations.count()) == (0, 5)
        list(outbox.push(default_company()))
        assert len(truss.payment_intents()) == 5

    def test_without_waiting_nothing_is_asked_yet(self, truss: Sandbox) -> None:
        actions.ask_for_many(Kind.CREATE, [intent.pk for intent in drafts(3)], wait=False)
        assert truss.payment_intents() == []
        assert [operation.state for operation in outbox.push(default_company())] == ["done"] * 3

    def test_many_are_canceled_and_those_with_a_payment_left_out(self, truss: Sandbox) -> None:
        open_one, paid = make.sent(reference="OPEN"), make.sent(reference="PAID")
        truss.pay(str(paid.uid), "1.00")
        sync.refresh(paid)
        unsent = make.draft(reference="UNSENT")
        batch = actions.ask_for_many(Kind.CANCEL, [open_one.pk, paid.pk, unsent.pk])
        assert {name for _pk, name, _reason in batch.left_out} == {"PAID", "UNSENT"}
        open_one.refresh_from_db()
        assert open_one.status == "Canceled"

    def test_emails_are_sent_again(self, truss: Sandbox) -> None:
        intents = [make.sent(reference=f"INV-{number}") for number in range(3)]
        actions.ask_for_many(Kind.RESEND_EMAIL, [intent.pk for intent in intents])
        assert len(truss.mailbox()) == 3

    @pytest.mark.parametrize("count", [50, 400])
    def test_recording_takes_a_few_statements_however_many_there_are(
        self, truss: Sandbox, count: int, django_assert_max_num_queries: object
    ) -> None:
        company = make.company()
        contact = make.draft().contact
        PaymentIntent.objects.bulk_create(
            PaymentIntent(company=company, contact=contact, total="10.00", addenda=f"INV-{number}")
            for number in range(count)
        )
        chosen = list(PaymentIntent.objects.values_list("pk", flat=True))
        with django_assert_max_num_queries(30):  # type: ignore[operator]
            actions.ask_for_many(Kind.CREATE, chosen, wait=False)
        assert Operation.objects.filter(state=State.QUEUED).count() == count + 1


class TestTwoClicks:
    def test_two_clicks_send_one_email(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("rate_limit", method="PATCH", count=1, retry_after=None)
        first = actions.resend_email(intent)
        assert first.state == State.QUEUED
        second = actions.resend_email(intent)
        assert second.pk == first.pk
        second.refresh_from_db()
        assert second.state == State.DONE
        assert len(truss.mailbox()) == 1

    def test_two_clicks_ask_for_one_cancel(self, truss: Sandbox) -> None:
        intent = make.sent()
        Operation.objects.create(
            company=intent.company, payment_intent=intent, kind=Kind.CANCEL, next_attempt_at=timezone.now()
        )
        actions.cancel(intent)
        assert Operation.objects.filter(kind=Kind.CANCEL).count() == 1
        assert intent.status == "Canceled"

    def test_a_change_waits_while_another_change_of_the_invoice_is_on_its_way(self, truss: Sandbox) -> None:
        intent = make.sent()
        first = Operation.objects.create(
            company=intent.company,
            payment_intent=intent,
            kind=Kind.AMEND,
            state=State.SENDING,
            claimed_until=timezone.now() + timedelta(minutes=5),
            body={"total": "900.00"},
        )
        second = actions.amend(intent, total="950.00")
        assert second is not None
        assert second.state == State.QUEUED, "another process is asking for a change of it"
        first.state = State.DONE
        first.save()
        list(outbox.push(intent.company))
        assert total_at(truss, intent) == "950.00"


class TestTryAgain:
    def given_up(self, truss: Sandbox) -> tuple[PaymentIntent, Operation]:
        intent = make.draft()
        operation = actions.send(intent, wait=False)
        Operation.objects.filter(pk=operation.pk).update(attempts=MOST_ATTEMPTS - 1)
        truss.fault("rate_limit", method="POST", count=1, retry_after=None)
        list(outbox.push(intent.company))
        operation.refresh_from_db()
        intent.refresh_from_db()
        return intent, operation

    def test_what_was_given_up_is_for_a_person_and_can_be_sent_again(self, truss: Sandbox) -> None:
        intent, operation = self.given_up(truss)
        assert (operation.state, operation.needs_person) == (State.GIVEN_UP, True)
        assert (intent.delivery, intent.is_editable) == (Delivery.FAILED, True)
        assert f"asked {MOST_ATTEMPTS} times" in operation.error
        assert intent.timeline.filter(kind="given_up").exists()
        assert list(Operation.objects.for_a_person()) == [operation]
        again = actions.try_again(operation)
        again.refresh_from_db()
        assert (again.state, again.pk != operation.pk) == (State.DONE, True)
        assert not Operation.objects.for_a_person().exists(), "somebody has seen to it"
        assert len(truss.payment_intents()) == 1

    def test_a_refused_amendment_is_asked_for_anew(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("error_before", method="PATCH", count=1, status=409)
        refused = actions.amend(intent, total="900.00")
        assert refused is not None
        refused.refresh_from_db()
        assert (refused.state, refused.needs_person) == (State.REFUSED, True)
        again = actions.try_again(refused)
        again.refresh_from_db()
        assert (again.state, again.body) == (State.DONE, {"total": "900.00"})
        assert total_at(truss, intent) == "900.00"

    def test_a_refused_change_of_a_payer_is_asked_for_anew(self, truss: Sandbox) -> None:
        contact = make.sent().contact
        assert contact is not None
        truss.fault("error_before", method="PATCH", count=1, status=409)
        refused = actions.update_contact(contact, phone="4155550100")
        assert refused is not None
        again = actions.try_again(Operation.objects.get(pk=refused.pk))
        again.refresh_from_db()
        contact.refresh_from_db()
        assert (again.state, contact.phone) == (State.DONE, "4155550100")

    def test_what_waits_for_its_next_try_is_asked_at_once(self, truss: Sandbox) -> None:
        intent = make.draft()
        truss.fault("rate_limit", method="POST", count=1, retry_after=1)
        operation = actions.send(intent)
        assert operation.next_attempt_at is not None
        actions.try_again(operation)
        intent.refresh_from_db()
        assert intent.delivery == Delivery.SENT

    def test_the_payer_may_get_a_second_email_only_if_a_person_wants_it(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("drop_after", method="PATCH", count=1)
        operation = actions.resend_email(intent)
        assert (operation.state, operation.needs_person) == (State.UNCONFIRMED, True)
        actions.try_again(operation)
        assert len(truss.mailbox()) == 2

    def test_a_given_up_cancel_can_be_tried_again(self, truss: Sandbox) -> None:
        intent = make.sent()
        operation = Operation.objects.create(
            company=intent.company, payment_intent=intent, kind=Kind.CANCEL, state=State.GIVEN_UP, needs_person=True
        )
        actions.try_again(operation)
        intent.refresh_from_db()
        assert intent.status == "Canceled"

    @pytest.mark.parametrize(
        ("state", "text"),
        [(State.SENDING, "at this moment"), (State.DONE, "Nothing is left"), (State.UNCONFIRMED, "complete sync")],
    )
    def test_it_is_refused_with_the_reason(self, truss: Sandbox, state: str, text: str) -> None:
        operation = actions.send(make.draft(), wait=False)
        Operation.objects.filter(pk=operation.pk).update(state=state)
        with pytest.raises(ActionRefusedError, match=text):
            actions.try_again(operation)
        assert truss.payment_intents() == []

    def test_an_old_refusal_of_an_invoice_that_was_sent_since_is_history(self, truss: Sandbox) -> None:
        intent, operation = self.given_up(truss)
        actions.send(intent)
        with pytest.raises(ActionRefusedError, match="sent anew"):
            actions.try_again(operation)

    def test_a_broken_rule_is_told(self, truss: Sandbox) -> None:
        intent, operation = self.given_up(truss)
        PaymentIntent.objects.filter(pk=intent.pk).update(addenda="x" * 90)
        with pytest.raises(InvalidRequestError):
            actions.try_again(operation)


class TestSendAgain:
    def lost(self, truss: Sandbox) -> Operation:
        truss.fault("drop_before", method="POST", count=1)
        return actions.send(make.draft())

    def test_nobody_decides_while_truss_may_still_be_at_work(self, truss: Sandbox) -> None:
        operation = self.lost(truss)
        with pytest.raises(ActionRefusedError, match="may still be at work"):
            actions.send_again(operation)

    def test_after_the_grace_somebody_may_say_that_it_is_not_there(self, truss: Sandbox) -> None:
        manager = get_user_model().objects.create(username="manager")
        operation = self.lost(truss)
        Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(minutes=6))
        actions.send_again(operation, actor=manager)
        operation.refresh_from_db()
        assert operation.state == State.DONE
        assert len(truss.payment_intents()) == 1
        assert TimelineEntry.objects.get(kind="absent").actor == manager

    def test_only_a_lost_send_is_settled_by_hand(self, truss: Sandbox) -> None:
        operation = actions.send(make.draft())
        with pytest.raises(ActionRefusedError, match="answer was lost"):
            actions.send_again(operation)
        assert len(truss.payment_intents()) == 1


class TestWithdraw:
    def test_what_waits_is_taken_back_and_can_be_edited_and_sent_later(self, truss: Sandbox) -> None:
        clerk = get_user_model().objects.create(username="clerk")
        intent = make.draft()
        operation = actions.send(intent, wait=False)
        assert actions.withdraw([operation.pk], actor=clerk) == 1
        assert list(outbox.push(intent.company)) == []
        intent.refresh_from_db()
        assert (intent.delivery, intent.is_editable) == (Delivery.UNSENT, True)
        assert intent.timeline.get(kind="withdrawn").actor == clerk
        actions.send(intent)
        assert len(truss.payment_intents()) == 1

    def test_what_truss_is_being_asked_for_is_not(self, truss: Sandbox) -> None:
        operation = actions.send(make.draft(), wait=False)
        Operation.objects.update(state=State.SENDING)
        assert actions.withdraw([operation.pk]) == 0

    def test_a_withdrawn_amendment_leaves_the_invoice_sent(self, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("rate_limit", method="PATCH", count=1, retry_after=1)
        operation = actions.amend(intent, total="900.00")
        assert operation is not None
        assert actions.withdraw([operation.pk]) == 1
        intent.refresh_from_db()
        assert (intent.delivery, total_at(truss, intent)) == (Delivery.SENT, "120.00")


def test_what_somebody_has_seen_to_needs_nobody(truss: Sandbox) -> None:
    truss.fault("error_before", method="POST", count=1, status=409)
    operation = actions.send(make.draft())
    assert list(Operation.objects.for_a_person()) == [operation]
    assert actions.dismiss([operation.pk]) == 1
    assert not Operation.objects.for_a_person().exists()
