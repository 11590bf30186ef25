"""Files as people would upload them."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from openpyxl import Workbook, load_workbook

from truss_portal.exchange import Reading, read_file, read_lines

HEADINGS = ["Invoice number", "Payer name", "Payer email", "Amount", "Description"]
FORMATS = ["%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y", "%b %d %Y", "%B %d, %Y"]


def sheet_time(year: int, month: int, day: int, hour: int = 0) -> datetime:
    """A date cell as spreadsheets have them: a time without a zone."""
    return datetime(year, month, day, hour)  # noqa: DTZ001


def line(number: int = 1, **given: Any) -> dict[str, Any]:
    """A good line, by heading."""
    return {
        "Invoice number": f"INV-{number}",
        "Payer name": f"Payer {number}",
        "Payer email": f"ap{number}@payer.example",
        "Amount": "120.00",
        "Description": f"Order {number}",
    } | {key.replace("_", " ").capitalize(): value for key, value in given.items()}


def table(lines: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """With all the headings that any of the lines has."""
    headings = list(dict.fromkeys([*HEADINGS, *(heading for each in lines for heading in each)]))
    return [headings, *([each.get(heading, "") for heading in headings] for each in lines)]


def as_csv(rows: Sequence[Sequence[Any]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode(encoding)


def as_xlsx(rows: Sequence[Sequence[Any]], **sheets: Sequence[Sequence[Any]]) -> bytes:
    """The rows in the first sheet; other sheets by their names."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, content in {"Invoices": rows, **sheets}.items():
        sheet = book.create_sheet(title)
        for row in content:
            sheet.append(list(row))
    return saved(book)


def saved(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def csv_of(*lines: dict[str, Any]) -> bytes:
    return as_csv(table(lines))


def xlsx_of(*lines: dict[str, Any]) -> bytes:
    return as_xlsx(table(lines))


def read(data: bytes) -> Reading:
    return read_lines(read_file("invoices", data), FORMATS, ["default"])


def cells_of(data: bytes) -> list[list[Any]]:
    """An XLSX file's first sheet, as another program reads it."""
    sheet = load_workbook(io.BytesIO(data)).worksheets[0]
    return [list(row) for row in sheet.iter_rows(values_only=True)]
