"""Who is asking Truss for what, and until when nobody else may."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import timeline
from truss_portal.conf import conf
from truss_portal.database import new_claim_token, write_transaction
from truss_portal.models import Contact, Operation, PaymentIntent, TimelineEntry

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery

# Besides the timeouts of the request itself: longer than it may wait for its turn.
CLAIM: Final = timedelta(minutes=10)
# Then it is a person's. With the pauses in between that is about three days without an answer.
MOST_ATTEMPTS: Final = 75
# For a look, about a quarter of an hour: the next sync looks anyway.
MOST_LOOKS: Final = 5
GIVEN_UP: Final = {
    "state": State.GIVEN_UP, "claimed_until": None, "open_create_of": None, "needs_person": True,
}  # fmt: skip
# What would be there twice if it were asked again after its answer was lost: an invoice, an email.
NEVER_REPEATED: Final = frozenset({Kind.CREATE, Kind.RESEND_EMAIL})
# Of these the last one to arrive counts.
IN_ORDER: Final = frozenset({Kind.AMEND, Kind.UPDATE_CONTACT})


def most_attempts(kind: str) -> int:
    """After so many tries it isn't asked for again by itself."""
    return MOST_LOOKS if kind == Kind.REFRESH else MOST_ATTEMPTS


def given_up(kind: str) -> dict[str, Any]:
    """The columns of what isn't asked for any more. A look that failed has changed nothing, and needs nobody."""
    return GIVEN_UP | {"needs_person": kind != Kind.REFRESH}


@contextmanager
def invoices_locked(operations: Collection[int], *, payers: bool = False) -> Iterator[None]:
    """A write transaction that takes the invoices before their operations, as `mirror` and `actions` do.

    With `payers`, those that are to be changed come before the invoices, as in `mirror`. In another order each could
    hold what the other one waits for.
    """
    with write_transaction():
        if payers:
            changed = Operation.objects.filter(pk__in=operations, contact__isnull=False).values("contact_id")
            list(Contact.objects.select_for_update().filter(pk__in=changed).order_by("pk").values_list("pk"))
        theirs = Operation.objects.filter(pk__in=operations).values("payment_intent_id")
        list(PaymentIntent.objects.select_for_update().filter(pk__in=theirs).order_by("pk").values_list("pk"))
        yield


def waiting(operations: QuerySet[Operation], now: datetime) -> QuerySet[Operation]:
    """Those of them that wait and are due."""
    return operations.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=now), state=State.QUEUED)


def claim(ids: Collection[int]) -> list[Operation]:
    """Take those of these operations that still wait and are due; of two who try, one gets each.

    What asking needs is loaded. What concerns an invoice or a payer that is being asked about goes on waiting: two
    changes of one invoice that were on their way together could arrive in either order. So does a change of what an
    older one changes whose answer was lost within the grace period: that one may still be on its way. A look waits for
    nothing, and nothing for it: of two answers the one that was asked for later stays, whichever comes first.
    """
    if not ids:
        return []
    token = new_claim_token()
    now = timezone.now()
    until = now + CLAIM + timedelta(seconds=sum(conf.timeout))
    with invoices_locked(ids, payers=True):
        free = _without_followers(_without_busy(waiting(Operation.objects.filter(pk__in=ids), now)), now)
        Operation.objects.filter(pk__in=free, state=State.QUEUED).update(
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


def _without_busy(operations: QuerySet[Operation]) -> list[Operation]:
    """Those of them whose invoice or payer nobody is changing, one for each; and all that only look."""
    asked = list(operations.order_by("pk").only("kind", "payment_intent_id", "contact_id", "body"))
    wanted = [operation for operation in asked if operation.kind != Kind.REFRESH]
    payers = {operation.contact_id for operation in wanted if operation.contact_id}
    intents = {operation.payment_intent_id for operation in wanted if operation.payment_intent_id}
    asking = Operation.objects.filter(state=State.SENDING).exclude(kind=Kind.REFRESH)
    busy: set[tuple[int | None, int | None]] = set()
    if intents:
        busy |= set(asking.filter(payment_intent__in=intents).values_list("payment_intent_id", "contact_id"))
    if payers:
        busy |= set(asking.filter(contact__in=payers).values_list("payment_intent_id", "contact_id"))
    free = [operation for operation in asked if operation.kind == Kind.REFRESH]
    for operation in wanted:
        subject = (operation.payment_intent_id, operation.contact_id)
        if subject not in busy:
            busy.add(subject)
            free.append(operation)
    return free


def _without_followers(operations: list[Operation], now: datetime) -> list[int]:
    """Those of them that follow no change that may still arrive; the others are put off until it can't any more.

    Look for who is asking before: whoever was, and got no answer, is found here.
    """
    changes = [operation for operation in operations if operation.kind in IN_ORDER]
    grace = timedelta(seconds=conf.unconfirmed_grace)
    put_off: set[int] = set()
    if changes:
        text = _("An earlier change may still arrive, as its answer was lost: this one waits until it can't any more.")
        intents = [operation.payment_intent_id for operation in changes if operation.payment_intent_id]
        payers = [operation.contact_id for operation in changes if operation.contact_id]
        lost = Operation.objects.filter(Q(payment_intent__in=intents) | Q(contact__in=payers), kind__in=IN_ORDER)
        for older in lost.filter(unconfirmed_at__gt=now - grace).order_by("unconfirmed_at"):
            following = [operation.pk for operation in changes if _follows(operation, older)]
            if following and older.unconfirmed_at:
                until = older.unconfirmed_at + grace
                Operation.objects.filter(pk__in=following).update(next_attempt_at=until, error=text)
                put_off.update(following)
    return [operation.pk for operation in operations if operation.pk not in put_off]


def _follows(operation: Operation, older: Operation) -> bool:
    """Whether it changes something that the older one changes too."""
    same = (operation.kind, operation.payment_intent_id, operation.contact_id)
    return (
        operation.pk > older.pk
        and same == (older.kind, older.payment_intent_id, older.contact_id)
        and bool(operation.body.keys() & older.body.keys())
    )


def supersede(operation: Operation) -> bool:
    """Leave out what somebody has asked to be otherwise since then; True when nothing is left to ask for.

    An attempt that failed comes again minutes later, and must not undo a newer change that went through at once.
    """
    if operation.kind in {Kind.CREATE, Kind.CANCEL, Kind.REFRESH}:
        return False
    newer = Operation.objects.filter(
        kind=operation.kind,
        payment_intent=operation.payment_intent_id,
        contact=operation.contact_id,
        pk__gt=operation.pk,
    ).exclude(state__in=[State.REFUSED, State.WITHDRAWN])
    taken_over = {name for body in newer.values_list("body", flat=True) for name in body}
    operation.body = {name: value for name, value in operation.body.items() if name not in taken_over}
    if operation.body or not taken_over:
        return False
    text = _("A newer change has taken its place; Truss was not asked for this one.")
    Operation.objects.filter(pk=operation.pk).update(
        state=State.DONE, claimed_until=None, finished_at=timezone.now(), error=text
    )
    return True


def release(operation: Operation, not_before: datetime | None = None) -> None:
    """Give back what was claimed and surely not asked for."""
    with invoices_locked([operation.pk]):
        mine = Operation.objects.filter(pk=operation.pk, state=State.SENDING, claim_token=operation.claim_token)
        given_back = {"claimed_until": None, "claim_token": "", "next_attempt_at": not_before}
        if mine.update(state=State.QUEUED, attempts=F("attempts") - 1, **given_back):
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
                # A create is settled by a listing. Whether an email went out no listing tells.
                person = operation.kind != Kind.CREATE
                taken = mine.update(
                    state=State.UNCONFIRMED, claimed_until=None, unconfirmed_at=now, error=text, needs_person=person
                )
                if taken:
                    note_create(operation, Delivery.UNCONFIRMED, TimelineEntry.Kind.UNCONFIRMED, text)
            elif operation.attempts >= most_attempts(operation.kind):
                taken = mine.update(
                    error=text, **given_up(operation.kind) | {"unconfirmed_at": now, "finished_at": now}
                )
            else:
                taken = mine.update(
                    state=State.QUEUED, claimed_until=None, next_attempt_at=now, unconfirmed_at=now, error=text
                )
        count += taken
    return count


def note_create(
    operation: Operation, delivery: Delivery, kind: TimelineEntry.Kind | None, why: str, *, actor_id: Any = None
) -> None:
    """Show on the invoice what became of its create, unless Truss turned out to have it."""
    intent = operation.payment_intent
    if operation.kind != Kind.CREATE or intent is None:
        return
    PaymentIntent.objects.filter(pk=intent.pk, uid=None).update(delivery=delivery, delivery_error=why)
    if kind is not None:
        timeline.record(intent, kind, actor_id=actor_id or operation.requested_by_id, reason=why)
