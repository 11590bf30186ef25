"""`truss_check`: each point of the go-live checklist as it is well, to do, and broken."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, Permission
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from tests import make
from tests.test_commands import run
from truss_portal import actions, checklist, encryption, roles, sync
from truss_portal.connection import default_company
from truss_portal.models import Company, Connection, Operation, PaymentIntent, SyncRun, WebhookEvent, WebhookSecret
from truss_portal.testing.sandbox import Sandbox
from truss_portal.trustist import sync as trustist_sync

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ready(truss: Sandbox, settings: Any) -> Sandbox:
    """A site on which every point is well."""
    url = f"https://shop.example{reverse('truss_portal:return')}"
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {
        "RETURN_URL": url,
        "RETURN_URL_ALLOWLISTED": True,
        "WEBHOOK_SECRETS": ["0" * 64],
    }
    settings.TRUSTIST = settings.TRUSTIST | {"API_URL": truss.trustist.url, "WEBHOOK_TOKEN": "0" * 32}
    sync.sync_all(default_company())
    trustist_sync.sync()
    return truss


def points() -> dict[str, checklist.Point]:
    found = [*checklist.site_points(), *checklist.company_points(Company.objects.get())]
    return {point.key: point for point in found}


def test_a_site_on_which_all_is_well(ready: Sandbox) -> None:
    make.sent()
    status, out, err = run("truss_check")
    assert (status, err) == (0, "")
    assert out.count("  ok  ") == 22, out
    assert "This site" in out
    assert "Company default" in out
    assert "shop.example" in out
    assert "Trustist merchants" in out


def test_json_is_one_object(ready: Sandbox) -> None:
    status, out, _err = run("truss_check", "--json")
    told = json.loads(out)
    assert (status, told["ok"]) == (0, True)
    assert {point["verdict"] for point in told["points"]} == {"ok"}
    assert {point["company"] for point in told["points"]} == {None, "default"}


def test_a_new_site_reads_what_to_do_next(truss: Sandbox) -> None:
    status, out, _err = run("truss_check")
    assert status == 1
    assert "to do" in out
    assert '→ Set TRUSS_PORTAL["RETURN_URL"] to the absolute https address of /truss/return/' in out
    assert "→ Give Truss the webhook address" in out
    assert "→ Run manage.py truss_sync, and put it into cron." in out


def test_nobody_is_connected_yet(settings: Any) -> None:
    settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
    status, out, _err = run("truss_check")
    assert status == 1
    assert "No company is connected to Truss yet." in out


def _settings(**changes: Any) -> Callable[[Sandbox, Any], None]:
    def change(_truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | changes

    return change


def _rows(work: Callable[[Company], Any]) -> Callable[[Sandbox, Any], None]:
    def change(_truss: Sandbox, _settings: Any) -> None:
        work(Company.objects.get())

    return change


def _fault(kind: str, **how: Any) -> Callable[[Sandbox, Any], None]:
    def change(truss: Sandbox, _settings: Any) -> None:
        truss.fault(kind, count=None, **how)

    return change


def _hours_ago(hours: float) -> Any:
    return timezone.now() - timedelta(hours=hours)


def _owed_signal(_company: Company) -> None:
    entry = make.draft().timeline.get()
    entry.signal_due, entry.at = True, _hours_ago(2)
    entry.save()


def _old_key(_truss: Sandbox, settings: Any) -> None:
    key = encryption.new_key()
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENCRYPTION_KEYS": [key]}
    WebhookSecret.objects.create(company=Company.objects.get(), secret=encryption.seal("fake-secret"))
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENCRYPTION_KEYS": [encryption.new_key(), key]}


def _lost_key(_truss: Sandbox, settings: Any) -> None:
    _old_key(_truss, settings)
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENCRYPTION_KEYS": [encryption.new_key()]}


def _wrong_key(_truss: Sandbox, settings: Any) -> None:
    _old_key(_truss, settings)
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENCRYPTION_KEYS": ["short"]}


def _connected(scope: str) -> Callable[[Sandbox, Any], None]:
    def change(truss: Sandbox, _settings: Any) -> None:
        sealed = encryption.seal(truss.token)
        Connection.objects.create(
            company=Company.objects.get(), access_token=sealed, scope=scope, expires_at=_hours_ago(-1)
        )

    return change


def _waits(**columns: Any) -> Callable[[Sandbox, Any], None]:
    def change(_truss: Sandbox, _settings: Any) -> None:
        operation = actions.send(make.draft(), wait=False)
        Operation.objects.filter(pk=operation.pk).update(**columns)

    return change


def _event(**columns: Any) -> Callable[[Sandbox, Any], None]:
    return _rows(lambda company: WebhookEvent.objects.create(company=company, event_id=uuid.uuid4(), **columns))


def _other_link(truss: Sandbox, _settings: Any) -> None:
    truss.company(checkout_link_id="another")


def _no_portal(truss: Sandbox, _settings: Any) -> None:
    truss.company(checkout_link_id="")
    Company.objects.update(checkout_link_id="")


def _by_hand(truss: Sandbox, _settings: Any) -> None:
    truss.company(checkout_link_id="")


def _no_reading(truss: Sandbox, _settings: Any) -> None:
    truss.company(scopes=["payment_intent.inbound:write"])


def _no_payments(truss: Sandbox, _settings: Any) -> None:
    make.sent()
    truss.company(scopes=["payment_intent.inbound:read"])


def _vanished(truss: Sandbox, _settings: Any) -> None:
    truss.vanish(make.sent().uid)  # type: ignore[arg-type]


def _company(**columns: Any) -> Callable[[Sandbox, Any], None]:
    return _rows(lambda _company: Company.objects.update(**columns))


def _own_secret(company: Company) -> None:
    WebhookSecret.objects.create(company=company, secret=encryption.seal("fake-secret"))


def _never_synced(company: Company) -> None:
    SyncRun.objects.filter(company=company).delete()
    Company.objects.update(listed_at=None)


def _sync_failed(company: Company) -> None:
    SyncRun.objects.filter(company=company).update(problems=["It is on fire."])
    Company.objects.update(listed_at=None)


def _found_twice(_company: Company) -> None:
    PaymentIntent.objects.filter(pk=make.draft().pk).update(attention="Found twice.")


def _lesser_roles(_truss: Sandbox, _settings: Any) -> None:
    roles.set_up()
    for group in Group.objects.exclude(name="Truss viewer"):
        group.permissions.remove(Permission.objects.get(codename="send_paymentintent"))


REFUSED = {"webhooks_refused": 2, "webhooks_refused_at": _hours_ago(1), "webhooks_refused_why": "forged"}
ALL_BUT_ONE = "payment_intent.inbound:read payment_intent.inbound:write transactions:read"
CASES = [
    ("settings", "to do", "TRUSS_PORTAL has no setting 'COLOUR'", _settings(COLOUR="blue")),
    ("settings", "broken", "CONCURRENCY", _settings(CONCURRENCY=0)),
    ("return-url", "to do", "payers stay at Truss", _settings(RETURN_URL=None)),
    ("return-url", "broken", "isn't the address", _settings(RETURN_URL="https://shop.example/thanks/")),
    ("allowlist", "to do", "no return address yet", _settings(RETURN_URL_ALLOWLISTED=False)),
    ("secrets", "to do", "1 of them", _old_key),
    ("secrets", "broken", "can't be decrypted", _lost_key),
    ("secrets", "broken", "not a Fernet key", _wrong_key),
    ("signals", "to do", "1 things", _rows(_owed_signal)),
    ("roles", "ok", "makes groups for viewers", lambda _truss, _settings: None),
    ("roles", "ok", "may all", lambda _truss, _settings: roles.set_up()),
    ("roles", "to do", "Truss clerk, Truss manager", _lesser_roles),
    ("connection", "broken", "sandbox and production never mix", _company(environment="sandbox")),
    ("api", "broken", "could not be reached", _settings(API_URL="http://127.0.0.1:1")),
    ("api", "broken", "access token", _fault("unauthorized")),
    ("checkout-link", "to do", "Truss says another", _other_link),
    ("checkout-link", "broken", "nobody can pay", _no_portal),
    ("checkout-link", "ok", "entered here", _by_hand),
    ("scopes", "broken", "payment_intent.inbound:read", _no_reading),
    ("scopes", "broken", "transactions:read", _no_payments),
    ("scopes", "ok", "Reading is allowed", _vanished),
    ("scopes", "broken", "status 503", _fault("error_before", status=503, path="payment-intents")),
    ("scopes", "broken", "contacts:write", _connected(ALL_BUT_ONE)),
    ("scopes", "ok", "All that this site asks for", _connected(f"{ALL_BUT_ONE},contacts:write")),
    ("webhook-secret", "to do", "None is set", _settings(WEBHOOK_SECRETS=[])),
    ("webhook-secret", "ok", "company's page", _rows(_own_secret)),
    ("webhooks", "broken", "1 could not", _event(state="given_up")),
    ("webhooks", "to do", "1 wait", _event(received_at=_hours_ago(1))),
    ("webhooks", "ok", "The last came on", _event(state="processed")),
    ("webhooks", "to do", "2 were refused", _company(**REFUSED)),
    ("sync", "to do", "None has run", _rows(_never_synced)),
    ("sync", "to do", "on fire", _rows(_sync_failed)),
    ("sync", "broken", "The last complete one", _company(listed_at=_hours_ago(30))),
    ("queue", "broken", "1 wait for longer", _waits(requested_at=_hours_ago(1))),
    ("queue", "broken", "1 aren't confirmed", _waits(state="unconfirmed", unconfirmed_at=_hours_ago(1))),
    ("people", "to do", "1 requests", _waits(state="refused", needs_person=True)),
    ("people", "to do", "1 requests or invoices", _rows(_found_twice)),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{key}: {text}" for key, _verdict, text, _change in CASES])
def test_each_point(ready: Sandbox, settings: Any, case: tuple[str, str, str, Callable[[Sandbox, Any], None]]) -> None:
    key, verdict, text, change = case
    change(ready, settings)
    found = points()[key]
    assert (found.verdict, text in found.text) == (verdict, True), found
    assert not (verdict == "to do" and not found.next_step), "who is told that there is something to do is told what"


@pytest.mark.parametrize(("minutes", "verdict"), [(0, "ok"), (2, "to do"), (20, "broken")])
def test_the_clock(ready: Sandbox, minutes: int, verdict: str) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
        assert points()["clock"].verdict == verdict


def test_checkout_links_that_truss_does_not_publish(ready: Sandbox, settings: Any) -> None:
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {
        "ENVIRONMENT": "production",
        "PORTAL_URL": "https://pay.example",
    }
    [found] = [point for point in checklist.site_points() if point.key == "portal-url"]
    assert (found.verdict, "app.trusspayments.com" in found.text) == ("to do", True)


@override_settings(ROOT_URLCONF="truss_portal.sandbox.root_urls")
def test_a_site_without_our_addresses() -> None:
    [found] = [point for point in checklist.site_points() if point.key == "return-url"]
    assert (found.verdict, "urls" in found.next_step) == ("broken", True)
