"""Every page of the console, each as it usually is, empty, full, dark and on a telephone; and the page that shows them.

Run by `screenshots.py`. What is shown where stands in `PAGES`; `docs/reference/screens.md` is written from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from playwright.sync_api import Browser, BrowserContext, Page

DOCS: Final = Path(__file__).resolve().parent
IMAGES: Final = DOCS / "images" / "console"
WIDE: Final = {"width": 1260, "height": 760}
PHONE: Final = {"width": 400, "height": 760}
TALLEST: Final = {"": 1300, "empty": 620, "full": 1000, "dark": 900, "narrow": 1100}
"""Higher pages are cut off there, in pixels, by look."""
WORDS: Final = {
    "": "as it usually is",
    "empty": "with nothing to show yet",
    "full": "with twenty thousand invoices",
    "dark": "dark",
    "narrow": "on a telephone",
}
APP: Final = "/admin/truss_portal/"
TRUSTIST: Final = "/admin/truss_trustist/"
LOOKS: Final = {"dark": {"viewport": WIDE, "color_scheme": "dark"}, "narrow": {"viewport": PHONE}}


@dataclass(frozen=True, slots=True)
class Screen:
    name: str
    title: str
    address: str
    """Of a list, for the page of its first row: see `row`."""
    row: bool = False
    then: str = ""
    """What the page's own address goes on with: `amend/` for `…/3/amend/`."""
    empty: bool = False
    full: bool = False


def _list(name: str, title: str, model: str, query: str = "", *, full: bool = False) -> Screen:
    return Screen(name, title, f"{APP}{model}/{query}", empty=True, full=full)


def _one(name: str, title: str, model: str, query: str = "") -> Screen:
    return Screen(name, title, f"{APP}{model}/{query}", row=True)


PAGES: Final = (
    Screen("overview", "Overview", f"{APP}paymentintent/overview/", empty=True, full=True),
    _list("invoices", "Invoices", "paymentintent", full=True),
    _one("invoice", "An invoice at Truss", "paymentintent", "?status=PartiallyPaid"),
    Screen(
        "invoice-amend", "Amending an invoice", f"{APP}paymentintent/?status=PartiallyPaid", row=True, then="../amend/"
    ),
    _one("draft", "A draft", "paymentintent", "?delivery__exact=unsent"),
    Screen("invoice-add", "A new invoice", f"{APP}paymentintent/add/"),
    Screen("import", "Import", f"{APP}paymentintent/import/"),
    Screen("export", "Export", f"{APP}paymentintent/export/"),
    Screen("visibility", "Why can't my payer see it?", f"{APP}paymentintent/visibility/", empty=True),
    _list("payers", "Payers", "contact", full=True),
    _one("payer", "A payer", "contact"),
    _list("payments", "Payments", "transaction", full=True),
    _one("payment", "A payment", "transaction"),
    _list("requests", "Requests to Truss", "operation"),
    _one("request", "A request", "operation"),
    _list("batches", "Batches", "batch"),
    _list("companies", "Companies", "company"),
    _one("company", "A company", "company"),
    Screen("setup", "Set-up", f"{APP}company/setup/", empty=True),
    _list("webhooks", "Webhooks", "webhookevent"),
    _list("returns", "Payers' returns", "payerreturn"),
    _list("runs", "Sync runs", "syncrun"),
    Screen("trustist-invitations", "Trustist: invitations", f"{TRUSTIST}invitation/", empty=True),
    Screen("trustist-invitation", "Trustist: an invitation", f"{TRUSTIST}invitation/", row=True),
    Screen("trustist-invite", "Trustist: a new invitation", f"{TRUSTIST}invitation/invite/"),
    Screen("trustist-import", "Trustist: inviting many", f"{TRUSTIST}invitation/import/"),
    Screen("trustist-keys", "Trustist: merchants' keys", f"{TRUSTIST}merchantkey/", empty=True),
    Screen("trustist-key", "Trustist: a merchant's key", f"{TRUSTIST}merchantkey/", row=True),
    Screen("trustist-reveal", "Trustist: revealing a key", f"{TRUSTIST}merchantkey/", row=True, then="../reveal/"),
)


def usual(browser: Browser, context: BrowserContext, base: str) -> None:
    """Each page, and once more dark and narrow. Somebody is signed in there."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    page = context.new_page()
    addresses = {}
    for screen in PAGES:
        page.goto(f"{base}{screen.address}")
        if screen.row:
            page.locator("#result_list tbody tr").first.locator("th a, td.field-__str__ a").first.click()
        if screen.then:
            page.goto(urljoin(page.url, screen.then))
        addresses[screen.name] = page.url
        _shoot(page, screen.name, "")
    for look, options in LOOKS.items():
        other = browser.new_context(storage_state=context.storage_state(), **options).new_page()  # type: ignore[arg-type]
        for name, address in addresses.items():
            other.goto(address)
            _shoot(other, name, look)


def empty(context: BrowserContext, base: str) -> None:
    _several(context, base, "empty", (screen for screen in PAGES if screen.empty))


def full(context: BrowserContext, base: str) -> None:
    _several(context, base, "full", (screen for screen in PAGES if screen.full))


def _several(context: BrowserContext, base: str, look: str, screens: Iterator[Screen]) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    page = context.new_page()
    for screen in screens:
        page.goto(f"{base}{screen.address}")
        _shoot(page, screen.name, look)


def _shoot(page: Page, name: str, look: str) -> None:
    page.wait_for_load_state("networkidle")
    height = page.evaluate("document.documentElement.scrollHeight")
    size = page.viewport_size or WIDE
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height, TALLEST[look])}
    page.screenshot(path=_file(name, look), clip=clip, full_page=True, animations="disabled")  # type: ignore[arg-type]


def _file(name: str, look: str) -> Path:
    return IMAGES / f"{name}{f'-{look}' if look else ''}.png"


def write_page() -> None:
    """The page of the docs that shows them all: what was shot, and nothing else."""
    told = [
        "# Every page of the console\n",
        "In the look that Django's admin has by itself. Written by `docs/screenshots.py`, with the pictures.\n",
    ]
    for screen in PAGES:
        told.append(f"## {screen.title}\n")
        for look, words in WORDS.items():
            file = _file(screen.name, look)
            if file.exists():
                told.append(f"![{screen.title}, {words}](../{file.relative_to(DOCS)})\n")
    (DOCS / "reference" / "screens.md").write_text("\n".join(told), encoding="utf-8")
