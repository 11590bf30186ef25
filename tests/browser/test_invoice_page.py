"""The page of one invoice in a real browser: its buttons, and amending in place."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import make
from tests.browser.conftest import LiveSite
from truss_portal import actions, sync
from truss_portal.models import PaymentIntent

pytestmark = pytest.mark.browser


def open_page(site: LiveSite, page: Page, intent: PaymentIntent, what: str = "change") -> None:
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_portal/paymentintent/{intent.pk}/{what}/")


def tab_to(page: Page, name: str) -> None:
    """Nothing but the tabulator, as somebody without a mouse."""
    for _press in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim() || document.activeElement.value") == name:
            return
    pytest.fail(f"the tabulator never came to {name}")


def described(page: Page) -> str:
    """What a screen reader says about the focused button, besides its name."""
    return str(
        page.evaluate("document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent")
    )


def test_by_keyboard_each_button_is_reached_and_says_why_it_cannot_be_used(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7")
    live_site.truss.pay(str(intent.uid))
    sync.refresh(intent)
    open_page(live_site, page, intent)
    tab_to(page, "Copy link")
    assert described(page) == "Invoice INV-7 is already paid."
    expect(page.locator(":focus")).to_have_attribute("aria-disabled", "true")
    before = page.url
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert page.url == before
    tab_to(page, "Cancel at Truss")
    assert "Truss cancels only unpaid invoices" in described(page)
    expect(page.get_by_text("Invoice INV-7 is already paid.").first).to_be_visible()


def test_what_can_be_done_now_is_done_from_here(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7", send_email=True)
    open_page(live_site, page, intent)
    doing = page.get_by_role("region", name="What can be done now")
    doing.get_by_role("button", name="Copy link: INV-7").click()
    expect(page.get_by_role("status")).to_have_text("Copied to the clipboard: INV-7")
    assert page.evaluate("navigator.clipboard.readText()") == intent.checkout_url()
    doing.get_by_role("link", name="Resend email").click()
    page.get_by_role("button", name="Resend email").click()
    expect(page.get_by_role("cell", name="Email sent again")).to_be_visible()
    doing.get_by_role("button", name="Refresh from Truss").click()
    expect(page.get_by_text("1 invoice is up to date.")).to_be_visible()
    doing.get_by_role("link", name="Duplicate").click()
    expect(page.get_by_text("Nothing is written until you save.")).to_be_visible()


def test_an_invoice_is_amended_in_place_by_keyboard_alone(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7", note="Thanks.\nSee you.")
    open_page(live_site, page, intent)
    tab_to(page, "Amend")
    page.keyboard.press("Enter")
    page.wait_for_url("**/amend/")
    amount = page.get_by_label("Amount:")
    expect(page.get_by_text("What the payer is asked for in all: at least $1.00.")).to_be_visible()
    amount.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("0.50")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The amount must be at least $1.00.")).to_be_visible()
    expect(amount).to_have_value("0.50")
    amount.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("130")
    page.keyboard.press("Enter")
    row = page.get_by_role("row", name="Amount")
    expect(row).to_contain_text("$120.00")
    expect(row).to_contain_text("$130.00")
    expect(page.get_by_role("row", name="Note")).to_have_count(0)
    tab_to(page, "Amend at Truss")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Truss has amended INV-7. Amount: $120.00 → $130.00")).to_be_visible()
    expect(page.get_by_text("Amount: “120.00” became “130.00”")).to_be_visible()
    assert live_site.truss.payment_intents()[0]["total"] == "130.00"


def test_an_untouched_form_asks_nothing_whatever_the_browser_does_to_line_ends(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(note="One\nTwo", memo="A\n\nB")
    open_page(live_site, page, intent, "amend")
    page.get_by_role("button", name="Look over the changes").click()
    expect(page.get_by_text("Nothing was changed, so Truss was not asked.")).to_be_visible()


def test_who_comes_second_is_told_and_loses_nothing(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7", note="Old")
    open_page(live_site, page, intent, "amend")
    page.get_by_label("Amount:").fill("130")
    actions.amend(intent, total="140", note="Theirs")
    page.get_by_role("button", name="Look over the changes").click()
    expect(page.get_by_text("Meanwhile this became $140.00.")).to_be_visible()
    expect(page.get_by_text("Meanwhile changed: Note to the payer, from “Old” to “Theirs”.")).to_be_visible()
    expect(page.get_by_label("Amount:")).to_have_value("130")
    expect(page.get_by_label("Note to the payer:")).to_have_value("Theirs")
    page.get_by_role("button", name="Look over the changes").click()
    page.get_by_role("button", name="Go on editing").click()
    page.get_by_role("button", name="Look over the changes").click()
    page.get_by_role("button", name="Amend at Truss").click()
    expect(page.get_by_text("Truss has amended INV-7. Amount: $140.00 → $130.00")).to_be_visible()
    assert live_site.truss.payment_intents()[0]["note"] == "Theirs"


def test_the_page_fits_a_telephone(live_site: LiveSite, new_context: Callable[..., BrowserContext]) -> None:
    intent = make.sent(reference="INV-7")
    page = new_context(viewport={"width": 360, "height": 740}).new_page()
    for what in ("change", "amend"):
        open_page(live_site, page, intent, what) if what == "change" else page.goto(page.url.replace("change", what))
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, what
