"""A table's headings, and what its lines want."""

from typing import Any

import pytest

from tests.exchange.files import HEADINGS, as_csv, csv_of, line, read, table, xlsx_of
from truss_portal.exchange import EXPORTED, IMPORTED, Reading, UnreadableFileError, read_file, read_lines
from truss_portal.exchange.columns import IMPORTED_BY_KEY, READ_ONLY_BY_KEY, key_of


def said(reading: Reading, place: int = 0) -> list[str]:
    return [str(problem) for problem in reading.wanted[place].problems]


def why_not(*rows: list[Any]) -> str:
    with pytest.raises(UnreadableFileError) as refused:
        read(as_csv(rows))
    return str(refused.value)


class TestHeadings:
    @pytest.mark.parametrize(
        ("headings", "field"),
        [
            (["Invoice number", "INVOICE_NUMBER", " invoice  no. ", "Invoice #", "Ref", "reference"], "reference"),
            (["Número de factura", "NUMERO DE FACTURA", "Folio"], "reference"),
            (["Pagador", "Cliente"], "name"),
            (["Correo electrónico", "correo electronico"], "email"),
            (["Importe", "Monto"], "total"),
            (["Descripción", "Concepto"], "addenda"),
            (["Fecha de vencimiento"], "due_date"),
            (["Payer name", "Customer", "bill-to", "Client Name"], "name"),
            (["Payer email", "E-Mail", "email address"], "email"),
            (["Secondary email", "CC"], "secondary_email"),
            (["Phone", "Mobile", "phone_number"], "phone"),
            (["Amount", "Total", "Total (USD)", "amount due"], "total"),
            (["Description", "ADDENDA"], "addenda"),
            (["Due date", "due_date", "Due"], "due_date"),
            (["Note", "Notes", "Message"], "note"),
            (["Memo", "Internal memo"], "memo"),
            (["Send email", "send_email"], "send_email"),
            (["Send text", "SMS", "send_sms"], "send_sms"),
        ],
    )
    def test_what_people_call_the_columns(self, headings: list[str], field: str) -> None:
        assert {IMPORTED_BY_KEY[key_of(heading)].field for heading in headings} == {field}

    def test_no_name_means_two_columns(self) -> None:
        assert len(IMPORTED_BY_KEY) == len({(key, column.field) for column in IMPORTED for key in column.keys})
        assert not IMPORTED_BY_KEY.keys() & READ_ONLY_BY_KEY.keys()
        assert len({column.heading for column in EXPORTED}) == len(EXPORTED)

    def test_columns_stand_in_any_order_among_others(self) -> None:
        reading = read(as_csv([["Zip", *reversed(HEADINGS), "Status"], ["1", "Thing", "9", "a@b.test", "Acme", "I-1"]]))
        assert reading.wanted[0].values["reference"] == "I-1"
        assert reading.unknown == ["Zip"]
        assert reading.not_imported == ["Status"]

    def test_a_column_that_misses_is_named_with_what_was_perhaps_meant(self) -> None:
        text = why_not(["Invoice number", "Payer nmae", "Payer email", "Ammount", "Description"], ["x"] * 5)
        assert text == (
            "Line 1 has the headings, and among them there are no columns “Payer name”, “Amount”. "
            "Did you mean “Payer nmae” → “Payer name”, “Ammount” → “Amount”?"
        )

    def test_a_title_above_the_headings_is_told(self) -> None:
        text = why_not([], ["Invoices of March"], HEADINGS, ["x"] * 5)
        assert text.startswith("Line 2 has the headings, and among them there are no columns “Invoice number”, “Payer")
        assert text.endswith("Not understood: “Invoices of March”.")

    def test_nothing_but_known_columns_and_one_missing(self) -> None:
        text = why_not(HEADINGS[:-1], ["x"] * 4)
        assert text == "Line 1 has the headings, and among them there is no column “Description”."

    def test_two_columns_of_one_meaning_are_refused(self) -> None:
        text = why_not([*HEADINGS, "Total"], ["x"] * 6)
        assert text == (
            "Both “Amount” (column D) and “Total” (column F) mean the amount. Rename or delete one."
        )  # fmt: skip


class TestLines:
    def test_a_column_that_the_file_does_not_have_is_not_among_the_values(self) -> None:
        [wanted] = read(csv_of(line())).wanted
        assert "note" not in wanted.values
        assert "send_email" not in wanted.values

    def test_every_broken_cell_is_named_with_its_column(self) -> None:
        reading = read(
            csv_of(line(Invoice_number="", Amount="1.234,50", Due_date="03/04/2026", Payer_email="", Send_text="maybe"))
        )
        number, email = said(reading)[3:]
        assert number.startswith(
            "Invoice number (column A) is empty. By it an invoice is recognised, so that no second"
        )
        assert email == "Payer email (column C) is empty."
        assert said(reading)[:3] == [
            "Amount (column D) is unclear (“1.234,50”): write the cents after a point, such as 1234.50 or 1,234.50.",
            "Due date (column F) is ambiguous (“03/04/2026”): write 2026-03-04 or 2026-04-03.",
            "Send text (column G) must be yes or no, not “maybe”.",
        ]
        assert reading.wanted[0].shown == {"total": "1.234,50", "due_date": "03/04/2026", "send_sms": "maybe"}

    @pytest.mark.parametrize(
        ("number", "why"),
        [
            ("x" * 101, "has 101 characters; at most 100 fit."),
            ("a\nb", "has a line break or another control character"),
        ],
    )
    def test_numbers_that_cannot_be_kept(self, number: str, why: str) -> None:
        assert why in said(read(csv_of(line(Invoice_number=number))))[0]

    def test_the_templates_example_is_passed_over_whatever_it_has(self) -> None:
        [wanted] = read(csv_of(line(Invoice_number="EXAMPLE-1", Amount="?"))).wanted
        assert wanted.problems == []
        assert wanted.passed_over == "The template's example: never imported."

    def test_the_same_line_again_is_passed_over(self) -> None:
        reading = read(csv_of(line(1), line(2), line(1)))
        assert [wanted.passed_over for wanted in reading.wanted] == ["", "", "The same as line 2."]

    def test_one_number_for_two_different_lines_is_wrong_in_all_of_them(self) -> None:
        reading = read(csv_of(line(1), line(1, Amount="7"), line(1), line(2)))
        assert [len(wanted.problems) for wanted in reading.wanted] == [1, 1, 1, 0]
        assert said(reading, 1) == [
            "Invoice number (column A) is in line 2, 4, too, with something else beside it: delete what isn't right."
        ]

    def test_another_companys_line_is_wrong_and_its_number_counts_for_nothing(self) -> None:
        data = csv_of(line(1, Truss_company="Default"), line(1, Truss_company="west", Amount="7"), line(2))
        reading = read_lines(read_file("x", data), [], ["default", "East Ltd"])
        assert [len(wanted.problems) for wanted in reading.wanted] == [0, 1, 0]
        assert said(reading, 1) == [
            "Truss company (column F) is “west”: this invoice belongs to another company.",
        ]

    def test_excel_and_csv_say_the_same(self) -> None:
        lines = [line(1, Note="a\nb", Due_date="2035-05-15"), line(2, Amount="1,234.50"), line(3, Send_email="yes")]
        first, second = read(csv_of(*lines)), read(xlsx_of(*lines))
        assert [wanted.values for wanted in first.wanted] == [wanted.values for wanted in second.wanted]

    def test_the_shortest_line_has_empty_cells(self) -> None:
        assert "Description (column E) is empty." in said(read(as_csv([HEADINGS, table([line()])[1][:4]])))
