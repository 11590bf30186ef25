"""By keyboard alone: every link, button and field is reached in the order of the page, and the main jobs are done."""

from typing import Any, Final

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, Page

from tests.browser.conftest import LiveSite
from tests.browser.test_accessibility import pages
from tests.joined import settings_for
from tests.walking import World, client_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# What can be seen and isn't off, and yet is left out when somebody goes through the page by Tab.
UNREACHED: Final = """
() => [...document.querySelectorAll(
    '#content a[href], #content button, #content input, #content select, #content textarea, #content summary'
)].filter(each => each.checkVisibility({visibilityProperty: true}) && !each.disabled && each.type !== 'hidden')
  // select2's own box stands for the field, and is reached in its place.
  .filter(each => !each.classList.contains('select2-hidden-accessible'))
  .filter(each => each.tabIndex !== 0)
  .map(each => `${each.outerHTML.slice(0, 200)} has tabindex ${each.tabIndex}`)
"""


@pytest.fixture
def world(live_site: LiveSite, page: Page, settings: Any) -> World:
    settings.TRUSS_PORTAL = settings_for(live_site.truss)
    world = World(live_site.truss)
    cookie = client_of("superuser").cookies["sessionid"]
    page.context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": live_site.url}])
    return world


def tab_to(page: Page, wanted: Locator) -> None:
    """As often as it takes; there must be a way."""
    assert wanted.count() == 1
    for _press in range(200):
        page.keyboard.press("Tab")
        if wanted.evaluate("each => each === document.activeElement"):
            outlined = "each => getComputedStyle(each).outlineStyle !== 'none' || each.matches(':focus-visible')"
            assert wanted.evaluate(outlined), "one sees where one is"
            return
    pytest.fail(f"Tab never comes to {wanted}")


def test_nothing_is_left_out_on_any_page(world: World, live_site: LiveSite, page: Page) -> None:
    found = []
    for address in pages(world):
        page.goto(f"{live_site.url}{address}")
        found += [f"{address}: {each}" for each in page.evaluate(UNREACHED)]
    assert not found, "\n".join(found)


def test_a_draft_is_sent(world: World, live_site: LiveSite, page: Page) -> None:
    page.goto(live_site.url + reverse("admin:truss_portal_paymentintent_change", args=[world.draft.pk]))
    tab_to(page, page.get_by_role("link", name="Send to Truss", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url("**/send/**")
    tab_to(page, page.get_by_role("button", name="Send to Truss", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{world.draft.pk}/change/")
    world.draft.refresh_from_db()
    assert world.draft.delivery == world.draft.Delivery.SENT


def test_somebody_is_told_why_they_do_not_see_it(world: World, live_site: LiveSite, page: Page) -> None:
    page.goto(live_site.url + reverse("admin:truss_portal_paymentintent_visibility"))
    tab_to(page, page.get_by_label("Email that the payer signs in with"))
    page.keyboard.type("ap@acme.test")
    page.keyboard.press("Enter")
    page.get_by_text("The portal shows 2 invoices to ap@acme.test").wait_for()
