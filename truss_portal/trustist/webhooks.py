"""Be told: an event arrives and is stored; later somebody looks at Trustist because of it.

Nothing is signed, so an event proves nothing and changes nothing: it causes a look. That of a merchant's payment can't
even be looked up: it is noted as not confirmed, and nothing is booked on its strength.
"""

import hashlib
import json
import logging
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from truss_portal.client.redaction import Secrets
from truss_portal.database import alias, write_transaction
from truss_portal.exceptions import EncryptionKeysError, NotConnectedError
from truss_portal.plain_words import told as in_words
from truss_portal.trustist import mirror, sync
from truss_portal.trustist.client import (
    Event,
    HeldBackError,
    InvalidRequestError,
    InvitationStatusChanged,
    NotAuthenticatedError,
    NotFoundError,
    PaymentStatusChanged,
    TrustistClient,
    TrustistError,
    UnreadableError,
    parse_event,
)
from truss_portal.trustist.conf import conf
from truss_portal.trustist.connection import connect
from truss_portal.trustist.exceptions import WebhookUnreadableError
from truss_portal.trustist.models import Invitation, WebhookEvent

logger = logging.getLogger("truss_portal.trustist.webhooks")

State = WebhookEvent.State

# Bytes. An event has a few hundred.
BODY_MAX: Final = 32 * 1024
CLAIM: Final = timedelta(minutes=10)
ATTEMPTS: Final = 10
# After a failure: 1, 2, 4 … minutes.
BACKOFF: Final = timedelta(minutes=1)
LONGEST_BACKOFF: Final = timedelta(hours=1)
STOP_AFTER: Final = 3
# So many events are processed while Trustist waits for our answer.
WHILE_WAITING: Final = 3


def is_token(given: str) -> bool:
    """Whether this is the end of our webhook's address. However wrong it is, it takes the same time."""
    found = False
    for token in conf.webhook_tokens:
        found |= bool(token) and constant_time_compare(token, given)
    return found


# --- receive


def receive(body: bytes) -> bool:
    """Store the event. True when there is something to process. Raises WebhookUnreadableError."""
    try:
        event = parse_event(body)
        row = _row(event)
    except UnreadableError as error:
        raise WebhookUnreadableError(_("This webhook can't be read: %(problem)s.") % {"problem": error}) from None
    known = WebhookEvent.objects.filter(environment=row.environment, key=row.key)
    if not known.exists():
        try:
            with transaction.atomic(using=alias()):
                row.save(force_insert=True)
        except IntegrityError:
            logger.debug("The same event arrived in another process at this moment.")
        else:
            return row.state == State.WAITING
    return _received_again(row)


def _received_again(row: WebhookEvent) -> bool:
    """A repeat is counted. Of another time it may tell of something new, and a failed one is worth another try."""
    known = WebhookEvent.objects.filter(environment=row.environment, key=row.key)
    with write_transaction():
        known.update(times=F("times") + 1)
        if row.state != State.WAITING:
            return False
        later = Q(told_at__lt=row.told_at) if row.told_at else Q(pk=None)
        due = known.filter(~Q(state=State.PROCESSED) | later)
        # Whoever is at it has begun to look before this was told.
        again = {"state": State.WAITING, "next_attempt_at": None, "claimed_until": None, "processed_at": None}
        told_at = {"told_at": row.told_at} if row.told_at else {}
        return bool(due.update(attempts=0, **again, **told_at))


def _row(event: Event) -> WebhookEvent:
    """Raises UnreadableError for what the database can't hold."""
    row = WebhookEvent(environment=conf.environment, kind=event.event_type, payload=_without_secrets(event.extra))
    if isinstance(event, InvitationStatusChanged | PaymentStatusChanged):
        row.status, row.merchant_id = event.status, event.merchant_id or ""
        key: Any = event.key
        if isinstance(event, InvitationStatusChanged):
            row.subject_id, row.told_at = event.invitation_id, event.updated
        else:
            row.subject_id, row.told_at, row.amount = event.payment_id, event.created, _fitting(event.amount)
            row.state = State.NOTED
    else:
        key = [event.event_type, row.payload]
        row.state, row.error = State.NOTED, _("An event of this kind isn't published: nothing is done about it.")
    for name in ("kind", "subject_id", "status", "merchant_id"):
        limit = getattr(WebhookEvent._meta.get_field(name), "max_length", 0)
        if len(getattr(row, name)) > limit:
            raise UnreadableError(_("%(field)s is too long") % {"field": name})
    row.key = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
    return row


def _fitting(amount: Decimal | None) -> Decimal | None:
    return amount if amount is not None and abs(amount) < 10**12 else None


def _without_secrets(extra: Any) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(Secrets().hide(json.dumps(dict(extra), ensure_ascii=False)))
    return kept


# --- process


@dataclass(slots=True)
class Processed:
    """What a run did, counted in events."""

    processed: int = 0
    failed: int = 0
    """To be tried again later."""
    given_up: int = 0
    problems: list[str] = field(default_factory=list)


def process(*, hurried: bool = False) -> Processed:
    """Look at Trustist for every event that is due, once for each invitation. Never raises for what Trustist answers.

    A `hurried` run takes a few and waits for no slow answer. Raises NotConfiguredError where something is due and the
    settings don't suffice.
    """
    report = Processed()
    due = WebhookEvent.objects.filter(environment=conf.environment)
    if not due.due(timezone.now()).exists():
        return report
    failures = looks = 0
    with connect(hurried=hurried) as client:
        while failures < STOP_AFTER and not (hurried and looks >= WHILE_WAITING):
            events = _claim()
            if not events:
                break
            looks += 1
            try:
                note = _look(events[0].subject_id, client)
            except (TrustistError, NotConnectedError) as error:
                failures = STOP_AFTER if isinstance(error, HeldBackError | NotAuthenticatedError) else failures + 1
                _fail(events, error, report)
            else:
                failures = 0
                _settle(events, note, report)
    return report


def _claim() -> list[WebhookEvent]:
    """All that is due about the next invitation: one look settles it. Of two who try, one gets each."""
    now = timezone.now()
    until = now + CLAIM + timedelta(seconds=sum(conf.timeout))
    due = WebhookEvent.objects.filter(environment=conf.environment).due(now)
    with write_transaction():
        first = due.select_for_update().first()
        if first is None:
            return []
        events = list(due.select_for_update().about(first.subject_id))
        taken = [event.pk for event in events]
        WebhookEvent.objects.filter(pk__in=taken).update(claimed_until=until, attempts=F("attempts") + 1)
    for event in events:
        event.claimed_until, event.attempts = until, event.attempts + 1
    return events


def _look(invitation_id: str, client: TrustistClient) -> str:
    """A note for the event, mostly empty. Raises TrustistError."""
    known = Invitation.objects.of_this_environment().of_id(invitation_id).first()
    try:
        if known is not None:
            sync.refresh(known, client)
        else:
            written = mirror.write([client.fetch_invitation(invitation_id)], detailed=True)
            if written.rejected:
                return written.rejected[0].reason
            new = Invitation.objects.get(pk=written.rows[invitation_id.lower()])
            if new.stage == Invitation.Stage.COMPLETE:
                sync.refresh(new, client)
    except NotFoundError:
        return _("Trustist doesn't know this invitation.")
    except InvalidRequestError as error:
        return in_words(error)
    except EncryptionKeysError as error:
        # It stands on the invitation, and the next sync asks for the keys again.
        return str(error)
    return ""


def _settle(events: list[WebhookEvent], note: str, report: Processed) -> None:
    report.processed += _ours(events).update(
        state=State.PROCESSED, processed_at=timezone.now(), claimed_until=None, next_attempt_at=None, error=note
    )


def _fail(events: list[WebhookEvent], why: Exception, report: Processed) -> None:
    text = in_words(why)
    for event in events:
        again = event.attempts < ATTEMPTS
        state = State.WAITING if again else State.GIVEN_UP
        values = {"claimed_until": None, "state": state, "error": text, "next_attempt_at": _next(event, why)}
        if _ours([event]).update(**values):
            report.failed += again
            report.given_up += not again
    report.problems.append(f"{events[0]}: {text}")
    logger.warning("Trustist webhook %s: %s", events[0], why)


def _next(event: WebhookEvent, why: Exception) -> datetime:
    pause: timedelta = min(BACKOFF * 2 ** max(event.attempts - 1, 0), LONGEST_BACKOFF)
    pause *= random.uniform(0.5, 1)  # noqa: S311 - not for secrets
    return timezone.now() + max(pause, timedelta(seconds=getattr(why, "retry_after", None) or 0))


def _ours(events: list[WebhookEvent]) -> Any:
    """Of these, those that nobody has taken over because our time was up, nor heard of anew meanwhile."""
    ids = [event.pk for event in events]
    return WebhookEvent.objects.filter(pk__in=ids, claimed_until=events[0].claimed_until)
