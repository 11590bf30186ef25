"""What happened to an invoice, for people and for signals.

An entry is written in the same transaction as the change. Its signal is sent after the commit, and stays due until
every receiver has taken it: what a dying process left is delivered by the next command.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from truss_portal import signals
from truss_portal.database import alias
from truss_portal.models import PaymentIntent, TimelineEntry

logger = logging.getLogger("truss_portal.timeline")

Kind = TimelineEntry.Kind

SIGNALS: Final[dict[str, Signal]] = {
    Kind.SENT: signals.payment_intent_sent,
    Kind.PAYMENT_RECEIVED: signals.payment_received,
    Kind.PAID: signals.payment_intent_paid,
    Kind.CANCELED: signals.payment_intent_canceled,
    Kind.PAYMENT_RETURNED: signals.payment_returned,
    Kind.PAYER_RETURNED: signals.payer_returned,
}

# So often a receiver that failed is told again by whatever runs next; from then on with growing pauses.
SOON: Final = 3
SHORTEST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=6)

# What receivers in this process are just being told: one that syncs must not be told of the same again, and again.
_being_told: set[int] = set()


def entry(
    intent: PaymentIntent,
    kind: Kind,
    *,
    actor_id: Any = None,
    at: datetime | None = None,
    quiet: bool = False,
    **data: Any,
) -> TimelineEntry:
    """An entry, not yet written.

    A `quiet` one sends no signal: it tells of a time before the invoice was known here.
    """
    return TimelineEntry(
        payment_intent=intent,
        kind=kind,
        at=at or timezone.now(),
        actor_id=actor_id,
        data={key: str(value) for key, value in data.items() if value is not None},
        signal_due=not quiet and kind in SIGNALS,
    )


def write(entries: Iterable[TimelineEntry]) -> None:
    """Write entries in the transaction that makes the change; send their signals once it is committed."""
    written = TimelineEntry.objects.bulk_create(entries)
    due = [entry for entry in written if entry.signal_due]
    if due:
        transaction.on_commit(lambda: _deliver(due), using=alias())


def record(intent: PaymentIntent, kind: Kind, **details: Any) -> None:
    """Write one entry; see `entry` for the arguments."""
    write([entry(intent, kind, **details)])


def deliver_due(limit: int = 1000) -> int:
    """Send the signals that an earlier process owed. Returns how many were taken by all their receivers."""
    now = timezone.now()
    taken = 0
    for due in TimelineEntry.objects.undelivered(now).select_related("payment_intent__company")[:limit]:
        if due.pk in _being_told:
            continue
        mine = TimelineEntry.objects.filter(pk=due.pk, signal_due=True, signal_attempts=due.signal_attempts)
        due.signal_attempts += 1
        # Of two processes that are at this one tells. Should it die, the next one may try a minute later.
        if mine.update(signal_attempts=due.signal_attempts, signal_after=now + SHORTEST_PAUSE):
            taken += _deliver([due])
    return taken


def _deliver(entries: Iterable[TimelineEntry]) -> int:
    taken = []
    for due in entries:
        if due.pk in _being_told:
            continue
        signal = SIGNALS.get(due.kind)
        if signal is None or not signal.has_listeners(PaymentIntent):
            taken.append(due.pk)
            continue
        # Receivers see the row as it is now, not as the writer of the entry held it.
        intent = PaymentIntent.objects.select_related("company", "contact").filter(pk=due.payment_intent_id).first()
        if intent is None:
            continue
        _being_told.add(due.pk)
        try:
            answers = signal.send_robust(sender=PaymentIntent, payment_intent=intent, entry=due)
        finally:
            _being_told.discard(due.pk)
        failed = [(receiver, answer) for receiver, answer in answers if isinstance(answer, Exception)]
        for receiver, error in failed:
            logger.error(
                "A receiver of “%s” failed for invoice %s and will be told again: %r",
                due.kind,
                intent,
                receiver,
                exc_info=error,
            )
        if failed:
            TimelineEntry.objects.filter(pk=due.pk).update(signal_after=timezone.now() + _pause(due.signal_attempts))
        else:
            taken.append(due.pk)
    if taken:
        TimelineEntry.objects.filter(pk__in=taken).update(signal_due=False)
    return len(taken)


def _pause(attempts: int) -> timedelta:
    """Before a receiver that failed is told again: at first the next command does it, then less and less often."""
    if attempts < SOON:
        return timedelta(0)
    pause: timedelta = min(SHORTEST_PAUSE * 2 ** (attempts - SOON), LONGEST_PAUSE)
    return pause
