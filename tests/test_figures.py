"""The figures of the overview: each is what its definition says, to the cent, and has the rows that it counts."""

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Q
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests import make
from truss_portal import figures
from truss_portal.figures import Figure, Period, Scope
from truss_portal.models import Company, Operation, PaymentIntent, Transaction

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 20)
NEW_YORK = ZoneInfo("America/New_York")


def scope(*companies: Company) -> Scope:
    return Scope(companies or tuple(Company.objects.all()), everything=not companies)


def money(text: str) -> Decimal:
    return Decimal(text)


def payment(intent: PaymentIntent | None = None, **given: Any) -> Transaction:
    intent = intent or make.row()
    columns = {
        "uid": uuid.uuid4(),
        "amount": "100.00",
        "type": "transaction",
        "payment_method": "ach",
        "status": "ProcessedCredit",
        "direction": 0,
        "date": datetime(2026, 11, 10, 12, tzinfo=NEW_YORK),
        "fetched_at": timezone.now(),
    }
    made: Transaction = Transaction.objects.create(company=intent.company, payment_intent=intent, **columns | given)
    made.refresh_from_db()
    return made


def received(first: date, last: date, **more: Any) -> Figure:
    return figures.get_received(more.get("scope") or scope(), Period(first, last), figures.weeks(TODAY)).period


NOVEMBER = (date(2026, 11, 1), date(2026, 11, 30))


class TestOwed:
    def test_it_is_what_is_left_of_what_can_be_paid(self):
        make.row(total="100.10")
        make.row(total="50.00", balance_paid="20.05", status="PartiallyPaid")
        for columns in (
            {"status": "Paid", "balance_paid": "120.00"},
            {"status": "Canceled"},
            {"status": "Errored"},
            {"status": "Pondering"},
            {"status": "", "uid": None, "delivery": "unsent"},
            {"missing_since": timezone.now()},
            {"status": "PartiallyPaid", "balance_paid": "130.00"},
            {"status": "Pending", "balance_paid": "120.00"},
        ):
            make.row(**columns)
        assert figures.get_owed(scope(), TODAY).outstanding == Figure(2, money("130.05"))

    @pytest.mark.parametrize(
        ("days", "part", "age"),
        [
            (None, "undated", "current"),
            (7, "later", "current"),
            (6, "soon", "current"),
            (0, "soon", "current"),
            (-1, "overdue", "1-30"),
            (-30, "overdue", "1-30"),
            (-31, "overdue", "31-60"),
            (-60, "overdue", "31-60"),
            (-61, "overdue", "61-90"),
            (-90, "overdue", "61-90"),
            (-91, "overdue", "over-90"),
            (-4000, "overdue", "over-90"),
        ],
    )
    def test_each_day_has_its_place(self, days: int | None, part: str, age: str):
        row = make.row(due_date=None if days is None else TODAY + timedelta(days=days))
        owed = figures.get_owed(scope(), TODAY)
        one = Figure(1, money("120.00"))
        assert owed.ages == {name: one if name == age else Figure() for name in figures.AGES}
        assert owed.overdue == (one if part == "overdue" else Figure())
        assert owed.this_week == (one if part == "soon" else Figure())
        there = {name for name, wanted in figures.due(TODAY).items() if PaymentIntent.objects.filter(wanted, pk=row.pk)}
        assert there == {part, age}

    def test_only_of_the_companies_asked_for(self):
        other = make.company(slug="other")
        make.row(total="1.00")
        make.row(total="2.00", company=other)
        assert figures.get_owed(scope(other), TODAY).outstanding == Figure(1, money("2.00"))
        assert figures.get_owed(scope(), TODAY).outstanding == Figure(2, money("3.00"))
        assert figures.get_owed(Scope(()), TODAY).outstanding == Figure()

    def test_sums_are_exact(self):
        """999,999,999,999.99 a hundred times: as floating point numbers, cents are lost."""
        company = make.company()
        columns = {"company": company, "total": money("999999999999.99"), "status": "Pending", "addenda": "Huge"}
        PaymentIntent.objects.bulk_create([PaymentIntent(uid=uuid.uuid4(), **columns) for _number in range(100)])
        assert figures.get_owed(scope(), TODAY).outstanding == Figure(100, money("99999999999999.00"))

    @pytest.mark.parametrize("columns", [{}, {"status": "PartiallyPaid"}, {"status": "Paid"}, {"status": "Draft"},
                                         {"missing_since": make.NOON}, {"balance_paid": "120.00"},
                                         {"balance_paid": "119.99"}])  # fmt: skip
    def test_a_row_and_the_queryset_agree(self, columns: dict[str, Any]):
        row = make.row(**columns)
        assert figures.is_owed(row) is figures.owed(PaymentIntent.objects.all()).exists()


class TestReceived:
    def test_payments_count_in_the_period_of_their_date(self):
        payment(amount="100.10")
        payment(amount="0.05", date=datetime(2026, 11, 1, 0, 0, tzinfo=NEW_YORK))
        payment(amount="7.00", date=datetime(2026, 10, 31, 23, 59, 59, tzinfo=NEW_YORK))
        payment(amount="9.00", date=datetime(2026, 12, 1, 0, 0, tzinfo=NEW_YORK))
        assert received(*NOVEMBER) == Figure(2, money("100.15"))

    def test_days_are_the_sites_own(self, settings: Any):
        """Ten in the evening of October 31 in New York is November in Greenwich."""
        payment(date=datetime(2026, 11, 1, 2, 0, tzinfo=UTC))
        assert received(*NOVEMBER) == Figure()
        settings.TIME_ZONE = "UTC"
        assert received(*NOVEMBER) == Figure(1, money("100.00"))

    @pytest.mark.parametrize(
        "columns",
        [
            {"status": "CanceledTransaction"},
            {"status": "Error"},
            {"missing_since": make.NOON},
            {"status": "ReturnedTransaction", "returned_at": make.NOON},
        ],
    )
    def test_what_never_came_or_came_back_is_left_out(self, columns: dict[str, Any]):
        payment(**columns)
        assert received(*NOVEMBER) == Figure()

    def test_what_takes_money_back_is_taken_off_when_it_does(self):
        intent = make.row()
        payment(intent, amount="100.00", date=datetime(2026, 10, 20, 12, tzinfo=UTC))
        payment(intent, amount="40.00", direction=1, status="RefundTransaction")
        assert received(date(2026, 10, 1), date(2026, 10, 31)) == Figure(1, money("100.00"))
        assert received(*NOVEMBER) == Figure(1, money("-40.00"))

    def test_a_return_that_is_told_twice_is_taken_off_once(self):
        intent = make.row()
        payment(intent, status="ReturnedTransaction", returned_at=make.NOON)
        payment(intent, direction=1, status="ReturnTransaction")
        assert received(*NOVEMBER) == Figure()
        payment(intent, amount="30.00", direction=1, status="ReturnTransaction")
        assert received(*NOVEMBER) == Figure(1, money("-30.00")), "over another amount: another return"

    def test_only_of_the_companies_asked_for(self):
        other = make.company(slug="other")
        payment(amount="1.00")
        payment(make.row(company=other), amount="2.00")
        assert received(*NOVEMBER, scope=scope(other)) == Figure(1, money("2.00"))
        assert received(*NOVEMBER) == Figure(2, money("3.00"))
        assert received(*NOVEMBER, scope=Scope(())) == Figure()

    def test_each_week_has_its_payments_and_the_period_may_be_older_than_all_of_them(self):
        weeks = figures.weeks(TODAY)
        for number, week in enumerate(weeks):
            begin, end = week.moments()
            payment(amount=f"{number + 1}.00", date=begin)
            payment(amount="0.01", date=end - timedelta(seconds=1))
        payment(amount="500.00", date=datetime(2026, 1, 1, 12, tzinfo=NEW_YORK))
        found = figures.get_received(scope(), figures.periods(TODAY)["year"], weeks)
        assert [found.weeks[week] for week in weeks] == [Figure(2, money(f"{n + 1}.01")) for n in range(13)]
        assert found.period == Figure(27, money("591.13"))
        january = figures.get_received(scope(), Period(date(2026, 1, 1), date(2026, 1, 31)), weeks)
        assert january.period == Figure(1, money("500.00"))

    @pytest.mark.parametrize("columns", [{}, {"direction": 1}, {"returned_at": make.NOON}, {"status": "Error"},
                                         {"direction": 1, "missing_since": make.NOON}])  # fmt: skip
    def test_the_queryset_has_exactly_these_rows(self, columns: dict[str, Any]):
        payment(**columns)
        rows = figures.received(Transaction.objects.all())
        assert received(*NOVEMBER) == sum((Figure(1, row.signed_amount) for row in rows), Figure())


class TestWhatWaits:
    def test_counted_by_what_is_special_about_them(self):
        other = make.company(slug="other")
        intent = make.row(attention="Truss has it twice.")
        state = Operation.State
        for company, columns in (
            (intent.company, {"state": state.UNCONFIRMED}),
            (intent.company, {"state": state.REFUSED, "needs_person": True}),
            (intent.company, {"state": state.GIVEN_UP, "needs_person": True}),
            (intent.company, {"state": state.DONE}),
            (other, {"state": state.UNCONFIRMED, "needs_person": True}),
        ):
            Operation.objects.create(company=company, payment_intent=intent, kind="create", **columns)
        wanted = (
            figures.unconfirmed(Operation.objects.all()),
            figures.stuck(Operation.objects.all()),
            figures.marked(PaymentIntent.objects.all()),
        )
        assert figures.get_counts(scope(), *wanted) == [2, 3, 1]
        assert figures.get_counts(scope(other), *wanted) == [1, 1, 0]
        assert figures.get_counts(scope(), wanted[2]) == [1]
        assert figures.get_counts(scope()) == []


class TestTheCalendar:
    @given(st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 12, 31)))
    def test_periods_hold_what_their_names_say(self, today: date):
        known = figures.periods(today)
        assert [*known] == ["30-days", "month", "last-month", "quarter", "year"]
        assert known["30-days"] == Period(today - timedelta(days=29), today)
        for name, months in (("month", 1), ("quarter", 3), ("year", 12)):
            first, last = known[name].first, known[name].last
            assert first <= today <= last
            assert (first.day, (first.month - 1) % months) == (1, 0)
            after = last + timedelta(days=1)
            assert after.day == 1
            assert (after.year - first.year) * 12 + after.month - first.month == months
        assert known["last-month"].last + timedelta(days=1) == known["month"].first
        assert known["last-month"].first.day == 1

    @given(st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 12, 31)))
    def test_weeks_follow_each_other_up_to_this_one(self, today: date):
        weeks = figures.weeks(today)
        assert len(weeks) == 13
        assert weeks[-1].first <= today <= weeks[-1].last
        assert {week.first.weekday() for week in weeks} == {0}
        assert all(later.first - earlier.last == timedelta(days=1) for earlier, later in pairwise(weeks))

    def test_a_day_on_which_the_clocks_change_has_25_hours(self):
        begin, end = Period(date(2026, 11, 1), date(2026, 11, 1)).moments()
        assert end - begin == timedelta(hours=24), "aware times of one zone are subtracted by the clock on the wall"
        assert end.astimezone(UTC) - begin.astimezone(UTC) == timedelta(hours=25)
        assert begin.time() == time(0)

    @given(st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 12, 31)), st.integers(-200, 200) | st.none())
    def test_every_due_date_is_in_one_age(self, today: date, days: int | None):
        due = None if days is None else today + timedelta(days=days)
        ages = [name for name in figures.AGES if holds(figures.due(today)[name], due)]
        assert len(ages) == 1


def holds(wanted: Q, due: date | None) -> bool:
    """What the database would say to it, without asking it."""

    def one(lookup: str, value: Any) -> bool:
        if value is None or due is None:
            return value is due
        return bool(due < value if lookup.endswith("__lt") else due >= value)

    found = [holds(child, due) if isinstance(child, Q) else one(*child) for child in wanted.children]  # type: ignore[misc]
    return any(found) if wanted.connector == Q.OR else all(found)
