"""The partner's pages in Spanish: no word of English that is ours on any of them."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.test_spanish import Found
from tests.trustist.test_admin import invited
from tests.walking import client_of
from truss_portal.testing.sandbox import Trustist
from truss_portal.trustist import sync
from truss_portal.trustist.models import Invitation, MerchantKey, SyncRun, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)
LISTS = ("invitation", "merchantkey", "webhookevent", "syncrun")


@pytest.fixture
def spanish(settings: Any) -> None:
    settings.LANGUAGE_CODE = "es"
    settings.USE_THOUSAND_SEPARATOR = True


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:truss_trustist_{name}", args=args)


def looked_at(client: Client, found: Found, *names: str) -> None:
    for name in names:
        found.look(name, client.get(url(name)))


def test_lists_that_are_empty_and_forms(spanish: None, trustist: Trustist) -> None:
    client, found = client_of("superuser"), Found()
    looked_at(client, found, *(f"{name}_changelist" for name in LISTS), "invitation_invite", "invitation_invite_many")
    for name in ("invitation_invite", "invitation_invite_many"):
        found.look(f"{name}, sent empty", client.post(url(name), {}))
    assert found.wrong == {}
    assert found.pages == len(LISTS) + 4


@pytest.mark.slow
def test_what_is_known_and_done(spanish: None, trustist: Trustist) -> None:
    client, found = client_of("superuser"), Found()
    client.post(url("invitation_invite"), {"name": "Luz", "email": "luz@luz.example", "cards": "on"})
    complete, opened, gone = invited(), invited(email="b@b.example"), invited(email="c@c.example")
    trustist.complete(complete.invitation_id)
    trustist.open(opened.invitation_id)
    sync.sync()
    Invitation.objects.filter(pk=gone.pk).update(missing_since=timezone.now())
    states = {
        "failed": {"delivery": "failed", "needs_person": True, "error": "Falta algo."},
        "unconfirmed": {"delivery": "unconfirmed", "unconfirmed_at": timezone.now() - timedelta(days=1)},
        "queued": {"delivery": "queued"},
    }
    rows = {"complete": complete, "opened": opened, "gone": gone}
    for name, columns in states.items():
        address = f"{name}@d.example"
        rows[name] = Invitation.objects.create(
            name=name, email=address, environment=complete.environment, requested_at=timezone.now(), **columns
        )
    SyncRun.objects.create(state="failed")
    WebhookEvent.objects.create(kind="Invitation.Updated", key="k", state="given_up", error="Falta algo.")
    looked_at(client, found, *(f"{name}_changelist" for name in LISTS))
    for name, row in rows.items():
        found.look(f"page of {name}", client.get(url("invitation_change", row.pk)))
        found.look(f"history of {name}", client.get(url("invitation_history", row.pk)))
        for verb in ("refresh", "fetch_keys", "try_again", "send_again", "seen_to", "withdraw"):
            answer = client.get(url(f"invitation_{verb}"), {"ids": row.pk})
            found.look(f"{verb} of {name}", answer)
    found.look("which", client.get(url("invitation_which", rows["unconfirmed"].pk)))
    key = MerchantKey.objects.get()
    for name in ("change", "reveal"):
        found.look(f"key's {name}", client.get(url(f"merchantkey_{name}", key.pk)))
    found.look("wrong password", client.post(url("merchantkey_reveal", key.pk), {"password": "x"}))
    file = SimpleUploadedFile(
        "clientes.csv", b"Name,Email,Cards\nAna,ana@ana.example,no\nBen,nada,yes\nLuz,luz@luz.example,\n"
    )
    preview = client.post(url("invitation_invite_many"), {"file": file}, follow=True)
    found.look("preview", preview)
    found.look(
        "invited", client.post(url("invitation_invite"), {"name": "Sol", "email": "sol@sol.example"}, follow=True)
    )
    found.look("again", client.post(url("invitation_invite"), {"name": "Sol", "email": "sol@sol.example"}, follow=True))
    assert found.wrong == {}
    assert found.pages > 40
