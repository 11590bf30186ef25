"""axe-core on every page of ours: as it usually is, in the dark, on a telephone, with nothing there, and with mistakes.

What it finds in Django's own markup is left out by rule and place, in `DJANGOS`: it is on every admin's pages, and
isn't ours to mend. Everything else must be mended.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page

from tests import make
from tests.browser.conftest import LiveSite
from tests.joined import settings_for
from tests.role_cases import CASES, MODELS
from tests.walking import World, client_of
from truss_portal import checkout, roles

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDE: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 400, "height": 800}
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "narrow": {"viewport": PHONE, "color_scheme": "light"},
    "narrow and dark": {"viewport": PHONE, "color_scheme": "dark"},
}
DJANGOS: Final[dict[str, tuple[str, ...]]] = {
    # The line of links above each page (a list from Django 6.1 on), "Show all" beside a search, and what goes along
    # with what is deleted: without an underline.
    "link-in-text-block": (".breadcrumbs a", "#changelist-search .small a", ".delete-confirmation #content li > a"),
    # The search has a magnifying glass for a label, whose image has no words.
    "label-title-only": ("#searchbar",),
    # select2, which Django brings along, names neither its box nor what is chosen in it.
    "aria-input-field-name": (".select2-selection", ".select2-selection__rendered"),
}
# A payment that is being confirmed: the page looks again by itself for four minutes, and nothing can be lost by it.
ON_PURPOSE: Final = {"meta-refresh": ("meta[http-equiv=refresh]",)}


@pytest.fixture
def site(live_site: LiveSite, settings: Any) -> LiveSite:
    settings.TRUSS_PORTAL = settings_for(live_site.truss)
    return live_site


@pytest.fixture
def enter(site: LiveSite, new_context: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """A page in a window of that look, signed in as a superuser."""

    def open_page(look: str) -> Page:
        roles.set_up()
        context = new_context(**LOOKS[look])
        cookie = client_of("superuser").cookies["sessionid"]
        context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": site.url}])
        return context.new_page()

    return open_page


def problems(page: Page) -> list[str]:
    """What axe finds here that is ours."""
    # Transitions of colors end before contrast is measured.
    page.add_style_tag(content="* { transition: none !important; animation: none !important }")
    found = []
    for violation in Axe().run(page).response["violations"]:
        name = violation["id"]
        for node in violation["nodes"]:
            target = node["target"][-1]
            if not page.evaluate(_INSIDE, [target, [*DJANGOS.get(name, ()), *ON_PURPOSE.get(name, ())]]):
                found.append(f"{page.url}: {name}: {target}: {node['html'][:200]}: {node['failureSummary']}")
    return found


_INSIDE = "([target, places]) => places.some(place => document.querySelector(target)?.matches(place))"


def pages(world: World) -> Iterator[str]:
    for name, case in CASES.items():
        if case.sees and case.get == 200 and not case.files and name not in {"contact_choices", "batch_progress"}:
            query = "&".join(f"{key}={value}" for key, value in case.query(world).items())
            yield f"{reverse(f'admin:truss_portal_{name}', args=case.args(world))}?{query}"
    for row in (world.sent, world.second):
        yield reverse("admin:truss_portal_paymentintent_change", args=[row.pk])
    yield reverse("admin:truss_portal_contact_change", args=[world.customer.pk])
    yield f"{reverse('admin:truss_portal_paymentintent_visibility')}?invoice={world.sent.pk}"
    yield f"{reverse('truss_portal:connect')}?company={world.company.slug}"
    yield reverse("admin:app_list", args=["truss_portal"])


def look_at(page: Page, site: LiveSite, addresses: Iterator[str]) -> list[str]:
    found = []
    for address in addresses:
        answer = page.goto(f"{site.url}{address}")
        assert answer is not None
        assert answer.status == 200, address
        found += problems(page)
    return found


@pytest.mark.parametrize("look", LOOKS)
def test_every_page(site: LiveSite, enter: Callable[..., Page], look: str) -> None:
    world = World(site.truss)
    found = look_at(enter(look), site, pages(world))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("look", ["light", "narrow and dark"])
def test_every_page_with_nothing_there(site: LiveSite, enter: Callable[..., Page], look: str) -> None:
    lists = (f"admin:truss_portal_{model}_changelist" for model in MODELS)
    more = ("overview", "visibility", "export")
    page = enter(look)
    make.company(name="Sandbox Company")
    names = [*lists, *(f"admin:truss_portal_paymentintent_{name}" for name in more), "admin:truss_portal_company_setup"]
    found = look_at(page, site, (reverse(name) for name in names))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("look", ["light", "narrow and dark"])
def test_every_form_with_mistakes_in_it(site: LiveSite, enter: Callable[..., Page], look: str) -> None:
    """What was wrong is told at the field, and in a color that can be read."""
    world = World(site.truss)
    page = enter(look)
    found = []
    for name, args in (
        ("paymentintent_add", []),
        ("contact_add", []),
        ("paymentintent_import", []),
        ("paymentintent_visibility", []),
        ("company_secrets", [world.company.pk]),
        ("contact_change", [world.customer.pk]),
    ):
        page.goto(f"{site.url}{reverse(f'admin:truss_portal_{name}', args=args)}")
        # The browser's own checks would keep the mistakes from the site.
        page.evaluate("document.querySelectorAll('#content-main form').forEach(form => { form.noValidate = true })")
        for field in page.locator("#content-main form input[type=text], #content-main form input[type=email]").all():
            if field.is_visible() and field.get_attribute("id") != "searchbar":
                field.fill("")
        page.locator("#content-main form [type=submit]").last.click()
        page.wait_for_load_state()
        assert page.locator(".errorlist").count(), name
        found += problems(page)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("look", ["light", "narrow and dark"])
def test_the_page_that_payers_come_back_to(site: LiveSite, enter: Callable[..., Page], look: str) -> None:
    world = World(site.truss)
    page = enter(look)
    page.context.clear_cookies()
    site.truss.pay(world.second.uid, "40.00")  # type: ignore[arg-type]
    paid, canceled = (make.sent(reference=name, company=world.company) for name in ("PAID-1", "CANCELED-1"))
    site.truss.pay(paid.uid)  # type: ignore[arg-type]
    site.truss.alter(canceled.uid, status="Canceled")  # type: ignore[arg-type]
    address = reverse("truss_portal:return")
    tokens = {each: checkout.make_token(each) for each in (world.sent, world.second, paid, canceled)}
    queries = ["", *(f"?t={token}&result={said}" for token in tokens.values() for said in ("success", "canceled"))]
    found = look_at(page, site, (f"{address}{query}" for query in queries))
    assert not found, "\n".join(found)
