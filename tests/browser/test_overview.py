"""The Truss overview in a real browser: charts beside their tables, links to rows, light, dark, narrow, no script."""

import re
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route, expect

from tests import make
from tests.browser.conftest import LiveSite
from truss_portal.models import Company, Transaction

pytestmark = pytest.mark.browser

AGES = "Bars: what is owed, by its age. The table has the numbers."
WEEKS = "Bars: what was received in each of the last 13 weeks. The table has the numbers."
# What django.contrib.admin itself can do with: no script or style in the page, nothing from elsewhere.
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'"
)
COLORS = "canvas => Chart.getChart(canvas).data.datasets[0].backgroundColor"
AMOUNTS = "canvas => Chart.getChart(canvas).data.datasets[0].data"


def books() -> Company:
    """Three invoices of a week ago, a month ago and of next week, and a payment of today."""
    company = make.company(name="Harbor Street Supply", listed_at=timezone.now())
    today = timezone.localdate()
    for days, total in ((-7, "100.25"), (-40, "50.00"), (3, "30.00")):
        make.row(company=company, due_date=today + timedelta(days=days), total=total, addenda=f"Due {days}")
    paid = make.row(company=company, status="Paid", balance_paid="120.00", addenda="Paid")
    Transaction.objects.create(
        company=company, payment_intent=paid, uid=uuid.uuid4(), amount="120.00", date=timezone.now(), direction=0,
        fetched_at=timezone.now(), payment_method="ach", status="ProcessedCredit", type="transaction",
    )  # fmt: skip
    return company


def open_overview(site: LiveSite, page: Page, query: str = "") -> None:
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_portal/")
    page.get_by_role("link", name="Truss overview").click()
    page.goto(page.url + query)


def test_charts_show_what_the_tables_beside_them_say(live_site: LiveSite, page: Page) -> None:
    books()
    open_overview(live_site, page)
    ages, weeks = page.get_by_role("img", name=AGES), page.get_by_role("img", name=WEEKS)
    expect(ages).to_be_visible()
    expect(weeks).to_be_visible()
    assert ages.evaluate(AMOUNTS) == [30, 100.25, 50, 0, 0]
    assert weeks.evaluate(AMOUNTS) == [0] * 12 + [120]
    by_age = page.get_by_role("region", name="What is owed, by age")
    expect(by_age.get_by_role("row", name="1 to 30 days overdue 1 $100.25 56%")).to_be_visible()
    expect(page.get_by_role("region", name="Money received, week by week").get_by_role("row")).to_have_count(14)


def test_a_figure_leads_to_its_rows(live_site: LiveSite, page: Page) -> None:
    books()
    open_overview(live_site, page)
    overdue = page.locator("#truss-overdue")
    expect(overdue).to_contain_text("$150.25")
    overdue.get_by_role("link", name="2 invoices").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.go_back()
    page.locator("#truss-paid").get_by_role("link", name="1 payment").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list")).to_contain_text("$120.00")


def test_a_click_on_a_bar_leads_there_too(live_site: LiveSite, page: Page) -> None:
    books()
    open_overview(live_site, page)
    ages = page.get_by_role("img", name=AGES)
    where = (
        "canvas => { const {x, y} = Chart.getChart(canvas).getDatasetMeta(0).data[1].getCenterPoint(); return {x, y}; }"
    )
    ages.click(position=ages.evaluate(where))
    page.wait_for_url(re.compile(r"due=1-30"))
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list")).to_contain_text("Due -7")


def test_the_figures_follow_what_is_chosen(live_site: LiveSite, page: Page) -> None:
    books()
    second = make.company(slug="second", name="Second Street", listed_at=timezone.now())
    make.row(company=second, total="7.00")
    open_overview(live_site, page)
    expect(page.locator("#truss-owed")).to_contain_text("$187.25")
    page.get_by_label("Company").select_option(label="Second Street")
    page.get_by_label("Paid in").select_option(label="This year")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#truss-owed")).to_contain_text("$7.00")
    expect(page.locator("#truss-paid")).to_contain_text("Paid this year")
    expect(page.get_by_label("Company")).to_have_value("second")


def test_without_script_the_tables_say_it_all(
    live_site: LiveSite, page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    books()
    live_site.sign_in(page)
    bare = new_context(java_script_enabled=False, storage_state=page.context.storage_state()).new_page()
    bare.goto(f"{live_site.url}/admin/truss_portal/paymentintent/overview/")
    expect(bare.locator("canvas").first).to_be_hidden()
    expect(bare.get_by_role("row", name="31 to 60 days overdue 1 $50.00 28%")).to_be_visible()
    bare.get_by_label("Paid in").select_option(label="Last month")
    bare.get_by_role("button", name="Show").click()
    expect(bare.locator("#truss-paid")).to_contain_text("Paid last month")


def test_charts_are_in_the_colors_of_the_theme(live_site: LiveSite, page: Page) -> None:
    books()
    page.emulate_media(color_scheme="light")
    open_overview(live_site, page)
    ages = page.get_by_role("img", name=AGES)
    light = ages.evaluate(COLORS)
    assert light[0] != light[1], "what is overdue has another color"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"before => ({COLORS})(document.querySelector('canvas'))[1] !== before", arg=light[1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_narrow_screen_nothing_but_tables_scrolls_sideways(
    live_site: LiveSite, page: Page, new_context: Callable[..., BrowserContext], scheme: str
) -> None:
    books()
    live_site.sign_in(page)
    narrow = new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, storage_state=page.context.storage_state()
    ).new_page()
    narrow.goto(f"{live_site.url}/admin/truss_portal/paymentintent/overview/")
    expect(narrow.get_by_role("img", name=WEEKS)).to_be_visible()
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_strict_content_security_policy_stops_nothing(live_site: LiveSite, page: Page) -> None:
    books()
    live_site.sign_in(page)
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            complaints.append(message.text)

    def strictly(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": STRICT})

    page.on("console", note)
    page.route("**/overview/", strictly)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/overview/")
    expect(page.get_by_role("img", name=AGES)).to_be_visible()
    assert page.get_by_role("img", name=AGES).evaluate(AMOUNTS)[1] == 100.25
    assert complaints == []
