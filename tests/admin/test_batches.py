"""Many invoices in one go: the page before, what is asked, the batch's page, going on and withdrawing."""

import re
from typing import Any

import django
import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import act, do, see, text_of, told, url
from tests.admin.test_verbs import HurriedAdmin, site_of
from truss_portal import actions, outbox
from truss_portal.connection import default_company
from truss_portal.models import Batch, Contact, Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

if django.VERSION >= (6, 0):
    from django.tasks import default_task_backend
    from django.tasks.backends.dummy import DummyBackend

    DUMMY = "django.tasks.backends.dummy.DummyBackend"
else:
    from django_tasks import default_task_backend
    from django_tasks.backends.dummy import DummyBackend

    DUMMY = "django_tasks.backends.dummy.DummyBackend"

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "paymentintent_changelist"


class UnreachableBackend(DummyBackend):
    """Its broker is down."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        raise ConnectionError("Connection refused")


@pytest.fixture
def workers(settings: Any) -> None:
    """A site whose tasks run elsewhere; here nobody runs them."""
    settings.TASKS = {"default": {"BACKEND": DUMMY}}


def drafts(count: int, *, payers: int = 8) -> list[PaymentIntent]:
    made = []
    for number in range(count):
        contact = {"name": f"Payer {number % payers}", "email": f"payer{number % payers}@acme.test"}
        made.append(make.draft(contact=contact, reference=f"INV-{number}"))
    return made


def hidden(response: Any, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', response.content.decode())
    return found[1] if found else ""


def press(client: Client, confirmation: Any, verb: str) -> Any:
    """Press the button of this confirmation page as a browser would."""
    fields = {name: hidden(confirmation, name) for name in ("ids", "left_out", "next")}
    return client.post(url(f"paymentintent_{verb}"), fields, follow=True)


def only_batch() -> Batch:
    return Batch.objects.get()


class TestImmediately:
    def test_the_page_does_a_part_the_rest_waits_and_somebody_goes_on(self, truss: Sandbox, boss: Client) -> None:
        page = do(boss, "send", *drafts(60))
        batch = only_batch()
        assert page.redirect_chain[-1][0] == url("batch_change", batch.pk)
        text = text_of(page)
        assert "60 invoices were chosen by boss" in text
        assert "25 of 60 are done. 35 wait: truss_push asks Truss by itself." in text
        assert "Done 25 $3,000.00 Waiting 35 $4,200.00 Together 60 $7,200.00" in text
        assert "The next 25 are done while this page waits." in text
        assert '<progress class="truss-bar" max="60" value="25"' in page.content.decode()
        assert '<meta http-equiv="refresh" content="5">' in page.content.decode()
        go_on = url("batch_go_on", batch.pk)
        assert "50 of 60 are done." in text_of(boss.post(go_on, follow=True))
        page = boss.post(go_on, follow=True)
        assert "60 of 60 are done. Finished." in text_of(page)
        assert "http-equiv" not in page.content.decode()
        assert "Go on now" not in text_of(page)
        assert len({shown["memo"] for shown in truss.payment_intents()}) == 60
        text = text_of(boss.post(go_on, follow=True))
        assert "60 of 60 are done. Finished." in text, "a late press does nothing"

    def test_a_small_batch_that_is_finished_goes_back_with_a_message(self, truss: Sandbox, boss: Client) -> None:
        answer = do(boss, "send", *drafts(3), next=url(LIST) + "?status=none")
        assert answer.redirect_chain[-1][0].endswith("?status=none")
        batch = only_batch()
        assert told(answer) == [
            "3 invoices were sent to Truss.",
            f'What came of each is kept: <a href="{url("batch_change", batch.pk)}">Batch {batch.pk}</a>.',
        ]
        assert batch.operations.count() == 3

    def test_the_admin_log_has_an_entry_for_each(self, truss: Sandbox, boss: Client) -> None:
        do(boss, "send", *drafts(30))
        messages = list(LogEntry.objects.values_list("change_message", flat=True))
        assert messages.count("Sent to Truss.") == 25
        assert messages.count("Send to Truss: asked, not done yet.") == 5

    def test_what_needs_a_person_stands_on_the_page_with_the_reason(self, truss: Sandbox, boss: Client) -> None:
        refused, lost, *_fine = drafts(27, payers=27)
        text = text_of(do(boss, "send", refused, *_fine, lost))
        assert "25 of 27 are done." in text
        Operation.objects.filter(payment_intent=refused).update(state="refused", needs_person=True, error="No.")
        Operation.objects.filter(payment_intent=lost).update(state="unconfirmed", error="Timeout.")
        Operation.objects.filter(state="queued").update(state="done")
        text = see(boss, "batch_change", only_batch().pk)
        assert "Finished; 2 need a person." in text
        assert "INV-0 Refused No." in text
        assert "INV-1 Not confirmed Timeout." in text
        assert "See to them" in text
        page = boss.get(url("operation_changelist"), {"batch": only_batch().pk, "needs": "person"})
        assert "2 requests to Truss" in text_of(page)
        assert f"Batch {only_batch().pk}" in text_of(page), "the filter can be taken away"

    def test_very_many_problems_are_shown_in_part(self, boss: Client) -> None:
        company = make.company()
        intent = make.row(reference="INV-1")
        batch = Batch.objects.create(kind="cancel", chosen=103)
        Operation.objects.bulk_create(
            Operation(company=company, payment_intent=intent, kind="cancel", batch=batch, state="refused",
                      needs_person=True, error="No.")
            for _ in range(103)
        )  # fmt: skip
        assert "… and 3 more." in see(boss, "batch_change", batch.pk)

    def test_without_a_connection_all_is_kept_and_the_page_says_what_is_missing(
        self, truss: Sandbox, boss: Client, settings: Any
    ) -> None:
        intents = drafts(2)
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENVIRONMENT": "sandbox"}
        text = text_of(do(boss, "send", *intents))
        assert "0 of 2 are done. 2 wait: truss_push asks Truss by itself." in text
        assert "default belongs to the environment “local”, and this site now runs in “sandbox”" in text
        page = boss.post(url("batch_go_on", only_batch().pk), follow=True)
        assert told(page)[0].startswith("Truss could not be asked just now. default belongs to the environment")

    def test_two_companies_share_the_page_s_patience(self, truss: Sandbox, boss: Client) -> None:
        other = make.company(slug="other")
        mine = drafts(3)
        theirs = make.draft(company=other, reference="OTHER-1")
        text = text_of(do(boss, "send", *mine, theirs))
        assert "3 of 4 are done. 1 waits" in text
        assert "other isn't connected" in text, text

    def test_what_waits_for_its_next_try_can_be_gone_on_with_at_once(self, truss: Sandbox, boss: Client) -> None:
        intents = drafts(3)
        batch = actions.ask_for_many(Operation.Kind.CREATE, [intent.pk for intent in intents], wait=False)
        later = timezone.now() + timezone.timedelta(hours=1)
        Operation.objects.update(next_attempt_at=later)
        assert "3 wait: truss_push asks Truss by itself. The next try is due at" in see(boss, "batch_change", batch.pk)
        assert list(outbox.push(default_company())) == []
        assert "3 of 3 are done." in text_of(boss.post(url("batch_go_on", batch.pk), follow=True))

    def test_while_the_last_are_asked_for_the_page_says_so(self, boss: Client) -> None:
        batch = Batch.objects.create(kind="create", chosen=1)
        intent = make.row(uid=None, delivery="sending")
        Operation.objects.create(
            company=intent.company, payment_intent=intent, kind="create", state="sending", batch=batch
        )
        assert "0 of 1 are done. Truss is being asked for the last of them." in see(boss, "batch_change", batch.pk)


class TestLeftOut:
    def test_what_the_page_before_left_out_stays_out_and_is_kept_with_the_reason(
        self, truss: Sandbox, boss: Client, settings: Any
    ) -> None:
        going = drafts(2)
        paid = [make.row(reference=f"PAID-{number}") for number in range(7)]
        mended = make.draft(reference="MENDED")
        PaymentIntent.objects.filter(pk=mended.pk).update(due_date="2020-01-01")
        confirmation = act(boss, "send_selected", *going, *paid, mended)
        text = text_of(confirmation)
        assert "2 invoices over $240.00 are sent to Truss." in text
        assert "8 invoices are left out" in text
        assert "PAID-0 , PAID-1 , PAID-2 , PAID-3 , PAID-4 and 2 more Sent already." in text
        assert "MENDED The due date must be later than" in text
        PaymentIntent.objects.filter(pk=mended.pk).update(due_date=None)
        settings.ROOT_URLCONF = tuple(site_of(HurriedAdmin))
        text = text_of(press(boss, confirmation, "send"))
        assert "10 invoices were chosen by boss" in text
        assert "0 of 2 are done." in text
        assert "8 invoices were left out 7 Sent already. PAID-0 , PAID-1" in text
        assert "1 It was left out when this was confirmed, and could be asked for now: choose it again." in text
        mended.refresh_from_db()
        assert mended.delivery == "unsent"

    def test_what_changed_since_the_page_was_shown_is_left_out_too(self, truss: Sandbox, boss: Client) -> None:
        intents = drafts(3)
        confirmation = act(boss, "send_selected", *intents)
        actions.send(intents[0])
        sent, left, _kept = told(press(boss, confirmation, "send"))
        assert sent == "2 invoices were sent to Truss."
        assert left == "1 invoice was left out: / INV-0: Sent already."

    def test_one_reason_for_many_is_one_line_though_it_names_each(self, boss: Client) -> None:
        rows = [make.row(reference=f"INV-{number}", status="Paid") for number in range(3)]
        text = text_of(act(boss, "cancel_selected", *rows, make.row(reference="INV-9")))
        assert "INV-0 , INV-1 , INV-2 Invoice … has a payment, or isn't unpaid" in text
        text = text_of(act(boss, "cancel_selected", rows[0]))
        assert "INV-0 Invoice INV-0 has a payment" in text, "alone it is named"

    def test_what_another_batch_has_taken_over_is_named_in_the_first_one(self, truss: Sandbox, boss: Client) -> None:
        chosen = [intent.pk for intent in drafts(3)]
        first = actions.ask_for_many(Operation.Kind.CREATE, chosen, wait=False)
        second = actions.ask_for_many(Operation.Kind.CREATE, chosen[:2], wait=False)
        text = see(boss, "batch_change", first.pk)
        assert "0 of 1 are done." in text
        assert "2 invoices were left out" in text
        assert f"2 Somebody asked for it again before its turn had come: see batch {second.pk}. INV-0 , INV-1" in text
        assert "nothing was asked for" not in text

    def test_what_is_being_asked_for_at_the_moment_stays_where_it_is(self, truss: Sandbox, boss: Client) -> None:
        intents = drafts(2)
        first = actions.ask_for_many(Operation.Kind.CREATE, [intents[0].pk], wait=False)
        Operation.objects.update(state="sending")
        second = actions.ask_for_many(Operation.Kind.CREATE, [intent.pk for intent in intents], wait=False)
        assert first.operations.count() == 1
        assert [reason for _pk, _name, reason in second.left_out] == ["Truss was being asked for it at that moment."]

    def test_what_was_never_written_down_is_counted_once_it_is_surely_lost(self, boss: Client) -> None:
        batch = Batch.objects.create(kind="create", chosen=40)
        page = boss.get(url("batch_change", batch.pk))
        assert "0 of 0 are done. 40 are still being written down." in text_of(page)
        assert 'data-truss-unfinished="40"' in page.content.decode(), "the page goes on looking"
        Batch.objects.update(requested_at=timezone.now() - timezone.timedelta(minutes=3))
        page = boss.get(url("batch_change", batch.pk))
        assert "40 more were chosen, and nothing was asked for them: they were deleted since, or" in text_of(page)
        assert 'data-truss-unfinished="0"' in page.content.decode()

    def test_a_batch_without_anything_asked_says_so(self, boss: Client) -> None:
        sent = make.row()
        batch = actions.ask_for_many(Operation.Kind.CREATE, [sent.pk])
        text = see(boss, "batch_change", batch.pk)
        assert "1 invoice was chosen by the site's own code" in text
        assert "0 of 0 are done. Nothing was asked of Truss." in text


@pytest.mark.usefixtures("workers")
class TestWorkers:
    def test_workers_are_woken_and_the_page_shows_how_far_they_are(self, truss: Sandbox, boss: Client) -> None:
        intents = drafts(30)
        confirmation = act(boss, "send_selected", *intents)
        assert "Workers ask Truss for them; the next page shows how far they are." in text_of(confirmation)
        page = press(boss, confirmation, "send")
        assert "0 of 30 are done. 30 wait: workers are at them." in text_of(page)
        assert truss.payment_intents() == []
        assert len(default_task_backend.results) == 1
        page = boss.post(url("batch_go_on", only_batch().pk), follow=True)
        assert told(page) == ["The workers are told to go on."]
        assert len(default_task_backend.results) == 2
        list(outbox.push(default_company()))
        assert "30 of 30 are done. Finished." in see(boss, "batch_change", only_batch().pk)

    def test_one_invoice_is_told_to_wait_for_a_worker(self, truss: Sandbox, boss: Client) -> None:
        assert told(do(boss, "send", make.draft())) == ["1 invoice waits: a worker asks Truss for it."]

    def test_a_backend_that_is_down_loses_nothing(self, truss: Sandbox, boss: Client, settings: Any) -> None:
        settings.TASKS = {"default": {"BACKEND": f"{__name__}.UnreachableBackend"}}
        page = do(boss, "send", *drafts(3))
        assert "0 of 3 are done. 3 wait" in text_of(page)
        page = boss.post(url("batch_go_on", only_batch().pk), follow=True)
        assert told(page) == ["The workers can't be reached. Nothing is lost: truss_push asks Truss by itself."]
        assert [operation.state for operation in outbox.push(default_company())] == ["done"] * 3


class TestWithdraw:
    def test_it_asks_first_and_takes_back_what_waits(self, truss: Sandbox, boss: Client) -> None:
        do(boss, "send", *drafts(30))
        batch = only_batch()
        assert "5 requests of “Send: batch" in see(boss, "batch_withdraw", batch.pk)
        answer = boss.post(url("batch_withdraw", batch.pk), follow=True)
        assert told(answer) == ["5 requests were withdrawn."]
        assert "25 of 30 are done. Finished." in text_of(answer)
        assert "Withdrawn 5 $600.00" in text_of(answer)
        assert PaymentIntent.objects.filter(delivery="unsent").count() == 5
        assert LogEntry.objects.filter(change_message="Withdrawn before Truss was asked.").count() == 5
        assert "Nothing waits any more." in see(boss, "batch_withdraw", batch.pk)
        assert len(truss.payment_intents()) == 25


class TestPermissions:
    def test_who_may_send_and_not_look_at_batches_is_told_in_messages(self, truss: Sandbox, signed_in: SignIn) -> None:
        person = signed_in("view_paymentintent", "send_paymentintent")
        sent, waiting = told(do(person, "send", *drafts(27)))
        assert sent == "25 invoices were sent to Truss."
        assert waiting == "2 invoices wait: truss_push asks Truss by itself."
        assert person.get(url("batch_change", only_batch().pk)).status_code == 403
        assert person.get(url("batch_progress", only_batch().pk)).status_code == 403

    def test_who_may_only_look_changes_nothing(self, truss: Sandbox, boss: Client, signed_in: SignIn) -> None:
        do(boss, "send", *drafts(27))
        pk = only_batch().pk
        viewer = signed_in("view_batch")
        text = see(viewer, "batch_change", pk)
        assert "25 of 27 are done." in text
        for words in ("Go on now", "Withdraw what waits", "Show all of its requests"):
            assert words not in text
        assert viewer.post(url("batch_go_on", pk)).status_code == 403
        assert viewer.get(url("batch_withdraw", pk)).status_code == 403
        assert viewer.post(url("batch_withdraw", pk)).status_code == 403
        assert boss.get(url("batch_go_on", pk)).status_code == 405
        assert len(truss.payment_intents()) == 25

    @pytest.mark.parametrize(
        ("permission", "allowed"),
        [("send_paymentintent", True), ("retry_operation", True), ("cancel_paymentintent", False)],
    )
    def test_whose_verb_it_is_may_go_on(
        self, truss: Sandbox, boss: Client, signed_in: SignIn, permission: str, allowed: bool
    ) -> None:
        do(boss, "send", *drafts(27))
        person = signed_in("view_batch", permission)
        answer = person.post(url("batch_go_on", only_batch().pk))
        assert answer.status_code == (302 if allowed else 403)
        assert len(truss.payment_intents()) == (27 if allowed else 25)

    def test_what_changes_something_is_posted_with_a_token(self, boss: Client) -> None:
        batch = Batch.objects.create(kind="create")
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = boss.cookies
        for name in ("batch_go_on", "batch_withdraw"):
            assert strict.post(url(name, batch.pk)).status_code == 403


class TestPages:
    def test_the_part_that_changes_is_given_alone_and_not_kept(self, truss: Sandbox, boss: Client) -> None:
        do(boss, "send", *drafts(27))
        answer = boss.get(url("batch_progress", only_batch().pk))
        body = answer.content.decode()
        assert "no-store" in answer["Cache-Control"]
        assert "<html" not in body
        assert "csrfmiddlewaretoken" not in body, "it would differ each time"
        assert 'data-truss-unfinished="2"' in body
        assert boss.get(url("batch_progress", 4711)).status_code == 404
        assert "Perhaps it was deleted?" in told(boss.get(url("batch_change", 4711), follow=True))[0]

    def test_the_list_tells_what_came_of_each(self, boss: Client, signed_in: SignIn) -> None:
        assert "No batches yet." in see(boss, "batch_changelist")
        intent = make.row()
        for state, person in (("done", False), ("queued", False), ("refused", True)):
            batch = Batch.objects.create(kind="cancel", chosen=1)
            Operation.objects.create(
                company=intent.company, payment_intent=intent, kind="cancel", batch=batch, state=state,
                needs_person=person,
            )  # fmt: skip
        Batch.objects.create(kind="invented", chosen=10_000)
        text = see(boss, "batch_changelist")
        assert "1 Finished" in text
        assert "1 1 waits" in text
        assert "1 1 needs a person" in text
        assert "invented: batch" in text
        assert "10,000" in text
        assert "3 batches" in see(boss, "batch_changelist", kind="cancel")
        assert "By what All Send Refresh Resend the email Cancel" in text

    def test_a_sum_of_another_kind_is_shown(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent()
        batch = actions.ask_for_many(Operation.Kind.RESEND_EMAIL, [intent.pk])
        assert "Resend the email: batch" in see(boss, "batch_change", batch.pk)


def mixed(count: int) -> None:
    """So many invoices in every state, to payers of every kind."""
    company = make.company()
    known = Contact.objects.create(company=company, name="Known", email="k@acme.test", uid=make.payload()["uid"])
    payers = [Contact(company=company, name=f"P {n}", name_key=f"p {n}", email=f"p{n}@acme.test") for n in range(50)]
    twins = [Contact(company=company, name="Twin", name_key="twin", email=f"{n}@twin.test") for n in range(2)]
    Contact.objects.bulk_create([*payers, *twins])
    paid = {"delivery": "sent", "status": "Paid", "balance_paid": "10.00"}
    kinds: list[dict[str, Any]] = [
        {}, {}, {}, {"delivery": "failed"}, {"delivery": "unconfirmed"}, {"delivery": "sending"},
        {"delivery": "sent", "status": "Pending"}, paid, {"addenda": "x" * 90}, {"contact": twins[0]},
        {"discovered": True, "delivery": "sent", "status": "Canceled"}, {"send_email": True},
    ]  # fmt: skip
    rows = []
    for number in range(count):
        columns = {"contact": payers[number % 50], "total": "10.00", "addenda": "A", "reference": f"M-{number}"}
        columns |= kinds[number % len(kinds)]
        if columns.get("delivery") == "sent":
            columns |= {"uid": make.payload()["uid"], "contact": known}
        rows.append(PaymentIntent(company=company, **columns))
    PaymentIntent.objects.bulk_create(rows)


def statements(seen: CaptureQueriesContext) -> int:
    noise = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return sum(not query["sql"].startswith(noise) for query in seen.captured_queries)


@pytest.mark.slow
def test_ten_thousand_rows_in_every_state_are_summed_up_and_asked_for_in_few_statements(
    truss: Sandbox, boss: Client, settings: Any
) -> None:
    mixed(10_000)
    first = PaymentIntent.objects.first()
    assert first
    chosen = {"action": "send_selected", "select_across": "1", "_selected_action": [first.pk]}
    with CaptureQueriesContext(connection) as seen:
        confirmation = boss.post(url(LIST), chosen, follow=True)
    assert statements(seen) < 100
    text = text_of(confirmation)
    assert "5,000 invoices over $50,000.00 are sent to Truss." not in text
    [going] = re.findall(r"([\d,]+) invoices over \$([\d,.]+) are sent to Truss", text)
    assert going == ("4,169", "$41,690.00".strip("$"))
    assert "5831 invoices are left out" in text
    assert len(confirmation.content) < 200_000, "reasons and examples, not a line for each"
    assert text.count(" more ") < 20
    settings.ROOT_URLCONF = tuple(site_of(HurriedAdmin))
    with CaptureQueriesContext(connection) as seen:
        page = press(boss, confirmation, "send")
    assert statements(seen) < 900
    assert "0 of 4,169 are done. 4,169 wait" in text_of(page)
    assert "10000 invoices were chosen" in text_of(page).replace(",", "")
    batch = only_batch()
    assert (batch.operations.count(), len(batch.left_out)) == (4169, 5831)
    assert LogEntry.objects.count() == 4169
    with CaptureQueriesContext(connection) as seen:
        boss.get(url("batch_progress", batch.pk))
    assert statements(seen) < 12
    withdrawing = url("batch_withdraw", batch.pk)
    with CaptureQueriesContext(connection) as seen:
        boss.post(withdrawing)
    assert statements(seen) < 300
    assert not Operation.objects.exclude(state="withdrawn").exists()
