"""What lines would do to what is known: nothing here asks a database."""

import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from tests.exchange.files import csv_of, line, read
from truss_portal.exchange import Kind, Outcome, Planner
from truss_portal.exchange.plan import Known
from truss_portal.models import Company, Contact, PaymentIntent
from truss_portal.models.contact import name_key

COMPANY = Company(pk=1, slug="default", environment="local")
NEXT_YEAR = timezone.localdate() + timedelta(days=365)


def payer(pk: int = 7, name: str = "Acme", email: str = "ap@acme.test", **given: Any) -> Contact:
    contact = Contact(pk=pk, company=COMPANY, name=name, name_key=name_key(name), email=email, **given)
    contact._state.adding = False
    return contact


def invoice(contact: Contact | None = None, **given: Any) -> PaymentIntent:
    columns = {
        "pk": 70,
        "company": COMPANY,
        "contact": contact or payer(),
        "reference": "INV-1",
        "total": Decimal("120.00"),
        "addenda": "Order 1",
    }
    return PaymentIntent(**columns | given)


def acme(number: int = 1, **given: Any) -> dict[str, Any]:
    """A line about `payer()`."""
    return line(number, Payer_name="Acme", Payer_email="ap@acme.test") | line(number, **given) | {
        "Payer name": given.get("Payer_name", "Acme"),
        "Payer email": given.get("Payer_email", "ap@acme.test"),
    }  # fmt: skip


def plan(*lines: dict[str, Any], known: list[PaymentIntent] | None = None, payers: list[Contact] | None = None) -> list[
    Outcome
]:  # fmt: skip
    reading = read(csv_of(*lines))
    found = Known(
        by_reference={str(intent.reference): intent for intent in known or []},
        by_uid={intent.uid: intent for intent in known or [] if intent.uid},
        namesakes=payers if payers is not None else [intent.contact for intent in known or [] if intent.contact],
    )
    return Planner(COMPANY, found, reading.headings).plan(reading.wanted)


def changes(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(change.field, change.was, change.now) for change in outcome.changes]


class TestNew:
    def test_a_line_becomes_an_invoice_and_its_payer(self) -> None:
        [outcome] = plan(
            line(
                Amount="$1,234.50", Due_date=NEXT_YEAR, Note="Hi", Memo="Job", Phone="(555) 555-0100", Send_email="yes"
            )
        )
        assert outcome.kind == Kind.NEW
        intent = outcome.intent
        assert intent is not None
        assert (intent.reference, intent.total, intent.addenda) == ("INV-1", Decimal("1234.50"), "Order 1")
        assert (intent.due_date, intent.note, intent.memo) == (NEXT_YEAR, "Hi", "Job")
        assert (intent.send_email, intent.send_sms) == (True, False)
        assert intent.contact is not None
        assert (intent.contact.name, intent.contact.email) == ("Payer 1", "ap1@payer.example")
        assert (intent.contact.phone, intent.contact.name_key) == ("5555550100", "payer 1")

    def test_lines_about_one_payer_share_it_whatever_the_case(self) -> None:
        first, second, third = plan(
            acme(1),
            acme(2, Payer_email="AP@acme.test", Phone="555"),
            acme(3, Payer_name="ACME ", Secondary_email="b@b.test"),
        )  # fmt: skip
        assert first.intent
        assert second.intent
        assert third.intent
        assert first.intent.contact is second.intent.contact is third.intent.contact
        assert first.intent.contact
        assert (first.intent.contact.phone, first.intent.contact.secondary_email) == ("555", "b@b.test")
        assert [outcome.changes for outcome in (first, second, third)] == [[], [], []]

    def test_a_payer_at_truss_is_preferred_as_a_draft_would(self) -> None:
        known = [payer(8, uid=uuid.uuid4()), payer(7)]
        [outcome] = plan(acme(), payers=known)
        assert outcome.intent
        assert outcome.intent.contact is known[0]

    def test_a_phone_for_a_payer_that_is_here_is_told(self) -> None:
        first, second = plan(acme(1, Phone="555"), acme(2, Phone="555"), payers=[payer(phone="444")])
        assert first.kind == second.kind == Kind.NEW
        assert changes(first) == [("phone", "444", "555")]
        assert changes(second) == []
        assert first.intent
        assert second.intent
        assert second.intent.contact is first.intent.contact

    def test_what_truss_has_of_a_payer_is_not_changed_by_a_file(self) -> None:
        [outcome] = plan(acme(Phone="555"), payers=[payer(phone="444", uid=uuid.uuid4())])
        assert outcome.kind == Kind.WRONG
        assert outcome.why.startswith("Phone (column F) differs from what Truss has (“444”): change it on the payer's")

    def test_another_spelling_of_a_payers_phone_is_no_change(self) -> None:
        [outcome] = plan(acme(Phone="15555550100"), payers=[payer(phone="+1 555 555 0100", uid=uuid.uuid4())])
        assert outcome.kind == Kind.NEW
        assert outcome.changes == []

    @pytest.mark.parametrize("known", [[], [payer()]])
    def test_two_phones_for_one_payer_are_at_odds(self, known: list[Contact]) -> None:
        first, second, third = plan(acme(1, Phone="555"), acme(2, Phone="556"), acme(3, Phone="555"), payers=known)
        assert [first.kind, second.kind, third.kind] == [Kind.NEW, Kind.WRONG, Kind.NEW]
        assert second.why == (
            "Phone (column F) differs from line 2, which is about the same payer (“555”): make them the same."
        )

    def test_a_wrong_line_says_nothing_of_its_payer(self) -> None:
        first, second = plan(acme(1, Phone="555", Amount="0.50"), acme(2, Phone="556"))
        assert [first.kind, second.kind] == [Kind.WRONG, Kind.NEW]
        assert second.intent
        assert second.intent.contact
        assert second.intent.contact.phone == "556"


class TestWrong:
    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ({"Amount": "0.99"}, "Amount (column D) must be at least 1.00."),
            ({"Amount": "-5"}, "Amount (column D) must not be negative."),
            ({"Amount": "9" * 14}, "Amount (column D) must be an amount with at most 12 digits"),
            ({"Description": "x" * 81}, "Description (column E) must have at most 80 characters, not 81."),
            ({"Payer email": "nonsense"}, "Payer email (column C) must be an email address."),
            ({"Due date": "2020-01-01"}, "Due date (column F) must be later than "),
            ({"Note": "x" * 501}, "Note (column F) must have at most 500 characters, not 501."),
            ({"Memo": "x" * 485}, "Memo (column F) must have at most 484 characters."),
            ({"Phone": "123456789012"}, "Phone (column F) must have 1 to 11 digits and nothing else."),
            ({"Secondary email": "ap1@payer.example"}, "Secondary email (column F) must differ from email."),
            ({"Payer name": "a\x01b"}, "Payer name (column B) has a line break or another control character"),
        ],
    )
    def test_each_of_trusss_rules_names_the_column(self, given: dict[str, str], why: str) -> None:
        [outcome] = plan(line() | given)
        assert outcome.kind == Kind.WRONG
        assert why in outcome.why

    def test_all_that_is_wrong_with_a_line_is_told_at_once(self) -> None:
        [outcome] = plan(line(Amount="0.50", Description="x" * 90))
        assert len(outcome.problems) == 2

    def test_an_unknown_uid_is_no_invoice_number(self) -> None:
        [outcome] = plan(line(Invoice_number="", Truss_uid=str(uuid.uuid4())))
        assert outcome.why == (
            "Invoice number (column A) is empty, and no invoice with the line's Truss UID is known here."
        )  # fmt: skip


class TestChanged:
    def test_each_field_that_differs_is_told_from_and_to(self) -> None:
        [outcome] = plan(
            line(
                Amount="130", Description="More", Due_date=NEXT_YEAR, Note="n", Memo="m", Send_email="y",
                Send_text="no", Phone="555",
            ),
            known=[invoice(note="old")],
        )  # fmt: skip
        assert outcome.kind == Kind.CHANGED
        assert changes(outcome) == [
            ("name", "Acme (ap@acme.test)", "Payer 1 (ap1@payer.example)"),
            ("total", "120.00", "130.00"),
            ("addenda", "Order 1", "More"),
            ("due_date", "", NEXT_YEAR.isoformat()),
            ("note", "old", "n"),
            ("memo", "", "m"),
            ("send_email", "no", "yes"),
        ]
        assert outcome.intent
        assert outcome.intent.pk == 70

    def test_what_is_known_is_not_touched_by_planning(self) -> None:
        known = invoice()
        plan(acme(Amount="130", Phone="555"), known=[known])
        assert known.total == Decimal("120.00")
        assert known.contact
        assert known.contact.phone == ""

    def test_a_column_that_misses_leaves_its_field_and_an_empty_cell_empties_it(self) -> None:
        known = invoice(note="kept", memo="gone", due_date=NEXT_YEAR)
        [outcome] = plan(acme(Memo="", Due_date=""), known=[known])
        assert changes(outcome) == [("due_date", NEXT_YEAR.isoformat(), ""), ("memo", "gone", "")]
        assert outcome.intent
        assert outcome.intent.note == "kept"

    def test_a_payers_phone_alone_is_a_change_and_only_once(self) -> None:
        known = [invoice(), invoice(pk=71, reference="INV-2", addenda="Order 2", contact=payer())]
        first, second = plan(acme(1, Phone="555"), acme(2, Phone="555"), known=known)
        assert first.kind == Kind.CHANGED
        assert changes(first) == [("phone", "", "555")]
        assert second.kind == Kind.SKIPPED

    def test_a_refused_one_can_be_corrected(self) -> None:
        [outcome] = plan(acme(Amount="130"), known=[invoice(delivery="failed")])
        assert outcome.kind == Kind.CHANGED

    def test_a_change_that_truss_would_refuse_is_wrong(self) -> None:
        known = invoice(due_date=date(2020, 1, 1))
        [outcome] = plan(acme(Amount="130"), known=[known])
        assert outcome.kind == Kind.WRONG
        assert outcome.why.startswith("Due date must be later than ")

    def test_a_namesake_with_the_same_email_is_no_other_payer(self) -> None:
        """Two rows may stand for one payer; an invoice keeps the one that it has."""
        known = invoice(payer(8))
        [outcome] = plan(acme(), known=[known], payers=[payer(7, uid=uuid.uuid4()), payer(8)])
        assert outcome.kind == Kind.SKIPPED


class TestSkipped:
    @pytest.mark.parametrize("delivery", ["unsent", "failed", "sent", "queued", "unconfirmed"])
    def test_nothing_differs(self, delivery: str) -> None:
        known = invoice(note="a\r\nb ", delivery=delivery)
        [outcome] = plan(acme(Note="a\nb", Amount="120"), known=[known])
        assert outcome.kind == Kind.SKIPPED
        assert outcome.reason == "Nothing differs."

    @pytest.mark.parametrize(
        ("delivery", "why"),
        [
            ("sent", "At Truss already, so the file doesn't change it: change it on its own page."),
            ("unconfirmed", "Sent, and Truss's answer was lost: wait until that is cleared up."),
            ("queued", "Being sent, so the file doesn't change it."),
            ("sending", "Being sent, so the file doesn't change it."),
        ],
    )
    def test_one_that_is_sent_stays_as_it_is(self, delivery: str, why: str) -> None:
        [outcome] = plan(acme(Amount="130"), known=[invoice(delivery=delivery)])
        assert outcome.kind == Kind.SKIPPED
        assert outcome.reason == f"{why} Amount: “120.00” here, “130.00” in the file."

    def test_another_payer_of_a_sent_one_is_told(self) -> None:
        [outcome] = plan(line(), known=[invoice(delivery="sent")])
        assert "Payer's name: “Acme (ap@acme.test)” here, “Payer 1 (ap1@payer.example)” in the file." in outcome.reason

    def test_a_cell_that_cannot_be_read_does_not_matter_for_a_sent_one_but_is_told(self) -> None:
        [outcome] = plan(acme(Amount="1.234,50"), known=[invoice(delivery="sent")])
        assert outcome.kind == Kind.SKIPPED
        assert "Amount (column D) is unclear" in outcome.reason

    def test_one_without_a_number_is_found_by_its_uid(self) -> None:
        uid = uuid.uuid4()
        known = invoice(reference=None, uid=uid, delivery="sent", contact=payer(email=""))
        [outcome] = plan(acme(Invoice_number="", Truss_uid=str(uid), Payer_email=""), known=[known])
        assert outcome.reason == "Nothing differs."


class TestNamesakes:
    def test_two_payers_of_one_name_in_a_file_are_warned_of(self) -> None:
        first, second, third = plan(acme(1), acme(2, Payer_name="ACME", Payer_email="b@acme.test"), line(3))
        assert first.warning.startswith("Can't be sent as it is: another payer is named “Acme”, too (b@acme.test)")
        assert "(ap@acme.test)" in second.warning
        assert third.warning == ""

    def test_a_namesake_that_is_here_is_warned_of(self) -> None:
        [outcome] = plan(acme(), payers=[payer(email="other@acme.test")])
        assert outcome.kind == Kind.NEW
        assert "another payer is named “Acme”, too (other@acme.test)" in outcome.warning

    def test_a_payer_that_truss_knows_is_safe(self) -> None:
        [outcome] = plan(acme(), payers=[payer(uid=uuid.uuid4()), payer(8, email="other@acme.test")])
        assert outcome.warning == ""

    def test_a_namesake_in_a_wrong_line_is_none(self) -> None:
        first, _second = plan(acme(1), acme(2, Payer_email="b@acme.test", Amount="0.10"))
        assert first.warning == ""


class TestFingerprints:
    def test_the_same_change_of_the_same_state_has_the_same(self) -> None:
        once, again = (
            plan(acme(), known=[invoice(total=Decimal(7))]),
            plan(acme(), known=[invoice(total=Decimal("7.00"))]),
        )
        assert once[0].fingerprint == again[0].fingerprint

    @pytest.mark.parametrize(
        ("given", "column"),
        [({"Amount": "121"}, {}), ({"Payer_email": "b@acme.test"}, {}), ({}, {"total": Decimal(8)}), ({}, {"pk": 71})],
    )
    def test_another_wish_or_another_state_has_another(self, given: dict[str, str], column: dict[str, Any]) -> None:
        [before] = plan(acme(), known=[invoice(total=Decimal(7))])
        [after] = plan(acme(**given), known=[invoice(**{"total": Decimal(7)} | column)])
        assert before.fingerprint
        assert before.fingerprint != after.fingerprint

    def test_a_new_one_differs_from_a_changed_one(self) -> None:
        assert plan(acme())[0].fingerprint != plan(acme(), known=[invoice(total=Decimal(7))])[0].fingerprint
