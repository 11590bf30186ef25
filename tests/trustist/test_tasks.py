"""A task is a wake-up: what it can't do waits in rows, and is said in the log."""

import json
import logging

import pytest

from tests.wishes import NOBODY_WAKES
from truss_portal.trustist import actions, sync, tasks
from truss_portal.trustist.connection import connect
from truss_portal.trustist.models import Invitation, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "t0ken-" * 6


def invited():
    return actions.invite(name="Fern & Moss", email="hello@fernandmoss.example")


def test_what_waits_for_settings_is_said(trustist, settings, client, caplog):
    settings.TRUSTIST = settings.TRUSTIST | {"WEBHOOK_TOKEN": TOKEN}
    row = invited()
    settings.TRUSTIST = settings.TRUSTIST | {"CLIENT_SECRET": ""}
    told = {"eventType": "InvitationStatusChanged", "invitationId": row.invitation_id, "status": "OPENED"}
    with caplog.at_level(logging.WARNING):
        answer = client.post(f"/trustist/webhook/{TOKEN}/", json.dumps(told), content_type="application/json")
    assert answer.status_code == 200
    assert WebhookEvent.objects.get().state == "waiting"
    assert "Trustist's webhooks wait" in caplog.text


def test_workers_send_what_was_recorded(trustist, settings):
    settings.TASKS = NOBODY_WAKES
    row = invited()
    assert (row.delivery, tasks.in_background()) == ("queued", True)
    tasks.send_invitations.call([row.pk])
    row.refresh_from_db()
    assert row.delivery == "sent"


def test_while_somebody_waits_no_further_one_is_begun(trustist):
    from truss_portal.trustist import outbox

    row = actions.invite(name="Fern", email="hello@fernandmoss.example", wait=False)
    outbox.perform([row.pk], seconds=0)
    row.refresh_from_db()
    assert row.delivery == "queued"


def test_a_look_at_what_trustist_does_not_have_asks_nobody(trustist, settings):
    settings.TASKS = NOBODY_WAKES
    row = invited()
    with connect() as client:
        assert sync.refresh(row, client) is False
    assert trustist.requests() == []
    assert Invitation.objects.get().missing_since is None


def test_a_failure_on_our_side_is_logged_and_loses_nothing(trustist, settings, caplog):
    settings.TASKS = NOBODY_WAKES
    row = invited()
    settings.TRUSTIST = settings.TRUSTIST | {"TIMEOUT": "soon"}
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="unpack"):
        tasks.send_invitations.call([row.pk])
    assert "failed on our side" in caplog.text
    row.refresh_from_db()
    assert row.delivery == "queued"
    WebhookEvent.objects.create(environment="local", key="k", kind="InvitationStatusChanged", subject_id="x")
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="unpack"):
        tasks.process_partner_webhooks.call()
    assert "Processing Trustist's webhooks failed" in caplog.text
