"""Writing an invoice: drafts, save and send, duplicates, and two payers with one name."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, told, url
from tests.admin.writing import errors, form, payer
from truss_portal import actions, outbox
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Company, Contact, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db


class TestWriting:
    def test_a_new_invoice_is_a_draft_with_a_timeline_entry_and_a_log_entry(self, boss: Client) -> None:
        answer = boss.post(url("paymentintent_add"), form(contact=payer(), reference="INV-1", send_email="on"))
        assert answer.status_code == 302
        intent = PaymentIntent.objects.get()
        assert (intent.reference, intent.total, intent.delivery) == ("INV-1", Decimal("120.00"), "unsent")
        assert (intent.company.slug, intent.send_email, intent.send_sms) == ("default", True, False)
        entry = intent.timeline.get()
        assert (entry.kind, str(entry.actor)) == ("drafted", "boss")
        assert LogEntry.objects.get().is_addition()

    def test_no_number_is_none_and_several_may_have_none(self, boss: Client) -> None:
        contact = payer()
        for _ in range(2):
            boss.post(url("paymentintent_add"), form(contact=contact))
        assert list(PaymentIntent.objects.values_list("reference", flat=True)) == [None, None]

    def test_each_broken_rule_stands_at_its_field_in_plain_words(self, boss: Client) -> None:
        today = timezone.localdate().isoformat()
        wrong = form(
            contact=payer(email="nonsense"),
            total="0.50",
            addenda="a" * 81,
            due_date=today,
            note="n" * 501,
            memo="m" * 490,
        )
        found = errors(boss.post(url("paymentintent_add"), wrong))
        assert found["total"] == ["The amount must be at least 1.00."]
        assert "The description must have at most 80 characters" in found["addenda"][0]
        assert "The due date must be later than" in found["due_date"][0]
        assert "The note must have at most 500 characters" in found["note"][0]
        assert "The memo must have at most" in found["memo"][0]
        assert "The payer's email must be an email address. Change it on the payer's own page." in found["contact"][0]
        assert not PaymentIntent.objects.exists()

    def test_missing_fields_are_said_once(self, boss: Client) -> None:
        make.company()
        found = errors(boss.post(url("paymentintent_add"), form(total="", addenda="")))
        assert found == {name: ["This field is required."] for name in ("contact", "total", "addenda")}

    def test_an_unreadable_amount_hides_no_other_mistake(self, boss: Client) -> None:
        found = errors(boss.post(url("paymentintent_add"), form(contact=payer(), total="much", note="n" * 501)))
        assert found["total"] == ["Write an amount in US dollars, such as 1200.00."]
        assert "The note must have at most 500 characters" in found["note"][0]

    def test_a_number_is_given_once(self, boss: Client) -> None:
        contact = payer()
        boss.post(url("paymentintent_add"), form(contact=contact, reference="INV-1"))
        found = errors(boss.post(url("paymentintent_add"), form(contact=contact, reference="INV-1")))
        assert found == {"reference": ["Another invoice has this number already."]}

    def test_a_draft_is_rewritten(self, boss: Client) -> None:
        make.company()
        intent = make.draft(reference="INV-1")
        page = url("paymentintent_change", intent.pk)
        assert b"Save" in boss.get(page).content
        boss.post(page, form(contact=intent.contact, total="99.00", reference="INV-1"))
        intent.refresh_from_db()
        assert intent.total == Decimal("99.00")
        assert make.kinds(intent) == ["drafted"]
        assert LogEntry.objects.get().get_change_message() == "Changed Amount and Description."

    def test_what_truss_has_is_not_rewritten(self, boss: Client) -> None:
        intent = make.row(total="120.00")
        page = url("paymentintent_change", intent.pk)
        assert b'name="total"' not in boss.get(page).content
        assert boss.post(page, form(contact=intent.contact, total="1.00")).status_code == 403
        intent.refresh_from_db()
        assert intent.total == Decimal("120.00")

    def test_a_draft_is_deleted_and_what_truss_has_is_not(self, boss: Client) -> None:
        make.company()
        draft, sent = make.draft(), make.row()
        boss.post(url("paymentintent_delete", draft.pk), {"post": "yes"})
        assert boss.post(url("paymentintent_delete", sent.pk), {"post": "yes"}).status_code == 403
        assert list(PaymentIntent.objects.all()) == [sent]

    def test_without_a_company_people_are_told_what_is_missing(self, boss: Client, settings: Any) -> None:
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        answer = boss.get(url("paymentintent_add"), follow=True)
        assert "No company is connected to Truss yet" in told(answer)[0]

    def test_the_first_invoice_makes_the_one_company(self, boss: Client) -> None:
        assert boss.get(url("paymentintent_add")).status_code == 200
        assert Company.objects.get().slug == "default"

    def test_several_companies_are_chosen_between(self, boss: Client) -> None:
        contact = payer()
        bakers = make.company(slug="bakers")
        assert b'name="company"' in boss.get(url("paymentintent_add")).content
        found = errors(boss.post(url("paymentintent_add"), form(contact=contact, company=bakers)))
        assert found == {"contact": ["This payer belongs to another company."]}
        found = errors(boss.post(url("paymentintent_add"), form(contact=contact, company="")))
        assert found == {"company": ["This field is required."]}
        boss.post(url("paymentintent_add"), form(contact=contact, company=contact.company))
        assert PaymentIntent.objects.get().company == contact.company

    def test_payers_are_offered_with_their_emails(self, boss: Client) -> None:
        contact = payer()
        query = {"app_label": "truss_portal", "model_name": "paymentintent", "field_name": "contact", "term": "acm"}
        answer = boss.get(url("contact_choices"), query)
        assert answer.json()["results"] == [{"id": str(contact.pk), "text": "Acme (ap@acme.test)"}]
        intent = make.draft(contact=contact)
        assert "Acme (ap@acme.test)" in see(boss, "paymentintent_change", intent.pk)


# --- save and send


@pytest.mark.django_db(transaction=True)
class TestSaveAndSend:
    def test_a_new_one_is_saved_then_sent_and_both_are_told(self, truss: Sandbox, boss: Client) -> None:
        answer = boss.post(url("paymentintent_add"), form(contact=payer(), reference="INV-1", _send="1"), follow=True)
        intent = PaymentIntent.objects.get()
        assert answer.redirect_chain[-1][0] == url("paymentintent_change", intent.pk)
        assert told(answer) == ["The invoice “INV-1” is saved.", "1 invoice was sent to Truss."]
        assert intent.delivery == "sent"
        assert [each["uid"] for each in truss.payment_intents()] == [str(intent.uid)]
        assert [(str(entry.actor), entry.kind) for entry in intent.timeline.all()][:2] == [
            ("boss", "drafted"),
            ("boss", "queued"),
        ]
        assert [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")] == ["Added.", "Sent to Truss."]

    def test_a_draft_is_rewritten_and_sent_as_it_then_is(self, truss: Sandbox, boss: Client) -> None:
        make.company()
        intent = make.draft(reference="INV-1")
        page = url("paymentintent_change", intent.pk)
        answer = boss.post(page, form(contact=intent.contact, total="99", reference="INV-1", _send="1"), follow=True)
        assert told(answer)[-1] == "1 invoice was sent to Truss."
        assert [each["total"] for each in truss.payment_intents()] == ["99.00"]

    def test_nothing_is_sent_inside_a_transaction(self, truss: Sandbox, boss: Client, settings: Any) -> None:
        """`connect` refuses inside one: with ATOMIC_REQUESTS this view must be outside."""
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        try:
            answer = boss.post(url("paymentintent_add"), form(contact=payer(), _send="1"), follow=True)
        finally:
            connection.settings_dict["ATOMIC_REQUESTS"] = False
        assert told(answer)[-1] == "1 invoice was sent to Truss."

    def test_what_breaks_a_rule_is_neither_saved_nor_sent(self, truss: Sandbox, boss: Client) -> None:
        answer = boss.post(url("paymentintent_add"), form(contact=payer(), total="0.10", _send="1"))
        assert errors(answer) == {"total": ["The amount must be at least 1.00."]}
        assert not PaymentIntent.objects.exists()
        assert truss.payment_intents() == []

    def test_the_draft_is_kept_when_it_cannot_be_sent_and_the_reason_told(self, truss: Sandbox, boss: Client) -> None:
        payer(email="other@acme.test")
        answer = boss.post(url("paymentintent_add"), form(contact=payer(), reference="INV-1", _send="1"), follow=True)
        messages = told(answer)
        assert messages[0] == "The invoice “INV-1” is saved."
        assert "Two payers are named “Acme”" in messages[1]
        assert len(messages) == 2
        assert PaymentIntent.objects.get().delivery == "unsent"
        assert truss.payment_intents() == []

    def test_what_truss_refuses_is_told_and_stays_to_be_corrected(self, truss: Sandbox, boss: Client) -> None:
        truss.fault("error_before", method="POST", status=422)
        answer = boss.post(url("paymentintent_add"), form(contact=payer(), reference="INV-1", _send="1"), follow=True)
        assert "INV-1: " in told(answer)[-1]
        assert PaymentIntent.objects.get().delivery == "failed"
        assert "Truss refused it." in text_of(answer)

    def test_a_lost_answer_is_told(self, truss: Sandbox, boss: Client) -> None:
        truss.fault("drop_after", method="POST")
        answer = boss.post(url("paymentintent_add"), form(contact=payer(), _send="1"), follow=True)
        assert "Truss's answer was lost." in told(answer)[-1]
        assert PaymentIntent.objects.get().delivery == "unconfirmed"
        assert len(truss.payment_intents()) == 1

    def test_when_truss_is_away_it_waits(self, truss: Sandbox, boss: Client) -> None:
        truss.fault("rate_limit", method="POST", count=None, retry_after=600)
        answer = boss.post(url("paymentintent_add"), form(contact=payer(), _send="1"), follow=True)
        assert "1 invoice waits" in told(answer)[-1]
        assert PaymentIntent.objects.get().delivery == "queued"

    def test_who_may_not_send_has_no_such_button_and_only_saves(self, truss: Sandbox, signed_in: SignIn) -> None:
        writer = signed_in("view_paymentintent", "add_paymentintent", "change_paymentintent", "view_contact")
        contact = payer()
        assert b"Save and send" not in writer.get(url("paymentintent_add")).content
        answer = writer.post(url("paymentintent_add"), form(contact=contact, _send="1"), follow=True)
        assert "was added successfully" in told(answer)[0]
        assert PaymentIntent.objects.get().delivery == "unsent"
        assert truss.payment_intents() == []

    def test_a_form_that_is_posted_twice_is_saved_and_sent_once(self, truss: Sandbox, boss: Client) -> None:
        """Two impatient clicks, or the back button: the payer is asked for the money once."""
        contact = payer()
        mark = boss.get(url("paymentintent_add")).context["new_mark"]
        typed = form(contact=contact, _send="1") | {"new-mark": mark}
        wrong = boss.post(url("paymentintent_add"), typed | {"total": "0.10"})
        assert wrong.context["new_mark"] == mark, "a corrected form is the same invoice"
        boss.post(url("paymentintent_add"), typed)
        again = boss.post(url("paymentintent_add"), typed, follow=True)
        intent = PaymentIntent.objects.get()
        assert again.redirect_chain[-1][0] == url("paymentintent_change", intent.pk)
        assert told(again)[-1] == "This invoice is saved already, and is not saved a second time."
        assert len(truss.payment_intents()) == 1
        assert mark.startswith(intent.memo_reference)

    def test_the_second_of_two_clicks_at_the_same_moment_finds_the_first(self, truss: Sandbox, boss: Client) -> None:
        """Both have looked for the invoice before either has saved it: the database lets one of them in."""
        mark = boss.get(url("paymentintent_add")).context["new_mark"]
        typed = form(contact=payer(), _send="1") | {"new-mark": mark}
        written: list[PaymentIntent] = []

        def quicker(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            """Right after this click has looked, the other one saves."""
            answer = execute(sql, params, many, context)
            if not written and sql.startswith("SELECT") and params and mark.partition(":")[0] in params:
                written.append(make.row(memo_reference=mark.partition(":")[0], uid=None, delivery="unsent"))
            return answer

        with connection.execute_wrapper(quicker):
            answer = boss.post(url("paymentintent_add"), typed)
        assert answer["Location"] == url("paymentintent_change", written[0].pk)
        assert PaymentIntent.objects.count() == 1
        assert truss.payment_intents() == []

    def test_a_number_that_somebody_takes_at_the_same_moment_is_looked_at_again(self, boss: Client) -> None:
        make.company()
        taken: list[PaymentIntent] = []

        def quicker(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            answer = execute(sql, params, many, context)
            if not taken and sql.startswith("SELECT") and params and "INV-1" in params:
                taken.append(make.row(reference="INV-1"))
            return answer

        with connection.execute_wrapper(quicker):
            answer = boss.post(url("paymentintent_add"), form(contact=payer(), reference="INV-1"))
        # On one connection the other's row goes with this click's transaction: at the second look the number is free.
        assert (len(taken), answer.status_code) == (1, 302)
        assert PaymentIntent.objects.get().addenda == "Catering"

    def test_nobody_gives_an_invoice_the_mark_of_another(self, truss: Sandbox, boss: Client) -> None:
        other = make.row()
        boss.post(url("paymentintent_add"), form(contact=payer()) | {"new-mark": f"{other.memo_reference}:forged"})
        assert PaymentIntent.objects.exclude(pk=other.pk).get().memo_reference != other.memo_reference

    def test_the_button_is_not_the_one_that_enter_presses(self, boss: Client) -> None:
        make.company()
        content = boss.get(url("paymentintent_add")).content.decode()
        assert 0 < content.index('name="_save"') < content.index('name="_send"')


# --- a duplicate


class TestDuplicate:
    def test_the_form_is_filled_in_and_nothing_is_written(self, boss: Client) -> None:
        original = make.row(
            reference="INV-1", total="120.50", addenda="Rent", note="Thanks", memo="Flat 3", send_email=True
        )
        answer = boss.get(url("paymentintent_add"), {"duplicate": original.pk})
        initial = answer.context["adminform"].form
        assert {
            name: initial[name].value() for name in ("total", "addenda", "note", "memo", "send_email", "send_sms")
        } == {
            "total": Decimal("120.50"),
            "addenda": "Rent",
            "note": "Thanks",
            "memo": "Flat 3",
            "send_email": True,
            "send_sms": False,
        }
        assert initial["contact"].value() == original.contact_id
        assert not initial["reference"].value()
        page = text_of(answer)
        assert "A duplicate of INV-1 . Nothing is written until you save." in page
        assert "Not copied: “INV-1” has its own. Give this one another, or none." in page
        assert "Not copied: the original has none that could be moved." in page
        assert PaymentIntent.objects.count() == 1

    @pytest.mark.parametrize(("days", "words"), [(30, "Moved: 30 days from today"), (1, "Moved: 1 day from today")])
    def test_the_due_date_is_as_far_away_as_the_originals_was(self, boss: Client, days: int, words: str) -> None:
        made = timezone.now() - timedelta(days=100)
        due = timezone.localdate(made) + timedelta(days=days)
        original = make.row(created_at=made, due_date=due)
        answer = boss.get(url("paymentintent_add"), {"duplicate": original.pk})
        assert answer.context["adminform"].form["due_date"].value() == outbox.today() + timedelta(days=days)
        assert words in text_of(answer)

    def test_a_due_date_that_was_never_ahead_is_left_empty(self, boss: Client) -> None:
        original = make.row(created_at=timezone.now(), due_date=timezone.localdate() - timedelta(days=3))
        answer = boss.get(url("paymentintent_add"), {"duplicate": original.pk})
        assert answer.context["adminform"].form["due_date"].value() is None

    def test_what_is_saved_is_an_invoice_of_its_own(self, boss: Client) -> None:
        original = make.row(reference="INV-1")
        address = f"{url('paymentintent_add')}?duplicate={original.pk}"
        assert boss.post(address, form(contact=original.contact, total="120", reference="INV-1")).status_code == 200
        boss.post(address, form(contact=original.contact, total="120", reference="INV-2"))
        copy = PaymentIntent.objects.get(reference="INV-2")
        assert (copy.uid, copy.delivery, copy.contact) == (None, "unsent", original.contact)
        assert copy.memo_reference != original.memo_reference

    def test_an_invoice_that_one_may_not_see_or_that_is_gone_fills_in_nothing(
        self, boss: Client, signed_in: SignIn
    ) -> None:
        original = make.row(addenda="Secret")
        blind = signed_in("add_paymentintent")
        for client, pk in ((blind, original.pk), (boss, 4711), (boss, "x")):
            answer = client.get(url("paymentintent_add"), {"duplicate": pk})
            assert answer.status_code == 200
            assert answer.context["adminform"].form["addenda"].value() is None
            assert "A duplicate of" not in text_of(answer)

    def test_it_needs_the_permission_to_add(self, signed_in: SignIn) -> None:
        original = make.row()
        viewer = signed_in("view_paymentintent")
        assert "Duplicate" not in see(viewer, "paymentintent_change", original.pk)
        assert viewer.get(url("paymentintent_add"), {"duplicate": original.pk}).status_code == 403


# --- two payers with one name


class TestSameName:
    def hints(self, client: Client, **given: Any) -> Any:
        answer = client.post(url("contact_hints"), given)
        assert answer.status_code == 200
        return answer.json()

    def test_saving_says_it_where_no_script_has(self, boss: Client) -> None:
        payer(email="other@acme.test")
        answer = boss.post(url("paymentintent_add"), form(contact=payer()), follow=True)
        warning = (
            "The invoice is saved, but can't be sent as it is. Two payers are named “Acme”: ap@acme.test and other"
        )
        assert any(text.startswith(warning) for text in told(answer))
        assert PaymentIntent.objects.count() == 1

    def test_a_payer_without_namesake_is_saved_without_a_word(self, boss: Client) -> None:
        answer = boss.post(url("paymentintent_add"), form(contact=payer()), follow=True)
        assert len(told(answer)) == 1

    def test_choosing_is_warned(self, boss: Client) -> None:
        chosen = payer()
        assert self.hints(boss, contact=chosen.pk)["warning"] == ""
        payer(email="other@acme.test")
        assert "Two payers are named “Acme”" in self.hints(boss, contact=chosen.pk)["warning"]
        assert self.hints(boss, contact="")["warning"] == ""

    def test_typing_is_warned_in_the_words_of_saving(self, boss: Client) -> None:
        payer()
        typed = {"name": " acme ", "email": "other@acme.test", "secondary_email": "", "phone": ""}
        said = self.hints(boss, **typed)["warning"]
        assert "There is a payer of this name already: Acme (ap@acme.test)." in said
        assert [said] == errors(boss.post(url("contact_add"), typed))["name"]
        same = typed | {"email": "AP@acme.test"}
        assert self.hints(boss, **same)["warning"] == "This payer is here already: Acme (ap@acme.test). Use that one."
        assert "Use that one." in errors(boss.post(url("contact_add"), same))["name"][0]

    def test_who_is_there_already_is_found_by_the_beginning_of_name_and_emails(self, boss: Client) -> None:
        rows = [
            payer(),
            payer(name="Bakers", email="acmeish@b.test"),
            payer(name="C", secondary_email="ap@acme.c.test"),
        ]
        assert [each["text"] for each in self.hints(boss, name="Acm", email="")["similar"]] == ["Acme (ap@acme.test)"]
        found = self.hints(boss, name="", email="AP@acme")
        assert [each["url"] for each in found["similar"]] == [url("contact_change", rows[n].pk) for n in (0, 2)]
        assert found["heading"] == "Payers that are here already:"
        assert self.hints(boss, name="Ac", email="a") == {"warning": "", "heading": "", "similar": []}
        assert self.hints(boss, name="Nobody", email="")["heading"] == ""

    def test_a_payer_isnt_their_own_namesake_and_one_at_truss_can_be_told_apart(self, boss: Client) -> None:
        mine = payer()
        assert self.hints(boss, pk=mine.pk, name="Acme", email="new@acme.test")["warning"] == ""
        make.row(contact=payer(name="Other", uid=make.payload()["uid"]))
        other = Contact.objects.get(name="Other")
        assert self.hints(boss, pk=other.pk, name="Acme", email="x@x.test")["warning"] == ""

    def test_only_payers_of_one_company_are_compared(self, boss: Client) -> None:
        payer(company=make.company(slug="bakers"))
        home = make.company()
        assert self.hints(boss, company=home.pk, name="Acme", email="x@x.test")["warning"] == ""
        assert self.hints(boss, name="Acme", email="x@x.test")["warning"] != ""

    def test_it_tells_nothing_to_who_may_not_see_payers_and_nothing_by_a_link(
        self, boss: Client, signed_in: SignIn
    ) -> None:
        assert signed_in("view_paymentintent").post(url("contact_hints"), {"name": "Acme"}).status_code == 403
        assert boss.get(url("contact_hints"), {"name": "Acme"}).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_a_draft_that_was_sent_while_somebody_wrote_is_not_overwritten(boss: Client) -> None:
    """Between the look at the row and the save, another process sends it."""
    make.company()
    intent = make.draft(reference="INV-1")
    filled = form(contact=intent.contact, total="1.50", reference="INV-1")
    page = url("paymentintent_change", intent.pk)

    stale = PaymentIntent.objects.get(pk=intent.pk)
    PaymentIntent.objects.filter(pk=intent.pk).update(delivery="sending")
    stale.total = Decimal("1.50")
    with pytest.raises(ActionRefusedError, match="sent in the meantime"):
        actions.save_draft(stale)
    assert boss.post(page, filled).status_code == 403
    intent.refresh_from_db()
    assert intent.total == Decimal("120.00")
    assert "Save and send" not in text_of(boss.get(page))
