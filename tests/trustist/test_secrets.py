"""A hunt: after a whole journey with every log on, no secret is in the database, a log, a page, an export or a repr."""

import logging
from io import StringIO
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.urls import NoReverseMatch, reverse

from truss_portal.trustist import actions, keys, sync
from truss_portal.trustist.conf import conf
from truss_portal.trustist.connection import CachedTokens, connect
from truss_portal.trustist.models import Invitation, MerchantKey, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "webhook-address-that-nobody-knows"
PASSWORD = "a password of the boss"


@pytest.fixture
def log():
    """All that is logged, from the journey on: pytest's own begins anew with the test."""
    text = StringIO()
    root, handler = logging.getLogger(), logging.StreamHandler(text)
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def journey(trustist, settings, client, log, live_server):
    """All that happened, as texts, and every secret that took part."""
    settings.TRUSTIST = settings.TRUSTIST | {"WEBHOOK_TOKEN": TOKEN}
    boss = get_user_model().objects.create_superuser("boss", password=PASSWORD)
    client.force_login(boss)
    trustist.webhooks(to=f"{live_server.url}/trustist/webhook/{TOKEN}/")
    row = actions.invite(name="Fern & Moss", email="hello@fernandmoss.example", actor=boss)
    trustist.complete(row.invitation_id)
    trustist.wait_for_webhooks()
    secrets = {
        TOKEN,
        settings.TRUSTIST["CLIENT_SECRET"],
        PASSWORD,
        CachedTokens(conf.api_url, conf.client_id).get().access_token,
    }
    trustist.change_key(row.invitation_id, secretPart="s3cr3t-part-of-the-key")
    trustist.fault("error_after", path=".*keys", count=None)
    with connect() as asking, pytest.raises(Exception, match="503"):
        keys.fetch(row, asking)
    trustist.fault("unauthorized", path="invitations")
    trustist._sandbox.clear_faults()
    sync.sync()
    Invitation.objects.update(keys_next_at=None)
    call_command("trustist_sync", stdout=StringIO())
    trustist.webhooks(to=None)
    for path in (f"/trustist/webhook/{TOKEN}/", "/trustist/webhook/wrong/"):
        client.get(path)
        client.post(path, b"nonsense", content_type="application/json")
    for key in MerchantKey.objects.all():
        secrets.update(value for value in key.item.values() if isinstance(value, str))
    assert MerchantKey.objects.count() == 2
    assert "s3cr3t-part-of-the-key" in secrets
    return secrets


def pages(client):
    """Every list and every page of every row of this app, and those of ours besides."""
    addresses = [reverse("admin:index"), reverse("admin:app_list", args=["truss_trustist"])]
    for model in admin.site._registry:
        if model._meta.app_label != "truss_trustist":
            continue
        name = f"admin:truss_trustist_{model._meta.model_name}"
        addresses.append(reverse(f"{name}_changelist"))
        for row in model._default_manager.all():
            addresses += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history")]
    for verb in ("refresh", "fetch_keys", "try_again", "withdraw", "send_again", "seen_to"):
        ids = ",".join(str(pk) for pk in Invitation.objects.values_list("pk", flat=True))
        addresses.append(f"{reverse(f'admin:truss_trustist_invitation_{verb}')}?ids={ids}")
    addresses += [
        reverse("admin:truss_trustist_merchantkey_reveal", args=[key.pk]) for key in MerchantKey.objects.all()
    ]
    return [client.get(address) for address in addresses]


def tables():
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)}")  # noqa: S608
            yield name, repr(cursor.fetchall())


def found_in(text, secrets):
    return [secret[:4] for secret in secrets if secret in text]


@pytest.mark.slow
def test_nothing_is_found_anywhere(journey, client, log):
    assert found_in(log.getvalue(), journey) == []
    assert "POST /invitations" in log.getvalue(), "the logs were on"
    assert "webhook was refused" in log.getvalue()
    sessions = " ".join(str(session.get_decoded()) for session in Session.objects.all())
    assert found_in(sessions, journey) == []
    for name, text in tables():
        assert found_in(text, journey) == [], name
    if connection.vendor == "sqlite":
        assert [each for each in journey if each.encode() in Path(connection.settings_dict["NAME"]).read_bytes()] == []
    out = StringIO()
    call_command("dumpdata", stdout=out)
    assert found_in(out.getvalue(), journey) == []
    everything = [*MerchantKey.objects.all(), *Invitation.objects.all(), *WebhookEvent.objects.all()]
    assert found_in(" ".join(f"{row!r} {row} {vars(row)}" for row in everything), journey) == []
    shown = pages(client)
    assert len(shown) > 20
    for page in shown:
        assert page.status_code in {200, 302}
        assert found_in(page.content.decode(), journey) == [], page.request["PATH_INFO"]
        assert found_in(repr(page.headers), journey) == []
        assert found_in(repr(getattr(page, "context", None)), journey) == []
    assert found_in(repr(vars(cache)), journey) == []


@pytest.mark.slow
def test_what_was_revealed_is_on_that_page_alone(journey, client, log):
    key = MerchantKey.objects.get(until=None)
    address = reverse("admin:truss_trustist_merchantkey_reveal", args=[key.pk])
    shown = client.post(address, {"password": PASSWORD})
    assert key.api_key in shown.content.decode()
    assert "s3cr3t-part-of-the-key" in shown.content.decode()
    assert PASSWORD not in shown.content.decode()
    assert found_in(log.getvalue(), journey) == []
    for name, text in tables():
        assert found_in(text, journey) == [], name
    for page in pages(client):
        assert found_in(page.content.decode(), journey) == []


def test_there_is_no_page_that_exports_or_adds_keys():
    for page in ("export", "import"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:truss_trustist_merchantkey_{page}")
