"""Writing invoices and payers in a real browser: save and send, and warnings while one types, by keyboard too."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import make
from tests.browser.conftest import LiveSite
from truss_portal.models import Contact, PaymentIntent

pytestmark = pytest.mark.browser
ADD = "/admin/truss_portal/paymentintent/add/"
ADD_PAYER = "/admin/truss_portal/contact/add/"


def payer(**given: Any) -> Contact:
    columns = {"company": make.company(), "name": "Acme", "email": "ap@acme.test"} | given
    made: Contact = Contact.objects.create(**columns)
    return made


def choose_payer(page: Page, typed: str, text: str) -> None:
    """By keyboard alone: open, type, take the one that is found."""
    page.locator(".field-contact .select2-selection").focus()
    page.keyboard.press("Enter")
    page.keyboard.type(typed)
    expect(page.get_by_role("option", name=text)).to_be_visible()
    while not page.locator(".select2-results__option--highlighted").filter(has_text=text).count():
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".field-contact .select2-selection__rendered")).to_contain_text(text)


def hint(page: Page, field: str) -> Any:
    """What is read aloud below a field without being asked for."""
    return page.locator(f".field-{field} [aria-live=polite]")


def test_a_payer_is_found_by_email_and_the_invoice_saved_and_sent(live_site: LiveSite, page: Page) -> None:
    payer()
    live_site.sign_in(page)
    page.goto(live_site.url + ADD)
    choose_payer(page, "ap@ac", "Acme (ap@acme.test)")
    page.get_by_label("Amount:").fill("120")
    page.get_by_label("Description:").fill("Catering")
    page.get_by_label("Invoice number:").fill("INV-7")
    button = page.get_by_role("button", name="Save and send to Truss")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 invoice was sent to Truss.")).to_be_visible()
    expect(page.get_by_role("button", name="Copy link: INV-7")).to_be_visible()
    assert PaymentIntent.objects.get().delivery == "sent"
    assert len(live_site.truss.payment_intents()) == 1


def test_enter_in_a_field_saves_and_sends_nothing(live_site: LiveSite, page: Page) -> None:
    payer()
    live_site.sign_in(page)
    page.goto(live_site.url + ADD)
    choose_payer(page, "acm", "Acme (ap@acme.test)")
    page.get_by_label("Amount:").fill("120")
    page.get_by_label("Description:").fill("Catering")
    page.keyboard.press("Enter")
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert PaymentIntent.objects.get().delivery == "unsent"
    assert live_site.truss.payment_intents() == []


def test_what_was_typed_stays_beside_what_is_wrong_with_it(live_site: LiveSite, page: Page) -> None:
    payer()
    live_site.sign_in(page)
    page.goto(live_site.url + ADD)
    choose_payer(page, "acm", "Acme (ap@acme.test)")
    page.get_by_label("Amount:").fill("0.5")
    page.get_by_label("Description:").fill("Catering")
    page.get_by_label("Due date:").fill("31/31/2030")
    page.get_by_role("button", name="Save and send to Truss").click()
    expect(page.get_by_text("The amount must be at least 1.00.")).to_be_visible()
    expect(page.get_by_text("Write a date, such as 2030-01-31.")).to_be_visible()
    expect(page.get_by_label("Amount:")).to_have_value("0.5")
    expect(page.get_by_label("Due date:")).to_have_value("31/31/2030")
    expect(page.locator(".field-contact .select2-selection__rendered")).to_contain_text("Acme (ap@acme.test)")


def test_choosing_a_payer_with_a_namesake_is_warned_at_once(live_site: LiveSite, page: Page) -> None:
    payer()
    payer(email="other@acme.test")
    payer(name="Bakers", email="ap@bakers.test")
    live_site.sign_in(page)
    page.goto(live_site.url + ADD)
    expect(hint(page, "contact")).to_be_empty()
    choose_payer(page, "acm", "Acme (ap@acme.test)")
    expect(hint(page, "contact")).to_contain_text("Two payers are named “Acme”: ap@acme.test and other@acme.test.")
    choose_payer(page, "bak", "Bakers (ap@bakers.test)")
    expect(hint(page, "contact")).to_be_empty()


def test_typing_a_payer_shows_who_is_there_and_warns_of_a_namesake(live_site: LiveSite, page: Page) -> None:
    known = payer()
    live_site.sign_in(page)
    page.goto(live_site.url + ADD_PAYER)
    page.get_by_label("Name:").focus()
    page.keyboard.type("Acm")
    expect(hint(page, "name")).to_contain_text("Payers that are here already:")
    link = hint(page, "name").get_by_role("link", name="Acme (ap@acme.test)")
    assert link.get_attribute("href") == f"/admin/truss_portal/contact/{known.pk}/change/"
    page.keyboard.type("e")
    expect(hint(page, "name")).to_contain_text("There is a payer of this name already: Acme (ap@acme.test).")
    page.keyboard.type(" (2)")
    expect(hint(page, "name")).to_be_empty()
    page.get_by_label("Email:", exact=True).first.fill("AP@acme")
    expect(hint(page, "name")).to_contain_text("Acme (ap@acme.test)")
    assert Contact.objects.count() == 1


def test_an_email_that_is_typed_is_never_part_of_an_address(live_site: LiveSite, page: Page) -> None:
    payer()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    live_site.sign_in(page)
    page.goto(live_site.url + ADD_PAYER)
    page.get_by_label("Email:", exact=True).first.fill("ap@acme.test")
    expect(hint(page, "name")).to_contain_text("Acme (ap@acme.test)")
    assert not [url for url in asked if "acme" in url]


def test_when_the_site_cannot_be_asked_the_form_works_on(live_site: LiveSite, page: Page) -> None:
    payer()
    live_site.sign_in(page)
    page.goto(live_site.url + ADD_PAYER)
    page.route("**/contact/hints/", lambda route: route.abort())
    page.get_by_label("Name:").fill("Acme")
    page.get_by_label("Email:", exact=True).first.fill("other@acme.test")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("There is a payer of this name already: Acme (ap@acme.test).")).to_be_visible()


def test_without_javascript_the_warning_comes_at_save(
    live_site: LiveSite, new_context: Callable[..., BrowserContext]
) -> None:
    first, _second = payer(), payer(email="other@acme.test")
    page = new_context(java_script_enabled=False).new_page()
    live_site.sign_in(page)
    original = make.row(contact=first, reference="INV-7", uid=None, delivery="unsent", status="")
    page.goto(f"{live_site.url}{ADD}?duplicate={original.pk}")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The invoice is saved, but can't be sent as it is.")).to_be_visible()
    assert PaymentIntent.objects.count() == 2
