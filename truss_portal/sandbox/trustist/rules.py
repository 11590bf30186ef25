"""The verbs: what can happen to an invitation, and what the partner is told of it.

Each takes the partner's lock first, as `truss_portal.sandbox.rules` explains.
"""

import datetime as dt
import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import models, router, transaction
from django.utils import timezone

from truss_portal.sandbox import webhooks
from truss_portal.sandbox.models import DEFAULT_SLUG, PARTNER_PREFIX, Company, WebhookEvent
from truss_portal.sandbox.rules import RefusedError, writing
from truss_portal.sandbox.trustist import progress
from truss_portal.sandbox.trustist.models import (
    COMPLETE,
    OPENED,
    PAYMENT_TYPES,
    STEPS,
    Invitation,
    MerchantKey,
    Partner,
)

MOST_AT_ONCE = 10_000
PAYMENT_STATUSES = ("PENDING", "COMPLETE", "FAILED")
_BATCH = 500
_FORCED = frozenset({"name", "email", "payment_types", "status", "merchant_id", "created_at", "extra"})
# Webhooks aren't signed, and a partner isn't paid through Truss.
_OF_A_PARTNER = {"webhook_secret": "", "checkout_link_id": ""}


def get_partner(slug: str = DEFAULT_SLUG) -> Partner:
    """The partner of that slug, who comes into being when first asked for."""
    slug = PARTNER_PREFIX + slug
    start = {"name": f"Partner {slug.removeprefix(PARTNER_PREFIX)}"} | _OF_A_PARTNER
    partner, _ = Partner.objects.get_or_create(slug=slug, is_partner=True, defaults={"overrides": start})
    return partner


def partner_of(invitation: Invitation) -> Partner:
    return Partner.objects.get(pk=invitation.partner_id)


def invite(partner: Partner, name: str, email: str, payment_types: Sequence[str]) -> Invitation:
    """Two equal invitations make two: Trustist publishes no idempotency, nor what becomes of a known email."""
    with writing(partner):
        # "openbanking" is mandatory: leaving it out has no effect.
        offered = [each for each in PAYMENT_TYPES if each == "openbanking" or each in payment_types]
        invitation = Invitation.objects.create(partner=partner, name=name, email=email, payment_types=offered)
        _go_on_later(partner, invitation)
    return invitation


def create_many(partner: Partner, count: int, template: Mapping[str, Any]) -> list[Invitation]:
    """Invitations made in the partner's dashboard; `{n}` in a text becomes the number, from 1 on."""
    if not 1 <= count <= MOST_AT_ONCE:
        raise ValueError(f"count is between 1 and {MOST_AT_ONCE}.")
    columns = {"name": "Client {n}", "email": "client{n}@example.test", "payment_types": ["openbanking", "cards"]}
    columns |= template
    invitations = []
    for n in range(1, count + 1):
        invitation = Invitation(partner=partner)
        _force(
            invitation,
            {key: value.replace("{n}", str(n)) if isinstance(value, str) else value for key, value in columns.items()},
        )
        invitations.append(invitation)
    with writing(partner):
        Invitation.objects.bulk_create(invitations, batch_size=_BATCH)
    return invitations


def move_to(invitation: Invitation, step: str) -> Invitation:
    """The mail goes out, the client opens it, or has done with it. Steps in between are taken, too.

    Raises RefusedError for a step that is over.
    """
    partner = partner_of(invitation)
    with writing(partner):
        invitation = Invitation.objects.get(pk=invitation.pk)
        behind = STEPS.index(invitation.status) if invitation.status in STEPS else -1
        if behind >= STEPS.index(step):
            raise RefusedError(status=f"The invitation is {invitation.status} already.")
        for status in STEPS[max(behind, 0) + 1 : STEPS.index(step) + 1]:
            _take_step(partner, invitation, status)
        _go_on_later(partner, invitation)
    return invitation


def take_next_step(pk: int, expected: str) -> None:
    """By itself, unless it has been moved meanwhile, or is gone."""
    found = Invitation.objects.filter(pk=pk).first()
    if found is None:
        return
    partner = partner_of(found)
    with writing(partner):
        invitation = Invitation.objects.filter(pk=pk, status=expected).first()
        step = invitation and invitation.next_step
        if invitation and step:
            _take_step(partner, invitation, step)
            _go_on_later(partner, invitation)


def _take_step(partner: Partner, invitation: Invitation, status: str) -> None:
    invitation.status = status
    if status == COMPLETE:
        invitation.merchant_id = uuid.uuid4()
        MerchantKey.objects.create(invitation=invitation, item=_new_item({}))
    invitation.save()
    # Of "pending" and "sent" nothing is published but that the API answers them.
    if status in (OPENED, COMPLETE):
        _tell(partner, [_invitation_event(partner, invitation)])


def _go_on_later(partner: Partner, invitation: Invitation) -> None:
    if partner.moves_after is not None and invitation.next_step is not None:
        start = partial(progress.schedule, partner.moves_after, take_next_step, invitation.pk, invitation.status)
        transaction.on_commit(start, using=router.db_for_write(Invitation))


def alter(invitation: Invitation, columns: Mapping[str, Any]) -> Invitation:
    """Forces columns against all rules; nobody is told. `extra` is laid over every answer."""
    with writing(partner_of(invitation)):
        invitation = Invitation.objects.get(pk=invitation.pk)
        _force(invitation, columns)
        invitation.save()
    return invitation


def _force(invitation: Invitation, columns: Mapping[str, Any]) -> None:
    unknown = sorted(set(columns) - _FORCED)
    if unknown:
        raise ValueError(f"Unknown: {', '.join(unknown)}; known are {', '.join(sorted(_FORCED))}.")
    for name, value in columns.items():
        field = Invitation._meta.get_field(name)
        assert isinstance(field, models.Field)  # noqa: S101 - tells the type checker that it is no relation
        setattr(invitation, name, field.clean(value, invitation) if value not in (None, "", {}, []) else value)


def vanish(invitation: Invitation) -> None:
    """From now on Trustist doesn't know the invitation."""
    with writing(partner_of(invitation)):
        invitation.keys.all().delete()
        Invitation.objects.filter(pk=invitation.pk).delete()


def change_key(invitation: Invitation, further: Mapping[str, Any]) -> MerchantKey:
    """Another key in place of all that there were, with further fields. Nobody is told."""
    with writing(partner_of(invitation)):
        if not invitation.keys.exists():
            raise RefusedError(status="The merchant has no key yet.")
        invitation.keys.all().delete()
        return MerchantKey.objects.create(invitation=invitation, item=_new_item(further))


def _new_item(further: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiKey": f"mk_sandbox_{secrets.token_hex(16)}"} | dict(further)


def pay(invitation: Invitation, amount: Decimal, status: str) -> uuid.UUID:
    """One of the merchant's customers pays: an event at the beginning and, unless it stays PENDING, one at the end.

    Nobody is told unless the partner has asked for that. Says the payment's id.
    """
    if status not in PAYMENT_STATUSES:
        raise ValueError(f"status is one of {', '.join(PAYMENT_STATUSES)}.")
    partner, payment_id, created = partner_of(invitation), uuid.uuid4(), timestamp(timezone.now())
    if invitation.merchant_id is None:
        raise RefusedError(status="There is no merchant yet.")
    with writing(partner):
        if partner.payment_events:
            common = {"merchantId": str(invitation.merchant_id), "paymentId": str(payment_id)}
            sent = [
                make_event(
                    partner,
                    {"eventType": "PaymentStatusChanged"}
                    | common
                    | {"created": created, "amount": float(amount), "status": each},
                )
                for each in dict.fromkeys(["PENDING", status])
            ]
            _tell(partner, sent)
    return payment_id


def _invitation_event(partner: Partner, invitation: Invitation) -> WebhookEvent:
    merchant = {"merchantId": str(invitation.merchant_id)} if invitation.status == COMPLETE else {}
    about = {"eventType": "InvitationStatusChanged", "invitationId": str(invitation.uid)}
    return make_event(partner, about | merchant | {"updated": timestamp(timezone.now()), "status": invitation.status})


def make_event(partner: Company, payload: Any, body: str | None = None) -> WebhookEvent:
    """Not yet saved, and sent to nobody. `body` is any text in place of the payload."""
    kind = payload.get("eventType", "") if isinstance(payload, dict) else ""
    text = json.dumps(payload, ensure_ascii=False) if body is None else body
    return WebhookEvent(company=partner, event_name=str(kind), created_at=timezone.now(), body=text)


def _tell(partner: Partner, events: list[WebhookEvent]) -> None:
    if partner.webhook_url:
        webhooks.record(partner, events)


def timestamp(moment: dt.datetime) -> str:
    """Seven fractional digits, as published: one more than Python knows."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}{moment.microsecond % 10}Z"
