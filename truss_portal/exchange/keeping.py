"""What was previewed and what came of it, kept on the server between two pages.

It lies where django-import-export keeps uploaded files: a folder for temporary files, unless the site's
IMPORT_EXPORT_TMP_STORAGE_CLASS says otherwise. A signed token names it, which is good for one person and some days.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from import_export.tmp_storages import TempFolderStorage

from truss_portal.exceptions import TrussPortalError

from . import columns
from .lines import Reading, Wanted
from .plan import Change, Kind, Outcome

_SALT: Final = "truss_portal.exchange"
_DAYS: Final = 2 * 24 * 60 * 60
_READ_BACK: Final[dict[str, Callable[[str], Any]]] = {
    columns.TOTAL: Decimal,
    columns.DUE_DATE: date.fromisoformat,
    columns.UID: UUID,
}


class NotKeptError(TrussPortalError):
    """This import isn't kept any more: it is done already, or too old. Upload the file again to see how things are."""


@dataclass(slots=True)
class Previewed:
    """One line, as it was shown."""

    wanted: Wanted
    kind: Kind
    why: str
    changes: list[Change]
    warning: str
    fingerprint: str

    @classmethod
    def of(cls, outcome: Outcome) -> "Previewed":
        return cls(outcome.wanted, outcome.kind, outcome.why, outcome.changes, outcome.warning, outcome.fingerprint)

    @property
    def is_good(self) -> bool:
        """Whether confirming writes it."""
        return self.kind in {Kind.NEW, Kind.CHANGED}

    @property
    def total(self) -> Decimal:
        found = self.wanted.values.get(columns.TOTAL)
        return found if isinstance(found, Decimal) else Decimal(0)


@dataclass(slots=True)
class Preview:
    file: str
    company: int
    at: datetime
    headings: dict[str, tuple[str, int]]
    unknown: list[str]
    not_imported: list[str]
    notes: list[str]
    lines: list[Previewed]

    @classmethod
    def of(cls, file: str, company: int, at: datetime, reading: Reading, outcomes: Iterable[Outcome]) -> "Preview":
        lines = [Previewed.of(outcome) for outcome in outcomes]
        return cls(file, company, at, reading.headings, reading.unknown, reading.not_imported, reading.notes, lines)


@dataclass(frozen=True, slots=True)
class NotWritten:
    """A line of which nothing came, and why."""

    line: int
    row: int
    reference: str
    why: str


@dataclass(slots=True)
class Result:
    file: str
    company: int
    at: datetime
    """Since when the new invoices are known: they are found by it."""
    new: int = 0
    changed: list[int] = field(default_factory=list)
    """By primary key."""
    total: Decimal = Decimal(0)
    skipped: int = 0
    left: list[NotWritten] = field(default_factory=list)
    """Good in the preview, and not as it was any more."""
    wrong: list[NotWritten] = field(default_factory=list)


def keep_preview(preview: Preview, user: object) -> str:
    """Returns the token."""
    body = {
        "file": preview.file,
        "company": preview.company,
        "at": preview.at.isoformat(),
        "headings": preview.headings,
        "unknown": preview.unknown,
        "not_imported": preview.not_imported,
        "notes": preview.notes,
        "lines": [_line_out(line) for line in preview.lines],
    }
    return _keep(body, user)


def kept_preview(token: str, user: object) -> Preview:
    """Raises NotKeptError."""
    body = _kept(token, user, "lines")
    return Preview(
        body["file"],
        body["company"],
        datetime.fromisoformat(body["at"]),
        {name: (heading, place) for name, (heading, place) in body["headings"].items()},
        body["unknown"],
        body["not_imported"],
        body["notes"],
        [_line_in(line) for line in body["lines"]],
    )


def keep_result(result: Result, user: object) -> str:
    body = {
        "file": result.file,
        "company": result.company,
        "at": result.at.isoformat(),
        "new": result.new,
        "changed": result.changed,
        "total": str(result.total),
        "skipped": result.skipped,
        "left": [[it.line, it.row, it.reference, it.why] for it in result.left],
        "wrong": [[it.line, it.row, it.reference, it.why] for it in result.wrong],
    }
    return _keep(body, user)


def kept_result(token: str, user: object) -> Result:
    """Raises NotKeptError."""
    body = _kept(token, user, "wrong")
    return Result(
        body["file"],
        body["company"],
        datetime.fromisoformat(body["at"]),
        body["new"],
        body["changed"],
        Decimal(body["total"]),
        body["skipped"],
        [NotWritten(*it) for it in body["left"]],
        [NotWritten(*it) for it in body["wrong"]],
    )


def forget(token: str, user: object) -> None:
    """Of two that forget the same, one does; the other gets NotKeptError, where the storage can tell."""
    try:
        _storage(_named(token, user)["name"]).remove()
    except OSError as error:
        raise NotKeptError from error


def _line_out(line: Previewed) -> list[Any]:
    wanted = line.wanted
    values = {
        name: value if isinstance(value, (str, bool)) or value is None else str(value)
        for name, value in wanted.values.items()
    }
    changes = [[change.field, change.was, change.now] for change in line.changes]
    read = [wanted.line, wanted.row, values, wanted.shown, wanted.reference_as_written]
    return [*read, line.kind, line.why, changes, line.warning, line.fingerprint]


def _line_in(line: list[Any]) -> Previewed:
    number, row, values, shown, as_written, kind, why, changes, warning, fingerprint = line
    for name, read in _READ_BACK.items():
        if values.get(name):
            values[name] = read(values[name])
    wanted = Wanted(number, row, values, shown=shown, reference_as_written=as_written)
    return Previewed(wanted, Kind(kind), why, [Change(*it) for it in changes], warning, fingerprint)


# --- the storage, and the token


def _storage(name: str | None = None) -> Any:
    chosen = getattr(settings, "IMPORT_EXPORT_TMP_STORAGE_CLASS", TempFolderStorage)
    storage = import_string(chosen) if isinstance(chosen, str) else chosen
    return storage(name=name, encoding=None, read_mode="rb")


def _keep(body: dict[str, Any], user: object) -> str:
    data = gzip.compress(json.dumps(body, separators=(",", ":")).encode(), compresslevel=1, mtime=0)
    storage = _storage()
    storage.save(data)
    named = {
        # A folder's path is nobody's business, and nobody may name another file than one that was kept for them.
        "name": PurePath(storage.name).name,
        "is": hashlib.sha256(data).hexdigest()[:32],
        "for": str(user),
    }
    return signing.dumps(named, salt=_SALT)


def _named(token: str, user: object) -> dict[str, str]:
    try:
        named: dict[str, str] = signing.loads(token, salt=_SALT, max_age=_DAYS)
    except signing.BadSignature as error:
        raise NotKeptError from error
    if named["for"] != str(user):
        raise NotKeptError
    return named


def _kept(token: str, user: object, has: str) -> dict[str, Any]:
    named = _named(token, user)
    try:
        data = _storage(named["name"]).read()
    except OSError as error:
        raise NotKeptError from error
    if not data or hashlib.sha256(data).hexdigest()[:32] != named["is"]:
        raise NotKeptError
    body: dict[str, Any] = json.loads(gzip.decompress(data))
    if has not in body:
        raise NotKeptError(_("This address belongs to another page of the import."))
    return body
