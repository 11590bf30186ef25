"""Connecting a company by clicking: off to the pretend Truss's consent page, on another host, and back."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import make
from tests.browser.conftest import LiveSite
from tests.joined import settings_for
from truss_portal import actions
from truss_portal.models import Company, Connection, Operation, WebhookSecret

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SECRET = "fa4e" * 16


@pytest.fixture
def site(live_site: LiveSite, settings: Any) -> LiveSite:
    settings.TRUSS_PORTAL = settings_for(live_site.truss, OAUTH_PKCE=True)
    return live_site


def agree(page: Page) -> None:
    page.get_by_role("button", name="Go to Truss").click()
    expect(page.get_by_role("heading", name="asks for access")).to_be_visible()
    page.get_by_role("button", name="Allow").click()


def test_a_company_is_connected_disconnected_and_connected_again(site: LiveSite, page: Page) -> None:
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_portal/company/")
    expect(page.get_by_text("No company yet. Choose “Connect to Truss”")).to_be_visible()
    page.get_by_role("link", name="Connect to Truss").click()
    agree(page)
    expect(page.get_by_text("Sandbox Company is connected to Truss.")).to_be_visible()
    expect(page.get_by_text("it is renewed by itself before that")).to_be_visible()
    company = Company.objects.get()
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("button", name="Yes, disconnect").click()
    expect(page.get_by_text("Sandbox Company is disconnected")).to_be_visible()
    assert not Connection.objects.exists()
    operation = actions.send(make.draft(company=company))
    assert operation.state == Operation.State.QUEUED
    page.reload()
    expect(page.get_by_text("1 request to Truss")).to_be_visible()
    page.get_by_role("link", name="Connect to Truss").click()
    agree(page)
    expect(page.get_by_text("Sandbox Company is connected to Truss.")).to_be_visible()
    assert Connection.objects.get().company == company


def test_whoever_does_not_agree_can_begin_again(site: LiveSite, page: Page) -> None:
    site.sign_in(page)
    page.goto(f"{site.url}/truss/connect/")
    page.get_by_role("button", name="Go to Truss").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_text("Nobody agreed at Truss")).to_be_visible()
    assert page.url == f"{site.url}/truss/connect/"
    agree(page)
    expect(page.get_by_text("Sandbox Company is connected to Truss.")).to_be_visible()


def test_a_webhook_secret_is_set_and_the_address_copied(site: LiveSite, page: Page) -> None:
    company = make.company(slug="acme", name="Acme")
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_portal/company/{company.pk}/change/")
    page.get_by_role("button", name="Copy address: Acme").click()
    expect(page.get_by_role("button", name="Copy address: Acme")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{site.url}/truss/webhook/acme/"
    page.get_by_role("link", name="Webhook secrets").click()
    page.get_by_label("New webhook secret").fill(SECRET)
    page.get_by_role("button", name="Set the secret").click()
    expect(page.get_by_text("The webhook secret is set.")).to_be_visible()
    assert SECRET not in page.content()
    page.get_by_role("link", name="Remove: Set on").click()
    page.get_by_role("button", name="Yes, remove it").click()
    expect(page.get_by_text("The webhook secret is removed.")).to_be_visible()
    assert not WebhookSecret.objects.exists()
