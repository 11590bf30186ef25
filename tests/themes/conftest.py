"""The browser's fixtures, for tests that click."""

from tests.browser.conftest import browser, live_site, new_context, page  # noqa: F401
