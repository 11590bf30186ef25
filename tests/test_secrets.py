"""A hunt: after a whole journey, with every log on, no secret is found in the database, a log, an export or a page."""

import hashlib
import hmac
import json
import logging
import time
import uuid
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, models
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests import make
from tests.joined import left, settings_for, tokens_of
from truss_portal import actions, sync
from truss_portal.connection import connect
from truss_portal.models import Company, Connection, Operation, WebhookEvent, WebhookSecret
from truss_portal.testing.sandbox import Sandbox

SECRETS = ("5ec4e7fa" * 8, "0ddba11e" * 8)
KEY = "bmV3" * 10 + "bmU="


class Journey:
    """Everything that happened, and every secret that took part."""

    def __init__(self, truss: Sandbox) -> None:
        self.truss = truss
        self.browser = Client(HTTP_HOST="127.0.0.1:8000")
        self.browser.force_login(User.objects.create_superuser("boss"))
        self.secrets = {truss.client_secret, KEY, *SECRETS}
        self.pages: list[str] = []

    def get(self, address: str) -> Any:
        return self._seen(self.browser.get(address))

    def post(self, address: str, **form: str) -> Any:
        return self._seen(self.browser.post(address, form))

    def _seen(self, answer: Any) -> Any:
        self.pages += [answer.content.decode(), repr(answer.headers), answer.cookies.output()]
        return answer

    def keep_tokens(self) -> None:
        self.secrets.update(tokens_of(Connection.objects.get()))

    def webhook(self, company: Company, secret: str) -> int:
        body = json.dumps(
            {"event_id": str(uuid.uuid4()), "event_name": "payment_intent.updated", "event_payload": {}}
            | {"event_created_at": "2026-03-02T15:04:05Z"}
        )
        now = int(time.time())
        digest = hmac.new(secret.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
        answer = self.browser.post(
            reverse("truss_portal:webhook", args=[company.slug]),
            body,
            content_type="application/json",
            headers={"X-Webhook-Signature": f"t={now},v1={digest}"},
        )
        return int(self._seen(answer).status_code)

    def go(self) -> Company:
        """Connect, set secrets, send, be told, renew, sync, be refused, lose the connection, connect again."""
        self.connect()
        company = Company.objects.get()
        secrets_page = reverse("admin:truss_portal_company_secrets", args=[company.pk])
        for secret in SECRETS:
            self.post(secrets_page, secret=secret)
        self.post(secrets_page, secret=SECRETS[0] + "0")
        assert actions.send(make.draft(company=company)).state == Operation.State.DONE
        assert [self.webhook(company, secret) for secret in (*SECRETS, "wrong")] == [200, 200, 400]
        left(Connection.objects.get(), -1)
        sync.sync_all(company)
        self.keep_tokens()
        self.truss.fault("unauthorized", path="inbound")
        Connection.objects.update(renewed_at=None)
        sync.sync_all(company)
        self.keep_tokens()
        self.truss.fault("error_before", path="token")
        left(Connection.objects.get(), -1)
        sync_refused(company)
        self.truss.revoke_tokens()
        sync_refused(company)
        self.connect(company)
        return company

    def connect(self, company: Company | None = None) -> None:
        begun = self.post("/truss/connect/", **({"company": company.slug} if company else {}))
        back = urlsplit(self.truss.answer_consent(begun["Location"]))
        [code] = parse_qs(back.query)["code"]
        self.secrets.add(code)
        assert self.get(f"{back.path}?{back.query}").status_code == 302
        self.keep_tokens()
        self.get(f"{back.path}?{back.query}")

    def walk_the_admin(self) -> int:
        """Look at every list and at every page of every row; how many pages there were."""
        addresses = [reverse("admin:index"), *self._pages_of_companies()]
        for model in admin.site._registry:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            addresses += [reverse(f"{name}_changelist"), _address(f"{name}_add")]
            for row in model._default_manager.all():
                addresses += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
        for address in filter(None, addresses):
            assert self.get(address).status_code in {200, 302, 403}
        return len(addresses)

    def _pages_of_companies(self) -> list[str]:
        company, secret = Company.objects.get(), WebhookSecret.objects.first()
        assert secret is not None
        pages = [("disconnect", [company.pk]), ("secrets", [company.pk]), ("remove_secret", [company.pk, secret.pk])]
        return [
            f"/truss/connect/?company={company.slug}",
            *(reverse(f"admin:truss_portal_company_{name}", args=ids) for name, ids in pages),
        ]


def sync_refused(company: Company) -> None:
    with pytest.raises(Exception, match="Sandbox Company"):
        connect(company)


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def every_row() -> str:
    """What stands in the tables, as the database gives it."""
    texts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - our own tables
            texts += [f"{table}: {row!r}" for row in cursor.fetchall()]
    return "\n".join(texts)


def files_of_sqlite() -> str:
    if connection.vendor != "sqlite":
        return ""
    name = Path(str(connection.settings_dict["NAME"]))
    return "\n".join(each.read_bytes().decode("latin-1") for each in name.parent.glob(f"{name.name}*"))


def exported() -> str:
    out = StringIO()
    call_command("dumpdata", stdout=out)
    return out.getvalue()


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(
        f"{record.getMessage()} {record.args!r} {record.exc_text} {vars(record)!r}" for record in caplog.records
    )


@pytest.mark.django_db(transaction=True)
def test_no_secret_is_found_anywhere(truss: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.TRUSS_PORTAL = settings_for(truss, OAUTH_PKCE=True, ENCRYPTION_KEYS=[KEY])
    for name in (None, "django", "truss_portal"):
        caplog.set_level(logging.DEBUG, name)
    connection.force_debug_cursor = True  # every statement, with its values, to the log
    try:
        journey = Journey(truss)
        journey.go()
        pages = journey.walk_the_admin()
        found_in = {
            "the database": every_row(),
            "its file": files_of_sqlite(),
            "the log": logged(caplog),
            "an export": exported(),
            "a session": "\n".join(repr(session.get_decoded()) for session in Session.objects.all()),
            "a page": "\n".join(journey.pages),
            "a repr": "\n".join(repr(row) + repr(vars(row)) for row in _kept_rows()),
        }
    finally:
        connection.force_debug_cursor = False
    assert len(journey.secrets) == 1 + 1 + 2 + 2 + 2 * 4, "two codes, four pairs of tokens"
    assert pages > 30
    assert WebhookEvent.objects.count() == 2
    needles = {form for secret in journey.secrets for form in (secret, quote(secret, safe=""), secret[:20])}
    found = {
        f"{where}: {text[max(text.find(needle) - 60, 0) : text.find(needle)]}…"
        for where, text in found_in.items()
        for needle in needles
        if needle in text
    }
    assert found == set()
    # The hunt hunts: what is kept is there, and what is logged is.
    row = Connection.objects.get()
    assert row.access_token in found_in["the database"]
    assert row.access_token in found_in["an export"]
    assert connection.vendor != "sqlite" or row.access_token in found_in["its file"]
    assert "INSERT INTO" in found_in["the log"]
    assert "/v1/oauth2/token" in found_in["the log"]


def _kept_rows() -> list[models.Model]:
    return [*Connection.objects.all(), *WebhookSecret.objects.all(), *Company.objects.all()]
