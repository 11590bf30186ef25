"""Take the screenshots in docs/images from the real thing: the example site, its demo and a browser.

    python docs/screenshots.py          needs Debian's chromium package and what tests/requirements.txt installs

It makes four sites in a temporary folder: an empty one, one with many invoices, one that a file is imported into, and
one on which `truss_demo` has run.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import gallery
import requests
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from truss_portal.testing.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDE = {"width": 1260, "height": 760}
PAGE = {"width": 760, "height": 620}
PHONE = {"width": 400, "height": 760}
INVOICE_HEIGHT = 1750
INVOICES = "/admin/truss_portal/paymentintent/"
OVERVIEW = f"{INVOICES}overview/"
BOOKS = """
from datetime import timedelta
from django.utils import timezone
from tests.benchmarks import million
from truss_portal.models import Company

million.fill(20_000)
for pk, name in enumerate(("Harbor Street Supply", "Hudson Cold Storage", "Pier 9 Catering"), 1):
    Company.objects.filter(pk=pk).update(name=name, listed_at=timezone.now() - timedelta(hours=25 if pk == 3 else pk))
"""
VISIBILITY = f"{INVOICES}visibility/"
REQUESTS = "/admin/truss_portal/operation/"


# Many drafts to customers whom Truss knows already.
DRAFTS = """
from truss_portal import actions
from truss_portal.models import Contact
payers = list(Contact.objects.exclude(uid=None).order_by("pk")[:40])
for number in range(8001, 8121):
    actions.draft(
        contact=payers[number % len(payers)], total=f"{90 + number % 97 * 13}.50", reference=f"HS-{number}",
        addenda=f"Harbor Street Supply, order HS-{number}", send_email=True,
    )
"""
# As if an hour had gone by.
AN_HOUR_LATER = """
from datetime import timedelta
from django.utils import timezone
from truss_portal.models import Operation
Operation.objects.filter(state="unconfirmed").update(unconfirmed_at=timezone.now() - timedelta(hours=1))
"""

A_FILE = """Invoice number,Payer name,Payer email,Phone,Amount,Description,Due date,Send email,Region
HS-9001,Hudson Cold Storage,ap@hudsoncold.example,(212) 555-0142,"$1,480.00",Ice for the spring season,2035-04-30,yes,N
HS-9002,Pier 9 Catering,office@pier9.example,,612.50,Linen and glassware,2035-04-30,yes,N
HS-9003,Ortega Bakery LLC,accounts@ortegabakery.example,,349.90,Flour,2035-05-15,yes,S
HS-9004,Battery Park Books,till@batterybooks.example,,75.00,Paper bags,,no,S
HS-9005,Lighthouse Diner,pay@lighthouse.example,,"1.234,50",Fryer oil,03/04/2035,no,S
HS-9006,Pier 9 Catering,events@pier9.example,,220.00,Chairs for an evening,2035-05-15,yes,N
HS-9007,Red Hook Ferry Co.,billing@redhookferry.example,,0.00,Credit,2035-05-15,no,N
"""
BEFORE_THE_FILE = """
import uuid
from truss_portal import actions
from truss_portal.models import Company, PaymentIntent

Company.objects.create(slug="default", name="Harbor Street Supply", environment="local", checkout_link_id="harbor")
for number, payer, email, total, what in (
    ("HS-9002", "Pier 9 Catering", "office@pier9.example", "590.00", "Linen"),
    ("HS-9003", "Ortega Bakery LLC", "accounts@ortegabakery.example", "349.90", "Flour"),
    ("HS-9004", "Battery Park Books", "till@batterybooks.example", "60.00", "Paper bags"),
):
    actions.draft(contact={"name": payer, "email": email}, total=total, addenda=what, reference=number,
                  send_email=number != "HS-9004")
PaymentIntent.objects.filter(reference="HS-9004").update(uid=uuid.uuid4(), delivery="sent", status="Pending")
PaymentIntent.objects.filter(reference="HS-9003").update(due_date="2035-05-15")
"""


def environment_of(folder: Path) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "SANDBOX_DATABASE_URL": f"sqlite:///{folder}/sandbox.sqlite3",
        "PYTHONUNBUFFERED": "1",
    }


def shell(folder: Path, code: str) -> None:
    """Run this in the site that has its databases there."""
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "shell", "-v0", "-c", code], env=environment_of(folder), check=True)  # noqa: S603


@contextmanager
def site(folder: Path, *command: str, ready: str) -> Iterator[str]:
    """Run a command of manage.py on databases of its own; what it printed up to `ready` and shortly after."""
    environment = environment_of(folder)
    manage = [sys.executable, str(ROOT / "manage.py")]
    for database in ("default", "truss_sandbox"):
        subprocess.run([*manage, "migrate", "-v0", "--database", database], env=environment, check=True)  # noqa: S603
    password = environment | {"DJANGO_SUPERUSER_PASSWORD": "demo", "DJANGO_SUPERUSER_EMAIL": "demo@example.test"}
    if command[0] == "runserver":
        subprocess.run([*manage, "createsuperuser", "--noinput", "--username", "demo"], env=password, check=True)  # noqa: S603
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen([*manage, *command], env=environment, stdout=out, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        until = time.monotonic() + 300
        while ready not in log.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(log.read_text())
            time.sleep(0.5)
        time.sleep(1)
        yield log.read_text()
    finally:
        process.terminate()
        process.wait()


def shoot(page: Page, name: str, *, height: int | None = None) -> None:
    """What is on the screen; or from the top down to `height`."""
    width = page.viewport_size["width"] if page.viewport_size else WIDE["width"]
    clip = None if height is None else {"x": 0, "y": 0, "width": width, "height": height}
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, clip=clip, full_page=height is not None, animations="disabled")
    sys.stdout.write(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB\n")


def sign_in(context: BrowserContext, base: str, password: str) -> Page:
    # As a person leaves it who works with one list: Django's sidebar folded away.
    context.add_init_script("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")
    page = context.new_page()
    page.goto(f"{base}/admin/login/?next={INVOICES}")
    page.fill("#id_username", "demo")
    page.fill("#id_password", password)
    page.click("[type=submit]")
    return page


def empty(browser: Browser, folder: Path) -> None:
    base = "http://127.0.0.1:8797"
    with site(folder, "runserver", "--noreload", "8797", ready="Starting development server"):
        time.sleep(2)
        page = sign_in(browser.new_context(viewport=WIDE), base, "demo")
        shoot(page, "invoice-list-empty", height=480)
        page.goto(f"{base}{VISIBILITY}")
        shoot(page, "visibility-empty", height=560)
        page.goto(f"{base}{OVERVIEW}")
        shoot(page, "overview-empty", height=300)
        gallery.empty(page.context, base)


def overview(browser: Browser, folder: Path) -> None:
    base = "http://127.0.0.1:8796"
    with site(folder, "runserver", "--noreload", "8796", ready="Starting development server"):
        shell(folder, BOOKS)
        page = sign_in(browser.new_context(viewport=WIDE), base, "demo")
        gallery.full(page.context, base)
        page.goto(f"{base}{OVERVIEW}")
        shoot(page, "overview", height=1560)
        state = page.context.storage_state()
        for name, options, height in (
            ("dark", {"viewport": WIDE, "color_scheme": "dark"}, 1110),
            ("narrow", {"viewport": PHONE}, 1500),
        ):
            other = browser.new_context(storage_state=state, **options).new_page()
            other.goto(f"{base}{OVERVIEW}")
            shoot(other, f"overview-{name}", height=height)


def files(browser: Browser, folder: Path) -> None:
    """Invoices in and out."""
    base = "http://127.0.0.1:8795"
    with site(folder, "runserver", "--noreload", "8795", ready="Starting development server"):
        shell(folder, BEFORE_THE_FILE)
        page = sign_in(browser.new_context(viewport=WIDE), base, "demo")
        page.goto(f"{base}{INVOICES}import/")
        shoot(page, "import", height=900)
        page.set_input_files("#id_file", {"name": "april.csv", "mimeType": "text/csv", "buffer": A_FILE.encode()})
        page.get_by_role("button", name="Upload and look at it").click()
        shoot(page, "import-preview", height=1240)
        state = page.context.storage_state()
        for name, options, height in (
            ("dark", {"viewport": WIDE, "color_scheme": "dark"}, 1240),
            ("narrow", {"viewport": PHONE}, 1700),
        ):
            other = browser.new_context(storage_state=state, **options).new_page()
            other.goto(page.url)
            shoot(other, f"import-preview-{name}", height=height)
        page.get_by_role("button", name="Import the").click()
        shoot(page, "import-result", height=560)
        page.goto(f"{base}{INVOICES}export/?delivery__exact=unsent")
        shoot(page, "export", height=700)


def staff(browser: Browser, base: str, password: str) -> None:
    page = sign_in(browser.new_context(viewport=WIDE), base, password)
    shoot(page, "invoice-list", height=760)
    paid = page.locator("#result_list tbody tr", has_text="Partially paid").first.locator("th a").get_attribute("href")
    invoice = f"{base}{urlsplit(str(paid)).path}"
    page.goto(invoice)
    shoot(page, "invoice", height=INVOICE_HEIGHT)
    drafts = f"{base}{INVOICES}?delivery__exact=unsent"
    page.goto(drafts)
    write_draft(page, base)
    page.goto(drafts)
    choose(page, "send_selected", 4)
    shoot(page, "send-confirmation", height=700)
    page.goto(f"{base}{INVOICES}?status=Pending")
    choose(page, "copy_links", 4)
    shoot(page, "checkout-links", height=560)
    page.goto(f"{base}/admin/truss_portal/company/setup/")
    shoot(page, "setup", height=820)
    asked = f"{base}{VISIBILITY}?invoice={re.findall('[0-9]+', urlsplit(invoice).path)[0]}"
    answers(page, base, asked)
    state = page.context.storage_state()
    for name, options in (
        ("dark", {"viewport": WIDE, "color_scheme": "dark"}),
        ("narrow", {"viewport": PHONE, "device_scale_factor": 1}),
    ):
        other = browser.new_context(storage_state=state, **options).new_page()
        other.goto(f"{base}{INVOICES}")
        shoot(other, f"invoice-list-{name}", height=760 if name == "dark" else 900)
        other.goto(invoice)
        shoot(other, f"invoice-{name}", height=INVOICE_HEIGHT if name == "dark" else 1400)
        other.goto(asked)
        shoot(other, f"visibility-{name}", height=1000 if name == "dark" else 1200)


def large_send(browser: Browser, base: str, password: str, folder: Path) -> None:
    """A hundred and twenty in one go: two are refused, and one answer is lost."""
    shell(folder, DRAFTS)
    sandbox = Sandbox.at(f"{base}/sandbox")
    page = sign_in(browser.new_context(viewport=WIDE), base, password)
    page.goto(f"{base}{INVOICES}?q=HS-8")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all").click()
    page.select_option("select[name=action]", "send_selected")
    page.click("button[name=index]")
    sandbox.fault("error_before", method="POST", status=422, count=2)
    page.get_by_role("button", name="Send to Truss").click()
    batch = page.url
    shoot(page, "batch", height=720)
    sandbox.fault("drop_before", method="POST")
    page.get_by_role("button", name="Go on now").click()
    shell(folder, AN_HOUR_LATER)
    page.goto(f"{base}{REQUESTS}?needs=person")
    shoot(page, "requests", height=560)
    page.locator("#result_list tbody tr", has_text="Not confirmed").first.locator("input.action-select").check()
    page.select_option("select[name=action]", "send_again_selected")
    page.click("button[name=index]")
    shoot(page, "send-again", height=560)
    state = page.context.storage_state()
    for name, options in (("dark", {"viewport": WIDE, "color_scheme": "dark"}), ("narrow", {"viewport": PHONE})):
        other = browser.new_context(storage_state=state, **options).new_page()
        other.goto(batch)
        shoot(other, f"batch-{name}", height=720 if name == "dark" else 900)
    gallery.usual(browser, page.context, base)


def answers(page: Page, base: str, asked: str) -> None:
    """Why a payer can't see an invoice: of one who sees some, of a stranger; and the link to hand out."""
    page.goto(f"{base}{INVOICES}?delivery__exact=unsent")
    draft = str(page.locator("#result_list tbody tr th a").last.get_attribute("href"))
    page.goto(f"{base}{VISIBILITY}?invoice={re.findall('[0-9]+', urlsplit(draft).path)[0]}")
    shoot(page, "visibility-hidden", height=1000)
    page.goto(asked)
    shoot(page, "visibility", height=1000)
    email = page.input_value("#id_email")
    page.fill("#id_email", email.replace("@", "s@", 1))
    page.get_by_role("button", name="Look", exact=True).click()
    shoot(page, "visibility-stranger", height=760)
    page.goto(f"{base}/admin/truss_portal/company/")
    page.get_by_role("link", name="QR code and texts to hand out").first.click()
    shoot(page, "portal-link", height=1500)


def write_draft(page: Page, base: str) -> None:
    """One that may be sent, beside those that the demo holds back because of their payers' name."""
    for number in ("HS-7001", "HS-7002"):
        page.goto(f"{base}{INVOICES}add/")
        # The field is filled by a search as one types; what it would bring is put in.
        page.evaluate("pk => document.querySelector('#id_contact').add(new Option('', pk, true, true))", number[-1])
        page.fill("#id_total", "148.50")
        page.fill("#id_addenda", f"Harbor Street Supply, order {number}")
        page.fill("#id_reference", number)
        page.check("#id_send_email")
        page.click("[name=_save]")


def choose(page: Page, action: str, count: int) -> None:
    for box in page.locator("input.action-select").all()[:count]:
        box.check()
    page.select_option("select[name=action]", action)
    page.click("button[name=index]")


def payer(browser: Browser, base: str) -> None:
    """Pay a part, then the rest, then claim a payment that never was."""
    page = browser.new_context(viewport=PAGE).new_page()
    orders = open_orders(page, base)
    page.goto(orders[0])
    page.get_by_role("link", name="Pay invoice").click()
    for part in ("part", "rest"):
        if part == "part":
            identify(page, base)
            shoot(page, "sandbox-invoice", height=870)
            page.fill("#id_amount", "50.00")
        page.get_by_role("button", name="Pay now").click()
        if part == "part":
            shoot(page, "sandbox-receipt", height=620)
        page.get_by_role("link", name="Done").click()
        shoot(page, "return-part-paid" if part == "part" else "return-paid", height=560)
        if part == "part":
            page.get_by_role("link", name="Pay the rest").click()
    page.goto(orders[1])
    link = str(page.get_by_role("link", name="Pay invoice").get_attribute("href"))
    [back] = parse_qs(urlsplit(link).query)["redirect_uri"]
    page.goto(f"{back}&result=success")
    shoot(page, "return-confirming", height=560)


def open_orders(page: Page, base: str) -> list[str]:
    page.goto(f"{base}/")
    links = [str(link.get_attribute("href")) for link in page.locator("tbody tr td:first-child a").all()]
    found = []
    for link in links:
        page.goto(f"{base}{link}")
        total = re.search(r"Left to pay\s*\$([0-9,.]+)", page.inner_text("main, body"))
        if page.get_by_role("link", name="Pay invoice").count() and total and float(total[1].replace(",", "")) > 60:  # noqa: PLR2004
            found.append(f"{base}{link}")
    return found


def identify(page: Page, base: str) -> None:
    uid = urlsplit(page.url).path.split("/")[-1]
    held = requests.get(f"{base}/sandbox/control/payment-intents", timeout=30).json()
    page.fill("#id_email", next(intent["contact"]["email"] for intent in held if intent["uid"] == uid))
    page.get_by_role("button", name="Send code").click()
    mail = requests.get(f"{base}/sandbox/control/mailbox", timeout=30).json()
    page.fill("#id_code", next(each["code"] for each in mail if each["code"]))
    page.get_by_role("button", name="Continue").click()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in ("empty", "many", "files", "demo"):
            (Path(folder) / name).mkdir()
        empty(browser, Path(folder) / "empty")
        overview(browser, Path(folder) / "many")
        files(browser, Path(folder) / "files")
        with site(Path(folder) / "demo", "truss_demo", "--port", "8798", ready="mailbox   http") as told:
            served = re.search(r"admin\s+(http://\S+)/admin/\s+user: \S+\s+password: (\S+)", told)
            if served is None:
                raise SystemExit(told)
            staff(browser, served[1], served[2])
            large_send(browser, served[1], served[2], Path(folder) / "demo")
            payer(browser, served[1])
        browser.close()
    gallery.write_page()


if __name__ == "__main__":
    main()
