"""XLSX: the first sheet that can be seen, cell by cell."""

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from openpyxl import load_workbook

from .table import COLUMNS_MAX, Fault, Formula, Line, Table, UnreadableFileError, table_of

# A few kilobytes can unfold to gigabytes.
UNFOLDED_MAX: Final = 64_000_000
_PART_MAX: Final = 8_000_000
"""Of a part that is read whole into memory. Sheets and their texts are read piece by piece."""
_READ_IN_PIECES: Final = ("xl/worksheets/", "xl/sharedStrings.xml")
ROWS_MAX: Final = 1_048_576
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_ZEROS: Final = re.compile(r"0{2,}")
_DAMAGED: Final = gettext_lazy("This Excel file can't be read. Open it, save it again as .xlsx, and upload that.")


def read_xlsx(data: bytes) -> Table:
    """Raises UnreadableFileError."""
    _check_size(data)
    try:
        # Excel's newer features make it warn; nobody here is concerned.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(data)
    except UnreadableFileError:
        raise
    # What damaged files make a parser raise isn't published.
    except Exception as error:
        raise UnreadableFileError(_DAMAGED) from error


def _check_size(data: bytes) -> None:
    try:
        parts = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, UnicodeDecodeError) as error:
        raise UnreadableFileError(_DAMAGED) from error
    whole = [part for part in parts if not part.filename.startswith(_READ_IN_PIECES)]
    if sum(part.file_size for part in parts) > UNFOLDED_MAX or any(part.file_size > _PART_MAX for part in whole):
        raise UnreadableFileError(
            _("This Excel file unfolds to far more than invoices need. Copy the lines into a new workbook.")
        )
    names = {part.filename for part in parts}
    if "[Content_Types].xml" not in names:
        raise UnreadableFileError(_("This is a ZIP archive, not an Excel file. Unpack it first, or save as .xlsx."))
    if "mimetype" in names or not any(name.startswith("xl/") for name in names):
        raise UnreadableFileError(_("This isn't an Excel file. Save it as .xlsx or CSV."))


def _read(data: bytes) -> Table:
    # Formulas are wanted as such: what was calculated last may be old.
    book = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
    try:
        visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
        if not visible:
            raise UnreadableFileError(_("The file has no sheet with cells."))
        sheet = visible[0]
        notes = []
        if len(book.worksheets) > 1:
            others = ", ".join(f"“{other.title}”" for other in book.worksheets if other is not sheet)
            notes.append(
                _("Only the first sheet, “%(sheet)s”, is read; not %(others)s.")
                % {"sheet": sheet.title, "others": others}
            )
        # Some programs write a wrong size there, and the rest would be left out.
        sheet.reset_dimensions()
        return table_of(_lines(sheet), notes)
    finally:
        book.close()


def _lines(sheet: Any) -> Iterator[Line]:
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > ROWS_MAX:
            raise UnreadableFileError(_DAMAGED)
        if not cells:
            continue
        # Beyond, there are but cells that somebody once gave a color.
        values = [_value(cell) for cell in cells[:COLUMNS_MAX]]
        while values and values[-1] is None:
            values.pop()
        yield Line(number, number, values)


def _value(cell: Any) -> Any:
    value = cell.value
    if value is None:
        return None
    match cell.data_type:
        case "f":
            return Formula(value if isinstance(value, str) else str(getattr(value, "text", "=…")))
        case "e":
            return Fault(str(value))
        case "s":
            return _unescaped(str(value))
    if isinstance(value, int) and not isinstance(value, bool) and _ZEROS.fullmatch(cell.number_format or ""):
        # A number that the sheet shows as 00042 is 00042 for whoever looks at it.
        return str(value).zfill(len(cell.number_format))
    return value


def _unescaped(text: str) -> str:
    """Excel writes what XML can't hold as _x000B_. Half a surrogate pair is no character, and no database takes it."""
    if "_x" not in text:
        return text
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
