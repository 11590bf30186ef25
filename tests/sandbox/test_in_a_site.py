"""The sandbox as an app among others: its database, its checks, where it can be mounted."""

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.management import call_command
from django.db import router

from tests.sandbox.conftest import Api
from truss_portal.sandbox.checks import check_deploy, check_router, check_settings
from truss_portal.sandbox.models import Company, Contact, Mail, PaymentIntent, Token, Transaction
from truss_portal.sandbox.routers import SandboxRouter

ROUTER = "truss_portal.sandbox.routers.SandboxRouter"


@pytest.fixture
def own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        django_settings.DATABASES, "truss_sandbox", {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    )


@pytest.fixture
def no_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(django_settings.DATABASES, "truss_sandbox", raising=False)


def test_its_tables_go_into_the_database_that_is_set_aside(own_database: None) -> None:
    site_model = apps.get_model("auth", "User")
    routing = SandboxRouter()

    assert routing.db_for_read(PaymentIntent) == routing.db_for_write(PaymentIntent) == "truss_sandbox"
    assert routing.db_for_read(site_model) is None
    assert routing.allow_migrate("truss_sandbox", "truss_sandbox") is True
    assert routing.allow_migrate("default", "truss_sandbox") is False
    assert routing.allow_migrate("truss_sandbox", "auth") is False
    assert routing.allow_migrate("default", "auth") is None


def test_without_one_they_go_where_all_go(no_own_database: None) -> None:
    routing = SandboxRouter()
    assert routing.db_for_read(Company) is None
    assert routing.allow_migrate("default", "truss_sandbox") is None


def test_a_database_set_aside_in_vain_is_reported(own_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "routers", [])
    assert [each.id for each in check_router()] == ["truss_sandbox.W001"]
    monkeypatch.setattr(router, "routers", [SandboxRouter()])
    assert check_router() == []


def test_without_a_database_set_aside_nothing_is_reported(no_own_database: None) -> None:
    assert check_router() == []


def test_a_sandbox_in_production_is_reported_when_deploying(settings: Any, db: None) -> None:
    settings.DEBUG = False
    assert [each.id for each in check_deploy()] == ["truss_sandbox.W002"]
    deploying = checks.run_checks(include_deployment_checks=True)
    assert "truss_sandbox.W002" in {each.id for each in deploying}
    assert "truss_sandbox.W002" not in {each.id for each in checks.run_checks()}
    settings.DEBUG = True
    assert check_deploy() == []


def test_a_key_that_nothing_reads_is_reported(settings: Any) -> None:
    settings.TRUSS_SANDBOX = {"TOKEN": "x", "CHECKOUT_LINK": "y"}
    [warning] = check_settings()
    assert warning.id == "truss_sandbox.W003"
    assert "CHECKOUT_LINK" in warning.msg


@pytest.mark.django_db
def test_the_migrations_are_complete() -> None:
    call_command("makemigrations", "truss_sandbox", check=True, dry_run=True, verbosity=0)


@pytest.mark.urls("truss_portal.sandbox.root_urls")
def test_it_works_at_the_root_as_well(api: Api) -> None:
    api.prefix = ""
    uid = api.created(send_email=True)["uid"]
    assert api.control("GET", "mailbox")[0]["link"] == f"http://testserver/pay/sandbox/paymentIntent/{uid}"
    assert api.control("GET", "requests")[0]["path"] == "/v1/payment-intents/inbound/"
    assert api.client.get("/").status_code == 200


def test_the_portal_needs_neither_sessions_nor_other_middleware(api: Api, settings: Any) -> None:
    settings.MIDDLEWARE = []
    assert Api("sandbox-token").client.get("/sandbox/pay/sandbox/").status_code == 200


def test_a_site_that_makes_everybody_log_in_leaves_the_sandbox_open(api: Api, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    site = Api("sandbox-token")
    assert site.get("/v1/company/").status_code == 200
    assert site.control("GET", "company")["slug"] == "default"
    for page in ("/sandbox/", "/sandbox/mailbox/", "/sandbox/pay/sandbox/"):
        assert site.client.get(page).status_code == 200, page


@pytest.mark.django_db
def test_rows_have_readable_names(api: Api) -> None:
    uid = api.created(send_email=True)["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {})
    api.fault("latency", path="x")
    company = Company.objects.get()
    names = [str(company), *(str(model.objects.get()) for model in (Contact, PaymentIntent, Transaction, Mail))]
    assert names[:2] == ["Sandbox Company", "Ortega Bakery"]
    assert all(names)
    assert str(Token(pk=5)) == "token 5"
