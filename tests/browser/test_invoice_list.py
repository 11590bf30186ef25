"""The invoice list in a real browser: typed filters, totals and pages, by keyboard, without scripts, on a telephone."""

from collections.abc import Callable
from datetime import date

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import make
from tests.browser.conftest import LiveSite
from truss_portal.models import Contact

pytestmark = pytest.mark.browser

LIST = "/admin/truss_portal/paymentintent/"


def books() -> None:
    company = make.company()
    ortega = Contact.objects.create(company=company, name="Ortega Bakery", email="ap@ortega.test")
    bar = Contact.objects.create(company=company, name="Ortega Bar", email="bar@ortega.test")
    make.row(reference="INV-1", total="100.10", contact=ortega, due_date=date(2035, 1, 31))
    make.row(reference="INV-2", total="250.00", balance_paid="50.05", status="PartiallyPaid", contact=bar)
    make.row(reference="INV-3", total="900.00", status="Paid", balance_paid="900.00")


def open_list(site: LiveSite, page: Page, query: str = "") -> None:
    site.sign_in(page)
    page.goto(f"{site.url}{LIST}{query}")


def rows(page: Page, count: int) -> None:
    expect(page.locator("#result_list tbody tr")).to_have_count(count)


def test_an_amount_is_typed_and_sent_by_the_keyboard_alone(live_site: LiveSite, page: Page) -> None:
    books()
    open_list(live_site, page, "?status=PartiallyPaid")
    amount = page.get_by_role("search", name="Amount")
    amount.get_by_label("From").focus()
    page.keyboard.type("200")
    page.keyboard.press("Tab")
    expect(amount.get_by_label("To")).to_be_focused()
    page.keyboard.type("$1,000.00")
    page.keyboard.press("Enter")
    rows(page, 1)
    assert "status=PartiallyPaid" in page.url
    totals = page.get_by_role("region", name="Totals of all that match")
    expect(totals).to_contain_text("$250.00")
    expect(totals).to_contain_text("$199.95")
    amount.get_by_role("link", name="Clear").click()
    expect(amount.get_by_label("From")).to_have_value("")
    rows(page, 1)
    page.get_by_role("link", name="Clear all filters").click()
    rows(page, 3)


def test_what_is_wrong_is_said_at_the_field_and_loses_nothing(live_site: LiveSite, page: Page) -> None:
    books()
    open_list(live_site, page, "?payer=ortega")
    rows(page, 2)
    amount = page.get_by_role("search", name="Amount")
    amount.get_by_label("From").fill("plenty")
    amount.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("alert")).to_contain_text("Amount, From: “plenty” is no amount.")
    field = amount.get_by_label("From")
    expect(field).to_have_value("plenty")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("search", name="Payer").get_by_label("Name or email")).to_have_value("ortega")
    rows(page, 0)
    field.fill("200")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_be_hidden()
    rows(page, 1)


def test_payers_that_match_are_offered_as_links(live_site: LiveSite, page: Page) -> None:
    books()
    open_list(live_site, page)
    payer = page.get_by_role("search", name="Payer")
    payer.get_by_label("Name or email").fill("ortega")
    payer.get_by_label("Name or email").press("Enter")
    rows(page, 2)
    page.get_by_role("link", name="Ortega Bar (bar@ortega.test)").click()
    rows(page, 1)
    expect(payer).to_contain_text("Ortega Bar (bar@ortega.test)")


def test_all_of_it_works_without_scripts_and_on_a_telephone(
    live_site: LiveSite, page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    books()
    live_site.sign_in(page)
    state = page.context.storage_state()
    bare = new_context(
        java_script_enabled=False, storage_state=state, viewport={"width": 360, "height": 740}
    ).new_page()
    bare.goto(f"{live_site.url}{LIST}?status=Pending")
    due = bare.get_by_role("search", name="Due date")
    due.get_by_label("From").fill("2035-01-01")
    due.get_by_role("button", name="Filter").click()
    rows(bare, 1)
    expect(bare.get_by_role("region", name="Totals of all that match")).to_contain_text("$100.10")
    assert bare.evaluate("document.documentElement.scrollWidth") <= 360
