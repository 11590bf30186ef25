"""Years, months and days to choose from above the list.

Those that have invoices; of more than are counted, all between the first and the last due date of all invoices.
Django's own way reads every row, and on SQLite calls a function for each: seconds for a million.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from .payment_intent_changelist import PaymentIntentChangeList

YEARS: Final = 50
"""Of more years than that the latest are shown: somebody has mistyped one."""
_FIELD: Final = "due_date"


class DueDates:
    """What `admin/date_hierarchy.html` wants to know."""

    def __init__(self, cl: "PaymentIntentChangeList", span: tuple[date, date] | None) -> None:
        """`span` is from the first to the last due date of all invoices."""
        self._cl, self._span = cl, span
        # The filter has refused already what isn't a date.
        year, month, day = (cl.params.get(f"{_FIELD}__{part}") for part in ("year", "month", "day"))
        self.back: dict[str, str] | None = None
        self.choices: list[dict[str, str]] = []
        rows: QuerySet[Any] = cl.queryset.order_by()
        if not year:
            begins = [date(number, 1, 1) for number in self._years(rows)]
            self.choices = [self._choice(begin, str(begin.year), "year") for begin in begins]
            return
        first = date(int(year), int(month or 1), int(day or 1))
        if month and day:
            self.back = self._choice(first, capfirst(date_format(first, "YEAR_MONTH_FORMAT")), "year", "month")
            self.choices = [{"link": "", "title": capfirst(date_format(first, "MONTH_DAY_FORMAT"))}]
        elif month:
            self.back = self._choice(first, str(first.year), "year")
            for begin in self._with_rows(rows, list(_days(first))):
                title = capfirst(date_format(begin, "MONTH_DAY_FORMAT"))
                self.choices.append(self._choice(begin, title, "year", "month", "day"))
        else:
            self.back = self._choice(first, _("All dates"))
            for begin in self._with_rows(rows, [first.replace(month=number) for number in range(1, 13)]):
                title = capfirst(date_format(begin, "YEAR_MONTH_FORMAT"))
                self.choices.append(self._choice(begin, title, "year", "month"))

    def _choice(self, begin: date, title: str, *parts: str) -> dict[str, str]:
        chosen = {f"{_FIELD}__{part}": str(getattr(begin, part)) for part in parts}
        return {"link": self._cl.get_query_string(chosen, [f"{_FIELD}__"]), "title": title}

    def _years(self, rows: QuerySet[Any]) -> list[int]:
        if self._cl.few:
            return sorted({day.year for day in _found(rows)})
        if self._span is None:
            return []
        first, last = (day.year for day in self._span)
        return [*range(max(first, last - YEARS + 1), last + 1)]

    def _with_rows(self, rows: QuerySet[Any], begins: list[date]) -> list[date]:
        """Those of these days, or months, that something is due in."""
        if not self._cl.few:
            return begins
        ends = [*begins[1:], date.max]
        due = _found(rows)
        return [begin for begin, end in zip(begins, ends, strict=True) if any(begin <= day < end for day in due)]


def _found(rows: QuerySet[Any]) -> set[date]:
    # Not DISTINCT: SQLite would go through all due dates in their order for it.
    return {day for day in rows.values_list(_FIELD, flat=True) if day}


def _days(first: date) -> Iterator[date]:
    day = first
    while day.month == first.month:
        yield day
        day += timedelta(days=1)
