"""The commands, the checks and the checklist."""

import json

import pytest
from django.test import override_settings

from tests.test_commands import run
from truss_portal.trustist import actions, checklist
from truss_portal.trustist.checks import check_settings
from truss_portal.trustist.conf import conf
from truss_portal.trustist.connection import CachedTokens, connect
from truss_portal.trustist.models import Invitation, SyncRun, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


def test_inviting_from_the_command_line(trustist):
    assert run("trustist_invite", "Fern & Moss", "hello@fernandmoss.example")[:2] == (
        0, "Fern & Moss (hello@fernandmoss.example): At Trustist.\n",
    )  # fmt: skip
    status, out, _err = run("trustist_invite", "Acme", "a@acme.example", "--no-cards", "--json")
    assert (status, json.loads(out)["delivery"]) == (0, "sent")
    assert [each["payment_types"] for each in trustist.invitations()] == [["openbanking", "cards"], ["openbanking"]]


@pytest.mark.parametrize(("email", "said"), [("HELLO@fernandmoss.example", "was invited before"), ("no", "email")])
def test_what_is_refused_on_the_command_line(trustist, email, said):
    actions.invite(name="Fern", email="hello@fernandmoss.example")
    with pytest.raises(Exception, match=said):
        run("trustist_invite", "Other", email)


def test_what_waits_is_told_on_the_command_line(trustist):
    trustist.fault("drop_after", method="POST", path="invitations")
    status, out, err = run("trustist_invite", "Fern", "hello@fernandmoss.example")
    assert (status, "Not confirmed" in out, bool(err)) == (1, True, True)


def test_a_sync_in_words_and_as_json(trustist):
    actions.invite(name="Fern", email="hello@fernandmoss.example")
    status, out, err = run("trustist_sync")
    assert (status, err) == (0, "")
    assert out.startswith("Trustist: 1 listed, 0 new,")
    status, out, err = run("trustist_sync", "--json")
    told = json.loads(out)
    assert (status, told["held"], told["unconfirmed"], told["needs_person"]) == (0, False, 0, 0)
    assert told["run"]["listed"] == 1


def test_a_sync_that_fails_or_finds_another(trustist):
    trustist.fault("error_before", path="invitations", count=None)
    status, out, err = run("trustist_sync", "--json")
    assert (status, json.loads(out)["run"]["state"]) == (1, "failed")
    assert "503" in err
    trustist.fault("latency")
    from datetime import timedelta

    from django.utils import timezone

    SyncRun.objects.create(environment="local", lease="local", lease_until=timezone.now() + timedelta(minutes=1))
    status, out, _err = run("trustist_sync", "--json")
    assert (status, json.loads(out)["held"], json.loads(out)["run"]) == (75, True, None)
    assert run("trustist_sync")[0] == 75


def test_a_sync_without_settings(trustist, settings):
    settings.TRUSTIST = {}
    status, _out, err = run("trustist_sync")
    assert status == 1
    assert "CLIENT_ID" in err


def verdicts():
    return {point.key: point.verdict for point in checklist.points(hurried=True)}


def test_the_checklist(trustist, settings):
    assert verdicts() == {
        "trustist_settings": "ok", "trustist_reached": "ok", "trustist_webhooks": "to do", "trustist_sync": "to do",
        "trustist_person": "ok",
    }  # fmt: skip
    settings.TRUSTIST = settings.TRUSTIST | {"WEBHOOK_TOKEN": "t" * 30}
    actions.invite(name="Fern", email="hello@fernandmoss.example")
    run("trustist_sync")
    assert set(verdicts().values()) == {"ok"}
    Invitation.objects.update(needs_person=True, delivery="unconfirmed")
    WebhookEvent.objects.create(environment="local", key="k", kind="x", state="given_up")
    found = verdicts()
    assert [key for key, verdict in found.items() if verdict == "to do"] == [
        "trustist_webhooks", "trustist_person", "trustist_unconfirmed",
    ]  # fmt: skip
    with override_settings(ROOT_URLCONF="truss_portal.urls"):
        assert verdicts()["trustist_webhooks"] == "broken"
    settings.TRUSTIST = {"ENVIRONMENT": "local"}
    found = verdicts()
    assert (found["trustist_settings"], found["trustist_reached"]) == ("to do", "broken")


GOOD = {"ENVIRONMENT": "sandbox", "CLIENT_ID": "a", "CLIENT_SECRET": "b", "WEBHOOK_TOKEN": "t" * 24}


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (GOOD, []),
        (GOOD | {"WEBHOOK_TOKEN": None, "API_URL": "https://partners.example/x"}, []),
        ([], ["E001"]),
        (GOOD | {"TYPO": 1}, ["W001"]),
        (GOOD | {"ENVIRONMENT": "prod"}, ["E002"]),
        (GOOD | {"API_URL": "http://partners.example"}, ["E003"]),
        (GOOD | {"API_URL": "partners"}, ["E003"]),
        (GOOD | {"CLIENT_SECRET": ""}, ["E004"]),
        ({}, ["W002"]),
        (GOOD | {"CLIENT_ID": 7}, ["E005"]),
        (GOOD | {"TIMEOUT": 5}, ["E006"]),
        (GOOD | {"TIMEOUT": (0, 5)}, ["E006"]),
        (GOOD | {"WEBHOOK_TOKEN": "a/b"}, ["E007"]),
        (GOOD | {"WEBHOOK_TOKEN": 7}, ["E007"]),
        (GOOD | {"WEBHOOK_TOKEN": ["t" * 24, ""]}, ["E007"]),
        (GOOD | {"WEBHOOK_TOKEN": ["t" * 24, "short"]}, ["W003"]),
    ],
)
def test_the_settings_are_checked(settings, given, ids):
    settings.TRUSTIST = given
    found = check_settings()
    assert [message.id for message in found] == [f"truss_trustist.{each}" for each in ids]
    assert all(message.hint for message in found)
    assert "short" not in "".join(str(message) for message in found)


def test_the_settings_have_defaults(settings):
    settings.TRUSTIST = {}
    assert conf.api_url == "https://partnersapi-sandbox.trustist.com"
    assert (conf.environment, conf.timeout, conf.webhook_tokens, conf.client_id) == ("sandbox", (5, 30), (), "")
    settings.TRUSTIST = {"ENVIRONMENT": "production"}
    assert conf.api_url == "https://partnersapi.trustist.com"


# --- the token, between processes


def test_one_token_for_all_processes(trustist):
    for _process in range(3):
        with connect() as client:
            client.list_invitations()
    asked = [request for request in trustist.requests() if request["path"].endswith("/token")]
    assert len(asked) == 1


def test_a_cache_that_keeps_nothing(trustist, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with connect() as client:
        client.list_invitations()
        client.list_invitations()
        trustist.revoke_tokens()
        client.list_invitations()
    asked = [request for request in trustist.requests() if request["path"].endswith("/token")]
    assert len(asked) == 2


def test_what_is_in_the_cache_is_sealed_and_may_be_anything(trustist):
    from django.core.cache import cache

    with connect() as client:
        client.list_invitations()
    tokens = CachedTokens(conf.api_url, conf.client_id)
    token = tokens.get()
    assert token is not None
    kept = cache.get(tokens._key)
    assert token.access_token not in kept
    for odd in ("nonsense", 7, kept[:-5]):
        cache.set(tokens._key, odd)
        assert tokens.get() is None
