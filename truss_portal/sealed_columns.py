"""Every column that holds something encrypted: named once, opened by its name, and moved under the newest key.

    sealed_columns.ACCESS_TOKEN.open(connection)

An app that keeps secrets of its own adds its columns in `AppConfig.ready`, and is then part of the counts and of
`truss_reencrypt`:

    sealed_columns.register(SealedColumn(MerchantKey, "api_key", lambda key: f"the API key of {key.merchant}"))
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Model
from django.utils.translation import gettext as _

from truss_portal import encryption
from truss_portal.exceptions import UndecryptableError
from truss_portal.models import Connection, WebhookSecret


@dataclass(frozen=True, slots=True)
class SealedColumn:
    model: type[Model]
    column: str
    what: Callable[[Any], str]
    """Names a row's secret, for errors: whose it is, and which."""
    related: tuple[str, ...] = ()
    """What `what` looks at, to be loaded with the rows."""

    def open(self, row: Model) -> str:
        """The secret of this row; "" where there is none. Raises EncryptionKeysError and UndecryptableError."""
        sealed = getattr(row, self.column)
        return encryption.open_sealed(sealed, what=self.what(row)) if sealed else ""


ACCESS_TOKEN: Final = SealedColumn(
    Connection,
    "access_token",
    lambda row: _("the access token of %(company)s") % {"company": row.company},
    ("company",),
)
REFRESH_TOKEN: Final = SealedColumn(
    Connection,
    "refresh_token",
    lambda row: _("the refresh token of %(company)s") % {"company": row.company},
    ("company",),
)
WEBHOOK_SECRET: Final = SealedColumn(
    WebhookSecret,
    "secret",
    lambda row: (
        _("the webhook secret of %(company)s that was set on %(day)s")
        % {"company": row.company, "day": f"{row.added_at:%Y-%m-%d}"}
    ),
    ("company",),
)

_columns: list[SealedColumn] = [ACCESS_TOKEN, REFRESH_TOKEN, WEBHOOK_SECRET]


def register(column: SealedColumn) -> None:
    """Let this column take part in rotation, too. A second call with the same does nothing."""
    if all((known.model, known.column) != (column.model, column.column) for known in _columns):
        _columns.append(column)


def columns() -> tuple[SealedColumn, ...]:
    return tuple(_columns)


@dataclass(slots=True)
class Found:
    """How the kept secrets stand."""

    newest: int = 0
    """Under the newest key."""
    old: int = 0
    """Under an older one that this site still has; or just moved from there."""
    unreadable: list[str] = field(default_factory=list)
    """Under none: what each is, and what to do."""

    def as_dict(self) -> dict[str, Any]:
        return {"newest": self.newest, "old": self.old, "unreadable": self.unreadable}


def look() -> Found:
    """Count, change nothing. Raises EncryptionKeysError."""
    return _each(lambda _column, _row, _sealed: None)


def reencrypt() -> Found:
    """Move everything under the newest key: `old` counts what was moved. Raises EncryptionKeysError.

    May run beside everything else: a secret that is replaced meanwhile is under the newest key already, and stays.
    """
    return _each(_move)


def _move(column: SealedColumn, row: Model, resealed: str) -> None:
    unchanged = {"pk": row.pk, column.column: getattr(row, column.column)}
    column.model._default_manager.filter(**unchanged).update(**{column.column: resealed})


def _each(with_old: Callable[[SealedColumn, Model, str], None]) -> Found:
    found = Found()
    for column in _columns:
        rows = column.model._default_manager.exclude(**{column.column: ""}).order_by("pk")
        for row in rows.select_related(*column.related) if column.related else rows:
            sealed = getattr(row, column.column)
            if encryption.is_under_newest_key(sealed):
                found.newest += 1
                continue
            try:
                resealed = encryption.reseal(sealed, what=column.what(row))
            except UndecryptableError as error:
                found.unreadable.append(str(error))
            else:
                with_old(column, row, resealed)
                found.old += 1
    return found
