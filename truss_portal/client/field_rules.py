"""Rules for fields of requests, whoever they go to. No I/O.

Each takes any object and gives what is wrong with it: whoever calls without a type checker gets a sentence, not a
TypeError.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from truss_portal.client.exceptions import FieldError

EMAIL_MAX: Final = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
LOCAL_PART_MAX: Final = 64  # RFC 5321, section 4.5.3.1.1
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")


def _text(field: str, value: object, maximum: int | None, allowed: str) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield FieldError.of(field, "must be text", value)
        return
    if maximum is not None and len(value) > maximum:
        yield FieldError.of(field, f"must have at most {maximum} characters, not {len(value)}", value)
    # Cc: control characters; Cs: half a surrogate pair, which no encoding can carry.
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character not in allowed for character in value):
        yield FieldError.of(field, "must not have control characters", value)


def line(field: str, value: object, maximum: int | None = None) -> Iterator[FieldError]:
    yield from _text(field, value, maximum, allowed="")
    # A server that trims what it receives would find spaces alone empty.
    if isinstance(value, str) and not value.strip():
        yield FieldError.of(field, "must not be empty", value)


def paragraph(field: str, value: object, maximum: int) -> Iterator[FieldError]:
    yield from _text(field, value, maximum, allowed="\t\r\n")


def email(field: str, value: object) -> Iterator[FieldError]:
    if (
        not isinstance(value, str)
        or len(value) > EMAIL_MAX
        or value.find("@") > LOCAL_PART_MAX
        or not _EMAIL.fullmatch(value)
    ):
        yield FieldError.of(field, "must be an email address", value)
