"""Invited, opened, complete, key: the whole way against the pretend Trustist."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from truss_portal.trustist import actions
from truss_portal.trustist.models import Invitation, MerchantKey, SyncRun, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "an-address-that-nobody-guesses-0123456789"


def invited(**given):
    return actions.invite(**{"name": "Fern & Moss", "email": "Hello@FernAndMoss.example"} | given)


def test_from_the_invitation_to_the_key(trustist):
    row = invited()
    assert (row.delivery, row.stage, row.status) == ("sent", "invited", "pending")
    [theirs] = trustist.invitations()
    assert (theirs["id"], theirs["name"], theirs["email"]) == (row.invitation_id, row.name, row.email)
    assert theirs["payment_types"] == ["openbanking", "cards"]

    trustist.open(row.invitation_id)
    call_command("trustist_sync", stdout=StringIO())
    row.refresh_from_db()
    assert (row.stage, row.status) == ("opened", "OPENED")
    assert row.opened_at
    assert not row.completed_at
    assert not MerchantKey.objects.exists()

    trustist.complete(row.invitation_id)
    out = StringIO()
    call_command("trustist_sync", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["run"]["updated"], told["run"]["keys"], told["problems"]) == (1, 1, [])
    row.refresh_from_db()
    assert row.stage == "complete"
    key = MerchantKey.objects.get()
    [theirs] = trustist.invitations()
    assert key.item == theirs["keys"][0]
    assert key.api_key == theirs["keys"][0]["apiKey"]
    assert key.is_current
    assert SyncRun.objects.filter(state="done", complete=True).count() == 2


def test_told_by_webhooks(trustist, settings, live_server):
    settings.TRUSTIST = settings.TRUSTIST | {"WEBHOOK_TOKEN": TOKEN}
    row = invited()
    trustist.webhooks(to=f"{live_server.url}/trustist/webhook/{TOKEN}/")
    trustist.double_webhooks()
    trustist.complete(row.invitation_id)
    trustist.wait_for_webhooks()
    trustist.webhooks(to=None)
    row.refresh_from_db()
    assert row.stage == "complete"
    assert MerchantKey.objects.get().api_key
    events = WebhookEvent.objects.order_by("pk")
    assert [(event.status, event.state, event.times) for event in events] == [
        ("OPENED", "processed", 2),
        ("COMPLETE", "processed", 2),
    ]
    assert events[1].merchant_id == trustist.invitations()[0]["merchant_id"]


def test_one_without_cards(trustist):
    row = invited(cards=False)
    assert not row.offers_cards
    assert trustist.invitations()[0]["payment_types"] == ["openbanking"]


def test_where_only_what_is_published_is_told(trustist):
    """The list and the answers have nothing but id and status."""
    trustist.partner(answers="as_published")
    row = invited()
    trustist.complete(row.invitation_id)
    call_command("trustist_sync", stdout=StringIO())
    row.refresh_from_db()
    assert (row.name, row.stage) == ("Fern & Moss", "complete")
    assert Invitation.objects.count() == MerchantKey.objects.count() == 1
