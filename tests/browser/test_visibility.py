"""“Why can't my payer see it?” in a real browser: it says what the portal then shows, to whoever signs in there."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import joined, make
from tests.browser.conftest import LiveSite
from truss_portal import actions
from truss_portal.models import Company, Contact, PaymentIntent
from truss_portal.sync import sync_all
from truss_portal.testing.sandbox import Sandbox

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ACME = {"name": "Acme", "email": "Ap@Acme.test", "secondary_email": "cfo@acme.test"}
ORTEGA = {"name": "Ortega", "email": "maria@ortega.test"}
Row = tuple[str, str, str]
"""An invoice as a payer reads it: what it is for, over how much, how it stands."""


@pytest.fixture
def world(live_site: LiveSite, settings: Any) -> list[Company]:
    """Two companies with portals, and invoices of every sort, some of which Truss changed or lost afterwards."""
    truss = live_site.truss
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | joined.settings_for(truss)
    make.sent(reference="UNPAID", contact=ACME)
    part = make.sent(reference="PART", contact=ACME)
    paid = make.sent(reference="PAID", contact=ACME, total="50.00")
    canceled = make.sent(reference="CANCELED", contact=ACME)
    lost = make.sent(reference="LOST", contact=ACME)
    held = make.sent(reference="HELD", contact=ACME)
    make.sent(reference="ORTEGA", contact=ORTEGA)
    make.draft(reference="DRAFT", contact=ACME)
    for intent in (part, paid, canceled, lost, held):
        assert intent.uid
    truss.pay(str(part.uid), "20.00")
    truss.pay(str(paid.uid))
    actions.cancel(canceled)
    truss.vanish(str(lost.uid))
    truss.alter(str(held.uid), status="Errored")
    refused(live_site, "REFUSED")
    bakers = connected_bakers(truss)
    for company in (part.company, bakers):
        sync_all(company)
        company.refresh_from_db()
    tests_only = Company.objects.create(slug="tests", environment="sandbox", checkout_link_id="tests")
    somebody = Contact.objects.create(company=tests_only, uid=uuid.uuid4(), name="Acme", email="ap@acme.test")
    make.row(company=tests_only, contact=somebody, addenda="OF THE SANDBOX")
    return [part.company, bakers]


def refused(site: LiveSite, reference: str) -> None:
    site.truss.fault("error_before", method="POST", path="payment-intents/inbound/$", status=400)
    intent = make.draft(reference=reference, contact=ACME)
    actions.send(intent)
    assert intent.delivery == "failed"


def connected_bakers(truss: Sandbox) -> Company:
    """The sandbox's own second company, connected to this site, with an invoice to Acme that was made at Truss."""
    theirs = Sandbox.at(truss.url, company="bakers")
    theirs.create_many(1, addenda="BREAD", total="7.50", contact={"name": "Acme", "email": "ap@acme.test"})
    bakers = make.company(slug="bakers", name="Bakers", checkout_link_id="bakers")
    joined.connected(theirs, bakers)
    return bakers


def in_the_portal(page: Page, truss: Sandbox, company: Company, email: str) -> set[Row]:
    """Sign in there as a payer does; the list that is shown."""
    page.goto(company.portal_url())
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Send code").click()
    expect(page.get_by_role("heading", name="Enter your code")).to_be_visible()
    mailbox = Sandbox.at(truss.url, company=company.slug).mailbox()
    code = next(mail["code"] for mail in mailbox if mail["to"].lower() == email.strip().lower() and mail["code"])
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Your invoices")).to_be_visible()
    found = set()
    for line in page.locator("ul.list li").all():
        addenda, standing = line.locator("a > span").all()
        total, status = re.fullmatch(r"\s*(\S+)\s+(.+?)\s*", standing.inner_text(), re.DOTALL).groups()  # type: ignore[union-attr]
        found.add((addenda.inner_text().split("\n")[0].strip(), total, status))
    return found


def look(page: Page, email: str) -> None:
    page.get_by_label("Email that the payer signs in with").fill(email)
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_role("heading", name="Who this is here")).to_be_visible()


def on_our_page(page: Page, company: Company) -> set[Row]:
    """What our page says that the company's portal shows."""
    headings = [cell.text_content() for cell in page.locator("#truss-shown-list thead th").all()]
    found = set()
    for line in page.locator("#truss-shown-list tbody tr").all():
        cells = dict(zip(headings, (cell.inner_text() for cell in line.locator("td").all()), strict=True))
        # Where there is one company only, it is named by its portal.
        theirs = cells["Company"] == str(company) if "Company" in cells else company.portal_url() in page.content()
        if theirs:
            found.add((cells["Description"], cells["Amount"], cells["Status"]))
    return found


def test_our_page_says_what_the_portal_shows(
    live_site: LiveSite, page: Page, new_context: Callable[..., BrowserContext], world: list[Company]
) -> None:
    """To their email in any letter case, to their secondary one, to another payer, to a stranger."""
    live_site.sign_in(page)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/visibility/")
    for email, shown in (
        ("ap@acme.test", {"UNPAID", "PART", "PAID", "BREAD"}),
        (" AP@ACME.TEST ", {"UNPAID", "PART", "PAID", "BREAD"}),
        ("cfo@acme.test", {"UNPAID", "PART", "PAID"}),
        ("maria@ortega.test", {"ORTEGA"}),
        ("nobody@elsewhere.test", set()),
    ):
        look(page, email)
        told: set[str] = set()
        for company in world:
            theirs = in_the_portal(new_context().new_page(), live_site.truss, company, email)
            assert on_our_page(page, company) == theirs
            told |= {addenda for addenda, _total, _status in theirs}
        assert told == shown
        hidden = page.locator("#truss-hidden-list")
        for reference in ("CANCELED", "LOST", "HELD", "DRAFT", "REFUSED"):
            there = hidden.get_by_role("link", name=reference, exact=True)
            expect(there).to_have_count(1 if "acme" in email.lower() else 0)
        if email == "ap@acme.test":
            expect(hidden.locator("tr", has_text="OF THE SANDBOX")).to_contain_text("It belongs to “Truss sandbox”")
        expect(hidden.get_by_role("link", name="ORTEGA", exact=True)).to_have_count(0)


def test_from_an_invoice_to_the_reason_and_the_remedy(live_site: LiveSite, page: Page) -> None:
    """A payer writes from another address: the page says which one it must be, it is added, and then it is shown."""
    make.sent(reference="INV-7")
    live_site.sign_in(page)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/")
    page.get_by_role("link", name="INV-7").click()
    page.get_by_role("link", name="Why can't my payer see it?").click()
    expect(page.get_by_role("heading", name="The portal shows INV-7 to ap@acme.test")).to_be_visible()
    look(page, "boss@acme.test")
    expect(page.get_by_role("heading", name="The portal doesn't show INV-7 to boss@acme.test.")).to_be_visible()
    assert "acme" not in page.url
    page.get_by_role("link", name="Change the payer: INV-7").first.click()
    page.get_by_label("Secondary email").fill("boss@acme.test")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Truss has changed Acme.")).to_be_visible()
    page.get_by_role("link", name="Why can't my payer see it?").click()
    look(page, "boss@acme.test")
    expect(page.get_by_role("heading", name="The portal shows 1 invoice to boss@acme.test")).to_be_visible()


def test_by_keyboard_alone_from_a_typo_to_the_payer(live_site: LiveSite, page: Page) -> None:
    make.sent(reference="INV-7")
    live_site.sign_in(page)
    page.goto(f"{live_site.url}/admin/truss_portal/contact/")
    page.get_by_role("link", name="Why can't my payer see it?").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Email that the payer signs in with").focus()
    page.keyboard.type("ap@acme.tset")
    page.keyboard.press("Enter")
    meant = page.get_by_role("button", name="Look at ap@acme.test")
    meant.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The portal shows 1 invoice to ap@acme.test")).to_be_visible()


def test_refreshing_from_the_page_shows_what_changed_at_truss(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7")
    live_site.sign_in(page)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/visibility/?invoice={intent.pk}")
    live_site.truss.alter(str(intent.uid), status="Canceled")
    page.get_by_role("button", name="Refresh from Truss").click()
    expect(page.get_by_text("1 invoice is up to date.")).to_be_visible()
    expect(page.get_by_role("heading", name="The portal doesn't show INV-7 to ap@acme.test.")).to_be_visible()
    expect(page.get_by_text("That can't be undone.").first).to_be_visible()


def test_the_payers_view_opens_in_a_new_tab_and_is_scanned(live_site: LiveSite, page: Page) -> None:
    intent = make.sent(reference="INV-7")
    live_site.sign_in(page)
    page.goto(f"{live_site.url}/admin/truss_portal/paymentintent/{intent.pk}/change/")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open as the payer would see it (in a new tab)").click()
    expect(opened.value.get_by_role("heading", name="See and pay your invoices")).to_be_visible()
    assert opened.value.evaluate("window.opener") is None
    assert opened.value.evaluate("document.referrer") == ""
    code = page.get_by_role("img", name="QR code of the checkout link of INV-7")
    expect(code).to_be_hidden()
    page.get_by_text("QR code of the checkout link").focus()
    page.keyboard.press("Enter")
    expect(code).to_be_visible()
    box = code.locator("svg").bounding_box()
    assert box
    assert box["width"] == box["height"] > 150


def test_the_portal_link_is_copied_printed_and_downloaded(live_site: LiveSite, page: Page, tmp_path: Path) -> None:
    intent = make.sent()
    company = intent.company
    Company.objects.filter(pk=company.pk).update(name="Harbor Street Supply")
    live_site.sign_in(page)
    page.goto(f"{live_site.url}/admin/truss_portal/company/{company.pk}/change/")
    page.get_by_role("link", name="QR code and texts to hand out").click()
    for name in ("the email's subject", "the email's text", "the message"):
        page.get_by_role("button", name=f"Copy text: {name}").click()
        expect(page.get_by_role("status")).to_have_text(f"Copied to the clipboard: {name}")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"Harbor Street Supply: see and pay your invoices at {company.portal_url()} - please")
    page.evaluate("window.print = () => { document.title = 'printed' }")
    page.get_by_role("button", name="Print this page").click()
    expect(page).to_have_title("printed")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as PNG").click()
    assert download.value.suggested_filename == "default-portal.png"
    page.emulate_media(media="print")
    expect(page.get_by_text("Scan to see and pay your invoices")).to_be_visible()
    expect(page.get_by_role("img", name="QR code of the payment portal of Harbor Street Supply")).to_be_visible()
    for hidden in (
        page.get_by_role("button", name="Print this page"),
        page.locator("#header"),
        page.get_by_label("Subject", exact=True),
    ):
        expect(hidden).to_be_hidden()


@pytest.mark.parametrize("path", ["paymentintent/visibility/?invoice={intent}", "company/{company}/portal-link/"])
def test_nothing_needs_a_script_or_a_style_in_the_page(live_site: LiveSite, page: Page, path: str) -> None:
    """A site may forbid them by its Content-Security-Policy; and on a telephone nothing is wider than the screen."""
    intent = make.sent(reference="INV-7")
    live_site.sign_in(page)
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"{live_site.url}/admin/truss_portal/{path.format(intent=intent.pk, company=intent.company_id)}")
    ours = page.locator("#content-main, #content-main *")
    assert ours.count() > 20
    assert ours.evaluate_all("found => found.every(e => !e.hasAttribute('style') && !e.hasAttribute('onclick'))")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert PaymentIntent.objects.count() == 1
