"""A payer with a browser and no JavaScript: follows links, fills in forms, reads their mail."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import requests

from truss_portal.testing.sandbox import Sandbox

_TIMEOUT: Final = (5, 60)


class UnexpectedPageError(Exception):
    """The page that came isn't the one that a payer would find there."""


class Page(HTMLParser):
    """What a person sees of a page: its heading, text, links and forms."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.url, self.status, self.source = response.url, response.status_code, response.text
        self.links: dict[str, str] = {}
        """Text → address."""
        self.hidden: dict[str, str] = {}
        """The hidden fields of all its forms."""
        self._words: list[str] = []
        self._headings: list[str] = []
        self._open: list[str] = []
        self._href = ""
        self.feed(self.source)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    @property
    def heading(self) -> str:
        return " ".join(" ".join(self._headings).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "a":
            self._href = attributes.get("href", "")
        elif tag == "input" and attributes.get("type") == "hidden":
            self.hidden[attributes["name"]] = attributes.get("value", "")
        if tag in {"a", "h1", "style", "script"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        if "style" in self._open or "script" in self._open or not data.strip():
            return
        self._words.append(data)
        if "h1" in self._open:
            self._headings.append(data)
        if "a" in self._open:
            self.links[data.strip()] = urljoin(self.url, self._href)


class Payer:
    """Goes where a link leads; `page` is what is then on the screen. Raises UnexpectedPageError when lost."""

    def __init__(self, sandbox: Sandbox, email: str) -> None:
        self.email = email
        self._sandbox = sandbox
        self._browser = requests.Session()
        self._browser.trust_env = False
        self.page: Page

    def open(self, url: str) -> Page:
        return self._show(self._browser.get(url, timeout=_TIMEOUT))

    def follow(self, text: str) -> Page:
        if text not in self.page.links:
            raise UnexpectedPageError(f"There is no link “{text}” on {self.page.url}: {self.page.text[:300]}")
        return self.open(self.page.links[text])

    def sign_in(self) -> Page:
        """On the portal's first page: give the email, read the code in the mailbox, give the code."""
        self.fill_in("email", {"email": self.email})
        return self.fill_in("code", {"code": self._code()})

    def pay(self, amount: str, payment_method: str = "ach") -> Page:
        """On an invoice's page. `amount` is in US dollars; leads to the receipt."""
        page = self.fill_in("pay", {"amount": amount, "payment_method": payment_method})
        if page.heading != "Payment sent":
            raise UnexpectedPageError(f"The payment did not go through: {page.text[:300]}")
        return page

    def fill_in(self, step: str, fields: Mapping[str, str]) -> Page:
        """Send the form of the page whose button is called `step`."""
        filled_in = {**self.page.hidden, **fields, "step": step}
        return self._show(self._browser.post(self.page.url, data=filled_in, timeout=_TIMEOUT))

    def _code(self) -> str:
        for mail in self._sandbox.mailbox():
            if mail["to"] == self.email and mail["code"]:
                return str(mail["code"])
        raise UnexpectedPageError(f"No code has come to {self.email}.")

    def _show(self, response: requests.Response) -> Page:
        self.page = Page(response)
        return self.page
