"""Pages of a very long list by where a row stands, not by how many rows come before it.

The last page costs what the first one does, and what is written meanwhile moves no row from one page to another.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import AutoField, BigIntegerField, BooleanField, F, Func, OrderBy, Q, QuerySet, Value

AFTER: Final = "after"
BEFORE: Final = "before"
LAST: Final = "last"
_KEY: Final = "truss_key_{}"
_NOTHING: Final = Q(pk__in=())
_KEY_AND_PK: Final = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins or ends: beside a row with these values, or at an end of the list."""

    side: str = AFTER
    values: tuple[Any, ...] | None = None

    def __str__(self) -> str:
        """For an address. `read` takes it back."""
        if self.values is None:
            return self.side if self.side == LAST else ""
        packed = json.dumps([None if value is None else str(value) for value in self.values], separators=(",", ":"))
        return f"{self.side}.{base64.urlsafe_b64encode(packed.encode()).decode().rstrip('=')}"


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Any]
    before: Place | None
    """Where the page before this one is; None on the first one."""
    after: Place | None


class Keyset:
    """The pages of an ordered queryset, which ends with a key that no two rows share."""

    def __init__(self, queryset: QuerySet[Any]) -> None:
        self._nulls_largest = connections[queryset.db].features.nulls_order_largest
        self._descends: list[bool] = []
        expressions = {}
        for number, part in enumerate(queryset.query.order_by):
            order = part if isinstance(part, OrderBy) else _order_by(str(part))
            expressions[_KEY.format(number)] = order.expression
            self._descends.append(order.descending)
        self.names: Final = [*expressions]
        self.rows: Final = queryset.order_by().annotate(**expressions)

    def read(self, text: str) -> Place | None:
        """A place of this very order; None where it is none."""
        if text == LAST:
            return Place(LAST)
        side, _dot, packed = text.partition(".")
        if side not in {AFTER, BEFORE}:
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
            return Place(side, self._values(values))
        except (ValueError, TypeError, ValidationError):
            return None

    def _values(self, written: Any) -> tuple[Any, ...]:
        if not isinstance(written, list) or not all(value is None or isinstance(value, str) for value in written):
            raise TypeError
        fields = [self.rows.query.annotations[name].output_field for name in self.names]
        return tuple(field.to_python(value) for field, value in zip(fields, written, strict=True))

    def after(self, offset: int) -> Place:
        """Behind so many rows."""
        ordered = self._ordered(self.rows.values_list(*self.names), self._descends)
        row = ordered[offset - 1 : offset].first() if offset else None
        return Place(AFTER, row)

    def page(self, rows: QuerySet[Any], place: Place, size: int) -> Page:
        """`rows` is `self.rows`, or its values with `self.names` last among them."""
        backwards = place.side != AFTER
        found = list(self._from(rows, place, size + 1, backwards=backwards))
        more = len(found) > size
        found = found[:size]
        if backwards:
            found.reverse()
        if not found:
            return Page([], None, None)
        before = Place(BEFORE, self._values_of(found[0]))
        after = Place(AFTER, self._values_of(found[-1]))
        if backwards:
            return Page(found, before if more else None, after if place.side == BEFORE else None)
        return Page(found, before if place.values else None, after if more else None)

    def _values_of(self, row: Any) -> tuple[Any, ...]:
        if isinstance(row, tuple):
            return row[-len(self.names) :]
        return tuple(getattr(row, name) for name in self.names)

    def _ordered(self, rows: QuerySet[Any], descends: Sequence[bool]) -> QuerySet[Any]:
        keys = zip(self.names, descends, strict=True)
        return rows.order_by(*(OrderBy(F(name), descending=descending) for name, descending in keys))

    def _from(self, rows: QuerySet[Any], place: Place, limit: int, *, backwards: bool) -> Iterator[Any]:
        descends = [descends != backwards for descends in self._descends]
        ordered = self._ordered(rows, descends)
        if place.values is None:
            yield from ordered[:limit]
            return
        for part in self._parts(place.values, descends):
            for row in ordered.filter(part)[:limit]:
                limit -= 1
                yield row
            if not limit:
                return

    # An index helps with a comparison of whole rows of values; it doesn't where NULLs must be asked for besides. They
    # stand together at one end: asked for apart.
    def _parts(self, values: Sequence[Any], descends: Sequence[bool]) -> Iterator[Any]:
        name, first = self.names[0], values[0]
        nulls_last = self._nulls_largest != descends[0]
        if first is None:
            yield Q(**{f"{name}__isnull": True}) & self._beyond(1, values, descends)
            if not nulls_last:
                yield Q(**{f"{name}__isnull": False})
            return
        if len({*descends}) == 1 and len(values) <= _KEY_AND_PK:
            yield _Beyond(self.rows, self.names, values, "<" if descends[0] else ">")
        else:
            side = "lt" if descends[0] else "gt"
            same = Q(**{name: first}) & self._beyond(1, values, descends)
            yield Q(**{f"{name}__{side}e": first}) & (Q(**{f"{name}__{side}": first}) | same)
        if nulls_last:
            yield Q(**{f"{name}__isnull": True})

    def _beyond(self, number: int, values: Sequence[Any], descends: Sequence[bool]) -> Q:
        """What comes after these values, from the key of that number on."""
        if number == len(self.names):
            return _NOTHING
        name, value = self.names[number], values[number]
        nulls_last = self._nulls_largest != descends[number]
        further = self._beyond(number + 1, values, descends)
        if value is None:
            other = _NOTHING if nulls_last else Q(**{f"{name}__isnull": False})
            return (Q(**{f"{name}__isnull": True}) & further) | other
        other = Q(**{f"{name}__{'lt' if descends[number] else 'gt'}": value})
        if nulls_last:
            other |= Q(**{f"{name}__isnull": True})
        return other | (Q(**{name: value}) & further)


def _order_by(name: str) -> OrderBy:
    return OrderBy(F(name.removeprefix("-")), descending=name.startswith("-"))


class _Beyond(Func):
    """(a, b) > (1, 2): the first key beyond, or the same and the second one beyond."""

    output_field = BooleanField()

    def __init__(self, rows: QuerySet[Any], names: Sequence[str], values: Sequence[Any], sign: str) -> None:
        fields = [rows.query.annotations[name].output_field for name in names]
        # Django lets nobody write the key 0 on MariaDB, and takes a comparison for writing.
        kinds = [BigIntegerField() if isinstance(field, AutoField) else field for field in fields]
        wanted = [Value(value, output_field=kind) for value, kind in zip(values, kinds, strict=True)]
        super().__init__(*(F(name) for name in names), *wanted)
        self.extra["sign"] = sign

    def as_sql(self, compiler: Any, connection: Any, *_args: Any, **_extra: Any) -> Any:
        parts = [compiler.compile(part) for part in self.get_source_expressions()]
        texts = [text for text, _params in parts]
        half = len(texts) // 2
        sql = f"({', '.join(texts[:half])}) {self.extra['sign']} ({', '.join(texts[half:])})"
        return sql, [param for _text, params in parts for param in params]
