"""The last scene, where the Trustist app is installed: a partner invites merchants, and gets their keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.conf import settings

from example_project.demo.stage import Stage, truss_portal_settings
from truss_portal.exceptions import ActionRefusedError

CLIENTS = (("Fern & Moss Florists", "hello@fernandmoss.example"), ("Quay Cycles", "office@quaycycles.example"))
TOKEN = "demo-an-address-that-nobody-guesses"  # noqa: S105 - of a site that only this machine can reach


def merchants_are_invited(stage: Stage) -> None:
    if not apps.is_installed("truss_portal.trustist"):
        return
    stage.narrator.step("A partner invites merchants to Trustist")
    with _trustist_settings(WEBHOOK_TOKEN=TOKEN), truss_portal_settings(UNCONFIRMED_GRACE=0):
        stage.sandbox.trustist.webhooks(to=stage.url("truss_trustist:webhook", TOKEN))
        try:
            _invited(stage)
            _complete(stage)
        finally:
            stage.sandbox.trustist.webhooks(to=None)
    stage.narrator.look(
        ("invitations", stage.url("admin:truss_trustist_invitation_changelist")),
        ("their keys, masked", stage.url("admin:truss_trustist_merchantkey_changelist")),
    )


def _invited(stage: Stage) -> None:
    from truss_portal.trustist import sync
    from truss_portal.trustist.models import Invitation

    narrator, trustist = stage.narrator, stage.sandbox.trustist
    _forget_earlier_demos(stage)
    first = _invite(*CLIENTS[0], cards=True)
    trustist.fault("drop_after", method="POST", path="invitations")
    second = _invite(*CLIENTS[1], cards=False)
    narrator.tell(
        f"{first} is invited with cards, {second} without. Trustist takes both, and its answer to the second is lost."
    )
    narrator.proof("The first is at Trustist.", first.delivery == Invitation.Delivery.SENT, first.delivery)
    narrator.proof("The second isn't confirmed.", second.delivery == Invitation.Delivery.UNCONFIRMED, second.delivery)
    sync.sync()
    second.refresh_from_db()
    held = [each for each in trustist.invitations() if each["email"] == second.email]
    narrator.proof(
        "The sync finds it by its email: Trustist has one, and it is ours.",
        [each["id"] for each in held] == [second.invitation_id],
        held,
    )
    types = held[0]["payment_types"] if held else None
    narrator.proof("It is never offered card payments.", types == ["openbanking"], types)
    refused = ""
    try:
        _invite("Somebody", first.email.upper(), cards=True)
    except ActionRefusedError as error:
        refused = str(error)
    narrator.proof("Inviting the first once more is refused, and points to it.", str(first) in refused, refused)


def _complete(stage: Stage) -> None:
    from django.db import connection

    from truss_portal.trustist.models import Invitation, MerchantKey

    narrator, trustist = stage.narrator, stage.sandbox.trustist
    row = Invitation.objects.of_this_environment().get(email=CLIENTS[0][1], missing_since=None)
    trustist.complete(str(row.invitation_id))
    trustist.wait_for_webhooks()
    row.refresh_from_db()
    narrator.tell(f"{row} opens the invitation and is through. Trustist tells the site, which looks for itself.")
    narrator.proof("The invitation is complete.", row.stage == Invitation.Stage.COMPLETE, row.stage)
    keys = list(MerchantKey.objects.filter(invitation=row, until=None))
    theirs = [
        key["apiKey"] for each in trustist.invitations() if each["id"] == row.invitation_id for key in each["keys"]
    ]
    narrator.proof("The merchant's key is here.", [key.api_key for key in keys] == theirs != [], len(keys))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT sealed FROM {MerchantKey._meta.db_table}")  # noqa: S608 - nothing from outside is in it
        stored = repr(cursor.fetchall())
    narrator.proof("In the database it is encrypted.", not any(key in stored for key in theirs))


def _invite(name: str, email: str, *, cards: bool) -> Any:
    from truss_portal.trustist import actions

    return actions.invite(name=name, email=email, cards=cards)


def _forget_earlier_demos(stage: Stage) -> None:
    """The story may be told again: the clients of the last time are unknown to Trustist, so they may be invited."""
    from truss_portal.trustist import sync

    emails = {email for _name, email in CLIENTS}
    for each in stage.sandbox.trustist.invitations():
        if each["email"] in emails:
            stage.sandbox.trustist.vanish(each["id"])
    sync.sync()


@contextmanager
def _trustist_settings(**changes: Any) -> Iterator[None]:
    before = settings.TRUSTIST
    settings.TRUSTIST = {**before, **changes}
    try:
        yield
    finally:
        settings.TRUSTIST = before
