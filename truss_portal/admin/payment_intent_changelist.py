"""How the list of invoices is counted, added up and paged: a million of them hurt no more than a thousand."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import Case, Count, F, Func, OrderBy, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from truss_portal.figures import ExactSum
from truss_portal.models import PaymentIntent
from truss_portal.models.payment_intent import Status

from .due_dates import DueDates
from .keyset import BEFORE, LAST, Keyset, Page, Place
from .payment_intent_filters import due_span
from .payment_intent_ranges import AmountFilter, DueDateFilter, PayerFilter, TypedFilter
from .payment_intent_search import INSIDE, only_beginnings
from .wording import money, number

Rows = QuerySet[PaymentIntent]

COUNTED: Final = 10_000
"""So many invoices are counted and added up without being asked for; of more the list only says that they are more."""
TOTALS: Final = "totals"
"""The parameter that asks to count and add up all of them, however long that takes."""
TYPED: Final = {*AmountFilter.names, *DueDateFilter.names, *PayerFilter.names}
_BY_COMPANY: Final = {"company": "company__slug", "-company": "-company__slug"}
_DATED: Final = {*DueDateFilter.names, "due_date__month"}
_NOT_CANCELED: Final = ~Q(status=Status.CANCELED)


def _left() -> Case:
    return Case(When(_NOT_CANCELED, then=F("total") - F("balance_paid")), default=Value(Decimal(0)))


class Left(Func):
    """`balance_due`, to sort by. SQLite keeps decimals as floating point numbers: whole cents are compared there."""

    template = "%(expressions)s"

    def __init__(self, *expressions: Any, **extra: Any) -> None:
        super().__init__(*(expressions or (_left(),)), output_field=PaymentIntent._meta.get_field("total"), **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="CAST(ROUND(%(expressions)s * 100) AS INTEGER)", **extra)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many rows, and what their columns add up to, to the cent."""

    count: int = 0
    amount: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    left: Decimal = Decimal(0)

    @classmethod
    def of(cls, rows: QuerySet[PaymentIntent, Any]) -> "Totals":
        """In one statement. Slice the rows first where there may be too many. `balance_due` is what is left."""
        found = rows.aggregate(
            rows=Count("*"),
            amount=ExactSum("total"),
            paid=ExactSum("balance_paid"),
            left=ExactSum(_left()),
        )
        return cls(found["rows"], *(found[name] or Decimal(0) for name in ("amount", "paid", "left")))

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The columns' names and their sums."""
        return [
            (_("Amount"), money(self.amount)),
            (pgettext("amount", "Paid"), money(self.paid)),
            (_("Left"), money(self.left)),
        ]

    @property
    def number(self) -> str:
        return number(self.count)


class PaymentIntentChangeList(ChangeList):
    """Up to `COUNTED` rows have numbered pages, and their totals. More are gone through from page to page."""

    totals: Totals | None
    """None where there are more than are added up unasked."""
    page: Page | None = None
    """Of a list without page numbers."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Rows:
        self.request = request
        # Asked for once: no filter, and in no link of the page.
        self.add_up = TOTALS in request.GET
        # A form sends its empty fields, too: they are no filter.
        empty = {name for name, values in self.filter_params.items() if name in TYPED and not any(values)}
        for name in {TOTALS, *empty}:
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        rows: Rows = super().get_queryset(request, exclude_parameters)
        return rows

    def get_ordering(self, request: HttpRequest, queryset: Rows) -> list[Any]:
        """Rows that are alike in a column stand in the direction of that column, so that one index serves both ways."""
        columns: list[Any] = []
        for part in super().get_ordering(request, queryset):
            if part in {"pk", "-pk"}:
                break
            # As Django takes it, an ordering by a company would be one by whatever companies are ordered by.
            columns.append(_BY_COMPANY.get(part, part) if isinstance(part, str) else part)
        # What is due in some month was written in some other one: PostgreSQL would look for the first of them through
        # all that are newer.
        by_pk = F("pk") + 0 if any(name in _DATED for name in self.filter_params) else F("pk")
        return [*columns, OrderBy(by_pk, descending=not columns or _descends(columns[-1]))]

    # --- how many, and which of them

    @property
    def _counted(self) -> int:
        return getattr(self.model_admin, "counted", COUNTED)

    def get_results(self, request: HttpRequest) -> None:
        rows, bound = self.queryset, self._counted
        plain = rows.order_by().values("total", "balance_paid", "status")
        some = Totals.of(plain[: bound + 1])
        self.totals = some if some.count <= bound else Totals.of(plain) if self.add_up else None
        # Where the search has looked only at how texts begin: where it looks inside, too.
        self.inside_url = self.get_query_string({SEARCH_VAR: INSIDE + self.query}) if only_beginnings(request) else ""
        self.few = some.count <= bound
        self.is_counted = self.totals is not None
        self.result_count = self.totals.count if self.totals else some.count
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.result_count <= self.list_max_show_all
        self.multi_page = self.result_count > self.list_per_page
        self.paginator: Paginator[Any] = self.model_admin.get_paginator(request, rows, self.list_per_page)
        self.paginator.count = min(some.count, bound)
        self._read_page(request.GET.get(PAGE_VAR, ""))

    def _read_page(self, asked: str) -> None:
        if not self.multi_page or (self.show_all and self.can_show_all):
            self.result_list: Any = self.queryset.all()
            return
        keyset = Keyset(self.queryset)
        place = keyset.read(asked)
        if place or not self.few:
            # A number is of a time when there were fewer.
            self.page = self._page(keyset, place or keyset.after(self._offset()))
            self.result_list = self.page.rows
        else:
            self.page_num = 1 + self._offset() // self.list_per_page
            self.result_list = self.paginator.page(self.page_num).object_list

    def _offset(self) -> int:
        """How many rows come before the numbered page that is asked for; before the last one where there are less."""
        return self.list_per_page * (max(1, min(self.page_num, self.paginator.num_pages)) - 1)

    def _page(self, keyset: Keyset, place: Place) -> Page:
        page = self._rows_of(keyset, place)
        # Rows have gone meanwhile: nothing is left there, or too little before the first page.
        lacks = not page.rows or (place.side == BEFORE and len(page.rows) < self.list_per_page)
        return self._rows_of(keyset, Place()) if lacks else page

    def _rows_of(self, keyset: Keyset, place: Place) -> Page:
        if self.reads_rows:
            return keyset.page(keyset.rows, place, self.list_per_page)
        # The keys alone first: an index may know them, and has to sort less than whole rows.
        page = keyset.page(keyset.rows.values_list("pk", *keyset.names), place, self.list_per_page)
        pks = [row[0] for row in page.rows]
        rows = self.apply_select_related(self.root_queryset).in_bulk(pks)
        return Page([rows[pk] for pk in pks if pk in rows], page.before, page.after)

    @property
    def reads_rows(self) -> bool:
        """Whether all that is asked of a row is in no index anyway."""
        return bool(self.query)

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Where one can go from a page without a number: what it is called, and the address; "" for nowhere."""
        page = self.page or Page([], None, None)

        def to(place: Place | None) -> str:
            return self.get_query_string({PAGE_VAR: str(place) or None}) if place else ""

        return [
            (_("First page"), to(page.before and Place())),
            (_("Previous page"), to(page.before)),
            (_("Next page"), to(page.after)),
            (_("Last page"), to(page.after and Place(LAST))),
        ]

    @property
    def problems(self) -> list[str]:
        """What is wrong with what was typed into the filters."""
        return [text for spec in self.filter_specs if isinstance(spec, TypedFilter) for text in spec.problems]

    @property
    def totals_url(self) -> str:
        """Where all of them are counted and added up."""
        return self.get_query_string({TOTALS: "1"})

    @property
    def bound(self) -> str:
        return number(self._counted)

    # --- by due date

    @cached_property
    def due_dates(self) -> DueDates:
        return DueDates(self, due_span(self.request))


def _descends(part: Any) -> bool:
    return part.descending if isinstance(part, OrderBy) else str(part).startswith("-")
