"""Bytes → a table: whatever program wrote them, and whatever is wrong with them."""

import io
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.styles import Font

from tests.exchange.files import as_csv, as_xlsx, csv_of, line, read, saved, sheet_time, table, xlsx_of
from truss_portal.exchange import LINES_MAX, SIZE_MAX, UnreadableFileError, read_file
from truss_portal.exchange.table import letter


def why_not(data: bytes, name: str = "invoices.csv") -> str:
    with pytest.raises(UnreadableFileError) as refused:
        read_file(name, data)
    return str(refused.value)


class TestCsv:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_encodings_and_delimiters_are_recognised(self, encoding: str, delimiter: str) -> None:
        data = as_csv(table([line(Payer_name="Café Ñandú", Note="a, b; c")]), delimiter, encoding)
        reading = read(data)
        assert reading.wanted[0].values["name"] == "Café Ñandú"
        assert reading.wanted[0].values["note"] == "a, b; c"
        assert reading.notes == []

    def test_windows_letters_are_read_and_said_aloud(self) -> None:
        reading = read(as_csv(table([line(Payer_name="Café Müller")]), encoding="cp1252"))
        assert reading.wanted[0].values["name"] == "Café Müller"
        [note] = reading.notes
        assert note.startswith("The file isn't UTF-8, so it was read as Windows-1252. Look at a word with an accent")
        assert "“Café" in note

    @pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
    def test_line_ends_of_all_systems(self, ends: str) -> None:
        data = csv_of(line(1), line(2)).decode().replace("\r\n", ends).encode()
        assert [wanted.line for wanted in read(data).wanted] == [2, 3]

    def test_excels_own_first_line_names_the_delimiter(self) -> None:
        data = b"sep=;\r\n" + as_csv(table([line()]), ";")
        assert [(wanted.line, wanted.row) for wanted in read(data).wanted] == [(3, 3)]
        assert read(b"sep=\t\n" + as_csv(table([line()]), "\t")).wanted[0].reference == "INV-1"

    def test_lines_are_the_files_own_and_rows_a_spreadsheets(self) -> None:
        data = csv_of(line(1, Note="three\nlines\nhere"), line(2), line(3))
        assert [(wanted.line, wanted.row) for wanted in read(data).wanted] == [(2, 2), (5, 3), (6, 4)]

    def test_blank_lines_are_passed_over_and_counted(self) -> None:
        data = b"\n,,,,\n" + csv_of(line(1)) + b"\n  , ,,,\n" + csv_of(line(2)).split(b"\n", 1)[1]
        assert [wanted.line for wanted in read(data).wanted] == [4, 7]

    def test_a_forgotten_quotation_mark_swallows_nothing(self) -> None:
        lines = csv_of(line(1), line(2), line(3)).replace(b"Order 2", b'"Order 2')
        assert why_not(lines).startswith("Line 3 can't be read: a quotation mark is opened and not closed")

    def test_a_comma_too_many_is_told(self) -> None:
        data = b"Invoice number,Payer name,Payer email,Description,Amount\nI-1,Acme,ap@acme.test,Thing,1,234.50\n"
        [wanted] = read(data).wanted
        [problem] = wanted.problems
        assert str(problem) == (
            "There are more cells than headings (“234.50”): a text or an amount with a comma in it needs quotation "
            "marks around it."
        )

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "The file is empty."),
            (b" \r\n\t\r\n", "The file is empty."),
            (b"\xef\xbb\xbf,,\n,,", "The file is empty."),
            (b"a,b\n", "The file has headings in line 1, and no lines below."),
            (b"\xff\xfea\x00\xd8\x00\x00\xdc", "The file's text is damaged near byte"),
            (b"caf\x81", "in no encoding that is read here (byte 3)"),
            (b"a\x00,b\nc\x00,d\n", "This isn't a text file."),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", "an old Excel file (.xls), or one with a password"),
            (b"<!DOCTYPE html><table>", "This is a web page or XML, whatever it is called (invoices.csv)."),
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n\x00", "This isn't a text file."),
        ],
    )
    def test_what_is_no_csv_file(self, data: bytes, why: str) -> None:
        assert why in why_not(data)

    def test_ten_thousand_lines_fit_and_no_more(self) -> None:
        headings, *lines = table([line(number) for number in range(LINES_MAX + 1)])
        assert len(read(as_csv([headings, *lines[:-1]])).wanted) == LINES_MAX
        assert why_not(as_csv([headings, *lines])) == "The file has more than 10000 lines. Split it."

    def test_too_big_a_file_is_not_even_looked_at(self) -> None:
        assert why_not(b"x" * (SIZE_MAX + 500_000)) == "The file has 10.5 MB; at most 10 MB are read. Split it."

    def test_a_cell_without_end_is_told(self) -> None:
        assert "Line 2 can't be read" in why_not(csv_of(line(Note="x" * 140_000)))


class TestXlsx:
    def test_dates_amounts_and_numbers_keep_their_meaning(self) -> None:
        [wanted] = read(
            xlsx_of(line(Invoice_number=1001, Amount=120.10, Due_date=sheet_time(2035, 5, 15), Phone=5555550100))
        ).wanted
        assert wanted.problems == []
        assert wanted.values["reference"] == "1001"
        assert wanted.values["total"] == Decimal("120.1")
        assert wanted.values["due_date"] == date(2035, 5, 15)
        assert wanted.values["phone"] == "5555550100"

    def test_zeros_that_the_sheet_shows_are_kept(self) -> None:
        book = Workbook()
        sheet = book.worksheets[0]
        for row in table([line(Invoice_number=42)]):
            sheet.append(row)
        sheet["A2"].number_format = "00000"
        assert read(saved(book)).wanted[0].reference == "00042"

    def test_formulas_and_errors_are_told_with_their_cells(self) -> None:
        [wanted] = read(xlsx_of(line(Amount="=A2*2", Description="#REF!"))).wanted
        amount, description = map(str, wanted.problems)
        assert amount.startswith("Amount (column D) is a formula (=A2*2). Replace it by its value: copy the cells, and")
        assert description == "Description (column E) has the spreadsheet's error #REF!. Mend it there."

    def test_a_formula_for_a_whole_range_is_one_too(self) -> None:
        from openpyxl.worksheet.formula import ArrayFormula

        book = Workbook()
        sheet = book.worksheets[0]
        for row in table([line()]):
            sheet.append(row)
        sheet["D2"] = ArrayFormula("D2", "=SUM(A1:A2*1)")
        [wanted] = read(saved(book)).wanted
        assert "is a formula (=SUM(A1:A2*1))" in str(wanted.problems[0])

    def test_row_numbers_are_the_sheets(self) -> None:
        rows = [[], *table([line(1)]), [None, ""], table([line(2)])[1]]
        assert [wanted.line for wanted in read(as_xlsx(rows)).wanted] == [3, 5]

    def test_only_the_first_sheet_that_can_be_seen_is_read_and_the_others_named(self) -> None:
        reading = read(as_xlsx(table([line()]), March=[["x"]], April=[["y"]]))
        assert reading.notes == ["Only the first sheet, “Invoices”, is read; not “March”, “April”."]
        book = Workbook()
        book.worksheets[0].sheet_state = "hidden"
        sheet = book.create_sheet("Seen")
        for row in table([line(7)]):
            sheet.append(row)
        assert read(saved(book)).wanted[0].reference == "INV-7"

    def test_a_cell_without_a_heading_is_named(self) -> None:
        rows = table([line()])
        rows[1] += [None, "stray"]
        assert read(as_xlsx(rows)).unknown == ["column G, which has no heading"]

    def test_letters_that_xml_cannot_hold_are_read_back(self) -> None:
        [wanted] = read(xlsx_of(line(Note="a_x000A_b_xD83D_c_x005F_x0041_"))).wanted
        assert wanted.values["note"] == "a\nb\N{REPLACEMENT CHARACTER}c_x0041_"

    def test_a_styled_row_below_is_no_line(self) -> None:
        book = Workbook()
        sheet = book.worksheets[0]
        for row in table([line()]):
            sheet.append(row)
        sheet["Z900"].font = Font(bold=True)
        assert len(read(saved(book)).wanted) == 1

    def test_programs_that_write_a_wrong_size_lose_nothing(self) -> None:
        data = _changed(xlsx_of(line(1), line(2)), "xl/worksheets/sheet1.xml", b'ref="A1:E3"', b'ref="A1"')
        assert len(read(data).wanted) == 2

    def test_a_row_far_below_costs_nothing(self) -> None:
        data = _changed(xlsx_of(line(1), line(2)), "xl/worksheets/sheet1.xml", b'<row r="3"', b'<row r="99999999999"')
        assert "can't be read" in why_not(data)

    def test_a_zip_bomb_is_not_unfolded(self) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("[Content_Types].xml", "")
            with archive.open("xl/worksheets/sheet1.xml", "w") as part:
                for _ in range(70):
                    part.write(b" " * 1_000_000)
        assert len(out.getvalue()) < 100_000
        assert "unfolds to far more than invoices need" in why_not(out.getvalue())

    @pytest.mark.parametrize(
        ("names", "why"),
        [
            (["invoices.csv"], "This is a ZIP archive, not an Excel file."),
            (["[Content_Types].xml", "word/document.xml"], "This isn't an Excel file."),
            (["[Content_Types].xml", "xl/workbook.xml"], "This Excel file can't be read. Open it, save it again"),
        ],
    )
    def test_other_archives(self, names: list[str], why: str) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name in names:
                archive.writestr(name, "x")
        assert why in why_not(out.getvalue())

    def test_half_a_file(self) -> None:
        assert "This Excel file can't be read." in why_not(xlsx_of(line())[:-40])

    def test_entities_that_swell_are_refused(self) -> None:
        bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
            b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
        )
        sheet = bomb + b"]><worksheet><sheetData><row><c t='str'><v>&j;</v></c></row></sheetData></worksheet>"
        assert "can't be read" in why_not(_changed(xlsx_of(line()), "xl/worksheets/sheet1.xml", None, sheet))


def _changed(data: bytes, name: str, old: bytes | None, new: bytes) -> bytes:
    """The archive with one part changed: one text in it, or all of it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for part in before.infolist():
            content = before.read(part)
            if part.filename == name:
                assert old is None or old in content
                content = new if old is None else content.replace(old, new)
            after.writestr(part, content)
    return out.getvalue()


class TestAnything:
    """No bytes make it fall over: they are read, or refused in words."""

    @staticmethod
    def take(data: bytes) -> None:
        try:
            reading = read(data)
        except UnreadableFileError:
            return
        assert all(str(problem).endswith(".") for wanted in reading.wanted for problem in wanted.problems)

    @given(st.binary())
    @settings(deadline=None)
    def test_bytes(self, data: bytes) -> None:
        self.take(data)

    @given(st.lists(st.lists(st.text(), min_size=5, max_size=7), min_size=1), st.sampled_from([",", ";", "\t"]))
    @settings(deadline=None)
    def test_tables_of_any_text(self, rows: list[list[str]], delimiter: str) -> None:
        self.take(as_csv([*table([line()]), *rows], delimiter).replace(b"\x00", b""))

    @given(st.data())
    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    def test_excel_files_that_were_damaged(self, data: Any) -> None:
        whole = bytearray(_WORKBOOK)
        for _ in range(data.draw(st.integers(1, 6))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        self.take(bytes(whole[: data.draw(st.integers(0, len(whole)))]))

    @given(
        st.lists(
            st.one_of(
                st.none(), st.booleans(), st.integers(-(10**17), 10**17), st.floats(),
                st.datetimes(sheet_time(1900, 3, 1)),
                st.text(st.characters(exclude_categories=["C"])),
            ),
            min_size=5,
            max_size=5,
        )
    )  # fmt: skip
    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    def test_excel_cells_of_any_kind(self, cells: list[Any]) -> None:
        self.take(as_xlsx([*table([line()]), cells]))

    @given(st.binary())
    @settings(deadline=None)
    def test_any_part_of_an_excel_file(self, content: bytes) -> None:
        for name in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml"):
            self.take(_changed(_WORKBOOK, name, None, content))


_WORKBOOK = xlsx_of(line(1, Note="a"), line(2, Due_date=sheet_time(2035, 5, 15)))


def test_columns_are_called_as_in_a_spreadsheet() -> None:
    assert [letter(place) for place in (0, 25, 26, 27, 51, 52, 701, 702)] == [
        "A", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA",
    ]  # fmt: skip
