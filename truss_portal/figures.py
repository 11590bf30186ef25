"""What the overview counts: what is owed, what came in, what waits for a person. Reads the database and nothing else.

Amounts are exact Decimals in US dollars: Truss has no other currency. A day is a day of the site's time zone. Beside
each figure stands a queryset of exactly the rows that it counts, so that the admin's lists show the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import models
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from truss_portal.models import Company, Operation, PaymentIntent, Transaction
from truss_portal.models.payment_intent import Status
from truss_portal.models.transaction import INBOUND, NEVER_CAME, OUTBOUND

WEEKS: Final = 13
"""A quarter of a year: what came in is shown for so many weeks."""
SOON: Final = timedelta(days=7)
"""“This week” is today and the six days after it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose figures: these companies', and whether there are no others."""

    companies: tuple[Company, ...]
    everything: bool = False

    @property
    def ids(self) -> set[int]:
        return {company.pk for company in self.companies}


@dataclass(frozen=True, slots=True)
class Figure:
    """So many rows, over so much."""

    count: int = 0
    total: Decimal = Decimal("0.00")

    def __add__(self, other: "Figure") -> "Figure":
        return Figure(self.count + other.count, self.total + other.total)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, from the first one to the last one."""

    first: date
    last: date

    def moments(self) -> tuple[datetime, datetime]:
        """Its begin, and the begin of what comes after it."""
        return _begin(self.first), _begin(self.last + timedelta(days=1))


def periods(today: date) -> dict[str, Period]:
    """Those that people choose from, by name."""
    month = today.replace(day=1)
    quarter = month.replace(month=(today.month - 1) // 3 * 3 + 1)
    last_month = month - timedelta(days=1)
    return {
        "30-days": Period(today - timedelta(days=29), today),
        "month": Period(month, _last_of(month, months=1)),
        "last-month": Period(last_month.replace(day=1), last_month),
        "quarter": Period(quarter, _last_of(quarter, months=3)),
        "year": Period(month.replace(month=1), month.replace(month=12, day=31)),
    }


def weeks(today: date) -> list[Period]:
    """From Monday to Sunday, oldest first; the last one is that of today."""
    monday = today - timedelta(days=today.weekday())
    starts = [monday - timedelta(weeks=back) for back in reversed(range(WEEKS))]
    return [Period(start, start + timedelta(days=6)) for start in starts]


# --- what is owed


def owed(invoices: QuerySet[PaymentIntent]) -> QuerySet[PaymentIntent]:
    """Those on which something can be paid at Truss: unpaid or partially paid, still found there, something left.

    Only what Truss has carries one of its statuses: what isn't sent isn't owed.
    """
    payable = invoices.filter(status__in=Status.PAYABLE, balance_paid__lt=F("total"))
    # Not `missing_since=None`: SQLite would take that for rare, and look at nearly all rows by the index of it.
    return payable.exclude(missing_since__isnull=False)


def is_owed(invoice: PaymentIntent) -> bool:
    """Whether this one is among them. Asks nobody."""
    payable = invoice.status in Status.PAYABLE and invoice.missing_since is None
    return payable and invoice.balance_paid < invoice.total


def due(today: date) -> dict[str, Q]:
    """Parts of what is owed, by name. The five of `AGES` together are all of it, and share nothing."""
    late = {days: today - timedelta(days=days) for days in (30, 60, 90)}
    return {
        "overdue": Q(due_date__lt=today),
        "soon": Q(due_date__gte=today, due_date__lt=today + SOON),
        "later": Q(due_date__gte=today + SOON),
        "undated": Q(due_date=None),
        "current": Q(due_date__gte=today) | Q(due_date=None),
        "1-30": Q(due_date__lt=today, due_date__gte=late[30]),
        "31-60": Q(due_date__lt=late[30], due_date__gte=late[60]),
        "61-90": Q(due_date__lt=late[60], due_date__gte=late[90]),
        "over-90": Q(due_date__lt=late[90]),
    }


AGES: Final = ("current", "1-30", "31-60", "61-90", "over-90")
_NOT_DUE: Final = ("undated", "later", "soon")
_OVERDUE: Final = AGES[1:]


@dataclass(frozen=True, slots=True)
class Owed:
    """What is left to pay, by when it is due."""

    parts: Mapping[str, Figure] = field(default_factory=dict)

    def _of(self, *names: str) -> Figure:
        return sum((self.parts.get(name, Figure()) for name in names), Figure())

    @property
    def outstanding(self) -> Figure:
        return self._of(*_NOT_DUE, *_OVERDUE)

    @property
    def overdue(self) -> Figure:
        return self._of(*_OVERDUE)

    @property
    def this_week(self) -> Figure:
        return self._of("soon")

    @property
    def ages(self) -> dict[str, Figure]:
        return {age: self._of(*_NOT_DUE) if age == "current" else self._of(age) for age in AGES}


def get_owed(scope: Scope, today: date) -> Owed:
    """In one statement, from an index alone."""
    wanted = due(today)
    part = Case(
        *(When(wanted[name], then=Value(name)) for name in (*_NOT_DUE, *_OVERDUE)), output_field=models.CharField()
    )
    rows = (
        owed(PaymentIntent.objects.filter(company__in=scope.ids))
        .order_by()
        .values(part=part)
        .annotate(count=Count("*"), asked=ExactSum("total"), paid=ExactSum("balance_paid"))
    )
    return Owed({row["part"]: Figure(row["count"], row["asked"] - row["paid"]) for row in rows})


# --- what came in


_CAME_IN: Final = Q(direction=INBOUND, returned_at=None)
# A payment that came back may be marked as returned, may have an entry of its own against it, or both: which, Truss
# doesn't publish. A marked one isn't counted as come in, so an entry over the same amount on the same invoice takes
# nothing away a second time.
_MARKED: Final = Transaction.objects.filter(
    direction=INBOUND,
    payment_intent=OuterRef("payment_intent"),
    amount=OuterRef("amount"),
    returned_at__isnull=False,
)
_TAKEN_BACK: Final = Q(~Exists(_MARKED), direction=OUTBOUND)


def received(payments: QuerySet[Transaction], which: Q = _CAME_IN | _TAKEN_BACK) -> QuerySet[Transaction]:
    """Payments that came in, and what took some of them back: the sum of their `signed_amount` is what was received.

    What was canceled or failed on the way is no payment, nor is what Truss no longer has.
    """
    return payments.filter(which, missing_since=None).exclude(status__in=NEVER_CAME)


@dataclass(frozen=True, slots=True)
class Received:
    """What was received in a period, and in each of some weeks."""

    period: Figure = field(default_factory=Figure)
    weeks: Mapping[Period, Figure] = field(default_factory=dict)


def get_received(scope: Scope, period: Period, by_week: Sequence[Period]) -> Received:
    """In one statement, which looks at each payment of that time once; most of them it reads from an index alone."""
    spans = [(span, span.moments()) for span in (period, *by_week)]
    bounds = sorted({moment for _span, moments in spans for moment in moments})
    # The stretches between two bounds; each span is some of them.
    stretch = Case(
        *(When(date__lt=end, then=Value(number)) for number, end in enumerate(bounds[1:])),
        output_field=models.IntegerField(),
    )
    payments = Transaction.objects.order_by().filter(date__gte=bounds[0], date__lt=bounds[-1])
    if not scope.everything:
        payments = payments.filter(company__in=scope.ids)
    both: list[Any] = [
        rows.values("direction", stretch=stretch)
        .annotate(count=Count("*"), total=ExactSum("amount"))
        .values_list("stretch", "direction", "count", "total")
        for rows in (received(payments, _CAME_IN), received(payments, _TAKEN_BACK))
    ]
    figures = dict.fromkeys(bounds, Figure())
    for number, direction, count, total in both[0].union(both[1], all=True).order_by():
        figures[bounds[number]] += Figure(count, -total if direction == OUTBOUND else total)

    def of(begin: datetime, end: datetime) -> Figure:
        return sum((figure for moment, figure in figures.items() if begin <= moment < end), Figure())

    return Received(of(*spans[0][1]), {week: of(*moments) for week, moments in spans[1:]})


# --- what waits for a person


def unconfirmed(requests: QuerySet[Operation]) -> QuerySet[Operation]:
    """Those of which nobody knows yet whether Truss has done them."""
    return requests.filter(state=Operation.State.UNCONFIRMED)


def stuck(requests: QuerySet[Operation]) -> QuerySet[Operation]:
    """Those that won't get on until somebody sees to them."""
    # Not `needs_person=True`, which Django writes as the bare column: SQLite would use no index.
    return requests.filter(needs_person__in=[True])


def marked(invoices: QuerySet[PaymentIntent]) -> QuerySet[PaymentIntent]:
    """Those with a note for a person. (“Not equal to nothing” says the same, and no index helps with it.)"""
    return invoices.filter(attention__gt="")


def get_counts(scope: Scope, *wanted: QuerySet[Any]) -> list[int]:
    """How many rows of these querysets belong to the companies, in one statement: a few of very many.

    Grouped by the bare company, or asked for by it, SQLite would go through all of the company's rows instead.
    """
    owner: Any = F("company_id") + 0
    counts = [
        rows.order_by()
        .values(number=Value(number, models.IntegerField()), owner=owner)
        .annotate(count=Count("*"))
        .values_list("number", "owner", "count")
        for number, rows in enumerate(wanted)
    ]
    found = [0] * len(wanted)
    for number, company, count in counts[0].union(*counts[1:], all=True).order_by() if counts else ():
        found[number] += count if company in scope.ids else 0
    return found


# --- adding up


class ExactSum(models.Aggregate):
    """A sum of amounts, 0 of none. SQLite keeps decimals as floating point numbers: whole cents are added there."""

    function = "SUM"
    # What Django would read as a decimal on SQLite is rounded to 15 digits.
    output_field = models.BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        cents = "%(function)s(CAST(ROUND(%(expressions)s * 100) AS INTEGER))"
        return self.as_sql(compiler, connection, template=cents, **extra)

    def get_db_converters(self, connection: Any) -> Any:
        return [_dollars]


def _dollars(value: Any, _expression: Any, connection: Any) -> Decimal:
    return Decimal(value or 0).scaleb(-2) if connection.vendor == "sqlite" else Decimal(value or 0)


def _begin(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _last_of(first: date, *, months: int) -> date:
    later = first.month - 1 + months
    return first.replace(year=first.year + later // 12, month=later % 12 + 1) - timedelta(days=1)
