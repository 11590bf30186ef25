"""One cell → the value that a column wants, or why it can't be had and what to write instead. Pure."""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from .table import Fault, Formula

# A spreadsheet takes a cell that begins like this for a formula, and runs it; the last four are =, +, - and @ as wide
# as East Asian letters. https://owasp.org/www-community/attacks/CSV_Injection
_STARTS: Final = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_FORMULA: Final = re.compile(rf"\s*'*\s*{_STARTS}")
_GUARDED: Final = re.compile(rf"'(?=\s*'*\s*{_STARTS})")
# How some programs keep the zeros of 00042 in a CSV file.
_QUOTED: Final = re.compile(r'\s*="([^"]*)"\s*')
# Beyond these Excel has rounded already.
_EXCEL_MAX: Final = 10**15

_PLAIN: Final = re.compile(r"[0-9]+(\.[0-9]{1,2})?|\.[0-9]{1,2}|[0-9]+\.")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]{0,2})?")
_OTHER_MONEY: Final = re.compile(r"[€£¥₹]|\b(EUR|GBP|CAD|MXN|JPY|AUD|CHF)\b", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"([0-9]{1,4})([-/. ])([0-9]{1,2})\2([0-9]{1,4})")
_MIDNIGHT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]00:00(:00(\.0+)?)?")
_PUNCTUATION: Final = re.compile(r"[\s().\-/+\u2010-\u2015\u00a0]")
_YES: Final = frozenset({"yes", "y", "true", "t", "1", "x", "on", "✓", "sí", "si"})
_NO: Final = frozenset({"", "no", "n", "false", "f", "0", "off", "-"})
_SHOWN: Final = 40
_CENTURY: Final = 100


class CellError(ValueError):
    """Why a cell can't be what its column wants; the text goes on after the column's name."""


def guarded(text: str, *, as_formula: bool = True) -> str:
    """With an apostrophe before it: never taken for a formula, and undone by `unguarded`.

    Where texts can't become formulas (not `as_formula`), only those get one that `unguarded` would change.
    """
    if text[:1].isalnum():
        return text
    wants = _FORMULA.match(text) if as_formula else _GUARDED.match(text) or _QUOTED.fullmatch(text)
    return f"'{text}" if wants else text


def unguarded(text: str) -> str:
    if _GUARDED.match(text):
        return text[1:]
    quoted = _QUOTED.fullmatch(text)
    return quoted[1] if quoted else text


def shown(cell: Any) -> str:
    """The cell as it stands in the file, for people."""
    match cell:
        case None:
            return ""
        case Formula() | Fault():
            return cell.text
        case datetime() if cell.time() == time(0):
            return cell.date().isoformat()
        case float() if math.isfinite(cell):
            return f"{cell:.15g}"
    return str(cell).strip()


def as_text(cell: Any) -> str:
    """Without space around it. Line breaks are told apart by no program alike: they become newlines."""
    match cell:
        case None:
            return ""
        case str():
            return tidy(unguarded(cell))
        case Formula() | Fault():
            raise CellError(_fault(cell))
        case bool():
            return _("yes") if cell else _("no")
        case date() | time() | timedelta():
            raise CellError(
                _("is a date or a time (%(cell)s) where a text is wanted. Format the column as text, and type it again")
                % {"cell": shown(cell)}
            )
        case int() | float() if not abs(cell) < _EXCEL_MAX:
            raise CellError(
                _("is a number of more than 15 digits (%(cell)s), which a spreadsheet rounds. Format the column as "
                  "text, and type it again")
                % {"cell": shown(cell)}
            )  # fmt: skip
        case int() | float():
            return shown(cell)
    return str(cell)


def tidy(text: str) -> str:
    """What two texts have in common that people see as the same."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _fault(cell: Formula | Fault) -> str:
    if isinstance(cell, Formula):
        text = _("is a formula (%(cell)s). Replace it by its value: copy the cells, and paste them as values")
    else:
        text = _("has the spreadsheet's error %(cell)s. Mend it there")
    return text % {"cell": _short(cell.text)}


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def as_amount(cell: Any) -> Decimal:
    """US dollars, less than 10**15. Truss's own limits are for others to check."""
    amount = _amount(cell)
    if abs(amount) >= _EXCEL_MAX:
        raise CellError(_("is far too large (%(cell)s)") % {"cell": _short(shown(cell))})
    return amount


def _amount(cell: Any) -> Decimal:
    match cell:
        case bool() | date() | time() | timedelta():
            raise CellError(_("isn't an amount (%(cell)s). Write it like 1234.50") % {"cell": shown(cell)})
        case int():
            return Decimal(cell)
        case float():
            return _from_float(cell)
        case Formula() | Fault():
            raise CellError(_fault(cell))
    text = as_text(cell)
    if not text:
        raise CellError(_("is empty. Write an amount like 1234.50"))
    if _OTHER_MONEY.search(text):
        raise CellError(_("isn't in US dollars (%(cell)s). Truss has no other currency") % {"cell": _short(text)})
    number = text.removeprefix("$").strip()
    for word in ("USD", "US$", "$"):
        number = number.removeprefix(word).removesuffix(word).strip()
    if number.startswith(("-", "\N{MINUS SIGN}")) or (number.startswith("(") and number.endswith(")")):
        return -_amount(number.strip("-\N{MINUS SIGN}()"))
    if _PLAIN.fullmatch(number) or _GROUPED.fullmatch(number):
        return Decimal(number.replace(",", ""))
    raise CellError(
        _("is unclear (“%(cell)s”): write the cents after a point, such as 1234.50 or 1,234.50")
        % {"cell": _short(text)}
    )


def _from_float(number: float) -> Decimal:
    """What the spreadsheet shows: its arithmetic leaves noise behind the fifteenth digit."""
    if math.isfinite(number):
        amount = Decimal(f"{number:.15g}")
        if abs(amount) >= _EXCEL_MAX or amount == round(amount, 2):
            return amount
        text = _("has more than two decimals (%(cell)s). Round it in the spreadsheet: Truss takes whole cents")
    else:
        text = _("isn't an amount (%(cell)s). Write it like 1234.50")
    raise CellError(text % {"cell": shown(number)})


def as_date(cell: Any, formats: Sequence[str]) -> date | None:
    """A date cell, ISO, or one of these formats where it can mean one day only."""
    match cell:
        case datetime():
            if cell.time() != time(0):
                raise CellError(_("has a time (%(cell)s). Write the date alone") % {"cell": cell})
            return cell.date()
        case date():
            return cell
        case bool() | int() | float() | time() | timedelta():
            raise CellError(
                _("isn't a date (%(cell)s). Format the cell as a date, or write it like 2026-05-15")
                % {"cell": shown(cell)}
            )
        case Formula() | Fault():
            raise CellError(_fault(cell))
    text = as_text(cell)
    if not text:
        return None
    midnight = _MIDNIGHT.fullmatch(text)
    text = midnight[1] if midnight else text
    numbers = _NUMBERS.fullmatch(text)
    if numbers:
        return _from_numbers(text, numbers[1], numbers[3], numbers[4], formats)
    found = {day for day in (_parsed(text, wanted) for wanted in formats) if day}
    if len(found) == 1:
        return found.pop()
    raise CellError(_unknown_date(text))


def _unknown_date(text: str) -> str:
    return _("isn't a date that is read here (“%(cell)s”). Write it like 2026-05-15") % {"cell": _short(text)}


def _from_numbers(text: str, first: str, second: str, third: str, formats: Sequence[str]) -> date:
    """Three numbers: the year first is clear; day and month first must not be exchangeable."""
    if len(first) > 2:  # noqa: PLR2004 - digits
        year_first = _day(first, second, third)
        if year_first is None:
            raise CellError(_unknown_date(text))
        return year_first
    meanings = {day for day in _meanings(first, second, third) if day}
    if len(meanings) > 1:
        options = sorted(day.isoformat() for day in meanings)
        raise CellError(
            _("is ambiguous (“%(cell)s”): write %(options)s") % {"cell": text, "options": _(" or ").join(options)}
        )
    wanted = {day for day in (_parsed(text, wanted) for wanted in formats) if day}
    if not meanings or not wanted:
        raise CellError(_unknown_date(text))
    return meanings.pop()


def _meanings(first: str, second: str, third: str) -> Iterator[date | None]:
    yield _day(third, first, second)
    yield _day(third, second, first)
    if len(third) <= 2:  # noqa: PLR2004 - digits
        yield _day(first, second, third)


def _day(year: str, month: str, day: str) -> date | None:
    number = int(year)
    if len(year) <= 2:  # noqa: PLR2004 - digits
        number += 20 * _CENTURY
    elif len(year) != 4:  # noqa: PLR2004
        return None
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None


def _parsed(text: str, wanted: str) -> date | None:
    try:
        return datetime.strptime(text, wanted).date()  # noqa: DTZ007 - a date has no zone
    except (ValueError, OverflowError):
        return None


def as_phone(cell: Any) -> str:
    """Digits alone: Truss takes nothing else, and people write (555) 555-0100."""
    text = as_text(cell)
    digits = _PUNCTUATION.sub("", text)
    return digits if digits.isascii() and digits.isdigit() else text


def as_flag(cell: Any) -> bool:
    if isinstance(cell, bool):
        return cell
    text = as_text(cell).casefold()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise CellError(_("must be yes or no, not “%(cell)s”") % {"cell": _short(text)})


def as_uid(cell: Any) -> UUID | None:
    """None where there is none that can be read: it only helps to recognise an invoice."""
    try:
        return UUID(as_text(cell))
    except ValueError:
        return None
