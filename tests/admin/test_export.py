"""Export invoices: exactly what the list shows, harmless in a spreadsheet, exact to the cent."""

import csv
import io
import re
import tracemalloc
import zipfile
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from openpyxl import load_workbook

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import act, see, text_of, url
from tests.exchange.files import cells_of
from truss_portal.admin import PaymentIntentAdmin
from truss_portal.exchange import EXPORTED, as_csv, as_xlsx
from truss_portal.models import Company, Contact, PaymentIntent

pytestmark = pytest.mark.django_db(transaction=True)
HEADINGS = [column.heading for column in EXPORTED]


def body(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.status_code
    return b"".join(answer.streaming_content)


def lines(data: bytes) -> list[dict[str, str]]:
    assert data.startswith(b"\xef\xbb\xbf"), "by it Excel knows UTF-8"
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def exported(client: Client, kind: str = "csv", **query: Any) -> list[dict[str, Any]]:
    data = body(client.get(url("paymentintent_export_file", kind), query))
    if kind == "csv":
        return [*lines(data)]
    headings, *rows = cells_of(data)
    return [dict(zip(headings, row, strict=True)) for row in rows]


def numbers(rows: Iterable[dict[str, Any]]) -> list[Any]:
    return [row["Invoice number"] for row in rows]


class TestWhat:
    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_it_is_what_the_list_shows_all_pages_of_it(self, boss: Client, kind: str) -> None:
        for number in range(120):
            make.row(reference=f"INV-{number}", status="Pending" if number % 2 else "Paid")
        assert len(exported(boss, kind)) == 120
        paid = exported(boss, kind, status="Paid", p="2", o="-1")
        assert len(paid) == 60
        assert {row["Status"] for row in paid} == {"Paid"}
        assert numbers(exported(boss, kind, q="INV-7", status="Pending")) == [
            "INV-79", "INV-77", "INV-75", "INV-73", "INV-71", "INV-7",
        ]  # fmt: skip

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_actions_export_the_chosen_ones_or_all_that_match(self, boss: Client, kind: str) -> None:
        first, _second, third = [make.row(reference=f"INV-{number}") for number in (1, 2, 3)]
        answer = act(boss, f"export_{kind}", first, third)
        assert re.fullmatch(
            rf'attachment; filename="invoices-\d{{4}}-\d\d-\d\d\.{kind}"', answer["Content-Disposition"]
        )
        data = body(answer)
        rows = numbers(lines(data)) if kind == "csv" else [row[0] for row in cells_of(data)[1:]]
        assert rows == ["INV-3", "INV-1"]
        across = {"action": "export_csv", "_selected_action": [first.pk], "select_across": "1", "index": "0"}
        assert len(lines(body(boss.post(url("paymentintent_changelist") + "?q=INV", across)))) == 3

    def test_the_page_before_says_how_many_and_what_is_in_it(self, boss: Client) -> None:
        make.row(reference="INV-1", status="Paid")
        make.row(reference="INV-2")
        page = see(boss, "paymentintent_export")
        assert "2 invoices : all there are. Filter the list first for fewer." in page
        filtered = boss.get(url("paymentintent_export"), {"status": "Paid"})
        assert "1 invoice , as the list is filtered." in text_of(filtered)
        assert f'{url("paymentintent_export_file", "csv")}?status=Paid"' in filtered.content.decode()
        assert [heading for heading in HEADINGS if heading not in page] == []

    def test_the_list_leads_there_with_its_filters(self, boss: Client) -> None:
        page = boss.get(url("paymentintent_changelist"), {"status": "Paid"}).content.decode()
        assert f'href="{url("paymentintent_export")}?status=Paid"' in page

    def test_nothing_to_export_is_said(self, boss: Client) -> None:
        make.row(status="Paid")
        assert "Nothing matches the list's filters" in see(boss, "paymentintent_export", status="Canceled")
        PaymentIntent.objects.all().delete()
        assert "No invoices yet, so there is nothing to export." in see(boss, "paymentintent_export")
        assert exported(boss) == []

    def test_a_filter_that_means_nothing_goes_back_to_the_list(self, boss: Client) -> None:
        for name, args in (("export", ()), ("export_file", ("csv",))):
            answer = boss.get(url(f"paymentintent_{name}", *args), {"due_date__gte": "nonsense"})
            assert (answer.status_code, answer["Location"]) == (302, url("paymentintent_changelist"))

    def test_there_are_two_kinds_of_files(self, boss: Client) -> None:
        assert boss.get(url("paymentintent_export_file", "pdf")).status_code == 404

    def test_too_many_for_excel_is_told_and_csv_offered(self, boss: Client, settings: Any) -> None:
        class SmallAdmin(PaymentIntentAdmin):
            xlsx_max = 2

        site = admin.AdminSite()
        for model, registered in admin.site._registry.items():
            site.register(model, type(registered) if model is not PaymentIntent else SmallAdmin)
        settings.ROOT_URLCONF = (path("admin/", site.urls),)
        for number in range(3):
            make.row(reference=f"INV-{number}")
        page = boss.get("/admin/truss_portal/paymentintent/export/")
        assert "More than 2 invoices : an Excel file can't have so many lines, a CSV file can." in text_of(page)
        assert "Download as XLSX" not in text_of(page)
        assert len(lines(body(boss.get("/admin/truss_portal/paymentintent/export/csv/")))) == 3
        assert len(cells_of(body(boss.get("/admin/truss_portal/paymentintent/export/xlsx/")))) == 1 + 2


class TestCells:
    @pytest.fixture
    def one(self) -> PaymentIntent:
        payer = Contact.objects.create(
            company=make.company(), name="-Acme", email="+ap@acme.test", secondary_email="=b@acme.test", phone="+1555"
        )
        return make.row(
            contact=payer,
            reference="=cmd|' /C calc'!A0",
            addenda="@SUM(A1)",
            note="=1+1\nsecond",
            memo="'=x",
            total="1234567890.10",
            balance_paid="1234567895.10",
            due_date=date(2035, 5, 15),
            status="PartiallyPaid",
            created_at=datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC),
            known_since=datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC),
            send_email=True,
            extra={"secret": "hush"},
        )

    def test_csv_is_harmless_exact_and_unambiguous(self, boss: Client, one: PaymentIntent) -> None:
        [row] = exported(boss)
        assert row == {
            "Invoice number": "'=cmd|' /C calc'!A0",
            "Payer name": "'-Acme",
            "Payer email": "'+ap@acme.test",
            "Secondary email": "'=b@acme.test",
            "Phone": "'+1555",
            "Amount": "1234567890.10",
            "Description": "'@SUM(A1)",
            "Due date": "2035-05-15",
            "Note": "'=1+1\nsecond",
            "Memo": "''=x",
            "Send email": "yes",
            "Send text": "no",
            "Status": "PartiallyPaid",
            "Paid": "1234567895.10",
            "Left": "-5.00",
            "Delivery": "sent",
            "Not sent because": "",
            "Needs a person": "",
            "Truss company": "default",
            "Truss UID": str(one.uid),
            "Known since": "2026-12-01T07:00:00-05:00",
            "Created at": "2026-07-01T08:00:00-04:00",
            "Paid at": "",
            "Canceled at": "",
            "Missing since": "",
            "As of": row["As of"],
        }

    def test_xlsx_has_texts_numbers_and_dates(self, boss: Client, one: PaymentIntent) -> None:
        data = body(boss.get(url("paymentintent_export_file", "xlsx")))
        sheet = load_workbook(io.BytesIO(data)).worksheets[0]
        cells = dict(zip(HEADINGS, sheet[2], strict=True))
        assert {cell.data_type for cell in cells.values()} <= {"s", "n", "d"}, "no formula"
        assert cells["Invoice number"].value == "=cmd|' /C calc'!A0"
        assert cells["Invoice number"].quotePrefix, "pressing Enter in the cell makes no formula of it"
        assert cells["Memo"].value == "''=x"
        assert (cells["Amount"].value, cells["Amount"].number_format) == (1234567890.10, "#,##0.00")
        assert cells["Left"].value == -5
        assert cells["Due date"].value.date() == date(2035, 5, 15)
        assert cells["Due date"].number_format == "yyyy\\-mm\\-dd"
        assert cells["Known since"].value == "2026-12-01T07:00:00-05:00"
        assert sheet.freeze_panes == "A2"
        assert b"<v>1234567890.10</v>" in unzipped(data)

    def test_no_secret_and_nothing_unforeseen_is_in_it(self, boss: Client, one: PaymentIntent) -> None:
        assert "hush" not in str(exported(boss))
        assert one.memo_reference not in str(exported(boss))

    def test_what_is_canceled_leaves_nothing_to_pay(self, boss: Client) -> None:
        make.row(status="Canceled")
        assert exported(boss)[0]["Left"] == "0.00"

    def test_days_before_excels_calendar_are_texts(self, boss: Client) -> None:
        make.row(due_date=date(1900, 2, 28))
        assert exported(boss, "xlsx")[0]["Due date"] == "1900-02-28"
        assert exported(boss)[0]["Due date"] == "1900-02-28"

    def test_an_invoice_without_a_payer(self, boss: Client) -> None:
        PaymentIntent.objects.filter(pk=make.row(reference="INV-1").pk).update(contact=None)
        assert exported(boss)[0]["Payer name"] == ""
        assert exported(boss, "xlsx")[0]["Payer name"] is None

    def test_the_headings_are_fixed(self) -> None:
        """People's sheets and programs rely on them: add columns at the end."""
        assert HEADINGS == [
            "Invoice number", "Payer name", "Payer email", "Secondary email", "Phone", "Amount", "Description",
            "Due date", "Note", "Memo", "Send email", "Send text", "Status", "Paid", "Left", "Delivery",
            "Not sent because", "Needs a person", "Truss company", "Truss UID", "Known since", "Created at", "Paid at",
            "Canceled at", "Missing since", "As of",
        ]  # fmt: skip


def unzipped(data: bytes) -> bytes:
    return zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml")


def held(pieces: Iterable[bytes]) -> int:
    """How many bytes were in use at the worst moment while each piece was sent away."""
    tracemalloc.start()
    for piece in pieces:
        assert piece
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


class TestMany:
    def rows(self, count: int) -> None:
        owner = make.company()
        payer = Contact.objects.create(company=owner, name="Acme", email="ap@acme.test")
        PaymentIntent.objects.bulk_create(
            PaymentIntent(company=owner, contact=payer, total=Decimal(number + 1), addenda="x" * 60, note="y" * 400)
            for number in range(count)
        )

    @pytest.mark.parametrize("write", [as_csv, as_xlsx])
    def test_a_part_costs_one_statement(self, write: Any) -> None:
        self.rows(5000)
        with CaptureQueriesContext(connection) as captured:
            assert b"".join(write(PaymentIntent.objects.all()))
        assert len(captured) == 4, "two thousand lines each, and one that finds no more"

    @pytest.mark.parametrize("write", [as_csv, as_xlsx])
    @pytest.mark.slow
    def test_twice_as_many_need_no_more_memory(self, write: Any) -> None:
        self.rows(9000)
        some = PaymentIntent.objects.order_by("pk")[4500]
        first, second = (
            held(write(rows)) for rows in (PaymentIntent.objects.filter(pk__lt=some.pk), PaymentIntent.objects.all())
        )
        assert second < first * 1.2

    def test_what_is_written_meanwhile_neither_doubles_nor_hides_a_line(self) -> None:
        self.rows(4500)
        pieces = as_csv(PaymentIntent.objects.all())
        data = next(pieces) + next(pieces)
        self.rows(10)
        rows = lines(data + b"".join(pieces))
        assert len({row["Amount"] for row in rows}) == len(rows) == 4500


class TestWho:
    @pytest.mark.parametrize("permissions", [("view_paymentintent",), ("export_paymentintent",)])
    def test_it_asks_for_a_permission_of_its_own_and_the_one_to_view(
        self, signed_in: SignIn, permissions: tuple[str, ...]
    ) -> None:
        client = signed_in(*permissions)
        for name, args in (("export", ()), ("export_file", ("csv",)), ("export_file", ("xlsx",))):
            assert client.get(url(f"paymentintent_{name}", *args)).status_code == 403

    def test_who_may_not_is_not_offered_to(self, signed_in: SignIn) -> None:
        intent = make.row()
        client = signed_in("view_paymentintent", "link_paymentintent")
        page = client.get(url("paymentintent_changelist")).content.decode()
        assert "Export" not in page
        assert act(client, "export_csv", intent).status_code == 200, "the list again, and no file"

    def test_who_may_export_needs_nothing_more(self, signed_in: SignIn) -> None:
        make.row(reference="INV-1")
        client = signed_in("view_paymentintent", "export_paymentintent")
        assert "Export as CSV" in see(client, "paymentintent_changelist")
        assert numbers(exported(client)) == ["INV-1"]


def test_companies_are_named_by_their_short_names(boss: Client) -> None:
    make.row(company=make.company(slug="west", name="West Ltd"))
    assert exported(boss)[0]["Truss company"] == "west"
    assert Company.objects.count() == 1
