"""JSON from Truss, read field by field: what a value may look like, and what is said when it doesn't. No I/O."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

_AMOUNT = re.compile(r"-?(?:[0-9]{1,12}(?:\.[0-9]{0,2})?|\.[0-9]{1,2})", re.ASCII)
# What no database column holds: a NUL, and half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_UNSTORABLE = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)
DEPTH: Final = 100  # levels of lists and objects in a field that is kept as it came
SHOWN: Final = 60  # characters of a value that a message quotes
_SMALL: Final = 9999


class UnreadableError(ValueError):
    """Something of Truss's can't be read. The text says which field of which object, and fits a report."""


def parse_json(body: bytes, *, noun: str = "the answer") -> Any:
    """The JSON value in an answer, or in what `noun` calls it. Raises UnreadableError.

    Numbers with a fraction become Decimal, never a binary float. NaN and Infinity, which aren't JSON, become text and
    so fail wherever a number is needed. Characters that no database holds become U+FFFD.
    """
    try:
        text = body.decode("utf-8-sig")
        payload = json.loads(text, parse_float=Decimal, parse_constant=str)
        return _storable(payload) if _ESCAPED_UNSTORABLE.search(text) else payload
    except (ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise UnreadableError(f"{noun} is not JSON: {problem}")


class Fields:
    """The fields of one JSON object, taken one by one: what is left in the end is `extra`."""

    def __init__(self, payload: Any, noun: str, *, identified: bool = True) -> None:
        self._left = dict(as_object(payload, noun))
        self._name = noun
        if identified:
            self.uid = self.uuid("uid")
            self._name = f"{noun} {self.uid}"

    def error(self, name: str, problem: str, value: Any) -> UnreadableError:
        return UnreadableError(f"{self._name}: {name} {problem}: {shown(value)}")

    def take(self, name: str) -> Any:
        return self._left.pop(name, None)

    def rest(self) -> dict[str, Any]:
        """What is left, fit for a JSON column."""
        return {name: self.nested(shown(name), _json_ready, value) for name, value in self._left.items()}

    def nested(self, name: str, parse: Any, payload: Any) -> Any:
        try:
            return parse(payload)
        except UnreadableError as error:
            problem = str(error)
        raise UnreadableError(f"{self._name}: {name}: {problem}")

    def uuid(self, name: str) -> UUID:
        value = self.take(name)
        uid = optional_uuid(value)
        if uid is None:
            raise self.error(name, "is not a UUID", value)
        return uid

    def object(self, name: str) -> dict[str, Any]:
        """A JSON object, fit for a JSON column."""
        value = self.take(name)
        if not isinstance(value, dict):
            raise self.error(name, "is not a JSON object", value)
        ready: dict[str, Any] = self.nested(name, _json_ready, value)
        return ready

    def optional_text(self, name: str) -> str | None:
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise self.error(name, "is not text", value)
        return value

    def text(self, name: str) -> str:
        value = self.optional_text(name)
        if value is None:
            raise UnreadableError(f"{self._name}: {name} is missing")
        return value

    def integer(self, name: str, *, default: int | None = None) -> int:
        value = self.take(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,4}", value):
            return int(value)
        # Bounded, because a database column is.
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _SMALL:
            raise self.error(name, "is not a small whole number", value)
        return value

    def amount(self, name: str) -> Decimal:
        """Money in dollars, at most 12 digits before the point and 2 after it, as the API publishes its amounts."""
        value = self.take(name)
        text = _plain(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
            raise self.error(name, "is not an amount with at most 12 digits and 2 decimals", value)
        whole, _point, cents = text.partition(".")
        amount = Decimal(f"{whole}.{cents:0<2}")
        return amount or amount.copy_abs()

    def time(self, name: str) -> datetime:
        value = self.optional_time(name)
        if value is None:
            raise UnreadableError(f"{self._name}: {name} is missing")
        return value

    def optional_time(self, name: str) -> datetime | None:
        """An instant in UTC. Without an offset it is taken as UTC, without a time of day as midnight."""
        value = self.take(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value.upper())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise self.error(name, "is not a date and time", value) from None

    def optional_date(self, name: str) -> date | None:
        """A calendar day. Where a time of day follows, the day is taken as it is written."""
        value = self.take(name)
        if value is None:
            return None
        try:
            return datetime.fromisoformat(value.upper()).date()
        except (ValueError, TypeError, AttributeError):
            raise self.error(name, "is not a date", value) from None


def optional_uuid(value: Any) -> UUID | None:
    """None for whatever isn't the text of a UUID."""
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


def as_object(payload: Any, noun: str) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise UnreadableError(f"{noun} is not a JSON object: {shown(payload)}")
    return payload


def _plain(value: int | Decimal) -> str:
    """A number without an exponent; empty for what no amount can be (and would take long to write out)."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**12 else ""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2 or value.adjusted() >= 12:  # noqa: PLR2004 - as in amount()
        return ""
    return format(value, "f")


def _json_ready(value: Any, depth: int = 1) -> Any:
    """For a JSON column. Bounded, because who writes or reads it goes as deep, and Python doesn't go on for ever."""
    if depth > DEPTH:
        raise UnreadableError(f"something is nested deeper than {DEPTH} levels")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {name: _json_ready(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_json_ready(item, depth + 1) for item in value]
    return value


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("�", value)
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value


def shown(value: Any) -> str:
    """A value for a message: short, and printable whatever it holds."""
    if isinstance(value, str):
        value = value[: SHOWN + 1]
    elif isinstance(value, Iterable) or (isinstance(value, int) and abs(value) >= 10**SHOWN):
        return f"({type(value).__name__})"
    text = str(value) if isinstance(value, Decimal) else ("null" if value is None else repr(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
