"""Each page of ours in whatever dress the settings say: Django's own here.

tests/test_themes.py runs this file once more under each theme.
"""

from typing import Any

import pytest
from django.urls import reverse

from tests.joined import settings_for
from tests.role_cases import CASES, Case
from tests.walking import Page, World, client_of
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)
# Answers that aren't pages.
BARE = {"contact_choices", "batch_progress"}
SHOWN = {name: case for name, case in CASES.items() if case.sees and case.get == 200 and not case.files} | {
    # The page of an invoice that Truss has: another one than a draft's.
    "paymentintent_change": Case(sees="viewer", args=lambda world: (world.sent.pk,)),
}


@pytest.fixture
def world(truss: Sandbox, settings: Any) -> World:
    settings.TRUSS_PORTAL = settings_for(truss)
    return World(truss)


@pytest.mark.slow
def test_each_page_has_its_content_and_its_buttons(world: World) -> None:
    client = client_of("superuser")
    missing = []
    for name in SHOWN.keys() - BARE:
        case = SHOWN[name]
        url = reverse(f"admin:truss_portal_{name}", args=case.args(world))
        answer = client.get(url, case.query(world))
        assert answer.status_code == 200, name
        page, text = Page(answer, url), answer.content.decode()
        told = answer.context
        if not told.get("title") or str(told["title"]).split(":")[0] not in text.replace("&#x27;", "'"):
            missing.append(f"{name}: the title")
        if case.does and (form := page.form_to(url)) is not None and not form.buttons:
            missing.append(f"{name}: a button to press")
        elif case.does and page.form_to(url) is None:
            missing.append(f"{name}: the form")
        goes_to = {*page.links, *(form.action for form in page.forms)}
        addresses = [tool.get("url") for tool in told.get("tools") or []]
        addresses += [told.get("visibility_url"), told.get("connect_url")]
        missing += [f"{name}: {there}" for there in addresses if there and there not in goes_to]
        if not name.endswith("_history") and "truss_portal/admin.css" not in text:
            missing.append(f"{name}: our styles")
    assert not missing, "\n".join(missing)


def test_the_lists_show_their_rows_and_lead_to_what_is_ours(world: World) -> None:
    client = client_of("superuser")
    url = reverse("admin:truss_portal_paymentintent_changelist")
    answer = client.get(url)
    links = Page(answer, url).links
    for name in ("add", "import", "export"):
        there = reverse(f"admin:truss_portal_paymentintent_{name}")
        assert any(link.partition("?")[0] == there for link in links), name
    assert reverse("admin:truss_portal_paymentintent_change", args=[world.sent.pk]) in [
        link.partition("?")[0] for link in links
    ]
    setup = reverse("admin:truss_portal_company_setup")
    companies = reverse("admin:truss_portal_company_changelist")
    assert setup in Page(client.get(companies), companies).links
    overview = reverse("admin:truss_portal_paymentintent_overview")
    index = reverse("admin:app_list", args=["truss_portal"])
    assert overview in Page(client.get(index), index).links


def test_an_empty_list_says_what_to_do_first(truss: Sandbox) -> None:
    client = client_of("superuser")
    answer = client.get(reverse("admin:truss_portal_contact_changelist"))
    assert "No payers yet." in answer.content.decode()
