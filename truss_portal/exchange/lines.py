"""A table → what each of its lines wants, and what is wrong with it as it stands. Pure: no database."""

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal.models.contact import name_key

from . import cells, columns
from .columns import BY_FIELD, IMPORTED, IMPORTED_BY_KEY, READ_ONLY_BY_KEY, Column, key_of
from .table import Line, Table, UnreadableFileError, letter

REFERENCE_MAX: Final = 100
NAME_MAX: Final = 255
# Written as they are, so that a heading in a foreign language isn't a blot on the page.
_HEADING_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one cell, or with the line where `field` is empty. `str()` is a sentence."""

    field: str
    text: str
    heading: str = ""
    letter: str = ""

    def __str__(self) -> str:
        if not self.heading:
            return f"{self.text}."
        if not self.letter:
            return f"{self.heading} {self.text}."
        where = _("%(heading)s (column %(letter)s)") % {"heading": self.heading, "letter": self.letter}
        return f"{where} {self.text}."


@dataclass(slots=True)
class Wanted:
    """What one line asks for. `values` has only the columns that the file has and that could be read."""

    line: int
    row: int
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    passed_over: str = ""
    """Why nothing is to be done with it, whatever is known: it is the template's example, or stands there twice."""
    shown: dict[str, str] = field(default_factory=dict)
    """The cells that couldn't be read, as they stand in the file."""
    reference_as_written: str = ""

    @property
    def reference(self) -> str:
        return str(self.values.get(columns.REFERENCE) or "")

    @property
    def payer(self) -> tuple[str, str]:
        """What two payers have in common that are one row."""
        return name_key(self.values.get(columns.NAME, "")), self.values.get(columns.EMAIL, "").casefold()


@dataclass(slots=True)
class Reading:
    headings: dict[str, tuple[str, int]]
    """The columns that are read: their heading in the file, and their place."""
    width: int
    """How many cells a line may have."""
    unknown: list[str]
    """Headings that mean nothing here. They are not read: people must be told."""
    not_imported: list[str]
    """Headings of our own export that can't be written."""
    notes: list[str]
    wanted: list[Wanted] = field(default_factory=list)

    def at(self, field: str, text: str) -> Problem:
        """A problem with that column of a line."""
        return problem(self.headings, field, text)


def problem(headings: dict[str, tuple[str, int]], field: str, text: str) -> Problem:
    if field not in headings:
        return Problem(field, text, BY_FIELD[field].heading if field in BY_FIELD else "")
    heading, place = headings[field]
    return Problem(field, text, heading, letter(place))


def read_lines(table: Table, date_formats: Sequence[str] = (), companies: Iterable[str] = ()) -> Reading:
    """`date_formats` are those of the site, as `strptime` has them; `companies` what the company of the import is
    called: lines that name another one are wrong. Raises UnreadableFileError where a needed column isn't there.
    """
    reading = _headings(table)
    called = {name.casefold() for name in companies}
    read = _readers(date_formats)
    for line in table.lines:
        reading.wanted.append(_wanted(reading, line, read, called))
    _same_numbers(reading)
    return reading


# --- headings


def _headings(table: Table) -> Reading:
    found: dict[str, tuple[str, int]] = {}
    headings = list(table.heading.cells)
    if not table.delimited:
        headings += [None] * (max(len(line.cells) for line in table.lines) - len(headings))
    reading = Reading(found, len(headings), [], [], list(table.notes))
    for place, cell in enumerate(headings):
        heading = " ".join(cells.shown(cell).split())[:_HEADING_SHOWN]
        key = key_of(heading)
        if not heading:
            if any(place < len(line.cells) and cells.shown(line.cells[place]) for line in table.lines):
                reading.unknown.append(_("column %(letter)s, which has no heading") % {"letter": letter(place)})
            continue
        column = IMPORTED_BY_KEY.get(key)
        if column is None:
            known = READ_ONLY_BY_KEY.get(key)
            if known is None:
                reading.unknown.append(heading)
                continue
            reading.not_imported.append(heading)
            column = known
        if column.field in found and column in IMPORTED:
            first, other = found[column.field]
            raise UnreadableFileError(
                _("Both “%(first)s” (column %(at)s) and “%(second)s” (column %(at_too)s) mean the %(what)s. Rename or "
                  "delete one.")
                % {"first": first, "at": letter(other), "second": heading, "at_too": letter(place),
                   "what": column.label}
            )  # fmt: skip
        found[column.field] = heading, place
    missing = [column for column in IMPORTED if column.required and column.field not in found]
    if missing:
        raise UnreadableFileError(_missing(missing, reading.unknown, table.heading))
    return reading


def _missing(missing: list[Column], unknown: list[str], line: Line) -> str:
    text = ngettext(
        "Line %(line)d has the headings, and among them there is no column “%(names)s”.",
        "Line %(line)d has the headings, and among them there are no columns “%(names)s”.",
        len(missing),
    ) % {"line": line.number, "names": "”, “".join(column.heading for column in missing)}
    meant = []
    for column in missing:
        near = difflib.get_close_matches(key_of(column.heading), [key_of(heading) for heading in unknown], 1, 0.75)
        meant += [f"“{heading}” → “{column.heading}”" for heading in unknown if key_of(heading) in near]
    if meant:
        more = _("Did you mean %(columns)s?") % {"columns": ", ".join(meant)}
    elif unknown:
        more = _("Not understood: %(headings)s.") % {"headings": ", ".join(f"“{it}”" for it in unknown[:20])}
    else:
        return text
    return f"{text} {more}"


# --- one line

Reader = Callable[[Any], Any]


def _readers(date_formats: Sequence[str]) -> dict[str, Reader]:
    readers: dict[str, Reader] = {column.field: cells.as_text for column in IMPORTED}
    return readers | {
        columns.REFERENCE: _reference,
        columns.NAME: _name,
        columns.PHONE: cells.as_phone,
        columns.TOTAL: cells.as_amount,
        columns.DUE_DATE: lambda cell: cells.as_date(cell, date_formats),
        columns.SEND_EMAIL: cells.as_flag,
        columns.SEND_SMS: cells.as_flag,
        columns.COMPANY: cells.as_text,
        columns.UID: cells.as_uid,
    }


def _reference(cell: Any) -> str:
    return _line(cell, REFERENCE_MAX)


def _name(cell: Any) -> str:
    return _line(cell, NAME_MAX)


def _line(cell: Any, limit: int) -> str:
    """Fit to be looked up in a database."""
    text = cells.as_text(cell)
    if len(text) > limit:
        raise cells.CellError(
            _("has %(length)d characters; at most %(limit)d fit") % {"length": len(text), "limit": limit}
        )
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise cells.CellError(_("has a line break or another control character in it"))
    return text


def _wanted(reading: Reading, line: Line, readers: dict[str, Reader], companies: set[str]) -> Wanted:
    wanted = Wanted(line.number, line.row)
    for name, (_heading, place) in reading.headings.items():
        if name not in readers:
            continue
        cell = line.cells[place] if place < len(line.cells) else None
        try:
            wanted.values[name] = readers[name](cell)
            if name == columns.REFERENCE and isinstance(cell, str):
                wanted.reference_as_written = cells.unguarded(cell)
        except cells.CellError as error:
            wanted.problems.append(reading.at(name, str(error)))
            wanted.shown[name] = cells.shown(cell)[:_HEADING_SHOWN]
    if wanted.reference == columns.EXAMPLE_REFERENCE:
        wanted.problems.clear()
        wanted.passed_over = _("The template's example: never imported.")
    else:
        wanted.problems += _problems(reading, line, wanted.values, companies)
    return wanted


def _problems(reading: Reading, line: Line, values: dict[str, Any], companies: set[str]) -> Iterator[Problem]:
    company = str(values.pop(columns.COMPANY, "") or "")
    if company and company.casefold() not in companies:
        text = _("is “%(company)s”: this invoice belongs to another company")
        yield reading.at(columns.COMPANY, text % {"company": company[:_HEADING_SHOWN]})
    if not values.get(columns.UID) and values.get(columns.REFERENCE) == "":
        text = _("is empty. By it an invoice is recognised, so that no second import writes it twice")
        yield reading.at(columns.REFERENCE, text)
    for name in (columns.NAME, columns.EMAIL, columns.ADDENDA):
        if values.get(name) == "":
            yield reading.at(name, _("is empty"))
    beyond = next((text for text in map(cells.shown, line.cells[reading.width :]) if text), "")
    if beyond:
        text = _(
            "There are more cells than headings (“%(cell)s”): a text or an amount with a comma in it needs quotation "
            "marks around it"
        )
        yield Problem("", text % {"cell": beyond[:_HEADING_SHOWN]})


# --- lines against each other


def _same_numbers(reading: Reading) -> None:
    """A number that stands there twice: the very same line again is passed over; else nobody knows which counts."""
    by_number: dict[str, list[Wanted]] = {}
    for wanted in reading.wanted:
        elsewhere = any(problem.field == columns.COMPANY for problem in wanted.problems)
        if wanted.reference and not (wanted.passed_over or elsewhere):
            by_number.setdefault(wanted.reference, []).append(wanted)
    for same in by_number.values():
        first, *others = same
        if not others:
            continue
        if all(other.values == first.values and not other.problems for other in same):
            for other in others:
                other.passed_over = _("The same as line %(line)d.") % {"line": first.line}
            continue
        for wanted in same:
            lines = ", ".join(str(other.line) for other in same if other is not wanted)
            text = _("is in line %(lines)s, too, with something else beside it: delete what isn't right")
            wanted.problems.append(reading.at(columns.REFERENCE, text % {"lines": lines}))
