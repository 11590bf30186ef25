"""Fixtures for tests that click: a Chromium, a page in it, and this site served to it with the pretend Truss behind.

    @pytest.mark.browser
    def test_something(live_site: LiveSite, page: Page) -> None:
        live_site.sign_in(page)             # as finance staff, into the admin
        page.goto(live_site.url + "/…")
        live_site.truss.pay(uid)            # the pretend Truss, see truss_portal.testing.sandbox

Give every such test the marker `browser`: `make test` leaves it out, `make browser` runs it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from truss_portal.testing.sandbox import Sandbox

# Playwright's sync API runs an event loop in this very thread, and Django refuses its ORM where it sees one. Nothing
# here is asynchronous: each call returns before the next begins.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
USERNAME, PASSWORD = "finance", "let-me-in"


@dataclass(frozen=True)
class LiveSite:
    """This site on a port of its own (`url`), and the pretend Truss that it talks to."""

    url: str
    truss: Sandbox

    def sign_in(self, page: Page) -> None:
        """As a superuser, through the admin's own form."""
        if not User.objects.filter(username=USERNAME).exists():
            User.objects.create_superuser(USERNAME, "finance@site.test", PASSWORD)
        page.goto(f"{self.url}/admin/")
        page.get_by_label("Username").fill(USERNAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{self.url}/admin/")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for the whole session."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("These tests need Debian's chromium package: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def new_context(browser: Browser, live_site: LiveSite) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser windows that share nothing: `new_context(color_scheme="dark")`. Closed after the test."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(locale="en-US", **options)
        context.set_default_timeout(15_000)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def page(new_context: Callable[..., BrowserContext], live_site: LiveSite) -> Page:
    """An empty page, whose site may use the clipboard."""
    context = new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_site.url)
    return context.new_page()


@pytest.fixture
def live_site(live_server: Any, truss: Sandbox) -> LiveSite:
    return LiveSite(url=live_server.url, truss=truss)
