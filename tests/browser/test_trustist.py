"""Inviting a merchant and revealing a key, by clicking."""

from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, LiveSite
from truss_portal.trustist import sync
from truss_portal.trustist.models import Invitation, MerchantKey

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def site(live_site: LiveSite, settings: Any) -> LiveSite:
    settings.TRUSTIST = settings.TRUSTIST | {"API_URL": live_site.truss.trustist.url}
    cache.clear()
    return live_site


def test_a_merchant_is_invited_and_a_key_revealed(site: LiveSite, page: Page) -> None:
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_trustist/invitation/")
    expect(page.get_by_text("Nobody is invited yet.")).to_be_visible()
    page.get_by_role("link", name="Invite", exact=True).click()
    expect(page.get_by_label("Bank payments (open banking)")).to_be_disabled()
    expect(page.get_by_label("Bank payments (open banking)")).to_be_checked()
    page.get_by_label("Name").fill("Fern & Moss Florists")
    page.get_by_label("Email").fill("hello@fernandmoss.example")
    page.get_by_label("Card payments").uncheck()
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("Invited at Trustist: 1.")).to_be_visible()
    expect(page.get_by_text("is never offered card payments")).to_be_visible()
    row = Invitation.objects.get()

    site.truss.trustist.complete(str(row.invitation_id))
    page.get_by_role("link", name="Refresh from Trustist").click()
    page.get_by_role("button", name="Refresh from Trustist").click()
    expect(page.get_by_text("1 invitation was looked at.")).to_be_visible()
    key = MerchantKey.objects.get()
    expect(page.get_by_text("••••••••••••")).to_be_visible()
    expect(page.get_by_text(key.api_key)).to_have_count(0)
    page.get_by_role("link", name="Reveal").click()
    page.get_by_label("Your password").fill("wrong")
    page.get_by_role("button", name="Reveal").click()
    expect(page.get_by_text("That is not your password.")).to_be_visible()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Reveal").click()
    expect(page.get_by_text(key.api_key)).to_be_visible()
    page.get_by_role("link", name="Done, leave this page").click()
    expect(page.get_by_text(key.api_key)).to_have_count(0)


def test_many_are_invited_by_a_file(site: LiveSite, page: Page) -> None:
    sync.sync()
    site.sign_in(page)
    page.goto(f"{site.url}/admin/truss_trustist/invitation/")
    page.get_by_role("link", name="Invite many").click()
    text = b"Name,Email,Cards\nAcme,a@acme.example,yes\nBolt,b@bolt.example,no\nWrong,nobody,yes\n"
    page.get_by_label("File:").set_input_files({"name": "clients.csv", "mimeType": "text/csv", "buffer": text})
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_text("2 clients would be invited.")).to_be_visible()
    expect(page.get_by_text("1 line is wrong.")).to_be_visible()
    page.get_by_role("button", name="Invite 2 clients").click()
    expect(page.get_by_text("Invited at Trustist: 2.")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Opened")).to_be_visible()
