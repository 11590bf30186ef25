"""Take the screenshots in docs/images from the real thing: the example site, its demo and a browser.

    python docs/screenshots.py          needs Debian's chromium package and what tests/requirements.txt installs

It makes two sites in a temporary folder, an empty one and one on which `truss_demo` has run, and ends both.
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

import requests
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDE = {"width": 1260, "height": 760}
PAGE = {"width": 760, "height": 620}
PHONE = {"width": 400, "height": 760}
INVOICE_HEIGHT = 1750
INVOICES = "/admin/truss_portal/paymentintent/"


@contextmanager
def site(folder: Path, *command: str, ready: str) -> Iterator[str]:
    """Run a command of manage.py on databases of its own; what it printed up to `ready` and shortly after."""
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "SANDBOX_DATABASE_URL": f"sqlite:///{folder}/sandbox.sqlite3",
        "PYTHONUNBUFFERED": "1",
    }
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
        shoot(sign_in(browser.new_context(viewport=WIDE), base, "demo"), "invoice-list-empty", height=480)


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
        for name in ("empty", "demo"):
            (Path(folder) / name).mkdir()
        empty(browser, Path(folder) / "empty")
        with site(Path(folder) / "demo", "truss_demo", "--port", "8798", ready="mailbox   http") as told:
            served = re.search(r"admin\s+(http://\S+)/admin/\s+user: \S+\s+password: (\S+)", told)
            if served is None:
                raise SystemExit(told)
            staff(browser, served[1], served[2])
            payer(browser, served[1])
        browser.close()


if __name__ == "__main__":
    main()
