"""The control API's part for Trustist, under /control/trustist/: the client, the partner's dashboard, and webhooks.

`?company=SLUG` names the partner.
"""

import uuid
from dataclasses import replace
from types import NoneType
from typing import Any
from urllib.parse import urlsplit

from truss_portal.sandbox import dashboard, webhooks
from truss_portal.sandbox.control_calls import Action, Call, Sent, checked, controls
from truss_portal.sandbox.models import WebhookEvent
from truss_portal.sandbox.rules import RefusedError, writing
from truss_portal.sandbox.site_rules import View
from truss_portal.sandbox.trustist import rules
from truss_portal.sandbox.trustist.models import (
    ANSWERS,
    COMPLETE,
    OPENED,
    SENT,
    WITHOUT_KEYS,
    Invitation,
    Partner,
    PartnerToken,
)

_PARTNER: dict[str, tuple[type, ...]] = {
    "client_id": (str, NoneType),
    "client_secret": (str, NoneType),
    "token_lifetime": (int, NoneType),
    "webhook_url": (str, NoneType),
    "webhook_pauses": (list, NoneType),
    "moves_after": (int, float, NoneType),
    "payment_events": (bool, NoneType),
    "answers": (str, NoneType),
    "without_keys": (str, NoneType),
}


def of_partner(**actions: Action) -> View:
    """As `controls`; the call's company is the partner of that slug."""

    def with_partner(action: Action) -> Action:
        def act(call: Call, **kwargs: Any) -> Any:
            return action(replace(call, company=rules.get_partner(call.company.slug)), **kwargs)

        return act

    return controls(**{method: with_partner(action) for method, action in actions.items()})


# ---- the partner


def get_partner_state(call: Call) -> Sent:
    partner = _partner(call)
    return {key: getattr(partner, key) for key in _PARTNER}


def change_partner(call: Call) -> Sent:
    """Null puts a value back to what the settings say."""
    changes = checked(call.sent, **_PARTNER)
    _check({key: value for key, value in changes.items() if value is not None})
    partner = _partner(call)
    with writing(partner):
        partner.refresh_from_db()
        partner.overrides = {key: value for key, value in (partner.overrides | changes).items() if value is not None}
        partner.save()
    return get_partner_state(call)


def _check(changes: Sent) -> None:
    url = urlsplit(changes.get("webhook_url", ""))
    if url.geturl() and (url.scheme not in ("http", "https") or not url.hostname):
        raise ValueError("webhook_url is an absolute address, http or https.")
    if not all(type(pause) in (int, float) and 0 <= pause < 10**6 for pause in changes.get("webhook_pauses", ())):
        raise ValueError("webhook_pauses are seconds.")
    if not 0 <= changes.get("moves_after", 0) < 10**6:
        raise ValueError("moves_after are seconds.")
    for key, known in (("answers", ANSWERS), ("without_keys", WITHOUT_KEYS)):
        if changes.get(key, known[0]) not in known:
            raise ValueError(f"{key} is one of {', '.join(known)}.")


def revoke_tokens(call: Call) -> Sent:
    """All access tokens of the partner die. New ones may be asked for."""
    PartnerToken.objects.filter(partner=call.company).delete()
    return {}


# ---- invitations


def list_invitations(call: Call) -> list[Sent]:
    """Everything that the partner has sent, oldest first, with the merchants' keys."""
    invitations = Invitation.objects.filter(partner=call.company).prefetch_related("keys")
    return [_payload(invitation) for invitation in invitations.order_by("pk")]


def create_invitations(call: Call) -> Sent:
    count = checked({"count": call.sent.pop("count", 1)}, count=(int,))["count"]
    return {"ids": [str(each.uid) for each in rules.create_many(_partner(call), count, call.sent)]}


def change_invitation(call: Call, uid: uuid.UUID) -> Sent:
    return _payload(rules.alter(_invitation(call, uid), call.sent))


def delete_invitation(call: Call, uid: uuid.UUID) -> Sent:
    rules.vanish(_invitation(call, uid))
    return {}


def send(call: Call, uid: uuid.UUID) -> Sent:
    return _payload(rules.move_to(_invitation(call, uid), SENT))


def open_invitation(call: Call, uid: uuid.UUID) -> Sent:
    return _payload(rules.move_to(_invitation(call, uid), OPENED))


def complete(call: Call, uid: uuid.UUID) -> Sent:
    return _payload(rules.move_to(_invitation(call, uid), COMPLETE))


def change_key(call: Call, uid: uuid.UUID) -> Sent:
    """What is sent becomes further fields of the key's item."""
    invitation = _invitation(call, uid)
    rules.change_key(invitation, call.sent)
    return _payload(invitation)


def pay(call: Call, uid: uuid.UUID) -> Sent:
    values = checked(call.sent, amount=(str,), status=(str,))
    amount = dashboard.amount(values["amount"])
    return {"payment_id": str(rules.pay(_invitation(call, uid), amount, values.get("status", "COMPLETE")))}


def _invitation(call: Call, uid: uuid.UUID) -> Invitation:
    return Invitation.objects.get(partner=call.company, uid=uid)


def _partner(call: Call) -> Partner:
    return Partner.objects.get(pk=call.company.pk)


def _payload(invitation: Invitation) -> Sent:
    return {
        "id": str(invitation.uid),
        "status": invitation.status,
        "name": invitation.name,
        "email": invitation.email,
        "payment_types": invitation.payment_types,
        "merchant_id": invitation.merchant_id and str(invitation.merchant_id),
        "keys": [key.item for key in invitation.keys.all()],
    }


# ---- webhooks


def send_event(call: Call) -> Sent:
    """Anything at all, whoever it is from: nothing is signed, so that nobody can tell. Treated as all events are."""
    values = checked(call.sent, payload=(dict, list, str, int, float, bool, NoneType), body=(str, NoneType))
    if not call.company.webhook_url:
        raise RefusedError(webhook_url="The partner has no webhook address.")
    event: WebhookEvent = rules.make_event(call.company, values.get("payload", {}), values.get("body"))
    with writing(call.company):
        webhooks.record(call.company, [event])
    return {"event_id": str(event.event_id), "body": event.body}
