"""The main jobs by clicking, in whatever dress the settings say.

tests/test_themes.py runs this file once more under each theme.
"""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.conftest import LiveSite
from tests.joined import settings_for
from tests.walking import World, client_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(live_site: LiveSite, page: Page, settings: Any) -> World:
    settings.TRUSS_PORTAL = settings_for(live_site.truss)
    world = World(live_site.truss)
    cookie = client_of("superuser").cookies["sessionid"]
    page.context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": live_site.url}])
    return world


def test_a_draft_is_sent_and_its_link_copied(world: World, live_site: LiveSite, page: Page) -> None:
    page.goto(live_site.url + reverse("admin:truss_portal_paymentintent_change", args=[world.draft.pk]))
    page.get_by_role("link", name="Send to Truss").click()
    page.get_by_role("button", name="Send to Truss").click()
    page.wait_for_url(f"**/{world.draft.pk}/change/")
    world.draft.refresh_from_db()
    assert world.draft.delivery == world.draft.Delivery.SENT
    copy = page.get_by_role("button", name="Copy link").first
    copy.click()
    expect(copy).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == world.draft.checkout_url()


def test_an_invoice_is_amended(world: World, live_site: LiveSite, page: Page) -> None:
    page.goto(live_site.url + reverse("admin:truss_portal_paymentintent_amend", args=[world.second.pk]))
    page.locator("#id_total").fill("130.00")
    page.get_by_role("button", name="Look over the changes").click()
    page.get_by_role("button", name="Amend at Truss").click()
    page.wait_for_url(f"**/{world.second.pk}/change/")
    world.second.refresh_from_db()
    assert str(world.second.total) == "130.00"
