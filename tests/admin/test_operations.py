"""Requests to Truss: the list, the page of one, and what a person does about those that are stuck."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, told, url
from truss_portal import actions, memo, outbox
from truss_portal.connection import default_company
from truss_portal.models import Batch, Contact, Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db

LIST = "operation_changelist"
VERBS = ("try_again", "send_again", "dismiss", "withdraw")


def operation(**given: Any) -> Operation:
    """A request as if Truss had answered, without asking anybody."""
    intent = given.pop("payment_intent", None) or make.row(reference=f"INV-{Operation.objects.count() + 1}")
    columns = {"company": intent.company, "payment_intent": intent, "kind": "cancel"} | given
    if columns["kind"] == "update_contact":
        columns |= {"payment_intent": None, "contact": intent.contact}
    made: Operation = Operation.objects.create(**columns)
    return made


def choose(client: Client, verb: str, *operations: Operation) -> Any:
    """Choose an action for these rows."""
    rows = {"action": f"{verb}_selected", "_selected_action": [each.pk for each in operations]}
    return client.post(url(LIST), rows, follow=True)


def press(client: Client, verb: str, *operations: Operation, **more: Any) -> Any:
    """Press the button of a confirmation page."""
    ids = ",".join(str(each.pk) for each in operations)
    return client.post(url(f"operation_{verb}"), {"ids": ids} | more, follow=True)


class TestList:
    def test_a_row_tells_what_about_what_state_in_words_next_try_and_who(self, boss: Client) -> None:
        assert "Nothing has been asked of Truss yet." in see(boss, LIST)
        operation(state="refused", needs_person=True, error="Too late.", payment_intent=make.row(reference="INV-7"))
        page = boss.get(url(LIST))
        assert "Cancel INV-7 Refused Too late. -" in text_of(page)
        assert '<strong class="truss-badge truss-bad">Refused</strong>' in page.content.decode()

    def test_the_next_try_is_named(self, boss: Client, settings: Any) -> None:
        operation(next_attempt_at=timezone.now() - timedelta(minutes=1))
        assert "Waiting - The next truss_push" in see(boss, LIST)
        Operation.objects.update(next_attempt_at=make.NOON.replace(year=2035))
        assert "Waiting - Nov. 20, 2035, 7 a.m." in see(boss, LIST)

    def test_filters_answer_what_is_to_be_done(self, boss: Client) -> None:
        rows = {
            "refused": operation(state="refused", needs_person=True),
            "seen to": operation(state="refused"),
            "waits": operation(),
            "sending": operation(state="sending"),
            "lost": operation(kind="create", state="unconfirmed"),
            "done": operation(state="done", batch=Batch.objects.create(pk=77)),
        }

        def shown(**query: Any) -> set[str]:
            found = boss.get(url(LIST), query).context["cl"].queryset
            return {name for name, row in rows.items() if row in found}

        assert shown(needs="person") == {"refused", "lost"}
        assert shown(needs="waiting") == {"waits", "sending"}
        assert shown(needs="unconfirmed") == {"lost"}
        assert shown(needs="nonsense") == set(rows)
        assert shown(batch="77") == {"done"}
        assert shown(batch="nonsense") == set(rows)
        assert "Batch 77" in see(boss, LIST, batch="77")
        assert "Batch" not in see(boss, LIST).split("By what is to be done")[1]

    def test_a_company_is_filtered_by_where_there_are_several(self, boss: Client) -> None:
        operation()
        assert "By company" not in see(boss, LIST)
        make.company(slug="bakers", name="Bakers Inc")
        assert "By company" in see(boss, LIST)

    def test_invoices_with_a_stuck_request_need_a_person(self, boss: Client) -> None:
        stuck = operation(state="given_up", needs_person=True).payment_intent
        operation(state="done")
        page = see(boss, "paymentintent_changelist", attention="yes")
        assert f"{stuck}" in page
        assert "1 invoice " in page
        assert "Unpaid Needs a person" in page


class TestPage:
    def test_it_tells_what_who_and_what_truss_answered(self, boss: Client) -> None:
        row = operation(
            kind="amend", state="refused", needs_person=True, error="Too late.", body={"total": "130.00"},
            response_status=409, response_body='{"detail": "No."}', batch=Batch.objects.create(),
            finished_at=make.NOON,
        )  # fmt: skip
        page = see(boss, "operation_change", row.pk)
        assert "Amend: refused . Too late. Once the cause is mended, try again" in page.replace("refused.", "refused .")
        assert "Changes: Amount: 130.00" in page
        assert "HTTP status: 409" in page
        assert "Finished: Nov. 20, 2026, 7 a.m." in page
        assert f"Batch: Batch {row.batch_id}" in page
        for words in ("Next try", "Mark in Truss", "What happened:"):
            assert words not in page

    def test_what_says_nothing_is_not_shown(self, boss: Client) -> None:
        page = see(boss, "operation_change", operation(kind="update_contact").pk)
        for words in ("Changes:", "Truss's answer", "Batch:", "Mark in Truss"):
            assert words not in page
        assert "Next try: The next truss_push" in page
        assert "Change the payer: waiting. truss_push asks Truss by itself." in page

    def test_a_send_shows_the_mark_to_look_for(self, boss: Client) -> None:
        row = operation(kind="create", state="unconfirmed", error="Timeout.")
        assert row.payment_intent
        mark = memo.join("", row.payment_intent.memo_reference)
        page = boss.get(url("operation_change", row.pk))
        assert f'data-truss-copy="{mark}"' in page.content.decode()
        assert "Truss's answer was lost. Timeout. Whether Truss has it shows in the next complete sync" in text_of(page)

    def test_buttons_are_those_that_apply_now(self, boss: Client) -> None:
        wanted = {
            "queued": ["Try again", "Withdraw"],
            "sending": [],
            "done": [],
            "withdrawn": [],
            "refused": ["Try again", "I have seen to it"],
            "given_up": ["Try again", "I have seen to it"],
        }
        for state, titles in wanted.items():
            row = operation(state=state, needs_person=state in {"refused", "given_up"})
            tools = boss.get(url("operation_change", row.pk)).context["tools"]
            assert [str(tool["verb"].title) for tool in tools] == titles, state
        old = timezone.now() - timedelta(hours=1)
        lost = operation(kind="create", state="unconfirmed", unconfirmed_at=old)
        [tool] = boss.get(url("operation_change", lost.pk)).context["tools"]
        assert str(tool["verb"].title) == "It is not there, send again"

    def test_one_that_is_not_there_is_no_error(self, boss: Client) -> None:
        assert "Perhaps it was deleted?" in told(boss.get(url("operation_change", 4711), follow=True))[0]


class TestInvoicePage:
    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ({"kind": "cancel", "state": "refused"}, "Cancel: refused. Why. Once the cause is mended, try again"),
            ({"kind": "cancel", "state": "given_up"}, "Cancel: given up. Why. Once Truss can be asked again"),
            ({"kind": "resend_email", "state": "unconfirmed"}, "Resend the email: not confirmed. Why. Ask the payer."),
            ({"kind": "cancel", "state": "sending"}, "Cancel: being asked. Why. Truss is being asked at this moment."),
            ({"kind": "cancel", "state": "withdrawn"}, "Cancel: withdrawn. Why. Truss was not asked."),
        ],
    )
    def test_what_is_stuck_is_told_with_the_next_step(self, boss: Client, columns: dict[str, Any], words: str) -> None:
        stuck = columns["state"] in {"refused", "given_up", "unconfirmed"}
        row = operation(**columns, error="Why.", needs_person=stuck)
        assert row.payment_intent
        page = see(boss, "paymentintent_change", row.payment_intent.pk)
        assert words in page
        Operation.objects.update(needs_person=False)
        operation(payment_intent=row.payment_intent, kind="amend", state="done")
        if columns["state"] in {"refused", "given_up", "withdrawn"}:
            assert words not in see(boss, "paymentintent_change", row.payment_intent.pk), "somebody has seen to it"

    @pytest.mark.parametrize(
        ("state", "delivery", "words"),
        [
            ("given_up", "failed", "Given up. Why. The invoice isn't at Truss."),
            ("refused", "failed", "Truss refused it. Why. Correct the invoice and send it again."),
            ("unconfirmed", "unconfirmed", "Truss's answer was lost. Why. Whether Truss has it"),
            ("withdrawn", "unsent", "Withdrawn before it was sent. Truss was not asked. Change it, delete it"),
        ],
    )
    def test_what_became_of_sending_is_told_once(self, boss: Client, state: str, delivery: str, words: str) -> None:
        error = "" if state == "withdrawn" else "Why."
        intent = make.row(uid=None, delivery=delivery, delivery_error=error, status="")
        operation(payment_intent=intent, kind="create", state=state, error=error, needs_person=delivery == "failed")
        page = see(boss, "paymentintent_change", intent.pk)
        assert words in page
        assert len(boss.get(url("paymentintent_change", intent.pk)).context["notices"]) == 1

    def test_requests_have_their_buttons_and_come_back(self, boss: Client) -> None:
        row = operation(state="refused", needs_person=True)
        operation(payment_intent=row.payment_intent, state="refused")
        assert row.payment_intent
        page = boss.get(url("paymentintent_change", row.payment_intent.pk))
        back = url("paymentintent_change", row.payment_intent.pk)
        assert f"?ids={row.pk}&amp;next={back.replace('/', '%2F')}" in page.content.decode()
        assert page.content.decode().count('class="truss-next"') == 2, "history has none"
        [notice] = page.context["notices"]
        assert [str(tool["verb"].title) for tool in notice.tools] == ["Try again", "I have seen to it"]
        answer = press(boss, "dismiss", row, next=back)
        assert answer.redirect_chain[-1][0] == back


@pytest.mark.django_db(transaction=True)
class TestTryAgain:
    def refused(self, truss: Sandbox, count: int = 1) -> list[Operation]:
        """Cancels that Truss has refused, and wouldn't refuse now."""
        intents = [make.sent() for _ in range(count)]
        truss.fault("error_before", method="POST", path="cancel", status=409, count=count)
        for intent in intents:
            actions.cancel(intent)
        rows = list(Operation.objects.filter(kind="cancel").order_by("pk"))
        assert {row.state for row in rows} == {"refused"}
        return rows

    def test_it_says_what_will_be_done_and_does_it(self, truss: Sandbox, boss: Client) -> None:
        [row, other] = self.refused(truss, 2)
        done = Operation.objects.filter(kind="create")[0]
        page = text_of(choose(boss, "try_again", row, other, done))
        assert "Truss is asked again for 2 requests." in page
        assert "1 request is left out" in page
        assert f"{done} Nothing is left to do here." in page
        assert told(press(boss, "try_again", row, other)) == ["Truss has done them: 2 requests."]
        assert {shown["status"] for shown in truss.payment_intents()} == {"Canceled"}
        assert {entry.get_change_message() for entry in LogEntry.objects.all()} == {"Tried again: Cancel."}
        assert {entry.get_edited_object() for entry in LogEntry.objects.all()} == {
            row.payment_intent,
            other.payment_intent,
        }
        assert not Operation.objects.for_a_person().exists()

    def test_from_its_own_page_it_leads_to_the_new_try(self, truss: Sandbox, boss: Client) -> None:
        [row] = self.refused(truss)
        answer = press(boss, "try_again", row, next=url("operation_change", row.pk))
        new = Operation.objects.order_by("-pk")[0]
        assert new.pk != row.pk
        assert answer.redirect_chain[-1][0] == url("operation_change", new.pk)

    def test_what_truss_refuses_once_more_is_told_with_the_reason(self, truss: Sandbox, boss: Client) -> None:
        [row] = self.refused(truss)
        truss.fault("error_before", method="POST", path="cancel", status=409)
        [message] = told(press(boss, "try_again", row))
        assert message.startswith(f"1 request was left out: / {row}: Truss refused the request.")

    def test_what_cannot_be_is_told_too(self, boss: Client) -> None:
        make.company()
        broken = operation(kind="create", state="refused", payment_intent=make.draft(reference="INV-1"))
        PaymentIntent.objects.update(due_date="2020-01-01", delivery="failed")
        paid = operation(state="refused", payment_intent=make.row(reference="INV-2", status="Paid"))
        [message] = told(press(boss, "try_again", broken, paid))
        assert "2 requests were left out:" in message
        assert "Send: INV-1: The due date must be later than" in message
        assert "Cancel: INV-2: Invoice INV-2 has a payment" in message

    def test_where_truss_is_away_it_waits(self, truss: Sandbox, boss: Client) -> None:
        [row] = self.refused(truss)
        truss.fault("error_before", method="POST", path="cancel", status=503, count=None)
        [message] = told(press(boss, "try_again", row))
        assert message.startswith("1 request waits: truss_push asks Truss by itself.")

    def test_a_payer_s_change_is_logged_on_the_request(self, truss: Sandbox, boss: Client) -> None:
        make.sent()
        contact = Contact.objects.get()
        truss.fault("error_before", method="PATCH", status=409)
        actions.update_contact(contact, phone="5551234567")
        [row] = Operation.objects.filter(kind="update_contact")
        assert told(press(boss, "try_again", row)) == ["Truss has done it: 1 request."]
        assert isinstance(LogEntry.objects.get().get_edited_object(), Operation)
        contact.refresh_from_db()
        assert contact.phone == "5551234567"

    def test_too_many_are_refused_in_words(self, boss: Client) -> None:
        intent = make.row()
        columns = {"company": intent.company, "payment_intent": intent, "kind": "cancel"}
        Operation.objects.bulk_create(Operation(**columns) for _ in range(201))
        first = Operation.objects.all()[0]
        rows = {"action": "dismiss_selected", "select_across": "1", "_selected_action": [first.pk]}
        [message] = told(boss.post(url(LIST), rows, follow=True))
        assert message.startswith("201 requests are chosen, and at most 200 fit.")


@pytest.mark.django_db(transaction=True)
class TestSendAgain:
    def lost(self, truss: Sandbox) -> Operation:
        truss.fault("drop_before", method="POST")
        row = actions.send(make.draft(reference="INV-1"))
        row.refresh_from_db()
        assert row.state == "unconfirmed"
        return row

    def test_it_explains_how_to_look_and_wants_a_promise(self, truss: Sandbox, boss: Client) -> None:
        row = self.lost(truss)
        page = text_of(choose(boss, "send_again", row))
        assert "None of the chosen requests can take part:" in page
        assert "Truss may still be at work on it: look at Truss after" in page
        Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(minutes=10))
        page = choose(boss, "send_again", row)
        assert row.payment_intent
        mark = memo.join("", row.payment_intent.memo_reference)
        assert f'data-truss-copy="{mark}"' in page.content.decode()
        assert "1 invoice is sent once more. Truss's answer was lost, so Truss may have it." in text_of(page)
        assert "the payer would be asked for the money twice" in text_of(page)
        answer = press(boss, "send_again", row)
        assert told(answer) == ["Tick that you have looked at Truss first."]
        assert "I have looked at Truss, and it is not there." in text_of(answer)
        assert truss.payment_intents() == []
        answer = press(boss, "send_again", row, promise="on")
        assert told(answer) == ["1 invoice was sent to Truss."]
        assert len(truss.payment_intents()) == 1
        [entry] = LogEntry.objects.all()
        assert entry.get_change_message() == "Said not to be at Truss, and sent again: Send."
        assert str(row.payment_intent.timeline.get(kind="absent").actor) == "boss"


@pytest.mark.django_db(transaction=True)
class TestWithdrawAndDismiss:
    def test_what_waits_is_taken_back(self, truss: Sandbox, boss: Client) -> None:
        row, other = (actions.send(make.draft(), wait=False) for _ in range(2))
        sending = operation(state="sending")
        page = text_of(choose(boss, "withdraw", row, other, sending))
        assert "2 requests are taken back." in page
        assert "Truss is being asked at this moment." in page
        Operation.objects.filter(pk=other.pk).update(state="sending")
        done, left = told(press(boss, "withdraw", row, other))
        assert done == "1 request was withdrawn."
        assert left.endswith("Truss is being asked at this moment.")
        assert LogEntry.objects.get().get_change_message() == "Withdrawn before Truss was asked: Send."
        assert "Only what waits can be withdrawn." in text_of(choose(boss, "withdraw", row))
        assert list(outbox.push(default_company())) == []

    def test_what_somebody_has_seen_to_calls_for_nobody(self, boss: Client) -> None:
        row = operation(state="refused", needs_person=True)
        lost = operation(kind="create", state="unconfirmed")
        page = text_of(choose(boss, "dismiss", row, lost, operation(state="done")))
        assert "1 request needs nobody any more." in page
        assert "It isn't settled: the next complete sync shows whether Truss has it." in page
        assert "It needs nobody." in page
        assert told(press(boss, "dismiss", row)) == ["1 request was seen to."]
        assert list(Operation.objects.for_a_person()) == [lost]
        assert LogEntry.objects.get().get_change_message() == "Seen to: Cancel."

    def test_nothing_chosen_is_said(self, boss: Client) -> None:
        assert told(press(boss, "dismiss")) == ["No request was chosen."]


class TestPermissions:
    def test_who_may_only_look_sees_no_buttons_and_is_refused_everywhere(self, signed_in: SignIn) -> None:
        viewer = signed_in("view_operation", "view_paymentintent")
        row = operation(state="refused", needs_person=True)
        assert row.payment_intent
        pages = [
            viewer.get(url(LIST)),
            viewer.get(url("operation_change", row.pk)),
            viewer.get(url("paymentintent_change", row.payment_intent.pk)),
        ]
        for page in pages:
            for words in (b'name="action"', b">Try again<", b">I have seen to it<"):
                assert words not in page.content
        for verb in VERBS:
            assert viewer.get(url(f"operation_{verb}"), {"ids": row.pk}).status_code == 403
            assert press(viewer, verb, row, promise="on").status_code == 403
        row.refresh_from_db()
        assert row.needs_person

    @pytest.mark.parametrize("permission", ["retry", "settle"])
    def test_each_verb_asks_its_own_permission(self, signed_in: SignIn, permission: str) -> None:
        person = signed_in("view_operation", f"{permission}_operation")
        allowed = {"settle": {"send_again"}, "retry": {"try_again", "dismiss", "withdraw"}}[permission]
        for verb in VERBS:
            status = person.get(url(f"operation_{verb}"), {"ids": "1"}).status_code
            assert status == (200 if verb in allowed else 403)

    def test_the_verb_alone_is_not_enough(self, signed_in: SignIn) -> None:
        person = signed_in("retry_operation", "settle_operation")
        for verb in VERBS:
            assert person.get(url(f"operation_{verb}"), {"ids": "1"}).status_code == 403

    def test_what_changes_something_is_posted_with_a_token(self, boss: Client) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = boss.cookies
        for verb in VERBS:
            assert strict.post(url(f"operation_{verb}"), {"ids": "1"}).status_code == 403

    def test_a_uid_is_found(self, boss: Client) -> None:
        row = operation(payment_intent=make.row(reference="INV-1", uid=uuid.uuid4()))
        operation()
        assert row.payment_intent
        assert "1 request to Truss" in see(boss, LIST, q=str(row.payment_intent.uid))
