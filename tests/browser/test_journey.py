"""The payer's way in a real browser: from the link to the money and back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from tests import make
from tests.browser.conftest import LiveSite
from truss_portal.models import PayerReturn, PaymentIntent

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

EMAIL = "ap@acme.example"


@pytest.fixture
def invoice(live_site: LiveSite, settings: Any) -> PaymentIntent:
    """An invoice over $120.00 at Truss, whose link leads back to this site."""
    return_url = f"{live_site.url}/truss/return/"
    live_site.truss.allow_redirects([return_url])
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"RETURN_URL": return_url, "RETURN_URL_ALLOWLISTED": True}
    return make.sent(contact={"name": "Acme", "email": EMAIL}, total="120.00", addenda="Invoice 1001")


def sign_in(page: Page, live_site: LiveSite, invoice: PaymentIntent, email: str = EMAIL) -> None:
    """Open the checkout link, give the email, and type the code that has come to it."""
    page.goto(invoice.checkout_url())
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Send code").click()
    expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()
    code = next(mail["code"] for mail in live_site.truss.mailbox() if mail["to"] == email and mail["code"])
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()


def pay(page: Page, amount: str = "", method: str = "Bank account (ACH)") -> None:
    if amount:
        page.get_by_label("Amount").fill(amount)
    page.get_by_label(method).check()
    page.get_by_role("button", name="Pay now").click()
    expect(page.get_by_role("heading", name="Payment sent")).to_be_visible()


def test_paying_and_coming_back(live_site: LiveSite, page: Page, invoice: PaymentIntent) -> None:
    sign_in(page, live_site, invoice)
    expect(page.get_by_text("$120.00").first).to_be_visible()
    pay(page)
    page.get_by_role("link", name="Done").click()

    expect(page.get_by_role("heading", name="Paid in full. Thank you!")).to_be_visible()
    assert page.url.startswith(f"{live_site.url}/truss/return/")
    invoice.refresh_from_db()
    assert invoice.status == "Paid"


def test_the_code_is_read_in_the_mailbox(live_site: LiveSite, page: Page, invoice: PaymentIntent) -> None:
    """As somebody who tries the sandbox by hand does it."""
    page.goto(invoice.checkout_url())
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("button", name="Send code").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="mailbox").click()
    code = opened.value.locator(".code").first.inner_text()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Invoice 1001")).to_be_visible()


def test_paying_a_part_and_then_the_rest(live_site: LiveSite, page: Page, invoice: PaymentIntent) -> None:
    sign_in(page, live_site, invoice)
    pay(page, "45.50", "Card")
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="$74.50 is left to pay")).to_be_visible()
    expect(page.get_by_text("$45.50 of $120.00 has been paid so far.")).to_be_visible()

    page.get_by_role("link", name="Pay the rest").click()
    expect(page.get_by_label("Amount")).to_have_value("74.50")
    pay(page)
    an_hour_ago(invoice)
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="Paid in full. Thank you!")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_being_confirmed_turns_to_paid_by_itself(
    live_site: LiveSite, new_context: Callable[..., BrowserContext], invoice: PaymentIntent, javascript: bool
) -> None:
    page = new_context(java_script_enabled=javascript).new_page()
    sign_in(page, live_site, invoice)
    pay(page)
    live_site.truss.alter(
        str(invoice.uid), extra={"status": "Pending", "balance_paid": "0.00", "paid_at": None, "transactions": []}
    )
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="Your payment is being confirmed.")).to_be_visible()

    live_site.truss.alter(str(invoice.uid), extra={})
    # Nobody touches the page: it looks again after five seconds.
    expect(page.get_by_role("heading", name="Paid in full. Thank you!")).to_be_visible(timeout=12_000)
    assert PayerReturn.objects.count() == 1


def test_a_link_back_to_an_unapproved_address(live_site: LiveSite, page: Page, invoice: PaymentIntent) -> None:
    live_site.truss.allow_redirects(["https://another.example/return/"])
    page.goto(invoice.checkout_url())
    expect(page.get_by_role("heading", name="This link is invalid")).to_be_visible()
    expect(page.get_by_label("Email")).to_have_count(0)


def test_the_wrong_email(live_site: LiveSite, page: Page, invoice: PaymentIntent) -> None:
    sign_in(page, live_site, invoice, "someone@elsewhere.example")
    expect(page.get_by_role("heading", name="You can't see this invoice")).to_be_visible()
    page.get_by_role("link", name="Close this page").click()
    expect(page.get_by_role("heading", name="This invoice is not paid yet.")).to_be_visible()
    expect(page.get_by_text("a•••@acme.example")).to_be_visible()

    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Use another email").click()
    expect(page.get_by_label("Email")).to_be_visible()


def test_the_return_page_fits_a_phone(
    live_site: LiveSite, new_context: Callable[..., BrowserContext], invoice: PaymentIntent
) -> None:
    page = new_context(viewport={"width": 360, "height": 640}).new_page()
    sign_in(page, live_site, invoice)
    fits(page)
    pay(page, "20.00")
    fits(page)
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("link", name="Pay the rest")).to_be_in_viewport()
    fits(page)


def fits(page: Page) -> None:
    """Nothing sticks out at the side."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def an_hour_ago(invoice: PaymentIntent) -> None:
    """As if the last look at Truss had been then, so that the next isn't held back by the rate limit."""
    PaymentIntent.objects.filter(pk=invoice.pk).update(asked_at=timezone.now() - timedelta(hours=1))
