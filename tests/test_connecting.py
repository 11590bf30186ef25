"""Somebody of the staff connects a company: off to Truss, agree there, and back."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import make
from tests.admin.pages import text_of
from tests.joined import connected, renewals, settings_for, tokens_of
from truss_portal import actions
from truss_portal.connection import connect
from truss_portal.connection.joining import granted_scopes, try_again
from truss_portal.exceptions import NeedsReconnectError
from truss_portal.models import Company, Connection, Operation
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db
for_real = pytest.mark.django_db(transaction=True)

CONNECT, CONNECTED = "/truss/connect/", "/truss/connected/"


@pytest.fixture
def oauth(truss: Sandbox, settings: Any) -> Sandbox:
    settings.TRUSS_PORTAL = settings_for(truss)
    return truss


def staff(*permissions: str, **columns: Any) -> User:
    user = User.objects.create_user("finance", **{"is_staff": True} | columns)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="truss_portal", codename__in=permissions)
    )
    return user


@pytest.fixture
def user() -> User:
    return staff("connect_company", "view_company")


@pytest.fixture
def browser(user: User) -> Client:
    """Signed in, at an address of this machine: the only one that may be plain http."""
    client = Client(HTTP_HOST="127.0.0.1:8000")
    client.force_login(user)
    return client


def leave(browser: Client, company: Company | None = None) -> str:
    """Press the button; the address at Truss that one is sent to."""
    answer = browser.post(CONNECT, {"company": company.slug} if company else {})
    assert answer.status_code == 302, text_of(answer)
    return str(answer["Location"])


def come_back(browser: Client, address: str) -> Any:
    parts = urlsplit(address)
    assert (parts.netloc, parts.path) == ("127.0.0.1:8000", CONNECTED)
    return browser.get(f"{parts.path}?{parts.query}", follow=True)


def through(browser: Client, truss: Sandbox, company: Company | None = None) -> Any:
    """All the way; the page at its end."""
    return come_back(browser, truss.answer_consent(leave(browser, company)))


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def offers_to_begin(answer: Any) -> bool:
    return 'value="Go to Truss"' in answer.content.decode()


def not_connected(answer: Any) -> str:
    """What one is told at the page where one can begin again, at an address without the code."""
    assert answer.request["PATH_INFO"] == CONNECT
    assert "code" not in answer.request["QUERY_STRING"]
    assert offers_to_begin(answer) or "can't be done yet" in text_of(answer)
    [problem] = told(answer)
    return problem


class TestAFirstConnection:
    def test_it_makes_the_company(self, oauth: Sandbox, browser: Client, user: User) -> None:
        oauth.company(name="Ortega Bakery LLC", checkout_link_id="k7m2p9qx")
        answer = through(browser, oauth)
        assert told(answer) == ["Ortega Bakery LLC is connected to Truss."]
        company = Company.objects.get()
        assert answer.request["PATH_INFO"] == reverse("admin:truss_portal_company_change", args=[company.pk])
        assert (company.slug, company.name, company.checkout_link_id, company.environment) == (
            "ortega-bakery-llc", "Ortega Bakery LLC", "k7m2p9qx", "local",
        )  # fmt: skip
        row = company.connection
        assert (row.connected_by, row.refused_at, row.renewed_at) == (user, None, None)
        assert row.expires_at is not None
        assert 3500 < (row.expires_at - timezone.now()).total_seconds() <= 3600
        assert granted_scopes(row) == (
            "payment_intent.inbound:read", "payment_intent.inbound:write", "transactions:read", "contacts:write",
        )  # fmt: skip
        [entry] = LogEntry.objects.all()
        assert (entry.user, entry.object_id, entry.change_message) == (user, str(company.pk), "Connected to Truss.")
        assert entry.is_addition()
        with connect(company) as client:
            client.fetch_company()

    def test_truss_is_asked_with_a_state_for_the_configured_scopes(
        self, oauth: Sandbox, browser: Client, settings: Any
    ) -> None:
        settings.TRUSS_PORTAL |= {
            "PORTAL_URL": "https://portal.example", "OAUTH_AUTHORIZE_PATH": "/oauth/agree/",
            "OAUTH_SCOPES": ["a:read", "b:write"], "OAUTH_SCOPE_DELIMITER": ",",
        }  # fmt: skip
        address = urlsplit(leave(browser))
        query = {name: value for name, [value] in parse_qs(address.query, strict_parsing=True).items()}
        assert f"{address.scheme}://{address.netloc}{address.path}" == "https://portal.example/oauth/agree/"
        assert len(query.pop("state")) >= 32
        assert query == {
            "response_type": "code", "client_id": "sandbox-client", "scope": "a:read,b:write",
            "redirect_uri": "http://127.0.0.1:8000/truss/connected/",
        }  # fmt: skip

    def test_with_pkce_when_told_so(self, oauth: Sandbox, browser: Client, settings: Any) -> None:
        settings.TRUSS_PORTAL |= {"OAUTH_PKCE": True}
        address = leave(browser)
        assert "code_challenge_method=S256" in address
        come_back(browser, oauth.answer_consent(address))
        assert Connection.objects.count() == 1

    def test_the_short_name_is_one_that_nobody_has(self, oauth: Sandbox, browser: Client) -> None:
        make.company(slug="acme", checkout_link_id="other")
        make.company(slug="acme-2", checkout_link_id="another")
        oauth.company(name="ACME!")
        through(browser, oauth)
        assert Connection.objects.get().company.slug == "acme-3"

    @pytest.mark.parametrize(("name", "slug"), [("", "company"), ("株式会社", "company"), ("Default", "default-2")])
    def test_a_name_that_gives_no_short_name(self, oauth: Sandbox, browser: Client, name: str, slug: str) -> None:
        oauth.company(name=name)
        through(browser, oauth)
        assert Company.objects.get().slug == slug

    @for_real
    def test_a_company_of_a_site_with_a_fixed_token_is_recognized(
        self, truss: Sandbox, browser: Client, settings: Any
    ) -> None:
        invoice = make.sent()
        settings.TRUSS_PORTAL = settings_for(truss)
        through(browser, truss)
        assert Company.objects.get() == invoice.company == Connection.objects.get().company

    def test_several_companies_side_by_side(self, oauth: Sandbox, browser: Client) -> None:
        through(browser, oauth)
        through(browser, Sandbox.at(oauth.url, company="bolt"))
        assert sorted(Company.objects.values_list("slug", "checkout_link_id")) == [
            ("bolt", "bolt"), ("sandbox-company", "sandbox"),
        ]  # fmt: skip

    def test_another_environment_makes_another_company(self, oauth: Sandbox, browser: Client) -> None:
        of_production = make.company(slug="sandbox-company", checkout_link_id="sandbox", environment="production")
        through(browser, oauth)
        made = Connection.objects.get().company
        assert made != of_production
        assert (made.slug, made.environment) == ("sandbox-company-2", "local")

    def test_one_that_was_written_here_before_is_connected_from_its_own_page(
        self, oauth: Sandbox, browser: Client
    ) -> None:
        company = make.company(slug="acme", name="Acme", checkout_link_id="")
        through(browser, oauth, company)
        company.refresh_from_db()
        assert (company.name, company.checkout_link_id) == ("Acme", "sandbox")
        assert company.connection.connected_by_id
        [entry] = LogEntry.objects.all()
        assert entry.is_change()

    def test_what_was_not_granted_is_told(self, oauth: Sandbox, browser: Client) -> None:
        oauth.company(scopes=["payment_intent.inbound:read"])
        [_connected, warning] = told(through(browser, oauth))
        assert warning.startswith("Not granted: payment_intent.inbound:write, transactions:read, contacts:write.")

    def test_when_truss_cannot_say_which_company_it_is_the_tokens_are_kept(
        self, oauth: Sandbox, browser: Client
    ) -> None:
        oauth.fault("error_before", path="company", count=None)
        [done, warning] = told(through(browser, oauth))
        assert done == "company is connected to Truss."
        assert "couldn't be asked which company this is" in warning
        assert Connection.objects.count() == 1


class TestReconnecting:
    @for_real
    def test_everything_stays_and_what_waited_goes_on(self, oauth: Sandbox, browser: Client) -> None:
        row = connected(oauth, make.company(slug="acme", checkout_link_id="sandbox"))
        oauth.revoke_tokens()
        operation = actions.send(make.draft(company=row.company))
        assert operation.state == Operation.State.QUEUED
        through(browser, oauth, row.company)
        row.refresh_from_db()
        assert (row.refused_at, row.refusal) == (None, "")
        operation.refresh_from_db()
        assert operation.next_attempt_at is None
        with connect(row.company) as client:
            client.fetch_company()
        assert Company.objects.count() == 1

    def test_a_first_connection_of_a_known_company_is_a_reconnect(self, oauth: Sandbox, browser: Client) -> None:
        row = connected(oauth, make.company(slug="acme", checkout_link_id="sandbox"))
        before = tokens_of(row)
        through(browser, oauth)
        assert Company.objects.count() == 1
        assert tokens_of(row) != before

    def test_another_company_at_truss_is_not_attached(self, oauth: Sandbox, browser: Client) -> None:
        row = connected(oauth, make.company(slug="acme", name="Acme", checkout_link_id="acme"))
        before = tokens_of(row)
        text = not_connected(through(browser, Sandbox.at(oauth.url, company="bolt"), row.company))
        assert "At Truss somebody agreed for another company, “bolt”" in text
        assert "Sign in to Truss as Acme" in text
        assert tokens_of(row) == before
        assert Company.objects.count() == 1

    def test_nor_is_one_that_is_another_company_here(self, oauth: Sandbox, browser: Client) -> None:
        known = connected(oauth, make.company(slug="bolt", name="Bolt", checkout_link_id="sandbox"))
        fresh = make.company(slug="acme", name="Acme", checkout_link_id="")
        text = not_connected(through(browser, oauth, fresh))
        assert "which is the company Bolt here" in text
        assert Connection.objects.get() == known

    def test_one_of_another_environment_is_refused_before_anybody_leaves(self, oauth: Sandbox, browser: Client) -> None:
        company = make.company(slug="acme", environment="production")
        answer = browser.post(CONNECT, {"company": "acme"})
        assert answer.status_code == 200
        assert "sandbox and production never mix" in text_of(answer)
        assert not offers_to_begin(answer)
        assert "sandbox and production never mix" in text_of(browser.get(CONNECT, {"company": company.slug}))

    def test_trying_again_heals_what_was_our_own_mistake(self, oauth: Sandbox, settings: Any) -> None:
        row = connected(oauth)
        settings.TRUSS_PORTAL |= {"CLIENT_SECRET": "wrong"}
        with pytest.raises(NeedsReconnectError):
            try_again(row.company)
        settings.TRUSS_PORTAL |= {"CLIENT_SECRET": oauth.client_secret}
        with pytest.raises(NeedsReconnectError):
            connect(row.company)
        try_again(row.company)
        with connect(row.company) as client:
            client.fetch_company()
        assert renewals(oauth) == 2


class TestWhatGoesWrong:
    """Each has a page that says what happened and what to do, and changes nothing."""

    def test_nobody_agreed(self, oauth: Sandbox, browser: Client) -> None:
        back = oauth.answer_consent(leave(browser), allow=False)
        assert "Nobody agreed at Truss" in not_connected(come_back(browser, back))
        assert not Company.objects.exists()

    def test_truss_says_that_something_else_is_wrong(self, oauth: Sandbox, browser: Client, settings: Any) -> None:
        settings.TRUSS_PORTAL |= {"OAUTH_SCOPES": ["unheard:of"]}
        text = not_connected(come_back(browser, oauth.answer_consent(leave(browser))))
        assert "It says: “invalid_scope Known scopes:" in text

    def test_a_state_is_good_once(self, oauth: Sandbox, browser: Client) -> None:
        back = oauth.answer_consent(leave(browser))
        come_back(browser, back)
        assert "used already" in not_connected(come_back(browser, back))
        assert Connection.objects.count() == 1

    @pytest.mark.parametrize("state", ["", "x" * 43, "ü"])
    def test_a_state_that_was_never_given(self, oauth: Sandbox, browser: Client, state: str) -> None:
        leave(browser)
        query = urlencode({"code": oauth.authorization_code("http://127.0.0.1:8000/truss/connected/"), "state": state})
        assert "belongs to no attempt" in not_connected(browser.get(f"{CONNECTED}?{query}", follow=True))
        assert not Connection.objects.exists()

    def test_another_person_s_attempt(self, oauth: Sandbox, browser: Client) -> None:
        back = oauth.answer_consent(leave(browser))
        other = Client(HTTP_HOST="127.0.0.1:8000")
        other.force_login(User.objects.create_superuser("boss"))
        assert "belongs to no attempt" in not_connected(come_back(other, back))
        assert not Connection.objects.exists()

    def test_an_attempt_that_took_too_long(self, oauth: Sandbox, browser: Client) -> None:
        back = oauth.answer_consent(leave(browser))
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            assert "in the last 15 minutes" in not_connected(come_back(browser, back))

    @pytest.mark.parametrize(("error", "shown"), [("access_denied", True), ("<b>You won!", False)])
    def test_truss_does_not_give_the_state_back(self, oauth: Sandbox, browser: Client, error: str, shown: bool) -> None:
        oauth.company(echo_state=False)
        text = not_connected(come_back(browser, oauth.answer_consent(leave(browser))))
        assert "ask Truss whether it gives “state” back" in text
        text = not_connected(browser.get(CONNECTED, {"error": error}, follow=True))
        assert (error in text) == shown

    def test_neither_code_nor_error(self, oauth: Sandbox, browser: Client) -> None:
        state = parse_qs(urlsplit(leave(browser)).query)["state"][0]
        assert "neither a code nor an error" in not_connected(browser.get(CONNECTED, {"state": state}, follow=True))

    def test_a_code_that_truss_does_not_take(self, oauth: Sandbox, browser: Client) -> None:
        back = oauth.answer_consent(leave(browser))
        oauth.revoke_tokens()
        text = not_connected(come_back(browser, back))
        assert "Truss didn't take the code" in text
        assert "http://127.0.0.1:8000/truss/connected/" in text

    def test_a_wrong_client_secret(self, oauth: Sandbox, browser: Client, settings: Any) -> None:
        settings.TRUSS_PORTAL |= {"CLIENT_SECRET": "wrong-and-fake"}
        text = not_connected(through(browser, oauth))
        assert "check CLIENT_ID and CLIENT_SECRET" in text
        assert "wrong-and-fake" not in text

    @pytest.mark.parametrize("kind", ["drop_before", "drop_after", "error_before", "rate_limit", "garbage"])
    def test_truss_is_not_reached(self, oauth: Sandbox, browser: Client, kind: str) -> None:
        company = make.company(slug="acme", name="Acme", checkout_link_id="sandbox")
        back = oauth.answer_consent(leave(browser, company))
        oauth.fault(kind, path="token", retry_after=None)
        text = not_connected(come_back(browser, back))
        assert "Acme was not connected" in text
        assert "Begin again in a moment" in text
        assert not Connection.objects.exists()

    def test_the_company_is_deleted_meanwhile(self, oauth: Sandbox, browser: Client) -> None:
        company = make.company(slug="acme")
        back = oauth.answer_consent(leave(browser, company))
        company.delete()
        assert "deleted meanwhile" in not_connected(come_back(browser, back))

    def test_the_site_moves_to_another_environment_meanwhile(
        self, oauth: Sandbox, browser: Client, settings: Any
    ) -> None:
        back = oauth.answer_consent(leave(browser))
        settings.TRUSS_PORTAL |= {"ENVIRONMENT": "sandbox"}
        assert "moved to another environment" in not_connected(come_back(browser, back))

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"CLIENT_SECRET": ""}, '"CLIENT_SECRET" first'),
            ({"ENVIRONMENT": "production", "API_URL": ""}, '"API_URL"] is not set'),
            ({"ENCRYPTION_KEYS": ["nonsense"]}, "is not a Fernet key"),
            ({"OAUTH_AUTHORIZE_PATH": "no-slash"}, "must begin with a slash"),
        ],
    )
    def test_settings_that_cannot_work_are_told_before_anybody_leaves(
        self, oauth: Sandbox, browser: Client, settings: Any, changes: dict[str, Any], problem: str
    ) -> None:
        settings.TRUSS_PORTAL |= changes
        answer = browser.post(CONNECT)
        assert answer.status_code == 200
        assert problem in text_of(answer)

    def test_plain_http_is_for_this_machine_only(self, oauth: Sandbox, user: User) -> None:
        client = Client(HTTP_HOST="shop.example")
        client.force_login(user)
        assert "must begin with https://" in text_of(client.post(CONNECT))
        assert client.post(CONNECT, secure=True).status_code == 302


class TestWho:
    def test_who_is_not_signed_in_goes_to_the_login_and_comes_back(self, oauth: Sandbox) -> None:
        staff("connect_company", password="pw")
        browser = Client(HTTP_HOST="127.0.0.1:8000")
        make.company(slug="acme")
        asked = browser.get(CONNECT, {"company": "acme"}, follow=True)
        assert asked.request["PATH_INFO"] == "/admin/login/"
        login = f"/admin/login/?{asked.request['QUERY_STRING']}"
        shown = browser.post(
            login, {"username": "finance", "password": "pw", "next": f"{CONNECT}?company=acme"}, follow=True
        )
        assert "sign in there as acme" in text_of(shown)

    def test_a_login_on_the_way_back_loses_nothing(self, oauth: Sandbox) -> None:
        """A browser that doesn't send the session's cookie along from another site (SameSite=Strict)."""
        staff("connect_company", password="pw")
        browser = Client(HTTP_HOST="127.0.0.1:8000")
        browser.login(username="finance", password="pw")
        back = urlsplit(oauth.answer_consent(leave(browser)))
        from_elsewhere = Client(HTTP_HOST="127.0.0.1:8000").get(f"{back.path}?{back.query}")
        assert from_elsewhere["Location"].startswith("/admin/login/?next=")
        [following] = parse_qs(urlsplit(from_elsewhere["Location"]).query)["next"]
        signed_in = browser.post(
            from_elsewhere["Location"], {"username": "finance", "password": "pw", "next": following}, follow=True
        )
        assert told(signed_in) == ["Sandbox Company is connected to Truss."]
        assert signed_in.request["PATH_INFO"] == "/admin/", "where this person may be"

    @pytest.mark.parametrize("path", [CONNECT, CONNECTED])
    def test_it_needs_its_permission(self, oauth: Sandbox, path: str) -> None:
        browser = Client(HTTP_HOST="127.0.0.1:8000")
        browser.force_login(staff("view_company", "change_company", "secrets_company"))
        assert browser.get(path).status_code == 403
        assert browser.post(path).status_code == 403
        other = User.objects.create_user("customer")
        other.user_permissions.set(Permission.objects.filter(codename="connect_company"))
        browser.force_login(other)
        assert browser.get(path).status_code == 302, "not of the staff"

    def test_leaving_is_a_post_with_a_token(self, oauth: Sandbox, user: User) -> None:
        strict = Client(HTTP_HOST="127.0.0.1:8000", enforce_csrf_checks=True)
        strict.force_login(user)
        assert strict.post(CONNECT).status_code == 403

    def test_an_unknown_company(self, oauth: Sandbox, browser: Client) -> None:
        assert browser.get(CONNECT, {"company": "nobody"}).status_code == 404

    def test_the_page_before_leaving_tells_what_will_happen(self, oauth: Sandbox, browser: Client) -> None:
        text = text_of(browser.get(CONNECT))
        assert "http://127.0.0.1:8000/truss/connected/" in text
        assert "contacts:write" in text
        assert "Local sandbox" in text
        row = connected(oauth)
        text = text_of(browser.get(CONNECT, {"company": row.company.slug}))
        assert "Reconnect to Truss" in text
        assert "Everything that is known here stays" in text

    def test_several_windows_may_be_under_way_and_old_ones_are_forgotten(self, oauth: Sandbox, browser: Client) -> None:
        addresses = [leave(browser) for _ in range(6)]
        assert "belongs to no attempt" in not_connected(come_back(browser, oauth.answer_consent(addresses[0])))
        assert told(come_back(browser, oauth.answer_consent(addresses[1]))) == [
            "Sandbox Company is connected to Truss."
        ]

    @for_real
    def test_under_atomic_requests(self, oauth: Sandbox, browser: Client, settings: Any) -> None:
        from django.db import connections

        connections["default"].settings_dict["ATOMIC_REQUESTS"] = True
        try:
            through(browser, oauth)
        finally:
            connections["default"].settings_dict["ATOMIC_REQUESTS"] = False
        assert Connection.objects.count() == 1
