"""An XLSX file as it is being made: one sheet, row by row, without ever being held whole.

openpyxl's own writer hands out nothing before the last row is written, and takes minutes for a million.
https://learn.microsoft.com/en-us/office/open-xml/spreadsheet/structure-of-a-spreadsheetml-document
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape

from .table import letter

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS_MAX: Final = 1_048_576
"""Excel's own, with the headings."""
_CELL_MAX: Final = 32_767
_EPOCH: Final = date(1899, 12, 30)
# Before it Excel believes in a day that never was, February 29, 1900, and counts otherwise.
_FIRST_DAY: Final = date(1900, 3, 1)

_NOT_IN_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LIKE_ESCAPED: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_DOCUMENT: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARTS: Final = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_DOCUMENT}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_DOCUMENT}.styles+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_DOCUMENT}.worksheet+xml"/>'
        "</Types>"
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="{title}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    # The cells' styles by number: plain, heading, amount, date, and a text that would read as a formula if somebody
    # pressed Enter in its cell.
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}">'
        '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
        '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        "<borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders>"
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="5"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
        '<xf numFmtId="4" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1" applyNumberFormat="1"/>'
        "</cellXfs>"
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}  # fmt: skip
_SHEET_HEAD: Final = (
    f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    "{columns}<sheetData>"
)
_SHEET_END: Final = "</sheetData></worksheet>"
_BUFFERED: Final = 256 * 1024


class _Pipe(io.RawIOBase):
    """Where the archive is written to; what has come so far is taken away in pieces. It can't be gone back in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.size += len(piece)
        return len(piece)

    def take(self) -> bytes:
        data, self._pieces, self.size = b"".join(self._pieces), [], 0
        return data


def stream(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]], *, width: float = 16) -> Iterator[bytes]:
    """`rows` have texts, Decimals, dates, and None for nothing. All texts are texts: none is ever a formula."""
    pipe = _Pipe()
    letters = [letter(index) for index in range(len(headings))]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, _HEAD + text.replace("{title}", escape(title, {'"': "&quot;"})))
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            columns = f'<cols><col min="1" max="{len(headings)}" width="{width}" customWidth="1"/></cols>'
            sheet.write((_HEAD + _SHEET_HEAD.replace("{columns}", columns)).encode())
            waiting = [_row(1, letters, [(1, heading) for heading in headings])]
            size = 0
            for number, cells in enumerate(rows, start=2):
                text = _row(number, letters, [(0, cell) for cell in cells])
                waiting.append(text)
                size += len(text)
                if size > _BUFFERED:
                    sheet.write("".join(waiting).encode())
                    waiting, size = [], 0
                    if pipe.size:
                        yield pipe.take()
            waiting.append(_SHEET_END)
            sheet.write("".join(waiting).encode())
    yield pipe.take()


def _row(number: int, letters: Sequence[str], cells: Iterable[tuple[int, Any]]) -> str:
    written = [_cell(f"{name}{number}", style, cell) for name, (style, cell) in zip(letters, cells, strict=True)]
    return f'<row r="{number}">{"".join(written)}</row>'


def _cell(place: str, style: int, cell: Any) -> str:
    match cell:
        case None | "":
            return ""
        case Decimal():
            return f'<c r="{place}" s="2"><v>{cell:f}</v></c>'
        case date() if cell >= _FIRST_DAY:
            return f'<c r="{place}" s="3"><v>{(cell - _EPOCH).days}</v></c>'
        case date():
            cell = cell.isoformat()
    text = str(cell)[:_CELL_MAX]
    if not text[0].isalnum():
        style = style or 4
    return f'<c r="{place}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{_xml(text)}</t></is></c>'


def _xml(text: str) -> str:
    if "_x" in text:
        text = _LIKE_ESCAPED.sub("_x005F_", text)
    if not text.isprintable():
        # As Excel writes what XML can't hold; and XML turns a carriage return into a newline.
        text = _NOT_IN_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", text.replace("\r\n", "\n"))
    return escape(text)
