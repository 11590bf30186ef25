"""What came of each invoice of a batch: found again in the list of batches, and downloaded."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from openpyxl import load_workbook

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, url
from truss_portal.models import Batch, Contact, Operation, PaymentIntent

pytestmark = pytest.mark.django_db

HEADINGS = ["Invoice", "Description", "Payer", "Payer email", "Amount, USD", "Outcome", "Reason", "When"]
ASKED_AT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
DONE_AT = datetime(2026, 3, 3, 0, 15, 7, tzinfo=UTC)


def batch_of(kind: str, *rows: tuple[PaymentIntent, dict[str, Any]], **given: Any) -> Batch:
    batch: Batch = Batch.objects.create(kind=kind, requested_at=ASKED_AT, chosen=len(rows), **given)
    for intent, columns in rows:
        Operation.objects.create(
            company=intent.company, payment_intent=intent, kind=kind, batch=batch, **{"state": "done"} | columns
        )
    return batch


def downloaded(client: Client, batch: Batch, kind: str = "csv") -> Any:
    answer = client.get(url("batch_result", batch.pk, kind))
    assert answer.status_code == 200
    return answer


def lines(client: Client, batch: Batch) -> list[list[str]]:
    content = downloaded(client, batch).getvalue().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(content, newline="")))


def acme(name: str = "Acme") -> Contact:
    made: Contact = Contact.objects.create(company=make.company(), name=name, email="ap@acme.test")
    return made


class TestFile:
    def test_every_invoice_is_in_it_with_what_came_of_it(self, boss: Client, settings: Any) -> None:
        settings.TIME_ZONE = "America/Chicago"
        payer = acme()

        def row(number: int, **given: Any) -> PaymentIntent:
            return make.row(reference=f"INV-{number}", addenda=f"Job {number}", contact=payer, **given)

        states: list[dict[str, Any]] = [
            {"finished_at": DONE_AT},
            {"state": "refused", "error": "Truss refused the request.", "finished_at": DONE_AT},
            {"state": "unconfirmed", "error": "Lost.", "unconfirmed_at": DONE_AT},
            {"state": "queued", "error": "Later."},
            {"state": "given_up", "error": "Enough."},
            {"state": "withdrawn"},
            {"state": "sending"},
        ]
        rows = [(row(number, total=f"{1000 + number}.10"), columns) for number, columns in enumerate(states)]
        paid = row(7, total="12345678.90")
        left_out = [[paid.pk, "INV-7", "Sent already."], [999_999, "INV-8", "Being sent already."]]
        batch = batch_of("create", *rows, left_out=left_out)
        head, *told = lines(boss, batch)
        assert head == HEADINGS
        at = "2026-03-02T18:15:07-06:00"
        assert [line[:5] for line in told[:2]] == [
            ["INV-0", "Job 0", "Acme", "ap@acme.test", "1000.10"],
            ["INV-1", "Job 1", "Acme", "ap@acme.test", "1001.10"],
        ]
        assert [line[5:] for line in told[:7]] == [
            ["Sent to Truss", "", at],
            ["Refused", "Truss refused the request.", at],
            ["Not confirmed", "Lost.", at],
            ["Waiting", "Later.", ""],
            ["Given up", "Enough.", ""],
            ["Withdrawn", "", ""],
            ["Being asked", "", ""],
        ]
        assert told[7:] == [
            ["INV-7", "Job 7", "Acme", "ap@acme.test", "12345678.90", "Left out", "Sent already.",
             "2026-03-02T17:30:00-06:00"],
            ["INV-8", "", "", "", "", "Left out", "Being sent already.", "2026-03-02T17:30:00-06:00"],
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("kind", "error", "words"),
        [
            ("create", "", "Sent to Truss"),
            ("cancel", "", "Canceled"),
            ("resend_email", "", "Emailed again"),
            ("refresh", "", "Up to date"),
            ("refresh", "No longer found at Truss.", "Not found at Truss"),
            ("amend", "", "Done"),
        ],
    )
    def test_what_is_done_is_said_in_the_words_of_what_was_asked(
        self, boss: Client, kind: str, error: str, words: str
    ) -> None:
        batch = batch_of(kind, (make.row(), {"error": error}))
        assert lines(boss, batch)[1][5] == words

    def test_nothing_in_it_is_a_formula(self, boss: Client) -> None:
        evil = make.row(reference="=1+1", addenda="@SUM(A1)", contact=acme("+cmd|' /C calc'!A0"))
        gone = [4711, "-2+3", "=HYPERLINK(1)"]
        batch = batch_of("cancel", (evil, {"error": "\t=1"}), left_out=[gone])
        first, second = lines(boss, batch)[1:]
        assert first[:3] == ["'=1+1", "'@SUM(A1)", "'+cmd|' /C calc'!A0"]
        assert first[6] == "'\t=1"
        assert (second[0], second[6]) == ("'-2+3", "'=HYPERLINK(1)")
        sheet = load_workbook(io.BytesIO(downloaded(boss, batch, "xlsx").getvalue())).active
        assert [cell.data_type for cell in sheet[2] if cell.value is not None] == ["s", "s", "s", "s", "n", "s", "s"]
        assert sheet["A2"].value == "=1+1"

    def test_excel_gets_exact_amounts_and_the_same_words(self, boss: Client) -> None:
        batch = batch_of("cancel", (make.row(reference="INV-1", total="999999999999.99"), {"finished_at": DONE_AT}))
        answer = downloaded(boss, batch, "xlsx")
        assert answer["Content-Disposition"] == f'attachment; filename="batch-{batch.pk}-2026-03-02.xlsx"'
        assert "no-store" in answer["Cache-Control"]
        book = load_workbook(io.BytesIO(answer.getvalue()))
        assert book.active.title == f"Cancel batch {batch.pk}"
        head, row = book.active.iter_rows(values_only=True)
        assert list(head) == HEADINGS
        assert row[0] == "INV-1"
        assert Decimal(str(row[4])) == Decimal("999999999999.99")
        assert row[5] == "Canceled"
        assert row[7].startswith("2026-03-0")

    def test_the_size_costs_neither_statements_nor_memory(self, boss: Client) -> None:
        company, payer = make.company(), acme()
        PaymentIntent.objects.bulk_create(
            PaymentIntent(company=company, contact=payer, total="5.00", addenda=f"N-{number}") for number in range(2400)
        )
        intents = list(PaymentIntent.objects.order_by("pk"))
        left_out = [[intent.pk, str(intent), "No."] for intent in intents[1200:]]
        batch = Batch.objects.create(kind="create", chosen=2400, left_out=left_out)
        Operation.objects.bulk_create(
            Operation(company=company, payment_intent=intent, kind="create", batch=batch) for intent in intents[:1200]
        )
        with CaptureQueriesContext(connection) as seen:
            answer = downloaded(boss, batch)
            pieces = list(answer.streaming_content)
        assert sum(piece.count(b"\r\n") for piece in pieces) == 2401
        assert len(pieces) == 5, "never held whole"
        assert len(seen) < 16


class TestWhoMay:
    def test_who_may_see_batches_and_not_invoices_sees_neither_names_nor_reasons(self, signed_in: SignIn) -> None:
        intent = make.row(reference="INV-SECRET")
        refused = {"state": "refused", "needs_person": True, "error": "INV-SECRET won't do."}
        batch = batch_of("cancel", (intent, refused), left_out=[[intent.pk, "INV-SECRET", "INV-SECRET is paid."]])
        person = signed_in("view_batch")
        page = person.get(url("batch_change", batch.pk))
        assert "SECRET" not in page.content.decode()
        assert "1 invoice was left out Which ones, and why, is shown to whoever may see invoices." in text_of(page)
        assert "Download" not in text_of(page)
        for kind in ("csv", "xlsx"):
            assert person.get(url("batch_result", batch.pk, kind)).status_code == 403

    @pytest.mark.parametrize("permissions", [["view_paymentintent"], ["export_paymentintent", "retry_operation"]])
    def test_who_may_not_see_batches_is_refused(self, signed_in: SignIn, permissions: list[str]) -> None:
        batch = batch_of("cancel", (make.row(), {}))
        assert signed_in(*permissions).get(url("batch_result", batch.pk, "csv")).status_code == 403

    def test_both_permissions_are_enough(self, signed_in: SignIn) -> None:
        batch = batch_of("cancel", (make.row(reference="INV-1"), {}))
        person = signed_in("view_batch", "view_paymentintent")
        page = person.get(url("batch_change", batch.pk))
        assert "Download as CSV · Download as XLSX" in text_of(page)
        assert lines(person, batch)[1][0] == "INV-1"

    def test_what_is_not_there_is_not_found(self, boss: Client) -> None:
        batch = batch_of("cancel")
        assert boss.get(url("batch_result", batch.pk, "pdf")).status_code == 404
        assert boss.get(url("batch_result", 4711, "csv")).status_code == 404


class TestFoundAgain:
    def test_the_list_is_filtered_by_who_what_and_when(self, boss: Client, signed_in: SignIn) -> None:
        signed_in(username="clerk")
        clerk = User.objects.get(username="clerk")
        batch_of("cancel", requested_by=clerk)
        batch_of("refresh")
        text = see(boss, "batch_changelist")
        assert "By asked by All clerk The site's own code" in text
        assert "1 batch" in see(boss, "batch_changelist", requested_by__id__exact=clerk.pk)
        assert "1 batch" in see(boss, "batch_changelist", kind="refresh")
        assert "0 batches" in see(boss, "batch_changelist", requested_at__gte="2026-04-01 00:00:00+00:00")

    def test_the_list_of_invoices_leads_to_it(self, boss: Client, signed_in: SignIn) -> None:
        link = f'href="{url("batch_changelist")}">Batches</a></li>'
        tools = boss.get(url("paymentintent_changelist")).content.decode().partition("object-tools")[2]
        assert link in tools
        viewer = signed_in("view_paymentintent").get(url("paymentintent_changelist")).content.decode()
        assert link not in viewer
