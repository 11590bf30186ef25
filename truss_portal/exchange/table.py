"""Bytes → a heading and lines of cells, whatever program wrote the file. Pure: no database, no settings."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _

from truss_portal.exceptions import TrussPortalError

LINES_MAX: Final = 10_000
SIZE_MAX: Final = 10_000_000
"""Bytes, as uploaded."""
COLUMNS_MAX: Final = 256

_ZIP: Final = b"PK\x03\x04"
# What old Excel files are, and new ones with a password.
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml", b"<table")


class UnreadableFileError(TrussPortalError):
    """This file can't be read as a table of invoices."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A cell that a spreadsheet calculates; what came of it may be old, or was never saved."""

    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A cell in which a spreadsheet shows an error, such as #REF!"""

    text: str


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    """The file's own: the first is 1. A line of CSV with line breaks in its cells counts by where it begins."""
    row: int
    """As a spreadsheet counts it. Differs from `number` after a CSV line with line breaks in its cells."""
    cells: Sequence[Any]

    def is_blank(self) -> bool:
        return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in self.cells)


@dataclass(slots=True)
class Table:
    heading: Line
    lines: list[Line]
    notes: list[str] = field(default_factory=list)
    delimited: bool = False
    """Whether a character parts the cells, so that one too many in a text makes a cell too many."""
    """What a person should know about how the file was read."""


def read_file(name: str, data: bytes) -> Table:
    """The table in an uploaded file; its content decides what it is, not its name. Raises UnreadableFileError."""
    from .csv_file import read_csv
    from .xlsx_file import read_xlsx

    if len(data) > SIZE_MAX:
        raise UnreadableFileError(too_big(len(data)))
    if not data.strip():
        raise UnreadableFileError(_("The file is empty."))
    if data.startswith(_OLE):
        raise UnreadableFileError(
            _("This is an old Excel file (.xls), or one with a password. Save it as .xlsx without a password.")
        )
    if data.startswith(_ZIP) or zipfile.is_zipfile(io.BytesIO(data)):
        return read_xlsx(data)
    if data[:200].lstrip().lower().startswith(_MARKUP):
        raise UnreadableFileError(
            _("This is a web page or XML, whatever it is called (%(name)s). Save it as .xlsx or CSV.") % {"name": name}
        )
    return read_csv(data)


def too_big(size: int) -> str:
    return _("The file has %(size).1f MB; at most %(limit)d MB are read. Split it.") % {
        "size": size / 1_000_000,
        "limit": SIZE_MAX // 1_000_000,
    }


def table_of(lines: Iterator[Line], notes: list[str]) -> Table:
    """Blank lines are passed over; the first other one has the headings. Raises UnreadableFileError."""
    heading = next((line for line in lines if not line.is_blank()), None)
    if heading is None:
        raise UnreadableFileError(_("The file is empty."))
    kept: list[Line] = []
    for line in lines:
        if line.is_blank():
            continue
        if len(kept) == LINES_MAX:
            text = _("The file has more than %(limit)d lines. Split it.")
            raise UnreadableFileError(text % {"limit": LINES_MAX})
        kept.append(line)
    if not kept:
        raise UnreadableFileError(
            _("The file has headings in line %(line)d, and no lines below.") % {"line": heading.number}
        )
    return Table(heading, kept, notes)


def letter(index: int) -> str:
    """What a spreadsheet calls the column: 0 is A, 26 is AA."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
