"""Who is asking Truss for what, and until when nobody else may."""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import timeline
from truss_portal.conf import conf
from truss_portal.database import write_transaction
from truss_portal.models import Operation, PaymentIntent, TimelineEntry

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery

# Besides the timeouts of the request itself: longer than it may wait for its turn.
CLAIM: Final = timedelta(minutes=10)
# What would be there twice if it were asked again after its answer was lost: an invoice, an email.
NEVER_REPEATED: Final = frozenset({Kind.CREATE, Kind.RESEND_EMAIL})


@contextmanager
def invoices_locked(operations: Collection[int]) -> Iterator[None]:
    """A write transaction that takes the invoices before their operations, as `mirror` and `actions` do.

    In the other order each could hold what the other one waits for.
    """
    with write_transaction():
        theirs = Operation.objects.filter(pk__in=operations).values("payment_intent_id")
        list(PaymentIntent.objects.select_for_update().filter(pk__in=theirs).order_by("pk").values_list("pk"))
        yield


def claim(ids: Collection[int]) -> list[Operation]:
    """Take those of these operations that still wait; of two who try, one gets each. What asking needs is loaded."""
    if not ids:
        return []
    token = secrets.token_hex(16)
    now = timezone.now()
    until = now + CLAIM + timedelta(seconds=sum(conf.timeout))
    with invoices_locked(ids):
        Operation.objects.filter(pk__in=ids, state=State.QUEUED).update(
            state=State.SENDING,
            claim_token=token,
            claimed_until=until,
            attempts=F("attempts") + 1,
            next_attempt_at=None,
            error="",
        )
        related = ("company", "contact", "payment_intent__company", "payment_intent__contact")
        taken = list(Operation.objects.filter(claim_token=token).select_related(*related).order_by("pk"))
        intents = [(operation.kind, operation.payment_intent.pk) for operation in taken if operation.payment_intent]
        creates = [pk for kind, pk in intents if kind == Kind.CREATE]
        looks = [pk for kind, pk in intents if kind != Kind.CREATE]
        if creates:
            PaymentIntent.objects.filter(pk__in=creates).update(delivery=Delivery.SENDING)
        if looks:
            # They are read back afterwards: a listing must know that an older answer may be on its way.
            PaymentIntent.objects.filter(pk__in=looks).update(asked_at=now)
    return taken


def supersede(operation: Operation) -> bool:
    """Leave out what somebody has asked to be otherwise since then; True when nothing is left to ask for.

    An attempt that failed comes again minutes later, and must not undo a newer change that went through at once.
    """
    if operation.kind in {Kind.CREATE, Kind.CANCEL}:
        return False
    newer = Operation.objects.filter(
        kind=operation.kind,
        payment_intent=operation.payment_intent_id,
        contact=operation.contact_id,
        pk__gt=operation.pk,
    ).exclude(state=State.REFUSED)
    taken_over = {name for body in newer.values_list("body", flat=True) for name in body}
    operation.body = {name: value for name, value in operation.body.items() if name not in taken_over}
    if operation.body or not taken_over:
        return False
    text = _("A newer change has taken its place; Truss was not asked for this one.")
    Operation.objects.filter(pk=operation.pk).update(
        state=State.DONE, claimed_until=None, finished_at=timezone.now(), error=text
    )
    return True


def release(operation: Operation) -> None:
    """Give back what was claimed and surely not asked for."""
    with invoices_locked([operation.pk]):
        mine = Operation.objects.filter(pk=operation.pk, state=State.SENDING, claim_token=operation.claim_token)
        if mine.update(state=State.QUEUED, claimed_until=None, claim_token="", attempts=F("attempts") - 1):
            mine_too = PaymentIntent.objects.filter(operations=operation.pk, delivery=Delivery.SENDING)
            mine_too.update(delivery=Delivery.QUEUED)


def recover(now: datetime | None = None) -> int:
    """Take up what a process left `sending` when it died. Returns how many.

    Whether Truss got the request is not known: what is never repeated becomes unconfirmed, the others wait to be
    asked again.
    """
    now = now or timezone.now()
    left = Operation.objects.filter(state=State.SENDING, claimed_until__lt=now).select_related("payment_intent")
    count = 0
    for operation in left:
        text = _("The process that was asking Truss ended before the answer came.")
        with invoices_locked([operation.pk]):
            mine = Operation.objects.filter(pk=operation.pk, state=State.SENDING, claimed_until=operation.claimed_until)
            if operation.kind in NEVER_REPEATED:
                taken = mine.update(state=State.UNCONFIRMED, claimed_until=None, unconfirmed_at=now, error=text)
                if taken:
                    note_create(operation, Delivery.UNCONFIRMED, TimelineEntry.Kind.UNCONFIRMED, text)
            else:
                taken = mine.update(state=State.QUEUED, claimed_until=None, next_attempt_at=now, error=text)
        count += taken
    return count


def note_create(operation: Operation, delivery: Delivery, kind: TimelineEntry.Kind | None, why: str) -> None:
    """Show on the invoice what became of its create, unless Truss turned out to have it."""
    intent = operation.payment_intent
    if operation.kind != Kind.CREATE or intent is None:
        return
    PaymentIntent.objects.filter(pk=intent.pk, uid=None).update(delivery=delivery, delivery_error=why)
    if kind is not None:
        timeline.record(intent, kind, actor_id=operation.requested_by_id, reason=why)
