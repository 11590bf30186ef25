"""A large send as finance staff see it: its page, which refreshes itself, and what they do about what is stuck."""

import csv
import io
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone
from openpyxl import load_workbook
from playwright.sync_api import BrowserContext, Download, Page, Route, expect

from tests import make
from tests.browser.conftest import LiveSite
from truss_portal import actions, memo, outbox, sync
from truss_portal.connection import default_company
from truss_portal.models import Batch, Contact, Operation, PaymentIntent

pytestmark = pytest.mark.browser

# Longer than the pauses between two looks.
PATIENT = 20_000
INVOICES = "/admin/truss_portal/paymentintent/"
REQUESTS = "/admin/truss_portal/operation/"
STRICT = "default-src 'self'; img-src 'self' data:"


def drafts(count: int) -> list[PaymentIntent]:
    made = []
    for number in range(count):
        contact = {"name": f"Payer {number % 8}", "email": f"payer{number % 8}@acme.test"}
        made.append(make.draft(contact=contact, reference=f"INV-{number}"))
    return made


def queued(count: int) -> Batch:
    return actions.ask_for_many(Operation.Kind.CREATE, [intent.pk for intent in drafts(count)], wait=False)


def open_batch(site: LiveSite, page: Page, batch: Batch) -> None:
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_portal/batch/{batch.pk}/change/")


def choose_all(page: Page, action: str) -> None:
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option(label=action)
    page.locator(".actions button[name=index]").click()


@contextmanager
def pushing() -> Iterator[None]:
    """Cron's push, beside the browser."""

    def work() -> None:
        try:
            list(outbox.push(default_company()))
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_sixty_are_sent_in_parts_while_somebody_goes_on(live_site: LiveSite, page: Page) -> None:
    drafts(60)
    live_site.sign_in(page)
    page.goto(f"{live_site.url}{INVOICES}")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all 60 invoices").click()
    page.get_by_label("Action:").select_option(label="Send to Truss")
    page.locator(".actions button[name=index]").click()
    expect(page.get_by_text("60 invoices over $7,200.00 are sent to Truss.")).to_be_visible()
    expect(page.get_by_text("The first 25 are sent while this page waits.")).to_be_visible()
    page.get_by_role("button", name="Send to Truss").click()
    expect(page.get_by_text("25 of 60 are done.")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("value", "25")
    assert len(live_site.truss.payment_intents()) == 25
    page.get_by_role("button", name="Go on now").click()
    expect(page.get_by_text("50 of 60 are done.")).to_be_visible()
    page.get_by_role("button", name="Go on now").press("Enter")
    expect(page.get_by_text("60 of 60 are done.")).to_be_visible()
    expect(page.get_by_text("Finished.", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Go on now")).to_have_count(0)
    assert len({shown["memo"] for shown in live_site.truss.payment_intents()}) == 60


def test_the_page_refreshes_itself_while_others_push(live_site: LiveSite, page: Page) -> None:
    batch = queued(80)
    open_batch(live_site, page, batch)
    expect(page.get_by_text("0 of 80 are done.")).to_be_visible()
    page.evaluate("window.stayed = true")
    page.get_by_role("button", name="Go on now").focus()
    live_site.truss.fault("latency", method="POST", count=None, seconds=0.7)
    with pushing():
        expect(page.locator("#truss-batch strong").first).to_have_text(
            re.compile(r"^([1-9]|[1-4]\d) of 80 are done\.$"), timeout=PATIENT
        )
        expect(page.get_by_role("button", name="Go on now")).to_be_focused()
    expect(page.get_by_text("80 of 80 are done.", exact=True)).to_be_visible(timeout=PATIENT)
    expect(page.get_by_role("status")).to_have_text("80 of 80 are done. Finished.")
    expect(page.get_by_role("button", name="Go on now")).to_have_count(0)
    assert page.evaluate("window.stayed"), "it was never loaded again"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3000)
    assert asked == [], "what is finished is left alone"


def test_it_survives_a_site_that_does_not_answer_for_a_while(live_site: LiveSite, page: Page) -> None:
    batch = queued(2)
    down = [True]

    def gate(route: Route) -> None:
        if down[0]:
            route.abort()
        else:
            route.continue_()

    page.route("**/progress/", gate)
    open_batch(live_site, page, batch)
    stale = page.get_by_text("The site doesn't answer: this may be out of date.")
    expect(stale).to_be_visible()
    list(outbox.push(default_company()))
    down[0] = False
    expect(page.get_by_text("2 of 2 are done.", exact=True)).to_be_visible(timeout=PATIENT)
    expect(stale).to_be_hidden()


def test_without_scripts_the_page_loads_itself_again(
    live_site: LiveSite, new_context: Callable[..., BrowserContext]
) -> None:
    batch = queued(2)
    page = new_context(java_script_enabled=False).new_page()
    open_batch(live_site, page, batch)
    expect(page.get_by_text("0 of 2 are done.")).to_be_visible()
    list(outbox.push(default_company()))
    expect(page.get_by_text("2 of 2 are done.")).to_be_visible(timeout=PATIENT)


def test_a_strict_content_security_policy_breaks_nothing(live_site: LiveSite, page: Page) -> None:
    batch = queued(2)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)

    def strict(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        route.fulfill(response=answer, headers=answer.headers | {"content-security-policy": STRICT})

    live_site.sign_in(page)
    page.route("**/admin/truss_portal/**", strict)
    page.goto(f"{live_site.url}/admin/truss_portal/batch/{batch.pk}/change/")
    list(outbox.push(default_company()))
    expect(page.get_by_text("2 of 2 are done.", exact=True)).to_be_visible(timeout=PATIENT)
    assert complaints == []


def test_what_waits_is_withdrawn_after_a_confirmation(live_site: LiveSite, page: Page) -> None:
    batch = queued(3)
    open_batch(live_site, page, batch)
    page.get_by_role("link", name="Withdraw what waits").press("Enter")
    expect(page.get_by_text("3 requests of “Send: batch")).to_be_visible()
    page.get_by_role("link", name="Back, change nothing").click()
    assert Operation.objects.filter(state="queued").count() == 3
    page.get_by_role("link", name="Withdraw what waits").click()
    page.get_by_role("button", name="Withdraw what waits").click()
    expect(page.get_by_text("3 requests were withdrawn.")).to_be_visible()
    expect(page.get_by_role("cell", name="Withdrawn")).to_be_visible()
    assert live_site.truss.payment_intents() == []


def test_what_was_refused_is_tried_again_from_the_batch(live_site: LiveSite, page: Page) -> None:
    live_site.truss.fault("error_before", method="POST", status=422, count=2)
    intents = drafts(30)
    live_site.sign_in(page)
    ids = ",".join(str(intent.pk) for intent in intents)
    page.goto(f"{live_site.url}{INVOICES}send/?ids={ids}")
    page.get_by_role("button", name="Send to Truss").click()
    expect(page.get_by_role("heading", name="What needs a person")).to_be_visible()
    page.get_by_role("link", name="See to them").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.locator(".truss-badge", has_text="Refused")).to_have_count(2)
    choose_all(page, "Try again")
    expect(page.get_by_text("Truss is asked again for 2 requests.")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Truss has done them: 2 requests.")).to_be_visible()
    assert not Operation.objects.for_a_person().exists()


def test_a_lost_send_is_looked_for_and_sent_again(live_site: LiveSite, page: Page) -> None:
    live_site.truss.fault("drop_before", method="POST")
    intent = make.draft(reference="INV-1")
    actions.send(intent)
    Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(minutes=10))
    live_site.sign_in(page)
    page.goto(f"{live_site.url}{INVOICES}{intent.pk}/change/")
    expect(page.get_by_text("Truss's answer was lost.")).to_be_visible()
    page.locator(".truss-notice").get_by_role("link", name="It is not there, send again").click()
    page.get_by_role("button", name="Copy mark: INV-1").click()
    expect(page.get_by_role("status")).to_have_text("Copied to the clipboard: INV-1")
    assert page.evaluate("navigator.clipboard.readText()") == memo.join("", intent.memo_reference)
    page.get_by_role("button", name="It is not there, send again").click()
    assert live_site.truss.payment_intents() == [], "the browser wants the promise first"
    promise = page.get_by_label("I have looked at Truss, and it is not there.")
    promise.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="It is not there, send again").click()
    expect(page.get_by_text("1 invoice was sent to Truss.")).to_be_visible()
    assert page.url.endswith(f"{INVOICES}{intent.pk}/change/")
    assert len(live_site.truss.payment_intents()) == 1


def at_truss(count: int) -> list[PaymentIntent]:
    intents = drafts(count)
    actions.ask_for_many(Operation.Kind.CREATE, [intent.pk for intent in intents])
    return intents


def choose_everything(site: LiveSite, page: Page, count: int, action: str) -> None:
    site.sign_in(page)
    page.goto(f"{site.url}{INVOICES}")
    page.locator("#action-toggle").check()
    if count > 50:
        page.get_by_role("button", name=f"Select all {count} invoices").click()
    page.get_by_label("Action:").select_option(label=action)
    page.locator(".actions button[name=index]").click()


def rows_of(download: Download) -> list[list[str]]:
    return list(csv.reader(io.StringIO(download.path().read_text("utf-8-sig"), newline="")))


def test_sixty_are_emailed_again_with_progress_and_a_result_to_come_back_to(live_site: LiveSite, page: Page) -> None:
    intents = at_truss(60)
    intents[0].refresh_from_db()
    live_site.truss.pay(str(intents[0].uid), "120.00")
    sync.sync_all(default_company())
    choose_everything(live_site, page, 60, "Resend email")
    expect(page.get_by_text("Truss emails the payers of 59 invoices again, with $7,080.00")).to_be_visible()
    expect(page.get_by_text("Truss sends 59 emails. They go to 8 addresses.")).to_be_visible()
    expect(page.get_by_text("1 invoice is left out")).to_be_visible()
    assert live_site.truss.mailbox() == []
    button = page.get_by_role("button", name="Resend email")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("25 of 59 are done.")).to_be_visible()
    expect(page.get_by_role("button", name="Go on now")).to_be_visible()
    page.evaluate("window.stayed = true")
    with pushing():
        expect(page.get_by_text("59 of 59 are done.", exact=True)).to_be_visible(timeout=PATIENT)
    assert page.evaluate("window.stayed"), "it was never loaded again"
    assert len(live_site.truss.mailbox()) == 59

    page.goto(f"{live_site.url}{INVOICES}")
    page.get_by_role("link", name="Batches", exact=True).last.click()
    page.get_by_role("link", name=re.compile("Resend the email: batch")).click()
    with page.expect_download() as found:
        page.get_by_role("link", name="Download as CSV").click()
    assert found.value.suggested_filename.endswith(".csv")
    _head, *rows = rows_of(found.value)
    assert len(rows) == 60
    assert {row[5] for row in rows} == {"Emailed again", "Left out"}
    assert [row[0] for row in rows if row[5] == "Left out"] == ["INV-0"]
    with page.expect_download() as found:
        page.get_by_role("link", name="Download as XLSX").click()
    sheet = load_workbook(io.BytesIO(found.value.path().read_bytes())).active
    assert sheet is not None
    assert sheet.max_row == 61


def test_after_the_back_button_the_page_says_what_was_done_meanwhile(live_site: LiveSite, page: Page) -> None:
    ids = ",".join(str(intent.pk) for intent in at_truss(2))
    live_site.sign_in(page)
    page.goto(f"{live_site.url}{INVOICES}resend/?ids={ids}")
    expect(page.get_by_text("Truss sends 2 emails.")).to_be_visible()
    page.get_by_role("button", name="Resend email").click()
    expect(page.get_by_text("2 invoices were emailed again.")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("2 of these invoices were emailed again within the last 24 hours already.")).to_be_visible()
    assert len(live_site.truss.mailbox()) == 2


def test_sixty_are_refreshed_and_what_is_gone_is_named(live_site: LiveSite, page: Page) -> None:
    at_truss(60)
    paid, gone = PaymentIntent.objects.order_by("pk")[:2]
    live_site.truss.pay(str(paid.uid), "20.00")
    live_site.truss.vanish(str(gone.uid))
    choose_everything(live_site, page, 60, "Refresh from Truss")
    expect(page.get_by_text("Truss is asked about 60 invoices, with $7,200.00 left to pay.")).to_be_visible()
    expect(page.get_by_text("Nothing changes at Truss")).to_be_visible()
    page.get_by_role("button", name="Refresh from Truss").click()
    expect(page.get_by_text("25 of 60 are done.")).to_be_visible()
    live_site.truss.fault("latency", method="GET", path="inbound/", count=None, seconds=0.4)
    with pushing():
        expect(page.locator("#truss-batch strong").first).to_have_text(
            re.compile(r"^(2[6-9]|[345]\d) of 60 are done\.$"), timeout=PATIENT
        )
    expect(page.get_by_text("60 of 60 are done.", exact=True)).to_be_visible(timeout=PATIENT)
    expect(page.get_by_text("Finished; 1 couldn't be brought up to date.").first).to_be_visible()
    expect(page.get_by_role("heading", name="What couldn't be brought up to date")).to_be_visible()
    expect(page.get_by_role("row", name=f"{gone} Done No longer found at Truss.")).to_be_visible()
    with page.expect_download() as found:
        page.get_by_role("link", name="Download as CSV").click()
    told = {row[0]: row[5] for row in rows_of(found.value)[1:]}
    assert (told[str(paid)], told[str(gone)], len(told)) == ("Up to date", "Not found at Truss", 60)
    paid.refresh_from_db()
    assert paid.balance_paid == 20


def test_more_links_than_a_page_shows_are_downloaded(live_site: LiveSite, page: Page) -> None:
    company = make.company()
    payer = Contact.objects.create(company=company, name="Acme", email="ap@acme.test", uid=uuid.uuid4())
    PaymentIntent.objects.bulk_create(
        PaymentIntent(company=company, contact=payer, uid=uuid.uuid4(), total="5.00", addenda=f"Job {number}",
                      delivery="sent", status="Pending")
        for number in range(510)
    )  # fmt: skip
    choose_everything(live_site, page, 510, "Copy checkout links")
    expect(page.get_by_text("510 checkout links over $2,550.00: too many for one page")).to_be_visible()
    with page.expect_download() as found:
        page.get_by_role("button", name="Download as CSV").press("Enter")
    assert len(rows_of(found.value)) == 511


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", [Operation.Kind.RESEND_EMAIL, Operation.Kind.REFRESH])
def test_nothing_on_these_pages_keeps_anybody_out(
    live_site: LiveSite, new_context: Callable[..., BrowserContext], scheme: str, kind: Operation.Kind
) -> None:
    intents = at_truss(3)
    batch = actions.ask_for_many(kind, [intent.pk for intent in [*intents, make.draft(reference="DRAFT")]], wait=False)
    page = new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme).new_page()
    open_batch(live_site, page, batch)
    expect(page.get_by_role("link", name="Download as CSV")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    verb = "resend" if kind == Operation.Kind.RESEND_EMAIL else "refresh"
    page.goto(f"{live_site.url}{INVOICES}{verb}/?ids={','.join(str(intent.pk) for intent in intents)}")
    expect(page.get_by_role("heading", name="3 invoices are left out")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_shows_the_batch_without_scrolling_sideways(
    live_site: LiveSite, new_context: Callable[..., BrowserContext], scheme: str
) -> None:
    batch = queued(30)
    Operation.objects.filter(pk__in=Operation.objects.values_list("pk")[:2]).update(
        state="refused", needs_person=True, error="Truss refused the request. " * 5
    )
    page = new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme).new_page()
    open_batch(live_site, page, batch)
    expect(page.get_by_text("0 of 30 are done.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
