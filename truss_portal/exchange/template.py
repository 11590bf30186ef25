"""The file that people fill in: the headings, one example line, and how each column is written."""

import csv
import io
from datetime import date, timedelta
from typing import Final

from django.utils.translation import gettext as _
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.datavalidation import DataValidation

from . import columns
from .columns import IMPORTED
from .table import LINES_MAX, letter

_DUE_IN: Final = timedelta(days=30)
_FLAGS: Final = (columns.SEND_EMAIL, columns.SEND_SMS)
_WIDTHS: Final = {columns.ADDENDA: 38, columns.EMAIL: 26, columns.NAME: 24, columns.NOTE: 30, columns.MEMO: 30}


def template_csv(today: date) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.heading for column in IMPORTED])
    writer.writerow(_example(today))
    return ("\ufeff" + out.getvalue()).encode()


def _example(today: date) -> list[str]:
    return [
        (today + _DUE_IN).isoformat() if column.field == columns.DUE_DATE else column.example for column in IMPORTED
    ]


def template_xlsx(today: date) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    sheet = book.create_sheet("Invoices")
    sheet.append([column.heading for column in IMPORTED])
    sheet.append(_example(today))
    sheet.freeze_panes = "A2"
    for place, column in enumerate(IMPORTED):
        name = letter(place)
        sheet.column_dimensions[name].width = _WIDTHS.get(column.field, 16)
        sheet[f"{name}1"].font = Font(bold=True)
        # As text: numbers keep their zeros at the front.
        style = {columns.TOTAL: "#,##0.00", columns.DUE_DATE: "yyyy-mm-dd"}.get(column.field, "@")
        sheet.column_dimensions[name].number_format = style
        sheet[f"{name}2"].number_format = style
        if column.field == columns.TOTAL:
            sheet[f"{name}2"] = float(column.example)
        elif column.field == columns.DUE_DATE:
            sheet[f"{name}2"] = today + _DUE_IN
            sheet[f"{name}2"].number_format = style
        elif column.field in _FLAGS:
            choice = DataValidation(type="list", formula1='"yes,no"', allow_blank=True)
            choice.add(f"{name}2:{name}{LINES_MAX + 1}")
            sheet.add_data_validation(choice)
    _explain(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _explain(book: Workbook) -> None:
    sheet = book.create_sheet(_("How to fill it in"))
    sheet.append([_("Column"), _("Needed"), _("What to write")])
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for column in IMPORTED:
        sheet.append([column.heading, _("yes") if column.required else "", str(column.help)])
    sheet.append([])
    sheet.append([_("The example line is never imported. Only the first sheet is read.")])
    sheet.column_dimensions["A"].width = 18
    sheet.column_dimensions["C"].width = 90
    for row in sheet.iter_rows(min_row=2, min_col=3, max_col=3):
        row[0].alignment = Alignment(wrap_text=True, vertical="top")
