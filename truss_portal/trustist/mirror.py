"""Resources → rows: the one writer of what Trustist says. Database, and no network."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal.client.redaction import Secrets
from truss_portal.database import retried, write_transaction
from truss_portal.exceptions import UndecryptableError
from truss_portal.trustist.client import Rejected, resources
from truss_portal.trustist.conf import conf
from truss_portal.trustist.models import Invitation, MerchantKey
from truss_portal.trustist.models.invitation import InvitationQuerySet, email_key, stage_of
from truss_portal.trustist.models.merchant_key import sealed_item

logger = logging.getLogger("truss_portal.trustist.mirror")

Delivery = Invitation.Delivery
Stage = Invitation.Stage

CHUNK: Final = 200
# Ours, and found at Trustist whatever had become of asking for it.
ADOPTABLE: Final = (Delivery.QUEUED, Delivery.SENDING, Delivery.UNCONFIRMED, Delivery.FAILED)
# What is over with once Trustist has it.
SETTLED: Final[dict[str, Any]] = {
    "delivery": Delivery.SENT, "claimed_until": None, "claim_token": "", "next_attempt_at": None,
    "unconfirmed_at": None, "needs_person": False, "error": "",
}  # fmt: skip
_LENGTHS: Final = {"id": 200, "status": 100, "name": 255, "email": 254, "merchant_id": 200}


@dataclass(slots=True)
class Written:
    """What became of the resources."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    """Older than what is known: left alone."""
    rejected: list[Rejected] = field(default_factory=list)
    """What the database can't hold."""
    rows: dict[str, int] = field(default_factory=dict)
    """The primary key of each that is known now, by Trustist's ID in lower case."""


def write(
    invitations: Sequence[resources.Invitation],
    *,
    adopt: Mapping[str, int] | None = None,
    detailed: bool = False,
) -> Written:
    """Write what Trustist told, each as of when it was asked for.

    An invitation that isn't known yet belongs to the row that `adopt` names for its id; else to ours with its email,
    if we have asked for one, Trustist tells its email, and this is the only one with it. Otherwise it is a new row.
    `detailed` says that these were asked for one by one.
    """
    written = Written()
    fit: dict[str, resources.Invitation] = {}
    for invitation in invitations:
        if problem := _why_unfit(invitation):
            written.rejected.append(Rejected(id=invitation.id[:100].replace("\0", ""), reason=problem))
        else:
            fit[invitation.id.lower()] = invitation
    emails = Counter(email_key(each.email) for each in fit.values() if each.email)
    todo = list(fit.values())
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        written = retried(partial(_write, chunk, adopt or {}, emails, written, detailed=detailed))
    return written


def _write(
    invitations: Sequence[resources.Invitation],
    adopt: Mapping[str, int],
    emails: Mapping[str, int],
    before: Written,
    *,
    detailed: bool,
) -> Written:
    """Counts anew from `before`, so that a second try of the transaction counts nothing twice."""
    written = Written(
        before.created, before.updated, before.unchanged, before.stale, [*before.rejected], {**before.rows}
    )
    of_ours = Invitation.objects.select_for_update().filter(environment=conf.environment)
    known = {str(row.invitation_id).lower(): row for row in of_ours.of_id(*(each.id for each in invitations))}
    wanted = {email_key(each.email) for each in invitations if each.email and each.id.lower() not in known}
    holders = {row.email_key: row for row in of_ours.filter(email_key__in=wanted)} if wanted else {}
    for told in invitations:
        key = told.id.lower()
        row = known.get(key)
        if row is None:
            row = _adopted(told, adopt.get(key), holders, emails)
        if row is None:
            row = _new(told, holders, detailed=detailed)
            written.created += 1
        elif row.fetched_at and row.fetched_at > told.fetched_at:
            written.stale += 1
        else:
            changed = _set(row, told, detailed=detailed)
            _hold(row)
            row.save()
            written.updated += changed
            written.unchanged += not changed
        known[key] = row
        written.rows[key] = row.pk
    return written


def _adopted(
    told: resources.Invitation,
    pk: int | None,
    holders: Mapping[str | None, Invitation],
    emails: Mapping[str, int],
) -> Invitation | None:
    """Our own row that this turns out to be."""
    if pk is not None:
        row = Invitation.objects.select_for_update().filter(pk=pk, invitation_id=None).first()
    else:
        email = email_key(told.email or "")
        row = holders.get(email) if email and emails[email] == 1 else None
        if row is not None and (not _is_adoptable(row) or _of_email(email).at_trustist().exists()):
            row = None
    if row is not None:
        row.invitation_id = told.id
        for name, value in SETTLED.items():
            setattr(row, name, value)
    return row


def _is_adoptable(row: Invitation) -> bool:
    return row.invitation_id is None and row.delivery in ADOPTABLE


def _of_email(email: str) -> InvitationQuerySet:
    return Invitation.objects.of_this_environment().filter(email_lower=email)


def _hold(row: Invitation) -> None:
    """An email that was learned later belongs to it, if to nobody else."""
    if row.email_lower and row.email_key is None and not row.needs_person:
        taken = Invitation.objects.of_this_environment().filter(email_key=row.email_lower).exclude(pk=row.pk)
        row.email_key = None if taken.exists() else row.email_lower


def merge(ours: Invitation, found: Invitation) -> bool:
    """What was found at Trustist turns out to be ours, whose answer was lost: one row is left. False where it isn't so.

    `found` must be one that nobody asked for here.
    """
    with write_transaction():
        rows = Invitation.objects.select_for_update().in_bulk([ours.pk, found.pk])
        kept, gone = rows.get(ours.pk), rows.get(found.pk)
        if kept is None or gone is None or not _is_adoptable(kept):
            return False
        if gone.requested_at is not None or gone.invitation_id is None or gone.environment != kept.environment:
            return False
        gone.merchant_keys.update(invitation=kept)
        names = [
            "invitation_id", "status", "stage", "merchant_id", "opened_at", "completed_at", "extra", "fetched_at",
            "detailed_at", "missing_since", "keys_attempts", "keys_next_at", "keys_fetched_at", "keys_error",
        ]  # fmt: skip
        for name in names:
            setattr(kept, name, getattr(gone, name))
        kept.payment_types = gone.payment_types or kept.payment_types
        for name, value in SETTLED.items():
            setattr(kept, name, value)
        gone.delete()
        kept.save()
    return True


def _new(told: resources.Invitation, holders: dict[str | None, Invitation], *, detailed: bool) -> Invitation:
    row = Invitation(environment=conf.environment, invitation_id=told.id, delivery=Delivery.SENT)
    _set(row, told, detailed=detailed)
    key = row.email_lower or None
    holder = holders.get(key) if key else None
    if holder is None:
        row.email_key = key
    elif holder.delivery == Delivery.SENT:
        row.needs_person = True
        row.error = _("Trustist has more than one invitation for this email: is one of them too many?")
    row.save(force_insert=True)
    if row.email_key:
        holders[row.email_key] = row
    return row


def _set(row: Invitation, told: resources.Invitation, *, detailed: bool) -> bool:
    """Set what is told; whether anything differs. What isn't told stays as it is known."""
    values = _told(told, detailed=detailed) | _moved_on(row, told)
    differing = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in differing.items():
        setattr(row, name, value)
    row.fetched_at = told.fetched_at
    if detailed:
        row.detailed_at = told.fetched_at
    return bool(differing)


def _told(told: resources.Invitation, *, detailed: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"status": told.status, "missing_since": None}
    if told.name is not None:
        values["name"] = told.name
    if told.email:
        values |= {"email": told.email, "email_lower": email_key(told.email)}
    if told.payment_types is not None:
        values["payment_types"] = list(told.payment_types)
    if told.merchant_id is not None:
        values["merchant_id"] = told.merchant_id
    if told.extra or detailed:
        values["extra"] = _without_secrets(told.extra)
    return values


def _moved_on(row: Invitation, told: resources.Invitation) -> dict[str, Any]:
    stage = stage_of(told.status)
    values: dict[str, Any] = {"stage": stage}
    if stage == Stage.COMPLETE and row.stage != stage:
        # Now there should be keys: what was asked before this counts no more.
        values |= {"keys_attempts": 0, "keys_next_at": None}
    if stage in {Stage.OPENED, Stage.COMPLETE} and row.opened_at is None:
        values["opened_at"] = told.fetched_at
    if stage == Stage.COMPLETE and row.completed_at is None:
        values["completed_at"] = told.fetched_at
    return values


def _without_secrets(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Nobody knows what is in fields that aren't published: what is named like a secret isn't kept."""
    kept: dict[str, Any] = json.loads(Secrets().hide(json.dumps(dict(extra), ensure_ascii=False)))
    return kept


def _why_unfit(told: resources.Invitation) -> str | None:
    for name, limit in _LENGTHS.items():
        text = getattr(told, name) or ""
        if len(text) > limit:
            return _("%(field)s has %(length)d characters, and %(limit)d fit here") % {
                "field": name, "length": len(text), "limit": limit,
            }  # fmt: skip
    texts = [told.id, told.status, told.name or "", told.email or "", told.merchant_id or ""]
    if any("\0" in text for text in [*texts, *(told.payment_types or ())]):
        return _("it has a NUL character in it")
    return None


def mark_missing(invitation: Invitation, *, asked_at: datetime) -> bool:
    """Trustist no longer knows it. False where something newer is known."""
    return bool(
        Invitation.objects.filter(pk=invitation.pk, missing_since=None, fetched_at__lte=asked_at).update(
            missing_since=asked_at, fetched_at=asked_at
        )
    )


# --- keys


def write_keys(invitation: Invitation, keys: Sequence[resources.MerchantKey], *, asked_at: datetime) -> int | None:
    """Keep these keys, and those no longer told as former ones. Returns how many are new; None for an older answer.

    None told at all may mean "not yet", and ends no key that is known. Raises EncryptionKeysError.
    """
    with write_transaction():
        row = Invitation.objects.select_for_update().get(pk=invitation.pk)
        if row.keys_fetched_at and row.keys_fetched_at > asked_at:
            return None
        if not keys:
            return 0
        known = {_opened(key): key for key in row.merchant_keys.current()}
        told = {_compared(key.item): dict(key.item) for key in keys}
        now = timezone.now()
        still = [key.pk for text, key in known.items() if text in told]
        row.merchant_keys.current().exclude(pk__in=still).update(until=now)
        MerchantKey.objects.filter(pk__in=still).update(seen_at=now)
        new = [
            MerchantKey(invitation=row, sealed=sealed_item(item), since=now, seen_at=now)
            for text, item in told.items()
            if text not in known
        ]
        MerchantKey.objects.bulk_create(new)
        Invitation.objects.filter(pk=row.pk).update(keys_fetched_at=asked_at)
        return len(new)


def _compared(item: Mapping[str, Any]) -> str:
    return json.dumps(dict(item), sort_keys=True)


def _opened(key: MerchantKey) -> str:
    """For comparing. One that can't be decrypted is like none that is told: Trustist has it, so it is kept anew."""
    try:
        return _compared(key.item)
    except UndecryptableError as error:
        logger.error("%s It is kept as a former one.", error)  # noqa: TRY400 - its frames hold what was sealed
        return f"unreadable {key.pk}"
