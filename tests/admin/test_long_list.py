"""The list of very many invoices: pages without counting, totals when asked, a search that begins with indexes.

What is many here is a dozen: the limits are those of an admin made for it.
"""

import re
import uuid
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import text_of
from truss_portal.admin import PaymentIntentAdmin
from truss_portal.admin.keyset import Place
from truss_portal.models import Contact, PaymentIntent, Transaction

pytestmark = pytest.mark.django_db

LIST = "/admin/truss_portal/paymentintent/"
SIZE = 4


class SmallAdmin(PaymentIntentAdmin):
    list_per_page = SIZE
    list_max_show_all = SIZE
    counted = 8
    always_inside = 0


@pytest.fixture(autouse=True)
def many_is_a_dozen(settings: Any) -> None:
    site = admin.AdminSite()
    for model, registered in admin.site._registry.items():
        site.register(model, SmallAdmin if model is PaymentIntent else type(registered))
    settings.ROOT_URLCONF = (path("admin/", site.urls),)


@pytest.fixture
def mixed(db: None) -> list[PaymentIntent]:
    """Thirty invoices that are alike in all ways in which rows can be, with nothing in places."""
    payers = [Contact.objects.create(company=make.company(), name=name) for name in ("Ortega", "Acme", "Acme")]
    made = [
        make.row(
            reference=f"INV-{number % 7}-{number}" if number % 3 else None,
            contact=payers[number % 3],
            due_date=date(2030 + number % 4, 1 + number % 2, 5) if number % 5 else None,
            total=f"{100 + number % 6}.10",
            balance_paid=("0.00", "50.30", "99.80")[number % 3],
            status=("Pending", "PartiallyPaid", "Canceled")[number % 4 % 3],
        )
        for number in range(30)
    ]
    PaymentIntent.objects.filter(pk__in=[row.pk for row in made[::6]]).update(contact=None)
    return made


def get(client: Client, **query: Any) -> Any:
    response = client.get(LIST, query)
    assert response.status_code == 200, response
    return response


def cl(client: Client, **query: Any) -> Any:
    return get(client, **query).context["cl"]


def walk(client: Client, step: int, **query: Any) -> Iterator[list[int]]:
    """The rows of each page, going on by one of the page's steps until there is none."""
    while True:
        page = cl(client, **query)
        yield [row.pk for row in page.result_list]
        address = page.steps[step][1]
        if not address:
            return
        query = dict(parse_qsl(address[1:]))


ORDERS = [
    "",
    "1",
    "-1",
    "3",
    "-3",
    "4",
    "-4",
    "5",
    "-5",
    "6",
    "-6",
    "7",
    "-7",
    "8",
    "5.1",
    "-5.3.-1",
    "8.-5",
    "-3.5",
    "2",
]


class TestPages:
    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.slow
    def test_going_on_shows_each_row_once_in_order_and_back_again(
        self, boss: Client, mixed: list[PaymentIntent], order: str
    ) -> None:
        query = {"o": order} if order else {}
        wanted = [row.pk for row in cl(boss, **query).queryset]
        assert len(wanted) == 30
        forth = list(walk(boss, 2, **query))
        assert [pk for page in forth for pk in page] == wanted
        assert [len(page) for page in forth] == [SIZE] * 7 + [2]
        back = list(walk(boss, 1, **query, p="last"))
        assert [pk for page in reversed(back) for pk in page][-28:] == wanted[-28:]
        assert back[0] == wanted[-SIZE:]

    def test_the_newest_come_first(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        assert [row.pk for row in cl(boss).result_list] == [row.pk for row in reversed(mixed[-SIZE:])]

    def test_what_is_left_orders_as_it_is_shown(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        left = [row.balance_due for row in cl(boss, o="4").queryset]
        assert left == sorted(left)
        assert left[0] == 0, "of canceled ones nothing is left"

    def test_the_first_page_leads_on_and_the_last_one_back(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        first, last = cl(boss).steps, cl(boss, p="last").steps
        assert [bool(address) for _name, address in first] == [False, False, True, True]
        assert [bool(address) for _name, address in last] == [True, True, False, False]
        page = text_of(get(boss))
        assert "First page Previous page Next page Last page" in page

    def test_filters_search_and_order_stay_from_page_to_page(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        query = {"amount_from": "100.50", "status": "Pending", "o": "-7", "q": "*INV"}
        seen = [pk for page in walk(boss, 2, **query) for pk in page]
        wanted = [row for row in mixed if row.status == "Pending" and row.reference and row.total > Decimal("100.50")]
        assert sorted(seen) == [row.pk for row in wanted]
        assert len(seen) > SIZE

    def test_a_row_that_goes_meanwhile_moves_no_other(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        page = cl(boss, o="5")
        wanted = [row.pk for row in page.queryset]
        PaymentIntent.objects.filter(pk__in=wanted[1:SIZE]).delete()
        query = dict(parse_qsl(page.steps[2][1][1:]))
        assert [row.pk for row in cl(boss, **query).result_list] == wanted[SIZE : 2 * SIZE]

    def test_a_number_from_a_time_of_fewer_leads_to_that_page(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        wanted = [row.pk for row in cl(boss, o="5").queryset]
        assert [row.pk for row in cl(boss, o="5", p="2").result_list] == wanted[SIZE : 2 * SIZE]
        assert [row.pk for row in cl(boss, o="5", p="999").result_list] == wanted[SIZE : 2 * SIZE], "the last numbered"

    @pytest.mark.parametrize("place", ["after.", "after.x", "before.bnVsbA", "after.WyJ4Il0", "after.WzFd", "-3", "x"])
    def test_a_place_that_isnt_one_is_the_beginning(self, boss: Client, mixed: list[PaymentIntent], place: str) -> None:
        assert [row.pk for row in cl(boss, p=place).result_list] == [row.pk for row in reversed(mixed[-SIZE:])]

    def test_past_the_end_the_list_begins_anew(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        newest = [row.pk for row in reversed(mixed[-SIZE:])]
        assert [row.pk for row in cl(boss, p=str(Place("after", (0,)))).result_list] == newest
        assert [row.pk for row in cl(boss, p=str(Place("before", (mixed[-2].pk,)))).result_list] == newest

    def test_few_have_numbers(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        page = get(boss, amount_from="105", p="9")
        assert page.context["cl"].result_count == 5
        assert page.context["cl"].page_num == 2
        assert "Next page" not in text_of(page)
        place = cl(boss).steps[2][1].removeprefix("?p=")
        assert "Next page" in text_of(get(boss, amount_from="105", p=place)), "a place among many is one among few, too"

    def test_nothing_is_counted_beyond_the_limit(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        for query in ({}, {"status": "Pending"}, {"o": "4"}, {"p": "last"}):
            with CaptureQueriesContext(connection) as seen:
                get(boss, **query)
            counts = [each["sql"] for each in seen if "COUNT(" in each["sql"]]
            assert len(counts) == 1
            assert "LIMIT 9)" in counts[0]


class TestTotals:
    def test_of_few_they_stand_below(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        page = get(boss, amount_from="105")
        rows = [row for row in mixed if row.total >= 105]
        shown = [
            f"${sum(getattr(row, name) for row in rows):,.2f}" for name in ("total", "balance_paid", "balance_due")
        ]
        assert f"Invoices 5 Amount {shown[0]} Paid {shown[1]} Left {shown[2]}" in text_of(page)

    def test_of_many_they_are_offered_and_exact(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        page = get(boss)
        text = "More than 8 invoices: so many aren't counted and added up unasked. Count and add up all of them"
        assert text in text_of(page)
        page = get(boss, **dict(parse_qsl(page.context["cl"].totals_url[1:])))
        shown = [
            f"${sum(getattr(row, name) for row in mixed):,.2f}" for name in ("total", "balance_paid", "balance_due")
        ]
        assert f"Invoices 30 Amount {shown[0]} Paid {shown[1]} Left {shown[2]}" in text_of(page)
        assert "Select all 30 invoices" in text_of(page)
        assert "totals" not in page.context["cl"].steps[2][1], "asked for once"

    def test_cents_are_never_lost(self, boss: Client) -> None:
        columns = {"company": make.company(), "total": Decimal("999999999999.99"), "addenda": "Huge"}
        PaymentIntent.objects.bulk_create([PaymentIntent(uid=uuid.uuid4(), **columns) for _ in range(100)])
        assert "Amount $99,999,999,999,999.00 Paid $0.00 Left $99,999,999,999,999.00" in text_of(get(boss, totals="1"))

    def test_canceled_leaves_nothing_and_overpaid_less_than_nothing(self, boss: Client) -> None:
        make.row(total="100.00", balance_paid="30.00", status="Canceled")
        make.row(total="100.00", balance_paid="100.01", status="Paid")
        assert "Invoices 2 Amount $200.00 Paid $130.01 Left -$0.01" in text_of(get(boss))


class TestActions:
    def test_all_that_match_can_be_chosen_and_are_not_guessed_at(
        self, boss: Client, mixed: list[PaymentIntent]
    ) -> None:
        page = get(boss, status="Pending")
        assert "Select all invoices that match: more than 8" in text_of(page)
        assert "0 of 4 selected" in text_of(page)
        across = {"action": "export_csv", "_selected_action": [mixed[0].pk], "select_across": "1", "index": "0"}
        place = page.context["cl"].steps[2][1]
        exported = b"".join(boss.post(LIST + place, across).streaming_content)  # type: ignore[attr-defined]
        pending = [row for row in mixed if row.status == "Pending"]
        assert exported.count(b"\r\n") == 1 + len(pending)

    def test_the_export_page_has_the_same_rows_on_every_page(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        place = cl(boss, status="Pending").steps[2][1]
        answer = boss.get(f"{LIST}export/csv/{place}")
        pending = [row for row in mixed if row.status == "Pending"]
        assert b"".join(answer.streaming_content).count(b"\r\n") == 1 + len(pending)  # type: ignore[attr-defined]


class TestByDueDate:
    def choices(self, client: Client, **query: Any) -> list[str]:
        return [choice["title"] for choice in cl(client, **query).due_dates.choices]

    def test_few_have_the_years_months_and_days_that_are_there(self, boss: Client) -> None:
        for due in (date(2030, 1, 5), date(2030, 1, 31), date(2030, 12, 31), date(2033, 2, 1), None):
            make.row(due_date=due)
        assert self.choices(boss) == ["2030", "2033"]
        assert self.choices(boss, due_date__year="2030") == ["January 2030", "December 2030"]
        month = {"due_date__year": "2030", "due_date__month": "1"}
        assert self.choices(boss, **month) == ["January 5", "January 31"]
        assert self.choices(boss, **month, due_date__day="31") == ["January 31"]
        page = text_of(get(boss, **month))
        assert "2030 January 5 January 31" in page
        assert "January 2030 January 31" in text_of(get(boss, **month, due_date__day="31"))
        assert "All dates" in text_of(get(boss, due_date__year="2030"))

    def test_many_have_all_between_the_first_and_the_last(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        assert self.choices(boss) == ["2030", "2031", "2032", "2033"]
        make.row(due_date=date(2931, 1, 1))
        assert self.choices(boss)[-1] == "2931"
        assert len(self.choices(boss)) == 50
        assert len(self.choices(boss, amount_from="1", due_date__year="2030")) == 1, "few again"
        PaymentIntent.objects.update(due_date=date(2030, 5, 31))
        assert len(self.choices(boss, due_date__year="2030")) == 12
        assert len(self.choices(boss, due_date__year="2030", due_date__month="5")) == 31

    def test_without_any_there_is_nothing_to_choose(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        PaymentIntent.objects.update(due_date=None)
        assert self.choices(boss) == []

    def test_a_choice_keeps_the_rest_and_leads_to_its_rows(self, boss: Client, mixed: list[PaymentIntent]) -> None:
        [first, *_others] = cl(boss, status="Pending").due_dates.choices
        query = dict(parse_qsl(first["link"][1:]))
        assert query == {"status": "Pending", "due_date__year": "2030"}
        years = {row.due_date.year for row in cl(boss, **query).queryset}
        assert years == {2030}

    def test_what_is_no_date_goes_back_to_the_list(self, boss: Client) -> None:
        assert boss.get(LIST, {"due_date__year": "soon"}).status_code == 302


class TestSearch:
    def found(self, client: Client, text: str, **more: Any) -> set[str]:
        return {row.addenda for row in cl(client, q=text, **more).queryset}

    @pytest.fixture
    def books(self) -> None:
        company = make.company()
        ortega = Contact.objects.create(
            company=company, name="Ortega Bakery", email="ap@ortega.test", secondary_email="boss@ortega.test"
        )
        acme = Contact.objects.create(company=company, name="Acme", email="pay@acme.test")
        make.row(reference="INV-77", addenda="Oven repair", contact=ortega)
        make.row(reference="INV-7", addenda="Second oven", contact=acme)
        make.row(reference="A-INV-7", addenda="Third", contact=acme)

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("INV-7", {"Oven repair", "Second oven"}),
            ("inv-77", {"Oven repair"}),
            ("oven", {"Oven repair"}),
            ("ortega", {"Oven repair"}),
            ("BAKERY ortega", {"Oven repair"}),
            ("boss@ortega", {"Oven repair"}),
            ("acme.test", {"Second oven", "Third"}),
        ],
    )
    def test_what_begins_so_is_found_and_the_rest_is_offered(
        self, boss: Client, books: None, text: str, found: set[str]
    ) -> None:
        assert self.found(boss, text) == found
        page = get(boss, q=text)
        assert "These are the numbers and descriptions that begin so, and the payers with it." in text_of(page)
        link = re.search(r'href="(\?[^"]*)">Search inside', page.content.decode())
        assert link
        inside = dict(parse_qsl(link[1][1:]))
        assert inside == {"q": f"*{text}"}
        assert self.found(boss, inside["q"]) >= found
        assert "Search inside" not in text_of(get(boss, **inside))

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("repair", {"Oven repair"}),
            ("V-7", {"Oven repair", "Second oven", "Third"}),
            ("*oven", {"Oven repair", "Second oven"}),
            ("*acme oven", {"Second oven"}),
            ('*"oven repair"', {"Oven repair"}),
            ('"second oven"', {"Second oven"}),
            ("*", {"Oven repair", "Second oven", "Third"}),
            ("nobody", set()),
        ],
    )
    def test_where_nothing_begins_so_it_looks_inside(
        self, boss: Client, books: None, text: str, found: set[str]
    ) -> None:
        assert self.found(boss, text) == found
        assert "Search inside" not in text_of(get(boss, q=text))

    def test_wildcards_are_letters(self, boss: Client, books: None) -> None:
        make.row(reference="100%_x", addenda="Percent")
        assert self.found(boss, "100%") == {"Percent"}
        assert self.found(boss, "INV_7") == set()
        assert self.found(boss, "*0%_") == {"Percent"}

    def test_filters_hold_while_searching(self, boss: Client, books: None) -> None:
        PaymentIntent.objects.filter(reference="INV-7").update(status="Paid")
        assert self.found(boss, "INV-7", status="Paid") == {"Second oven"}
        assert self.found(boss, "*oven", status="Paid") == {"Second oven"}

    def test_more_than_are_named_are_found_as_well(self, boss: Client, books: None) -> None:
        columns = {"company": make.company(), "total": 5, "addenda": "Many"}
        PaymentIntent.objects.bulk_create(
            [PaymentIntent(uid=uuid.uuid4(), reference=f"MANY-{number}", **columns) for number in range(2001)]
        )
        for text in ("MANY-", "*any-"):
            page = get(boss, q=text, totals="1")
            assert page.context["cl"].result_count == 2001
        assert "results (" not in text_of(get(boss, q="MANY-")), "not counted, and so not told"

    def test_a_uid_is_one_of_an_invoice_or_of_its_payment(self, boss: Client, books: None) -> None:
        row = PaymentIntent.objects.get(reference="INV-7")
        paid = Transaction.objects.create(
            company=row.company, payment_intent=row, uid=uuid.uuid4(), amount=5, direction=0, date=make.NOON,
            fetched_at=make.NOON,
        )  # fmt: skip
        for text in (str(row.uid), paid.uid.hex.upper(), f"*{row.uid}"):
            assert self.found(boss, text) == {"Second oven"}
        assert self.found(boss, str(uuid.uuid4())) == set()


SEVERAL: list[dict[str, str]] = [
    {},
    {"p": "last"},
    {"p": "2"},
    {"totals": "1"},
    {"o": "4"},
    {"o": "5.1", "p": "last"},
    {"status": "Pending"},
    {"status": "other"},
    {"due": "owed"},
    {"attention": "yes"},
    {"payer": "a"},
    {"payer": "acme", "amount_from": "1", "dated_from": "2000-01-01", "o": "3"},
    {"q": "INV"},
    {"q": "nothing like it"},
    {"q": "NV-", "o": "5"},
    {"q": "*NV", "payer": "acme"},
    {"due_date__year": "2030"},
    {"due_date__year": "2030", "due_date__month": "1"},
    {"environment": "local", "company__id__exact": "1"},
]


@pytest.mark.parametrize("query", SEVERAL, ids=str)
def test_no_more_than_ten_statements_and_no_more_for_more_rows(
    signed_in: SignIn, mixed: list[PaymentIntent], query: dict[str, str]
) -> None:
    make.company(slug="second")
    clerk = signed_in("view_paymentintent", "link_paymentintent", "send_paymentintent", "export_paymentintent")

    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            get(clerk, **query)
        assert len(seen) <= 10, "\n".join(each["sql"] for each in seen.captured_queries)
        return len(seen)

    before = statements()
    for number in range(20):
        make.row(reference=f"INV-X{number}", due_date=date(2030, 1, 5), contact=mixed[1].contact)
    assert statements() <= before + 1, "a statement more where few have become many"
