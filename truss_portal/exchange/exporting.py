"""Invoices → CSV or XLSX, piece by piece: a million need no more memory than a thousand. Asks nobody.

The columns are `columns.EXPORTED`. The first of them can be imported again; of the rest an import reads none.
"""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from truss_portal.models import PaymentIntent

from . import xlsx_stream
from .cells import guarded
from .columns import EXPORTED

# Read from the database together.
_TOGETHER: Final = 2000
_BYTE_ORDER_MARK: Final = "\ufeff"
_SOURCES: Final = {
    "name": "contact__name",
    "email": "contact__email",
    "secondary_email": "contact__secondary_email",
    "phone": "contact__phone",
    "company": "company__slug",
}
_READ: Final = tuple(_SOURCES.get(column.field, column.field) for column in EXPORTED if column.field != "balance_due")
_TOTAL, _PAID, _STATUS = (_READ.index(name) for name in ("total", "balance_paid", "status"))
_LEFT: Final = [column.field for column in EXPORTED].index("balance_due")

HEADINGS: Final = tuple(column.heading for column in EXPORTED)
CSV_TYPE: Final = "text/csv; charset=utf-8"
XLSX_TYPE: Final = xlsx_stream.CONTENT_TYPE
XLSX_MAX: Final = xlsx_stream.ROWS_MAX - 1
"""How many invoices an XLSX file can have."""


def as_csv(queryset: QuerySet[PaymentIntent]) -> Iterator[bytes]:
    """UTF-8 with a byte order mark, by which Excel knows it. A text that a spreadsheet would take for a formula has an
    apostrophe before it. The queryset names no invoice twice, and isn't sliced.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    out.write(_BYTE_ORDER_MARK)
    for rows in chain([[list(HEADINGS)]], _parts(queryset)):
        writer.writerows([guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()


def as_xlsx(queryset: QuerySet[PaymentIntent], limit: int = XLSX_MAX) -> Iterator[bytes]:
    """Amounts are numbers, due dates are dates, and all texts are texts. More than `limit` are left out."""
    return xlsx_stream.stream("Invoices", HEADINGS, _first(queryset, limit))


def _first(queryset: QuerySet[PaymentIntent], left: int) -> Iterator[list[Any]]:
    for rows in _parts(queryset):
        for row in rows[:left]:
            yield [guarded(cell, as_formula=False) if isinstance(cell, str) else cell for cell in row]
        left -= len(rows)
        if left <= 0:
            return


def _parts(queryset: QuerySet[PaymentIntent]) -> Iterator[list[list[Any]]]:
    """The newest first. By the key and not by an offset or a cursor: each part costs the same on every database, and
    what is written meanwhile moves nothing.
    """
    chosen = queryset.order_by("-pk")
    last: int | None = None
    while True:
        page = chosen if last is None else chosen.filter(pk__lt=last)
        rows = list(page.values_list("pk", *_READ)[:_TOGETHER])
        if not rows:
            return
        yield [_cells(row[1:]) for row in rows]
        last = rows[-1][0]


def _cells(row: tuple[Any, ...]) -> list[Any]:
    cells = [_WRITTEN[type(cell)](cell) if type(cell) in _WRITTEN else cell for cell in row]
    left = Decimal("0.00") if row[_STATUS] == PaymentIntent.Status.CANCELED else row[_TOTAL] - row[_PAID]
    cells.insert(_LEFT, left)
    return cells


def _moment(time: datetime) -> str:
    """In the site's zone, and with the offset: nobody has to guess."""
    return timezone.localtime(time).isoformat(timespec="seconds")


_WRITTEN: Final[dict[type, Callable[[Any], str]]] = {
    bool: lambda flag: "yes" if flag else "no",
    datetime: _moment,
    UUID: str,
}
"""Amounts, days and texts stay what they are."""
