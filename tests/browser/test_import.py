"""Invoices in and out, clicked and typed in a real browser."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import BrowserContext, Page, expect

from tests import make
from tests.browser.conftest import LiveSite
from tests.exchange.files import csv_of, line
from truss_portal.models import PaymentIntent

pytestmark = pytest.mark.browser


@pytest.fixture
def invoices(live_site: LiveSite, page: Page) -> str:
    """The list's address; somebody is signed in."""
    make.company()
    live_site.sign_in(page)
    return f"{live_site.url}/admin/truss_portal/paymentintent/"


def file_of(folder: Path, data: bytes, name: str = "march.csv") -> Path:
    file = folder / name
    file.write_bytes(data)
    return file


def upload(page: Page, file: Path) -> None:
    page.get_by_label("File:").set_input_files(file)
    page.get_by_role("button", name="Upload and look at it").click()


def test_a_file_is_uploaded_looked_at_imported_and_sent(
    live_site: LiveSite, page: Page, invoices: str, tmp_path: Path
) -> None:
    make.draft(reference="INV-2", contact={"name": "Payer 2", "email": "ap2@payer.example"})
    page.goto(invoices)
    page.get_by_role("link", name="Import").click()
    upload(page, file_of(tmp_path, csv_of(line(1), line(2), line(3, Amount="1.234,50"), line(4))))
    expect(page.get_by_role("heading", name="Import invoices: preview")).to_be_visible()
    expect(page.get_by_role("row", name="2 New INV-1")).to_be_visible()
    expect(page.get_by_role("row", name="3 Changed INV-2")).to_contain_text("Description: INV-2 → Order 2")
    page.get_by_role("link", name="See why").click()
    wrong = page.get_by_role("table").last.locator("tbody tr")
    expect(wrong).to_have_count(1)
    expect(wrong).to_contain_text("Amount (column D) is unclear (“1.234,50”): write the cents after a point")
    assert PaymentIntent.objects.count() == 1, "looking writes nothing"
    page.get_by_role("button", name="Import the 3 good ones").click()
    expect(page.get_by_text("3 invoices over $360.00 were written: 2 new, 1 changed.")).to_be_visible()
    expect(page.get_by_role("heading", name="1 line was wrong")).to_be_visible()
    page.get_by_role("button", name="Send these 2 to Truss …").click()
    expect(page.get_by_text("2 invoices over $240.00 are sent to Truss.")).to_be_visible()
    page.get_by_role("button", name="Send to Truss").click()
    expect(page.get_by_text("2 invoices were sent to Truss.")).to_be_visible()
    assert {intent["addenda"] for intent in live_site.truss.payment_intents()} == {"Order 1", "Order 4"}


def test_all_of_it_works_by_keyboard(page: Page, invoices: str, tmp_path: Path) -> None:
    page.goto(f"{invoices}import/")
    field = page.get_by_label("File:")
    field.focus()
    expect(field).to_be_focused()
    field.set_input_files(file_of(tmp_path, csv_of(line(1))))  # the dialog itself is the browser's, not ours
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Upload and look at it")).to_be_focused()
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Import 1 invoice")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 invoice over $120.00 was written.")).to_be_visible()
    assert PaymentIntent.objects.count() == 1


def test_a_wrong_file_is_told_beside_its_field(page: Page, invoices: str, tmp_path: Path) -> None:
    page.goto(f"{invoices}import/")
    upload(page, file_of(tmp_path, b"Number;Customer\n1;Acme\n"))
    expect(page.get_by_text("Nothing was read. The reason stands below.")).to_be_visible()
    field = page.get_by_label("File:")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("there are no columns “Payer email”, “Amount”, “Descr"))


def test_the_template_is_filled_in_and_comes_back(page: Page, invoices: str, tmp_path: Path) -> None:
    page.goto(f"{invoices}import/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download a template (XLSX)").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    book = load_workbook(file)
    book.worksheets[0].append(["INV-7", "Acme", "ap@acme.test", None, None, 99.5, "Catering"])
    book.save(file)
    upload(page, file)
    expect(page.get_by_role("row", name="2 Skipped EXAMPLE-1")).to_be_visible()
    expect(page.get_by_role("row", name="3 New INV-7")).to_contain_text("$99.50")


def test_what_the_list_shows_is_exported_and_imported_again(page: Page, invoices: str, tmp_path: Path) -> None:
    make.draft(reference="INV-1", addenda="=1+1")
    make.draft(reference="INV-2", contact={"name": "Ortega", "email": "ap@ortega.test"})
    page.goto(f"{invoices}?q=INV-1")
    page.get_by_role("link", name="Export").click()
    expect(page.get_by_text("1 invoice, as the list is filtered.")).to_be_visible()
    for kind in ("CSV", "XLSX"):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Download as {kind}").click()
        download.value.save_as(tmp_path / f"out.{kind.lower()}")
    text = (tmp_path / "out.csv").read_text(encoding="utf-8-sig")
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["Invoice number"], row["Description"], row["Amount"]) == ("INV-1", "'=1+1", "120.00")
    for kind in ("csv", "xlsx"):
        page.goto(f"{invoices}import/")
        upload(page, tmp_path / f"out.{kind}")
        expect(page.get_by_role("row", name="2 Skipped INV-1")).to_contain_text("Nothing differs.")


def test_the_lists_action_downloads_what_is_chosen(page: Page, invoices: str) -> None:
    make.draft(reference="INV-1")
    page.goto(invoices)
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option(label="Export as CSV")
    with page.expect_download() as download:
        page.locator(".actions button[name=index]").click()
    assert download.value.suggested_filename.startswith("invoices-")


def test_on_a_narrow_screen_the_reasons_stand_where_they_are_seen(
    page: Page, invoices: str, new_context: Callable[..., BrowserContext], tmp_path: Path
) -> None:
    page.goto(f"{invoices}import/")
    upload(page, file_of(tmp_path, csv_of(line(1), line(2, Amount="1.234,50"))))
    narrow = new_context(storage_state=page.context.storage_state(), viewport={"width": 400, "height": 800}).new_page()
    narrow.goto(page.url)
    reason = narrow.get_by_text("Amount (column D) is unclear")
    box = reason.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 400
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 400
    expect(narrow.get_by_role("row", name="3 Wrong INV-2")).to_be_visible()
