"""The Truss overview: each figure, and the rows that its link leads to."""

import html
import json
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, url
from truss_portal.models import Company, Operation, PaymentIntent, Transaction

pytestmark = pytest.mark.django_db

OVERVIEW = "paymentintent_overview"
# A Friday, half past ten in the evening: the day after in Greenwich.
NOW = datetime(2026, 11, 20, 22, 30, tzinfo=ZoneInfo("America/New_York"))
TODAY = NOW.date()
LIST_NAMES = {"paymentintent": "field-left", "transaction": "field-shown_amount", "operation": "field-what"}


@pytest.fixture(autouse=True)
def friday() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def payment(intent: PaymentIntent, amount: str, at: datetime, **more: Any) -> Transaction:
    columns: dict[str, Any] = {"direction": 0, "status": "ProcessedCredit", "type": "transaction"}
    return Transaction.objects.create(
        company=intent.company, payment_intent=intent, uid=uuid.uuid4(), amount=amount, date=at, fetched_at=at,
        payment_method="ach", **columns | more,
    )  # fmt: skip


def operation(intent: PaymentIntent, **columns: Any) -> Operation:
    made: Operation = Operation.objects.create(company=intent.company, payment_intent=intent, kind="create", **columns)
    return made


def books(company: Company, cents: str) -> None:
    """A bit of everything: amounts that end in `cents`, so that one company's can't be taken for another's."""

    def due(days: int) -> dict[str, Any]:
        return {"due_date": TODAY + timedelta(days=days), "company": company}

    for days in (-1, -30, -31, -60, -61, -90, -91, -500, 0, 6, 7, 90):
        make.row(total=f"{1000 + days}.{cents}", **due(days))
    make.row(total=f"55.{cents}", company=company)
    part = make.row(total="300.00", balance_paid=f"100.{cents}", status="PartiallyPaid", **due(-3))
    paid = make.row(total="900.00", balance_paid="900.00", status="Paid", **due(-40))
    make.row(status="Canceled", **due(-2))
    make.row(status="Errored", **due(-2))
    make.row(missing_since=NOW, **due(-2))
    make.row(balance_paid="120.00", status="PartiallyPaid", **due(-2))
    make.row(uid=None, status="", delivery="unsent", **due(3))
    payment(part, f"100.{cents}", NOW)
    payment(part, "30.00", NOW - timedelta(days=5), direction=1, status="RefundTransaction")
    for days, amount in ((29, "400.00"), (30, "350.00"), (60, "100.00"), (80, "25.50"), (200, "24.50")):
        payment(paid, amount, NOW - timedelta(days=days))
    payment(paid, "77.00", NOW - timedelta(days=3), returned_at=NOW, status="ReturnedTransaction")
    payment(paid, "77.00", NOW - timedelta(days=1), direction=1, status="ReturnTransaction")
    operation(part, state="unconfirmed")
    operation(part, state="refused", needs_person=True)
    operation(paid, state="given_up", needs_person=True)
    operation(paid, state="done")
    make.row(company=company, attention="Truss has it twice.", status="Canceled")


def money(shown: str) -> Decimal:
    return Decimal(re.sub(r"[$,]", "", shown))


def card(page: str, name: str) -> tuple[str, list[str]]:
    """The figure as it is shown, and the addresses of its rows."""
    [part] = re.findall(rf'id="truss-{name}">.*?</div>', page, re.DOTALL)
    [shown] = re.findall(r'truss-figure">(.*?)<', part)
    return html.unescape(shown), [html.unescape(link) for link in re.findall(r'href="(.*?)"', part)]


def table(page: str, name: str) -> list[tuple[str, str, list[str]]]:
    """Of each row: its label, the address of its rows, and its cells."""
    [part] = re.findall(rf'<h2 id="truss-{name}">.*?</table>', page, re.DOTALL)
    rows = []
    for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", part, re.DOTALL):
        label, _end, rest = row.partition("</th>")
        links = [html.unescape(link) for link in re.findall(r'href="(.*?)"', label)]
        rows.append((re.sub("<.*?>", "", label), links[0] if links else "", re.findall(r"<td.*?>(.*?)</td>", rest)))
    return rows


def rows_of(client: Client, link: str) -> tuple[int, Decimal]:
    """How many rows the list behind a link shows, and over how much, page by page."""
    name = link.split("/")[3]
    count, total, page = 0, Decimal(0), 1
    while True:
        response = client.get(f"{link}&p={page}" if page > 1 else link)
        assert response.status_code == 200, link
        text = response.content.decode()
        cells = re.findall(rf'<t[dh] class="{LIST_NAMES[name]}[^"]*">(.*?)</t[dh]>', text, re.DOTALL)
        count += len(cells)
        total += sum((money(cell) for cell in cells if cell.startswith(("$", "-$"))), Decimal(0))
        if page >= response.context["cl"].paginator.num_pages:
            return count, total
        page += 1


def counted(text: str) -> int:
    return int(text.replace(",", ""))


SEVERAL = [
    {},
    {"company": "default"},
    {"company": "second"},
    {"environment": "sandbox"},
    {"period": "month"},
    {"period": "last-month", "company": "second"},
    {"period": "quarter"},
    {"period": "year", "environment": "sandbox"},
]


@pytest.mark.parametrize("query", SEVERAL, ids=urlencode)
def test_each_figure_is_the_sum_of_the_rows_that_its_link_shows(boss: Client, query: dict[str, str]) -> None:
    books(make.company(), "01")
    books(make.company(slug="second"), "20")
    books(make.company(slug="third", environment="sandbox"), "40")
    page = boss.get(url(OVERVIEW), query).content.decode()
    for name in ("owed", "overdue", "soon", "paid"):
        shown, [link] = card(page, name)
        count, total = rows_of(boss, link)
        assert (money(shown), count > 0) == (total, True), name
    for name in ("unconfirmed", "person"):
        shown, links = card(page, name)
        assert sum(rows_of(boss, link)[0] for link in links) == counted(shown) > 0, name
    for label, link, [invoices, left, _share] in table(page, "ages"):
        assert rows_of(boss, link) == (counted(invoices), money(left)), label
    linked = 0
    for label, link, [payments, received] in table(page, "weeks"):
        if link:
            assert rows_of(boss, link) == (counted(payments), money(received)), label
            linked += 1
        else:
            assert (payments, received) == ("0", "$0.00")
    assert linked == 5


def test_the_figures_of_a_known_book(boss: Client) -> None:
    books(make.company(), "01")
    page = boss.get(url(OVERVIEW)).content.decode()
    assert card(page, "owed")[0] == "$11,494.12"
    assert card(page, "overdue")[0] == "$7,336.07"
    assert card(page, "soon")[0] == "$2,006.02"
    assert card(page, "paid")[0] == "$470.01"
    assert card(page, "unconfirmed")[0] == "1"
    assert card(page, "person")[0] == "3"
    assert [cells for _label, _link, cells in table(page, "ages")] == [
        ["5", "$4,158.05", "36%"],
        ["3", "$2,169.01", "19%"],
        ["2", "$1,909.02", "17%"],
        ["2", "$1,849.02", "16%"],
        ["2", "$1,409.02", "12%"],
    ]
    received = [cells for _label, _link, cells in table(page, "weeks")]
    assert received[0] == ["1", "$100.01"]
    assert received[1] == ["1", "-$30.00"]
    assert len(received) == 13
    assert "51%" not in page
    assert "64% of what is outstanding" in page


def test_a_card_that_needs_nobody_raises_no_alarm(boss: Client) -> None:
    make.row(due_date=TODAY)
    page = boss.get(url(OVERVIEW)).content.decode()
    assert "truss-alarm" not in page
    assert card(page, "overdue") == ("$0.00", [])
    assert card(page, "person") == ("0", [])


def test_days_and_ages_follow_the_sites_clock(boss: Client, settings: Any) -> None:
    make.row(due_date=TODAY)
    assert card(boss.get(url(OVERVIEW)).content.decode(), "overdue")[0] == "$0.00"
    settings.TIME_ZONE = "UTC"
    assert card(boss.get(url(OVERVIEW)).content.decode(), "overdue")[0] == "$120.00", "in Greenwich it is Saturday"


class TestWhichCompanies:
    def test_sandbox_and_production_are_never_added_up(self, boss: Client) -> None:
        make.row(total="10.00")
        make.row(total="7.00", company=make.company(slug="real", environment="production"))
        assert card(boss.get(url(OVERVIEW)).content.decode(), "owed")[0] == "$10.00"
        production = boss.get(url(OVERVIEW), {"environment": "production"}).content.decode()
        assert card(production, "owed")[0] == "$7.00"
        assert '<option value="production" selected>' in production

    def test_a_company_brings_its_environment_along(self, boss: Client) -> None:
        make.row(total="7.00", company=make.company(slug="real", environment="production"))
        make.row(total="10.00")
        assert card(boss.get(url(OVERVIEW), {"company": "real"}).content.decode(), "owed")[0] == "$7.00"
        both = boss.get(url(OVERVIEW), {"company": "real", "environment": "local"}).content.decode()
        assert card(both, "owed")[0] == "$10.00", "the environment was chosen anew"

    def test_companies_of_another_environment_than_the_sites_are_shown_where_there_are_no_others(
        self, boss: Client
    ) -> None:
        make.row(total="7.00", company=make.company(environment="production"))
        assert card(boss.get(url(OVERVIEW)).content.decode(), "owed")[0] == "$7.00"

    def test_what_makes_no_sense_is_taken_for_not_said(self, boss: Client) -> None:
        make.row(total="7.00")
        page = boss.get(url(OVERVIEW), {"company": "'", "environment": "?", "period": "-1"}).content.decode()
        assert card(page, "owed")[0] == "$7.00"
        assert "Paid in the last 30 days" in page

    def test_one_company_isnt_asked_for(self, boss: Client) -> None:
        make.row()
        page = boss.get(url(OVERVIEW)).content.decode()
        assert 'name="company"' not in page
        assert 'name="environment"' not in page
        assert 'name="period"' in page


class TestLastGoodSync:
    def test_how_old_it_is(self, boss: Client) -> None:
        make.company(name="Harbor Street", listed_at=NOW - timedelta(hours=3))
        page = see(boss, OVERVIEW)
        assert "Harbor Street Nov. 20, 2026, 7:30 p.m. 3 hours ago" in page.replace("\xa0", " ")
        assert "Not up to date" not in page

    @pytest.mark.parametrize(
        ("at", "words"), [(NOW - timedelta(days=1, minutes=1), "Older than a day"), (None, "Never")]
    )
    def test_a_warning_when_it_is_older_than_a_day(self, boss: Client, at: datetime | None, words: str) -> None:
        make.company(name="Harbor Street", listed_at=at)
        page = see(boss, OVERVIEW)
        assert "Not up to date: Harbor Street. " in page
        assert words in page

    def test_each_company_has_a_line_and_a_link_to_its_runs(self, boss: Client) -> None:
        make.company(name="One", listed_at=NOW)
        second = make.company(slug="second", name="Two", listed_at=NOW)
        page = boss.get(url(OVERVIEW)).content.decode()
        assert [label for label, _link, _cells in table(page, "syncs")] == ["One", "Two"]
        assert f"/admin/truss_portal/syncrun/?company__id__exact={second.pk}" in page


class TestWhatIsThereToSee:
    def test_an_empty_site_says_what_to_do_first_and_leads_there(self, boss: Client, signed_in: SignIn) -> None:
        page = boss.get(url(OVERVIEW))
        assert "No company is connected to Truss yet" in text_of(page)
        assert f'href="{url("company_changelist")}">Companies</a>' in page.content.decode()
        make.company()
        page = boss.get(url(OVERVIEW))
        assert "No invoices yet. Write the first one" in text_of(page)
        assert f'href="{url("paymentintent_add")}">Add invoice</a>' in page.content.decode()
        assert "Outstanding" not in text_of(page)
        viewer = signed_in("view_paymentintent")
        assert "Add invoice</a>" not in viewer.get(url(OVERVIEW)).content.decode()

    def test_who_may_not_view_companies_isnt_led_to_them(self, signed_in: SignIn) -> None:
        page = signed_in("view_paymentintent").get(url(OVERVIEW))
        assert "No company is connected to Truss yet" in text_of(page)
        assert "Companies</a>" not in page.content.decode()

    def test_where_all_is_paid_long_ago_there_is_nothing_to_do(self, boss: Client) -> None:
        make.row(status="Paid", balance_paid="120.00")
        page = see(boss, OVERVIEW)
        assert "No invoices yet" not in page
        assert "Outstanding $0.00 0 invoices" in page

    def test_only_who_may_view_invoices_sees_it(self, signed_in: SignIn, client: Client) -> None:
        assert signed_in("view_transaction").get(url(OVERVIEW)).status_code == 403
        assert client.get(url(OVERVIEW)).status_code == 302

    def test_payments_and_requests_are_left_out_for_who_may_not_view_them(self, signed_in: SignIn) -> None:
        books(make.company(), "01")
        page = signed_in("view_paymentintent").get(url(OVERVIEW)).content.decode()
        text = text_of_page(page)
        assert card(page, "owed")[0] == "$11,494.12"
        assert card(page, "person")[0] == "1"
        for unseen in (
            "Paid in",
            "Money received",
            "Not confirmed",
            "request",
            "/transaction/",
            "/operation/",
            "/syncrun/",
        ):
            assert unseen not in page, unseen
        assert "1 invoice They don't get on by themselves." in text

    def test_with_one_of_the_two_permissions_the_other_half_stays_away(self, signed_in: SignIn) -> None:
        books(make.company(), "01")
        page = signed_in("view_paymentintent", "view_transaction").get(url(OVERVIEW)).content.decode()
        assert "Money received" in page
        assert "Not confirmed" not in page
        other = signed_in("view_paymentintent", "view_operation", username="other")
        page = other.get(url(OVERVIEW)).content.decode()
        assert "Money received" not in page
        assert card(page, "person")[0] == "3"

    def test_the_apps_page_and_the_list_lead_to_it(self, signed_in: SignIn, boss: Client) -> None:
        for page in (boss.get("/admin/truss_portal/"), boss.get(url("paymentintent_changelist"))):
            assert f'href="{url(OVERVIEW)}"' in page.content.decode()
        other = signed_in("view_syncrun").get("/admin/truss_portal/").content.decode()
        assert url(OVERVIEW) not in other

    def test_charts_draw_what_the_tables_say_and_nothing_is_written_into_the_page(self, boss: Client) -> None:
        books(make.company(name="</script><script>alert(1)</script>"), "01")
        page = boss.get(url(OVERVIEW)).content.decode()
        [data] = re.findall(r'<script id="truss-charts" type="application/json">(.*?)</script>', page)
        charts = json.loads(data)
        assert [row["shown"] for row in charts["ages"]] == [cells[1] for _label, _link, cells in table(page, "ages")]
        weeks = [cells[1] for _label, _link, cells in reversed(table(page, "weeks"))]
        assert [row["shown"] for row in charts["weeks"]] == weeks
        assert Decimal(charts["ages"][0]["amount"]) == Decimal("4158.05")
        own = page.partition('<div id="content-main"')[2].partition("</main>")[0]
        assert re.findall(r"<script(?! id=\"truss-charts\")|<style| style=| on[a-z]+=", own) == []
        assert "<script>alert" not in page


def text_of_page(page: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


@pytest.mark.parametrize("companies", [1, 3])
def test_no_more_than_ten_statements(signed_in: SignIn, companies: int) -> None:
    everything = ("view_paymentintent", "view_transaction", "view_operation", "view_syncrun")
    client = signed_in(*everything)
    for number in range(companies):
        books(make.company(slug=f"company-{number}"), f"{number + 10}")
    for query in ({}, {"company": "company-0"}):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url(OVERVIEW), query).status_code == 200
        assert len(captured) <= 10, "\n".join(each["sql"] for each in captured.captured_queries)


def test_an_empty_page_takes_no_more_than_ten_statements_either(signed_in: SignIn) -> None:
    make.company()
    client = signed_in("view_paymentintent", "view_transaction", "view_operation")
    with CaptureQueriesContext(connection) as captured:
        assert "No invoices yet" in text_of(client.get(url(OVERVIEW)))
    assert len(captured) <= 10


class TestNarrowingAList:
    def test_by_environment_where_there_are_several(self, boss: Client) -> None:
        make.row(addenda="Ours")
        make.row(addenda="Theirs", company=make.company(slug="real", environment="production"))
        page = see(boss, "paymentintent_changelist", environment="production")
        assert "Theirs" in page
        assert "Ours" not in page
        assert "By environment" in page

    def test_an_environment_without_companies_has_no_rows(self, boss: Client) -> None:
        make.row(addenda="Ours")
        page = see(boss, "paymentintent_changelist", environment="production")
        assert "Nothing matches." in page

    def test_one_that_isnt_known_narrows_nothing(self, boss: Client) -> None:
        make.row(addenda="Ours")
        assert "Ours" in see(boss, "paymentintent_changelist", environment="moon")

    def test_one_environment_isnt_offered(self, boss: Client) -> None:
        make.row()
        make.company(slug="second")
        page = see(boss, "paymentintent_changelist")
        assert "By environment" not in page
        assert "By company" in page
        assert "By environment" in see(boss, "transaction_changelist", environment="local")


def test_manifest_storage_finds_everything_that_the_scripts_name(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    manifest = json.loads((tmp_path / "staticfiles.json").read_text())
    assert {"truss_portal/vendor/chart.js/chart.umd.min.js", "truss_portal/overview.js"} <= manifest["paths"].keys()


def test_the_vendored_script_is_the_one_that_its_readme_names() -> None:
    import hashlib

    import truss_portal

    folder = Path(truss_portal.__file__).parent / "static/truss_portal/vendor/chart.js"
    script = (folder / "chart.umd.min.js").read_bytes()
    readme = (folder / "README.md").read_text()
    assert f"`chart.umd.min.js` here | `{hashlib.sha256(script).hexdigest()}`" in readme
    version = re.search(rb"Chart\.js v([\d.]+)", script)
    assert version
    assert f"# Chart.js {version[1].decode()}" in readme
    assert "MIT" in (folder / "LICENSE.md").read_text()
