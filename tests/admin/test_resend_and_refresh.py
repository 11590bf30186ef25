"""Many invoices emailed again, and refreshed: the page before, what is asked, what the batch's page tells."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import act, do, see, text_of, told, url
from tests.admin.test_batches import hidden, mixed, only_batch, statements
from tests.admin.test_verbs import HastyAdmin, HurriedAdmin, site_of
from truss_portal import actions, outbox, sync
from truss_portal.connection import default_company
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Batch, Contact, Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def press(client: Client, confirmation: Any, verb: str) -> Any:
    """Press the button of this confirmation page as a browser would."""
    fields = {name: hidden(confirmation, name) for name in ("ids", "left_out", "confirmation", "next")}
    return client.post(url(f"paymentintent_{verb}"), fields, follow=True)


def sent(count: int) -> list[PaymentIntent]:
    """At Truss, each with a payer of its own; nobody was emailed yet."""
    payers = [{"name": f"Payer {number}", "email": f"payer{number}@acme.test"} for number in range(count)]
    return [make.sent(reference=f"INV-{number}", contact=payer) for number, payer in enumerate(payers)]


def payer(email: str = "ap@acme.test", secondary: str = "") -> Contact:
    made: Contact = Contact.objects.create(
        company=make.company(), name=f"Payer {Contact.objects.count()}", email=email, secondary_email=secondary
    )
    return made


class TestResend:
    def test_the_page_before_says_who_is_written_to_and_how_many_emails_that_makes(self, boss: Client) -> None:
        acme, ortega = payer("ap@acme.test", "boss@acme.test"), payer("ap@ortega.test")
        rows = [make.row(reference=f"INV-{number}", contact=acme) for number in range(3)]
        rows.append(make.row(reference="INV-3", contact=ortega, status="PartiallyPaid", balance_paid="20.00"))
        page = text_of(act(boss, "resend_selected", *rows))
        assert "Truss emails the payers of 4 invoices again, with $460.00 left to pay." in page
        assert "An email can't be taken back." in page
        assert "Truss sends 7 emails. They go to 3 addresses." in page
        assert "ap@acme.test gets the most: 3, one for each invoice." in page
        assert "INV-0 Payer 0 $120.00 - ap@acme.test, boss@acme.test" in page
        assert "INV-3 Payer 1 $100.00 - ap@ortega.test" in page

    def test_one_payer_gets_them_all(self, boss: Client) -> None:
        acme = payer()
        page = text_of(act(boss, "resend_selected", *(make.row(contact=acme) for _ in range(3))))
        assert "Truss sends 3 emails. They all go to 1 address, one for each invoice." in page
        assert "gets the most" not in page
        page = text_of(act(boss, "resend_selected", make.row(contact=acme)))
        assert "Truss sends 1 email." in page
        assert "address" not in page

    def test_what_truss_would_not_email_about_is_left_out_with_the_reason(self, boss: Client) -> None:
        rows = [
            make.row(reference="PAID", status="Paid"),
            make.row(reference="CANCELED", status="Canceled"),
            make.row(reference="FAILED", status="Failed"),
            make.row(reference="GONE", missing_since=timezone.now()),
            make.row(reference="SILENT", contact=payer("")),
            make.row(reference="NOBODY", contact=payer()),
            make.draft(reference="DRAFT"),
        ]
        PaymentIntent.objects.filter(reference="NOBODY").update(contact=None)
        lost = make.row(reference="LOST")
        Operation.objects.create(
            company=lost.company, payment_intent=lost, kind="resend_email", state="unconfirmed", needs_person=True
        )
        page = text_of(act(boss, "resend_selected", *rows, lost, make.row(reference="FINE")))
        assert "Truss emails the payer of 1 invoice again" in page
        assert "8 invoices are left out" in page
        for words in (
            "PAID Invoice PAID is paid: Truss sends no more email about it.",
            "CANCELED Invoice CANCELED is canceled: Truss sends no more email about it.",
            "FAILED Invoice FAILED is “Failed”: Truss emails only about unpaid and partially paid ones.",
            "GONE Invoice GONE is no longer found at Truss.",
            "SILENT , NOBODY The payer of invoice … has no email: there is nobody to write to.",
            "DRAFT Invoice DRAFT isn't at Truss (not sent): send it first.",
            "LOST The last email may have reached the payer, as Truss's answer was lost. Ask the payer;",
        ):
            assert words in page

    def test_each_payer_gets_one_and_the_timeline_and_the_log_name_the_person(
        self, truss: Sandbox, boss: Client
    ) -> None:
        intents = sent(3)
        answer = press(boss, act(boss, "resend_selected", *intents), "resend")
        assert told(answer)[0] == "3 invoices were emailed again."
        assert sorted(mail["to"] for mail in truss.mailbox()) == [f"payer{number}@acme.test" for number in range(3)]
        assert [str(entry.actor) for entry in intents[0].timeline.filter(kind="email_resent")] == ["boss"]
        assert LogEntry.objects.filter(change_message="Emailed again.").count() == 3

    @pytest.mark.parametrize("count", [1, 3])
    def test_the_back_button_and_a_second_click_send_no_second_email(
        self, truss: Sandbox, boss: Client, count: int
    ) -> None:
        confirmation = act(boss, "resend_selected", *sent(count))
        press(boss, confirmation, "resend")
        answer = press(boss, confirmation, "resend")
        assert told(answer) == ["This was confirmed already, and is not asked for a second time."]
        assert answer.redirect_chain[-1][0] == url("batch_change", only_batch().pk)
        assert len(truss.mailbox()) == count

    def test_who_may_not_see_batches_is_told_so_where_they_came_from(self, truss: Sandbox, signed_in: SignIn) -> None:
        person = signed_in("view_paymentintent", "resend_paymentintent")
        confirmation = act(person, "resend_selected", *sent(2))
        assert told(press(person, confirmation, "resend")) == ["2 invoices were emailed again."]
        answer = press(person, confirmation, "resend")
        assert told(answer) == ["This was confirmed already, and is not asked for a second time."]
        assert answer.redirect_chain[-1][0].endswith(url("paymentintent_changelist"))

    def test_who_confirms_anew_is_warned_that_they_were_emailed_lately(self, truss: Sandbox, boss: Client) -> None:
        intents = sent(3)
        press(boss, act(boss, "resend_selected", *intents[:2]), "resend")
        page = text_of(act(boss, "resend_selected", *intents))
        assert "2 of these invoices were emailed again within the last 24 hours already." in page
        Operation.objects.update(finished_at=timezone.now() - timedelta(hours=25))
        assert "within the last 24 hours" not in text_of(act(boss, "resend_selected", *intents))

    def test_two_people_at_once_send_one_email(self, truss: Sandbox, boss: Client, settings: Any) -> None:
        """The second asks while the first one's wish still waits: it is done once, and stands in one batch."""
        intents = sent(3)
        settings.ROOT_URLCONF = tuple(site_of(HurriedAdmin))
        press(boss, act(boss, "resend_selected", *intents), "resend")
        press(boss, act(boss, "resend_selected", *intents[:2]), "resend")
        assert {shown.state for shown in outbox.push(default_company())} == {"done"}
        assert len(truss.mailbox()) == 3
        second, first = Batch.objects.all()
        assert (first.operations.count(), second.operations.count()) == (1, 2)
        assert len(first.left_out) == 2

    def test_a_lost_answer_is_a_person_s_to_decide_and_is_never_repeated_by_itself(
        self, truss: Sandbox, boss: Client
    ) -> None:
        intents = sent(3)
        truss.fault("drop_after", method="PATCH", count=1)
        page = press(boss, act(boss, "resend_selected", *intents), "resend")
        list(outbox.push(default_company()))
        page = boss.get(url("batch_change", only_batch().pk))
        assert "2 of 3 are done. Finished; 1 needs a person." in text_of(page)
        assert "Whether the payer got the email isn't known. It isn't sent again by itself." in text_of(page)
        assert len(truss.mailbox()) == 3
        page = act(boss, "resend_selected", *intents)
        assert "1 invoice is left out" in text_of(page)
        [lost] = Operation.objects.for_a_person()
        assert lost.payment_intent is not None
        with pytest.raises(ActionRefusedError, match="may have reached the payer"):
            actions.resend_email(lost.payment_intent)
        actions.dismiss([lost.pk])
        assert actions.resend_email(lost.payment_intent).state == "done"

    def test_past_the_bound_they_are_queued(self, truss: Sandbox, boss: Client, settings: Any) -> None:
        intents = sent(3)
        settings.ROOT_URLCONF = tuple(site_of(HastyAdmin))
        confirmation = act(boss, "resend_selected", *intents)
        assert "The first 2 are asked for while this page waits. The rest are queued" in text_of(confirmation)
        assert "2 of 3 are done. 1 waits" in text_of(press(boss, confirmation, "resend"))
        assert len(truss.mailbox()) == 2


class TestRefresh:
    def test_the_page_before_says_that_nothing_changes(self, truss: Sandbox, boss: Client) -> None:
        rows = [make.row(reference="INV-1", balance_paid="20.00"), make.row(reference="INV-2", status="Canceled")]
        page = text_of(act(boss, "refresh_selected", *rows, make.draft(reference="INV-3")))
        assert "Truss is asked about 2 invoices, with $100.00 left to pay. Nothing changes at Truss" in page
        assert "INV-3 Not sent to Truss yet: there is nothing to look at." in page
        assert truss.requests() == []

    def test_it_shows_what_truss_says_and_names_what_is_gone(self, truss: Sandbox, boss: Client) -> None:
        paid, gone, fine = sent(3)
        truss.pay(str(paid.uid), "120.00")
        truss.vanish(str(gone.uid))
        done, failed, kept = told(press(boss, act(boss, "refresh_selected", paid, gone, fine), "refresh"))
        assert done == "2 invoices are up to date."
        assert failed == "1 invoice was left out: / INV-1: No longer found at Truss."
        assert kept.startswith("What came of each is kept:")
        paid.refresh_from_db()
        assert paid.status == "Paid"
        assert not LogEntry.objects.exists(), "looking changes nothing"
        text = see(boss, "batch_change", only_batch().pk)
        assert "Refresh: batch" in text
        assert "3 of 3 are done. Finished; 1 couldn't be brought up to date." in text
        assert "What couldn't be brought up to date" in text
        assert "INV-1 Done No longer found at Truss." in text
        assert "See to them" not in text, "nobody need do anything"

    def test_a_part_is_done_while_the_page_waits_and_somebody_goes_on(self, truss: Sandbox, boss: Client) -> None:
        truss.create_many(60)
        company = default_company()
        sync.sync_all(company)
        intents = list(PaymentIntent.objects.all())
        page = press(boss, act(boss, "refresh_selected", *intents), "refresh")
        assert "25 of 60 are done. 35 wait" in text_of(page)
        page = boss.post(url("batch_go_on", only_batch().pk), follow=True)
        assert "50 of 60 are done." in text_of(page)
        list(outbox.push(company))
        assert "60 of 60 are done. Finished." in see(boss, "batch_change", only_batch().pk)

    @pytest.mark.slow
    def test_when_truss_is_down_it_waits_and_the_page_says_why(self, truss: Sandbox, boss: Client) -> None:
        intents = sent(3)
        truss.fault("drop_before", method="GET", count=None)
        page = press(boss, act(boss, "refresh_selected", *intents), "refresh")
        assert "0 of 3 are done. 3 wait: truss_push asks Truss by itself." in text_of(page)
        intents[0].refresh_from_db()
        assert not intents[0].attention
        assert not Operation.objects.for_a_person().exists()

    def test_a_refused_look_is_told_and_calls_for_nobody(self, truss: Sandbox, boss: Client) -> None:
        intents = sent(2)
        truss.fault("error_before", method="GET", path="inbound/", status=409)
        done, failed, _kept = told(press(boss, act(boss, "refresh_selected", *intents), "refresh"))
        assert done == "1 invoice is up to date."
        assert failed.startswith("1 invoice was left out: / INV-")
        page = see(boss, "operation_change", Operation.objects.get(state="refused").pk)
        assert "Truss refused the request" in page
        assert "1 needs a person" not in see(boss, "batch_changelist")


class TestSurprises:
    VERBS = ("send", "refresh", "resend", "cancel")

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_permission_lost_meanwhile_is_told_in_words(self, truss: Sandbox, signed_in: SignIn, verb: str) -> None:
        person = signed_in("view_paymentintent", f"{verb}_paymentintent")
        intents = [make.draft(), make.draft()] if verb == "send" else sent(2)
        confirmation = act(person, f"{verb}_selected", *intents)
        User.objects.get(username="finance").user_permissions.remove(
            Permission.objects.get(codename=f"{verb}_paymentintent")
        )
        before = len(truss.requests())
        answer = press(person, confirmation, verb)
        assert answer.status_code == 403
        assert "You don't have the permission for this, or don't have it any more. Nothing was asked" in text_of(answer)
        assert len(truss.requests()) == before
        assert not Batch.objects.exists()

    @pytest.mark.parametrize("verb", VERBS)
    def test_rows_deleted_meanwhile_are_counted(self, truss: Sandbox, boss: Client, verb: str) -> None:
        intents = [make.draft() for _ in range(4)] if verb == "send" else sent(4)
        confirmation = act(boss, f"{verb}_selected", *intents)
        for intent in intents[:2]:
            intent.operations.all().delete()
            intent.delete()
        messages = told(press(boss, confirmation, verb))
        assert messages[0] == ("2 of the chosen invoices are no longer there: somebody has deleted them.")
        assert messages[1].startswith("2 invoices ")

    @pytest.mark.parametrize("verb", VERBS)
    def test_nothing_chosen_is_said(self, boss: Client, verb: str) -> None:
        page = see(boss, f"paymentintent_{verb}", ids="")
        assert "No invoice was chosen, or those that were are no longer there." in page

    @pytest.mark.parametrize("verb", VERBS)
    def test_confirmed_twice_it_is_one_batch(self, truss: Sandbox, boss: Client, verb: str) -> None:
        intents = [make.draft(), make.draft()] if verb == "send" else sent(2)
        confirmation = act(boss, f"{verb}_selected", *intents)
        press(boss, confirmation, verb)
        asked = len(truss.requests())
        assert told(press(boss, confirmation, verb))[0].startswith("This was confirmed already")
        assert Batch.objects.count() == 1
        assert len(truss.requests()) == asked

    def test_a_confirmation_that_is_none_asks_as_if_there_were_none(self, truss: Sandbox, boss: Client) -> None:
        answer = do(boss, "refresh", *sent(2), confirmation="'; DROP TABLE")
        assert told(answer)[0] == "2 invoices are up to date."
        assert only_batch().confirmation is None

    def test_from_code_the_same_confirmation_is_the_same_batch(self, truss: Sandbox) -> None:
        [intent] = sent(1)
        first = actions.ask_for_many(Operation.Kind.RESEND_EMAIL, [intent.pk], confirmation="night-1")
        again = actions.ask_for_many(Operation.Kind.RESEND_EMAIL, [intent.pk], confirmation="night-1")
        assert first == again
        assert len(truss.mailbox()) == 1


@pytest.mark.parametrize("verb", ["resend", "refresh"])
@pytest.mark.slow
def test_ten_thousand_in_every_state_are_summed_up_and_asked_for_in_few_statements(
    truss: Sandbox, boss: Client, settings: Any, verb: str
) -> None:
    mixed(10_000)
    first = PaymentIntent.objects.first()
    assert first
    chosen = {"action": f"{verb}_selected", "select_across": "1", "_selected_action": [first.pk]}
    with CaptureQueriesContext(connection) as seen:
        confirmation = boss.post(url("paymentintent_changelist"), chosen, follow=True)
    assert statements(seen) < 140
    assert len(confirmation.content) < 250_000
    settings.ROOT_URLCONF = tuple(site_of(HurriedAdmin))
    with CaptureQueriesContext(connection) as seen:
        page = press(boss, confirmation, verb)
    assert statements(seen) < 900
    going = {"resend": 833, "refresh": 2499}[verb]
    assert f"0 of {going:,} are done. {going:,} wait" in text_of(page)
    assert only_batch().operations.count() == going
