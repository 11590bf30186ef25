"""A company's pages: how it is connected, and the secrets of its webhooks."""

import logging
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import path
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, told, url
from tests.joined import connected, left, settings_for
from truss_portal import actions, sealed_columns
from truss_portal.connection import connect
from truss_portal.encryption import seal
from truss_portal.models import Company, Connection, PaymentIntent, WebhookSecret
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db
for_real = pytest.mark.django_db(transaction=True)

# A site that has the admin and not our addresses.
urlpatterns = [path("admin/", admin.site.urls)]

SECRET = "fa4e" * 16
OTHER = "0b5e" * 16


@pytest.fixture
def oauth(truss: Sandbox, settings: Any) -> Sandbox:
    settings.TRUSS_PORTAL = settings_for(truss)
    return truss


@pytest.fixture
def row(oauth: Sandbox) -> Connection:
    return connected(oauth)


def page(client: Client, company: Company) -> str:
    return see(client, "company_change", company.pk)


def logged(company: Company) -> list[str]:
    entries = LogEntry.objects.filter(object_id=str(company.pk)).order_by("pk")
    return [entry.get_change_message() for entry in entries]


class TestHowItIsConnected:
    def test_by_a_connection(self, row: Connection, boss: Client) -> None:
        row.connected_by = row.renewed_at = None
        row.save()
        text = page(boss, row.company)
        for words in (
            "State Connected",
            "by somebody",
            "good until",
            "contacts:write granted",
            "Reconnect",
            "Disconnect",
        ):
            assert words in text
        assert "Last renewed" not in text
        assert "Try again" not in text
        assert "Connected" in see(boss, "company_changelist")

    def test_by_whom_and_when_it_was_renewed(self, row: Connection, boss: Client) -> None:
        left(row, -5)
        row.connected_by_id = boss.session["_auth_user_id"]
        row.renewed_at = timezone.now()
        row.save()
        text = page(boss, row.company)
        assert "by boss" in text
        assert "ran out on" in text
        assert "Last renewed" in text
        row.expires_at = None
        row.save()
        assert "Truss didn't say how long it is good" in page(boss, row.company)

    def test_what_was_not_granted_is_marked(self, row: Connection, boss: Client, settings: Any) -> None:
        row.scope = "contacts:write something:else"
        row.save()
        text = page(boss, row.company)
        assert "transactions:read not granted" in text
        assert "something:else granted" in text

    @for_real
    def test_one_that_needs_a_person_says_why_and_what_to_do(
        self, oauth: Sandbox, row: Connection, boss: Client
    ) -> None:
        left(row, 60)
        oauth.revoke_tokens()
        actions.send(make.draft(company=row.company))
        text = page(boss, row.company)
        assert "Needs a person. Truss doesn't renew the access of Acme any more" in text
        assert "invalid_grant" in text
        assert "choose “Reconnect”" in text
        assert "Waiting 1 request to Truss" in text
        assert "Needs a person" in see(boss, "company_changelist")

    def test_by_the_fixed_token(self, truss: Sandbox, boss: Client) -> None:
        company = make.company()
        text = page(boss, company)
        assert "State Fixed token" in text
        assert "By the access token in the settings" in text
        assert truss.token not in text
        assert "Fixed token" in see(boss, "company_changelist")

    def test_not_at_all(self, oauth: Sandbox, boss: Client, settings: Any) -> None:
        company = make.company(slug="acme")
        assert "Nobody has connected it yet. Choose “Connect to Truss”." in page(boss, company)
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        text = page(boss, company)
        assert "State Not connected" in text
        assert 'Set TRUSS_PORTAL["CLIENT_ID"] and "CLIENT_SECRET" first' in text

    def test_buttons_lead_to_the_pages_that_connect(self, row: Connection, boss: Client) -> None:
        assert (
            f'href="/truss/connect/?company={row.company.slug}"'
            in boss.get(url("company_change", row.company.pk)).content.decode()
        )
        assert 'href="/truss/connect/"' in boss.get(url("company_changelist")).content.decode()

    def test_the_environment_of_a_connected_one_stands(self, row: Connection, boss: Client) -> None:
        boss.post(url("company_change", row.company.pk), {"slug": "acme", "name": "A", "environment": "production"})
        row.company.refresh_from_db()
        assert (row.company.name, row.company.environment) == ("A", "local")

    def test_a_list_of_many_asks_the_database_no_more_often(
        self, oauth: Sandbox, boss: Client, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(10):
            company = make.company(slug=f"c{number}")
            Connection.objects.create(company=company, access_token=seal("x"))
        with django_assert_max_num_queries(8):
            see(boss, "company_changelist")

    def test_a_site_that_has_not_included_our_addresses(self, row: Connection, boss: Client, settings: Any) -> None:
        settings.ROOT_URLCONF = "tests.admin.test_company"
        text = page(boss, row.company)
        assert "include truss_portal.urls in its addresses" in text
        assert "Reconnect" not in text


class TestDisconnecting:
    def test_it_is_asked_first_and_deletes_the_tokens_and_nothing_else(self, row: Connection, boss: Client) -> None:
        make.row(company=row.company)
        WebhookSecret.objects.create(company=row.company, secret=seal(SECRET))
        actions.send(make.draft(company=row.company), wait=False)
        text = see(boss, "company_disconnect", row.company.pk)
        assert "1 request to Truss waits, and stays waiting." in text
        assert Connection.objects.exists()
        answer = boss.post(url("company_disconnect", row.company.pk), follow=True)
        assert "Acme is disconnected" in told(answer)[0]
        assert not Connection.objects.exists()
        assert (PaymentIntent.objects.count(), WebhookSecret.objects.count()) == (2, 1)
        assert logged(row.company) == ["Disconnected from Truss."]
        boss.post(url("company_disconnect", row.company.pk))
        assert len(logged(row.company)) == 1
        assert "Nothing is asked of Truss" in see(boss, "company_disconnect", row.company.pk)


@for_real
class TestTryingAgain:
    def test_it_heals_what_was_our_own_mistake(
        self, oauth: Sandbox, row: Connection, boss: Client, settings: Any
    ) -> None:
        settings.TRUSS_PORTAL |= {"CLIENT_SECRET": "wrong"}
        left(row, 60)
        actions.send(make.draft(company=row.company))
        assert "Try again" in page(boss, row.company)
        answer = boss.post(url("company_try_again", row.company.pk), follow=True)
        assert "Truss doesn't renew the access of Acme any more" in told(answer)[0]
        settings.TRUSS_PORTAL |= {"CLIENT_SECRET": oauth.client_secret}
        answer = boss.post(url("company_try_again", row.company.pk), follow=True)
        assert told(answer) == ["Acme is connected to Truss. What waits is sent with the next push."]
        connect(row.company).close()
        assert logged(row.company) == ["Renewal of the access tried again."] * 2

    def test_one_that_is_not_connected_is_told_so(self, row: Connection, boss: Client) -> None:
        row.delete()
        answer = boss.post(url("company_try_again", row.company.pk), follow=True)
        assert told(answer) == ["Acme isn't connected to Truss."]

    def test_it_is_a_post(self, row: Connection, boss: Client) -> None:
        assert boss.get(url("company_try_again", row.company.pk)).status_code == 405


class TestWebhooks:
    def test_the_address_can_be_copied(self, row: Connection, boss: Client) -> None:
        answer = boss.get(url("company_change", row.company.pk))
        assert "http://testserver/truss/webhook/acme/" in text_of(answer)
        assert 'data-truss-copy="http://testserver/truss/webhook/acme/"' in answer.content.decode()

    def test_refused_ones_are_counted(self, row: Connection, boss: Client) -> None:
        assert "Webhooks refused" not in page(boss, row.company)
        Company.objects.update(
            webhooks_refused=3, webhooks_refused_at=timezone.now(), webhooks_refused_why="It is not signed."
        )
        text = page(boss, row.company)
        assert "Webhooks refused 3 so far, the last on" in text
        assert "It is not signed." in text

    def test_a_secret_is_set_and_never_shown(self, row: Connection, boss: Client) -> None:
        assert "None is set, so every webhook is refused" in page(boss, row.company)
        answer = boss.post(url("company_secrets", row.company.pk), {"secret": f" {SECRET} "}, follow=True)
        assert told(answer) == ["The webhook secret is set."]
        kept = WebhookSecret.objects.get()
        assert sealed_columns.WEBHOOK_SECRET.open(kept) == SECRET
        assert SECRET not in kept.secret
        assert logged(row.company) == ["Webhook secret set."]
        for shown in (answer, boss.get(url("company_change", row.company.pk)), boss.get(url("company_changelist"))):
            assert SECRET not in shown.content.decode()
        assert "by boss" in text_of(answer)
        assert "Secret Set on" in page(boss, row.company)

    @pytest.mark.parametrize("wrong", ["", "too short", SECRET[:-1], SECRET + "0", "x" * 64, SECRET * 5])
    def test_what_is_no_secret_is_not_set_and_not_shown_again(self, row: Connection, boss: Client, wrong: str) -> None:
        answer = boss.post(url("company_secrets", row.company.pk), {"secret": wrong})
        assert answer.status_code == 200
        assert answer.context["form"].errors
        assert not wrong or wrong not in answer.content.decode()
        assert not WebhookSecret.objects.exists()

    def test_two_while_they_are_changed_and_the_same_only_once(
        self, row: Connection, boss: Client, settings: Any
    ) -> None:
        address = url("company_secrets", row.company.pk)
        for secret in (SECRET, OTHER, SECRET):
            answer = boss.post(address, {"secret": secret})
        assert "This secret is set already." in text_of(answer)
        assert WebhookSecret.objects.count() == 2
        WebhookSecret.objects.update(secret="changed by somebody")
        boss.post(address, {"secret": SECRET})
        assert WebhookSecret.objects.count() == 3, "one that can't be read stands in nobody's way"
        settings.TRUSS_PORTAL |= {"ENCRYPTION_KEYS": ["nonsense"]}
        assert "is not a Fernet key" in text_of(boss.post(address, {"secret": "9" * 64}))

    def test_one_is_removed_when_it_was_asked_first(self, row: Connection, boss: Client) -> None:
        kept = WebhookSecret.objects.create(company=row.company, secret=seal(SECRET))
        address = url("company_remove_secret", row.company.pk, kept.pk)
        assert "will be refused" in text_of(boss.get(address))
        answer = boss.post(address, follow=True)
        assert told(answer) == ["The webhook secret is removed."]
        assert not WebhookSecret.objects.exists()
        [entry] = logged(row.company)
        assert entry.startswith("Webhook secret removed: Set on")
        assert boss.post(address).status_code == 302

    def test_one_of_another_company_is_out_of_reach(self, row: Connection, boss: Client) -> None:
        kept = WebhookSecret.objects.create(company=make.company(slug="bolt"), secret=seal(SECRET))
        boss.post(url("company_remove_secret", row.company.pk, kept.pk))
        assert WebhookSecret.objects.exists()

    def test_those_in_the_settings_are_named(self, row: Connection, boss: Client, settings: Any) -> None:
        settings.TRUSS_PORTAL |= {"WEBHOOK_SECRETS": [SECRET]}
        for text in (page(boss, row.company), see(boss, "company_secrets", row.company.pk)):
            assert "those in the settings (WEBHOOK_SECRETS) are used" in text
            assert SECRET not in text


class TestPermissions:
    PAGES = (("company_disconnect", "connect_company"), ("company_try_again", "connect_company"),
             ("company_secrets", "secrets_company"), ("company_remove_secret", "secrets_company"))  # fmt: skip

    @pytest.mark.parametrize(("name", "permission"), PAGES)
    def test_each_page_asks_for_its_own(self, row: Connection, signed_in: SignIn, name: str, permission: str) -> None:
        kept = WebhookSecret.objects.create(company=row.company, secret=seal(SECRET))
        ids = (row.company.pk, kept.pk) if "remove" in name else (row.company.pk,)
        others = {"connect_company", "secrets_company", "view_company", "change_company"} - {permission}
        for number, permissions in enumerate([others, {permission}]):
            client = signed_in(*permissions, username=f"u{number}")
            assert client.get(url(name, *ids)).status_code == 403
            assert client.post(url(name, *ids)).status_code == 403
        allowed = signed_in(permission, "view_company", username="allowed")
        assert allowed.post(url(name, *ids), {"secret": OTHER}).status_code == 302

    def test_buttons_are_shown_to_who_may_press_them(self, row: Connection, signed_in: SignIn) -> None:
        text = page(signed_in("view_company"), row.company)
        assert "State Connected" in text
        assert not any(button in text for button in ("Reconnect", "Disconnect", "Webhook secrets"))
        viewer = signed_in("view_company", "secrets_company", username="second")
        assert "Webhook secrets" in page(viewer, row.company)
        assert "Connect to Truss" not in see(viewer, "company_changelist")

    def test_a_company_that_is_not_there(self, oauth: Sandbox, boss: Client) -> None:
        for name in ("company_disconnect", "company_secrets"):
            assert boss.get(url(name, 4711)).status_code == 404
        assert boss.get(url("company_change", 4711)).status_code == 302


def test_an_error_page_hides_the_secret(row: Connection, boss: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Django reports an exception with the request's form; a sensitive field is left out of it."""
    caplog.set_level(logging.DEBUG)
    address = url("company_secrets", row.company.pk)
    request = boss.post(address, {"secret": SECRET}).wsgi_request
    assert request.sensitive_post_parameters == ("secret",)
    assert SECRET not in caplog.text
