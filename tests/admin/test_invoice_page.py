"""Writing an invoice, and the page of one."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, told, url
from truss_portal import actions, mirror, timeline
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Company, Contact, Operation, PaymentIntent, TimelineEntry

pytestmark = pytest.mark.django_db


def payer(**given: Any) -> Contact:
    columns = {"company": make.company(), "name": "Acme", "email": "ap@acme.test"} | given
    made: Contact = Contact.objects.create(**columns)
    return made


def form(**given: Any) -> dict[str, Any]:
    filled = {"total": "120.00", "addenda": "Catering", "reference": "", "due_date": "", "note": "", "memo": ""} | given
    return {name: value.pk if hasattr(value, "pk") else value for name, value in filled.items()}


def errors(answer: Any) -> dict[str, list[str]]:
    return {name: [*found] for name, found in answer.context["adminform"].form.errors.items()}


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
        assert found["total"] == ["Ensure this value is greater than or equal to 1.00."] or "at least" in str(found)
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
        assert found["total"] == ["Enter a number."]
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


class TestPage:
    def test_it_tells_facts_payments_timeline_and_requests(self, boss: Client) -> None:
        company = make.company()
        body = make.payload(
            status="PartiallyPaid",
            balance_paid="500.00",
            transactions=[make.transaction_payload(settled_at="2026-11-20T12:40:00Z")],
            surprise="kept",
        )
        mirror.write(company, [make.detailed(body)])
        intent = PaymentIntent.objects.get()
        Operation.objects.create(
            company=company,
            payment_intent=intent,
            kind="amend",
            state="refused",
            needs_person=True,
            error="Too late.",
            body={"total": "5"},
        )
        page = see(boss, "paymentintent_change", intent.pk)
        assert f"Checkout link: {intent.checkout_url()}" in page
        assert "Left: $750.00" in page
        assert "As of: Nov. 20, 2026, 7 a.m." in page, "in the site's time zone"
        assert "$500.00 ACH transfer Settled" in page
        assert "Payment received $500.00, ACH transfer" in page
        assert "Found at Truss Partially paid, $1,250.00" in page
        assert "Amend: refused . Too late." in page.replace("refused.", "refused .")
        assert "surprise" in page
        assert "Made at Truss" in page

    def test_it_says_why_there_is_no_link(self, boss: Client) -> None:
        intent = make.row(reference="INV-9", status="Paid")
        page = see(boss, "paymentintent_change", intent.pk)
        assert "Invoice INV-9 is already paid." in page
        assert "Copy link" not in page

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ({"attention": "Truss has it twice."}, "Needs a person. Truss has it twice."),
            ({"missing_since": timezone.now()}, "No longer found at Truss. Truss no longer has this invoice"),
            (
                {"uid": None, "delivery": "failed", "delivery_error": "No such payer."},
                "Truss refused it. No such payer.",
            ),
            (
                {"uid": None, "delivery": "unconfirmed", "delivery_error": "Timeout."},
                "Truss's answer was lost. Timeout.",
            ),
        ],
    )
    def test_what_a_person_must_know_stands_at_the_top(self, boss: Client, columns: dict[str, Any], words: str) -> None:
        intent = make.row(addenda="The row", **columns)
        page = see(boss, "paymentintent_change", intent.pk)
        assert words in page
        assert page.index(words) < page.index("What is said with it")

    def test_a_request_that_waits_is_told(self, boss: Client) -> None:
        intent = make.row()
        Operation.objects.create(company=intent.company, payment_intent=intent, kind="cancel", error="Truss was away.")
        page = see(boss, "paymentintent_change", intent.pk)
        assert "Cancel: waiting. Truss was away. truss_push asks Truss by itself." in page

    def test_every_kind_of_entry_reads_as_a_sentence(self, boss: Client) -> None:
        intent = make.row()
        Kind = TimelineEntry.Kind  # noqa: N806
        told_as = {
            Kind.DRAFTED: ({"total": "120.00"}, "Written $120.00"),
            Kind.AMENDED: ({"field": "total", "was": "1.00", "now": "2.00"}, "Changed Amount: “1.00” became “2.00”"),
            Kind.STATUS_CHANGED: ({"was": "Paid", "now": "Odd"}, "Status changed “Paid” became “Odd”"),
            Kind.REFUSED: ({"reason": "No such payer."}, "Refused by Truss No such payer."),
            Kind.PAYER_RETURNED: ({"result": "success"}, "The address said “success”; that proves nothing."),
            Kind.PAYMENT_RETURNED: ({"amount": "odd", "payment_method": "pigeon"}, "Payment taken back odd, Pigeon"),
            Kind.FOUND_AGAIN: ({"why": "who knows"}, "Found at Truss again who knows"),
            Kind.LINK_COPIED: ({}, "Checkout link copied"),
        }
        timeline.write([timeline.entry(intent, kind, quiet=True, **data) for kind, (data, _words) in told_as.items()])
        timeline.write([timeline.entry(intent, Kind.AMENDED, field="invented", was="a", now="b")])
        timeline.write([timeline.entry(intent, Kind.PAYER_RETURNED, quiet=True)])
        page = see(boss, "paymentintent_change", intent.pk)
        for _data, words in told_as.values():
            assert words in page
        assert "invented: “a” became “b”" in page

    def test_sections_need_their_own_permissions(self, signed_in: SignIn) -> None:
        intent = make.row()
        page = see(signed_in("view_paymentintent"), "paymentintent_change", intent.pk)
        for heading in ("Payments", "What happened", "Requests to Truss", "Copy link", "Refresh from Truss"):
            assert heading not in page
        several = ("view_paymentintent", "view_transaction", "view_operation", "view_timelineentry")
        page = see(signed_in(*several, username="other"), "paymentintent_change", intent.pk)
        for sentence in ("No payments yet.", "Nothing yet.", "Nothing has been asked of Truss about this invoice yet."):
            assert sentence in page

    def test_whom_truss_writes_to_is_told(self, boss: Client) -> None:
        loud = make.row(send_email=True, send_sms=True)
        assert "Truss writes to: payer@example.test, no phone number" in see(boss, "paymentintent_change", loud.pk)
        assert "Truss writes to: Nobody" in see(boss, "paymentintent_change", make.row().pk)

    def test_an_invoice_that_is_not_there_is_no_error(self, boss: Client) -> None:
        answer = boss.get(url("paymentintent_change", 4711), follow=True)
        assert "Perhaps it was deleted?" in told(answer)[0]
        assert boss.get(url("paymentintent_change", "nonsense"), follow=True).status_code == 200


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
    assert "Send to Truss" not in text_of(boss.get(page))
