"""What finance staff click and type in the admin, in a real browser."""

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import make
from tests.browser.conftest import LiveSite
from truss_portal.models import PaymentIntent

pytestmark = pytest.mark.browser

NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
REFUSED = "navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
NO_COMMAND = "document.execCommand = () => false"


def open_list(site: LiveSite, page: Page) -> None:
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_portal/paymentintent/")


def choose(page: Page, action: str) -> None:
    """All rows, and an action for them."""
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option(label=action)
    # "Go" in Django 5.2 and 6.0, "Run" from 6.1 on.
    page.locator(".actions button[name=index]").click()


def clipboard(page: Page) -> str:
    # Chromium on Linux puts a carriage return before each line's end on Windows only; none is expected here.
    return str(page.evaluate("navigator.clipboard.readText()"))


def pasted(page: Page) -> str:
    """What lands in a field when somebody pastes: needs no clipboard API."""
    page.goto(page.url)
    search = page.locator("#searchbar")
    search.focus()
    page.keyboard.press("Control+V")
    return search.input_value()


def wait_for_copy_entry(intent: PaymentIntent) -> None:
    """The page tells the site of a copy without waiting for the answer."""
    until = time.monotonic() + 10
    while "link_copied" not in make.kinds(intent):
        assert time.monotonic() < until, "the copy was never written in the timeline"
        time.sleep(0.05)


def test_drafts_are_sent_from_the_list_after_a_confirmation(live_site: LiveSite, page: Page) -> None:
    first, second = make.draft(send_email=True), make.draft()
    open_list(live_site, page)
    choose(page, "Send to Truss")
    expect(page.get_by_text("2 invoices over $240.00 are sent to Truss.")).to_be_visible()
    expect(page.get_by_text("Truss emails the payer of 1 invoice at once.")).to_be_visible()
    assert live_site.truss.payment_intents() == []
    page.get_by_role("button", name="Send to Truss").click()
    expect(page.get_by_text("2 invoices were sent to Truss.")).to_be_visible()
    assert len(live_site.truss.payment_intents()) == 2
    for intent in (first, second):
        intent.refresh_from_db()
        assert intent.delivery == "sent"


def test_a_draft_is_written_sent_refreshed_and_canceled_on_its_own_page(live_site: LiveSite, page: Page) -> None:
    make.draft()  # its payer is chosen below
    live_site.sign_in(page)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/add/")
    page.locator(".select2-selection").first.click()
    page.locator(".select2-search__field").fill("acm")
    page.get_by_role("option", name="Acme (ap@acme.test)").click()
    page.get_by_label("Amount:").fill("120")
    page.get_by_label("Description:").fill("Catering")
    page.get_by_label("Invoice number:").fill("INV-7")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("link", name="Send to Truss").click()
    page.get_by_role("button", name="Send to Truss").click()
    expect(page.get_by_text("1 invoice was sent to Truss.")).to_be_visible()
    intent = PaymentIntent.objects.get(reference="INV-7")
    assert intent.uid
    page.get_by_role("button", name="Refresh from Truss").click()
    expect(page.get_by_text("1 invoice is up to date.")).to_be_visible()
    page.get_by_role("link", name="Cancel at Truss").click()
    page.get_by_role("button", name="Yes, cancel at Truss").click()
    expect(page.get_by_text("1 invoice was canceled.")).to_be_visible()
    expect(page.locator("#truss-why-link")).to_have_text("Invoice INV-7 was canceled.")


def test_a_link_is_copied_said_and_written_in_the_timeline(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7")
    open_list(live_site, page)
    button = page.get_by_role("button", name="Copy link: INV-7")
    button.click()
    expect(button).to_have_text("Copied")
    expect(page.get_by_role("status")).to_have_text("Copied to the clipboard: INV-7")
    assert clipboard(page) == intent.checkout_url()
    wait_for_copy_entry(intent)
    expect(button).to_have_text("Copy link")


def test_the_copy_button_works_by_keyboard_alone(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7")
    open_list(live_site, page)
    page.get_by_role("link", name="INV-7").focus()
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Copy link: INV-7")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(button).to_have_text("Copied")
    expect(button).to_be_focused()
    assert clipboard(page) == intent.checkout_url()


@pytest.mark.parametrize("script", [NO_CLIPBOARD, REFUSED])
def test_where_the_clipboard_api_fails_the_old_command_copies(
    live_site: LiveSite, new_context: Callable[..., BrowserContext], script: str
) -> None:
    intent = make.sent(reference="INV-7")
    page = new_context().new_page()
    page.add_init_script(script)
    open_list(live_site, page)
    button = page.get_by_role("button", name="Copy link: INV-7")
    button.focus()
    page.keyboard.press("Space")
    expect(button).to_have_text("Copied")
    expect(button).to_be_focused()
    assert pasted(page) == intent.checkout_url()


def test_where_nothing_may_copy_the_link_is_shown_marked(
    live_site: LiveSite, new_context: Callable[..., BrowserContext]
) -> None:
    intent = make.sent(reference="INV-7")
    page = new_context().new_page()
    page.add_init_script(f"{NO_CLIPBOARD}; {NO_COMMAND}")
    open_list(live_site, page)
    button = page.get_by_role("button", name="Copy link: INV-7")
    button.click()
    shown = page.get_by_role("dialog").get_by_role("textbox")
    expect(shown).to_be_focused()
    assert shown.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)") == intent.checkout_url()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()


def test_the_links_page_copies_all_and_downloads(live_site: LiveSite, page: Page, tmp_path: Path) -> None:
    first = make.sent(reference="INV-1")
    second = make.sent(reference="INV-2", contact={"name": "Ortega", "email": "ap@ortega.test"}, total="34.50")
    make.draft(reference="INV-3")
    open_list(live_site, page)
    choose(page, "Copy checkout links")
    expect(page.get_by_text("1 invoice is left out")).to_be_visible()
    page.get_by_role("button", name="Copy all").click()
    expect(page.get_by_role("status")).to_have_text("Copied to the clipboard: 2 checkout links")
    assert [line.split("\t") for line in clipboard(page).splitlines()] == [
        ["INV-1", "Acme", "ap@acme.test", "120.00", first.checkout_url()],
        ["INV-2", "Ortega", "ap@ortega.test", "34.50", second.checkout_url()],
    ]
    page.get_by_role("button", name="Copy link: INV-2").click()
    expect(page.get_by_role("status")).to_have_text("Copied to the clipboard: INV-2")
    assert clipboard(page) == second.checkout_url()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert re.fullmatch(r"checkout-links-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    file = tmp_path / "links.csv"
    download.value.save_as(file)
    with file.open(encoding="utf-8-sig", newline="") as opened:
        lines = list(csv.reader(opened))
    assert [line[0] for line in lines] == ["Invoice", "INV-1", "INV-2"]
    wait_for_copy_entry(first)


def test_nothing_needs_a_script_in_the_page(live_site: LiveSite, page: Page) -> None:
    """A site may forbid inline scripts and styles by its Content-Security-Policy: ours are files."""
    make.sent(reference="INV-7")
    open_list(live_site, page)
    for path in ("", f"{PaymentIntent.objects.get().pk}/change/"):
        page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/{path}")
        ours = page.locator("[class*=truss]")
        assert ours.count() > 0
        assert ours.evaluate_all("found => found.every(e => !e.hasAttribute('style') && !e.hasAttribute('onclick'))")
