"""“Set-up”: the go-live checklist as a page."""

import pytest

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, url
from truss_portal import sync
from truss_portal.connection import default_company
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)
SETUP = "company_setup"


def test_each_point_has_its_verdict_and_the_next_step(truss: Sandbox, signed_in: SignIn) -> None:
    make.sent()
    text = see(signed_in("view_company"), SETUP)
    assert "points are still to do." in text
    assert "Return address to do It isn't set" in text
    assert "→ Set TRUSS_PORTAL" in text
    assert "Sandbox Company" in text
    assert "Truss's API ok It answers at" in text


def test_all_is_well(truss: Sandbox, signed_in: SignIn, settings: object) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {  # type: ignore[attr-defined]
        "RETURN_URL": "https://shop.example/truss/return/",
        "RETURN_URL_ALLOWLISTED": True,
        "WEBHOOK_SECRETS": ["0" * 64],
    }
    sync.sync_all(default_company())
    assert "All is well." in see(signed_in("view_company"), SETUP)


def test_a_truss_that_cannot_be_reached_is_told_and_not_waited_for(signed_in: SignIn) -> None:
    default_company()
    text = see(signed_in("view_company"), SETUP)
    assert "broken" in text
    assert "could not be reached" in text


def test_nobody_is_connected_yet(signed_in: SignIn, settings: object) -> None:
    settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}  # type: ignore[attr-defined]
    assert "No company is connected to Truss yet." in see(signed_in("view_company"), SETUP)


def test_the_list_of_companies_leads_there(truss: Sandbox, signed_in: SignIn) -> None:
    default_company()
    page = signed_in("view_company").get(url("company_changelist"))
    assert url(SETUP) in page.content.decode()


def test_it_asks_for_the_permission(truss: Sandbox, signed_in: SignIn) -> None:
    assert signed_in("view_contact").get(url(SETUP)).status_code == 403
