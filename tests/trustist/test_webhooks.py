"""Whoever knows the address may say anything: it is stored, and causes a look, and changes nothing by itself."""

import json
import logging
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from tests.wishes import NOBODY_WAKES
from truss_portal.trustist import actions, webhooks
from truss_portal.trustist.exceptions import NotConfiguredError
from truss_portal.trustist.models import Invitation, MerchantKey, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN, OLDER = "t0ken-" * 6, "older-" * 6


@pytest.fixture(autouse=True)
def address(trustist, settings):
    settings.TRUSTIST = settings.TRUSTIST | {"WEBHOOK_TOKEN": [TOKEN, OLDER]}
    settings.TASKS = NOBODY_WAKES


def post(client, body, token=TOKEN):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"/trustist/webhook/{token}/", raw, content_type="application/json").status_code


def moved(id_, status="OPENED", **more):
    return {
        "eventType": "InvitationStatusChanged", "invitationId": id_, "status": status,
        "updated": "2026-03-02T15:04:05.1234567Z",
    } | more  # fmt: skip


def paid(**more):
    return {
        "eventType": "PaymentStatusChanged", "merchantId": "m-1", "paymentId": str(uuid.uuid4()),
        "created": "2026-03-09T09:12:44.0301275Z", "amount": 42.5, "status": "COMPLETE",
    } | more  # fmt: skip


@pytest.fixture
def row(trustist):
    invitation = actions.invite(name="Fern & Moss", email="hello@fernandmoss.example", wait=False)
    from truss_portal.trustist import outbox

    outbox.perform([invitation.pk])
    invitation.refresh_from_db()
    return invitation


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", "ü", TOKEN.upper()])
def test_a_wrong_address_is_a_404_and_leaves_nothing(client, token):
    assert post(client, moved("a"), token) == 404
    assert not WebhookEvent.objects.exists()


def test_without_a_token_no_address_is_right(client, settings):
    settings.TRUSTIST = settings.TRUSTIST | {"WEBHOOK_TOKEN": None}
    assert post(client, moved("a"), "None") == 404
    settings.TRUSTIST = settings.TRUSTIST | {"WEBHOOK_TOKEN": ["", TOKEN]}
    assert not webhooks.is_token("")


@pytest.mark.parametrize("token", [TOKEN, OLDER])
def test_several_addresses_are_good_while_one_is_replaced(client, token):
    assert post(client, moved("a"), token) == 200


def test_an_event_changes_nothing_by_itself(client, row):
    assert post(client, moved(row.invitation_id, "COMPLETE", merchantId="m-1")) == 200
    assert webhooks.process().processed == 1
    row.refresh_from_db()
    assert (row.stage, row.status) == ("invited", "pending")
    event = WebhookEvent.objects.get()
    assert (event.state, event.status, event.merchant_id) == ("processed", "COMPLETE", "m-1")
    assert event.told_at.microsecond == 123456


def test_it_causes_a_look_and_the_keys_are_asked_for(client, trustist, row):
    trustist.complete(row.invitation_id)
    for status in ("OPENED", "COMPLETE"):
        assert post(client, moved(row.invitation_id.upper(), status)) == 200
    before = len(trustist.requests())
    assert webhooks.process().processed == 2
    assert len(trustist.requests()) - before == 2, "one look for both, and one for the keys"
    row.refresh_from_db()
    assert row.stage == "complete"
    assert MerchantKey.objects.count() == 1


def test_one_that_is_not_known_yet_is_learned(client, trustist):
    [id_] = trustist.create_many(1, name="By hand", email="by@hand.example")
    trustist.complete(id_)
    post(client, moved(id_, "COMPLETE"))
    webhooks.process()
    assert Invitation.objects.get().name == "By hand"
    assert MerchantKey.objects.count() == 1


def test_one_that_trustist_does_not_know(client, row):
    post(client, moved(str(uuid.uuid4())))
    assert webhooks.process().processed == 1
    assert "doesn't know" in WebhookEvent.objects.get().error


def test_duplicates_are_counted_and_not_looked_at_again(client, trustist, row):
    for _time in range(3):
        assert post(client, moved(row.invitation_id)) == 200
    assert post(client, moved(row.invitation_id.upper(), "opened")) == 200
    event = WebhookEvent.objects.get()
    assert (event.times, event.state) == (4, "waiting")
    assert webhooks.process().processed == 1
    post(client, moved(row.invitation_id))
    assert webhooks.process().processed == 0
    post(client, moved(row.invitation_id, updated="2026-03-03T00:00:00.0000000Z"))
    assert webhooks.process().processed == 1, "of another time it may be news"


def test_a_payment_is_noted_and_books_nothing(client, row):
    event_id = str(uuid.uuid4())
    assert post(client, paid(paymentId=event_id)) == 200
    assert post(client, paid(paymentId=event_id, amount="42.50", status="PENDING")) == 200
    assert post(client, paid(amount=10**13)) == 200
    assert webhooks.process().processed == 0
    done, pending, odd = WebhookEvent.objects.order_by("pk")
    assert (done.state, done.amount, done.merchant_id) == ("noted", Decimal("42.50"), "m-1")
    assert (pending.state, pending.amount) == ("noted", Decimal("42.50"))
    assert odd.amount is None


def test_an_unknown_event_is_kept_and_shown(client, admin_client):
    assert post(client, {"eventType": "SomethingNew", "x": 1, "apiKey": "mk_live_secret"}) == 200
    assert post(client, {"eventType": "SomethingNew", "x": 1, "apiKey": "mk_live_secret"}) == 200
    event = WebhookEvent.objects.get()
    assert (event.state, event.times) == ("noted", 2)
    assert "mk_live_secret" not in json.dumps(event.payload)
    page = admin_client.get(f"/admin/truss_trustist/webhookevent/{event.pk}/change/").content.decode()
    assert "SomethingNew" in page


def test_the_pages_of_events(client, admin_client, trustist, row):
    post(client, moved(row.invitation_id, "COMPLETE", merchantId="M-1"))
    post(client, paid())
    post(client, paid(merchantId="nobody"))
    post(client, moved("unknown"))
    listed = admin_client.get("/admin/truss_trustist/webhookevent/").content.decode()
    assert "Noted, not confirmed" in listed
    assert "42.50" in listed
    assert listed.count("Fern &amp; Moss") == 2, "the merchant is known by the event"
    Invitation.objects.update(merchant_id="m-1")
    assert admin_client.get("/admin/truss_trustist/webhookevent/").content.decode().count("Fern &amp; Moss") == 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b'{"eventType": 1}', b'{"eventType": "InvitationStatusChanged"}',
             json.dumps(moved("x" * 201)).encode(), json.dumps(moved("a", "s" * 101)).encode(),
             json.dumps({"eventType": "k" * 101}).encode()]
)  # fmt: skip
def test_what_cannot_be_read_is_a_400_and_leaves_nothing(client, body, caplog):
    with caplog.at_level(logging.DEBUG):
        assert post(client, body) == 400
    assert not WebhookEvent.objects.exists()
    assert TOKEN not in caplog.text


def test_a_body_that_is_too_long_is_not_read(client, caplog):
    with caplog.at_level(logging.DEBUG):
        assert post(client, b" " * (webhooks.BODY_MAX + 1)) == 413
    assert TOKEN not in caplog.text


def test_it_is_posted_to(client, caplog):
    with caplog.at_level(logging.DEBUG):
        assert client.get(f"/trustist/webhook/{TOKEN}/").status_code == 405
    assert TOKEN not in caplog.text


def test_it_works_inside_requests_that_are_transactions(client, settings, row):
    from django.db import connections

    for each in connections.all():
        each.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert post(client, moved(row.invitation_id)) == 200
    finally:
        for each in connections.all():
            each.settings_dict["ATOMIC_REQUESTS"] = False


# --- when Trustist is not well


@pytest.mark.slow
def test_a_failure_is_tried_again_and_given_up_in_the_end(client, trustist, row):
    post(client, moved(row.invitation_id))
    trustist.fault("error_before", path="invitations/", count=None)
    for attempt in range(1, webhooks.ATTEMPTS + 1):
        report = webhooks.process(hurried=True)
        event = WebhookEvent.objects.get()
        assert event.attempts == attempt
        assert webhooks.process(hurried=True).problems == []
        WebhookEvent.objects.update(next_attempt_at=None)
    assert (report.given_up, event.state) == (1, "given_up")
    from tests.test_commands import run

    trustist.partner()
    assert run("truss_check", "--json")[0] == 1
    post(client, moved(row.invitation_id))
    assert WebhookEvent.objects.get().state == "waiting", "told again, it is worth another try"


def test_one_whose_processing_died_is_taken_up(client, trustist, row):
    post(client, moved(row.invitation_id))
    assert webhooks._claim()
    assert webhooks._claim() == []
    WebhookEvent.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert webhooks.process().processed == 1


def test_what_is_told_while_somebody_looks_is_looked_at_again(client, trustist, row):
    post(client, moved(row.invitation_id))
    events = webhooks._claim()
    post(client, moved(row.invitation_id, updated="2026-03-03T00:00:00Z"))
    webhooks._settle(events, "", webhooks.Processed())
    assert WebhookEvent.objects.get().state == "waiting"
    assert webhooks.process().processed == 1


def test_without_settings_they_wait(client, settings, row):
    post(client, moved(row.invitation_id))
    settings.TRUSTIST = settings.TRUSTIST | {"CLIENT_ID": ""}
    with pytest.raises(NotConfiguredError):
        webhooks.process()
    assert WebhookEvent.objects.get().state == "waiting"


def test_a_hurried_run_takes_a_few(client, trustist, row):
    for id_ in trustist.create_many(5, email="m{n}@m.example"):
        post(client, moved(id_))
    assert webhooks.process(hurried=True).processed == webhooks.WHILE_WAITING
    assert webhooks.process().processed == 2
