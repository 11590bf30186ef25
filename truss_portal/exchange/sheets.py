"""Any rows → CSV or XLSX, piece by piece, harmless in a spreadsheet. Asks nobody.

Cells are texts, Decimals, dates, and None for nothing. Amounts stay exact, and days are written as ISO 8601 has them.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from . import cells, xlsx_stream

_TOGETHER: Final = 500
_BYTE_ORDER_MARK: Final = "\ufeff"
# Of a sheet's name. https://support.microsoft.com/en-us/office/rename-a-worksheet-3f1f7148-ee83-404d-8ef0-9ff99fbad1f9
_REFUSED: Final = re.compile(r"[\\/?*\[\]:']")
_TITLE_MAX: Final = 31


def guarded(cell: Any) -> Any:
    """The cell as CSV has it: a text that a spreadsheet would take for a formula has an apostrophe before it."""
    return cells.guarded(cell) if isinstance(cell, str) else cell


def rows_as_csv(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """UTF-8 with a byte order mark, by which Excel knows it."""
    out = io.StringIO()
    writer = csv.writer(out)
    out.write(_BYTE_ORDER_MARK)
    remaining = chain([headings], rows)
    while some := list(islice(remaining, _TOGETHER)):
        writer.writerows([guarded(cell) for cell in row] for row in some)
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()


def rows_as_xlsx(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """All texts are texts: none is ever a formula. Of the title what Excel refuses is left out."""
    return xlsx_stream.stream(" ".join(_REFUSED.sub(" ", title).split())[:_TITLE_MAX], headings, rows)
