"""Ask for one thing about many invoices at once: a batch, of which each is asked for, or left out with the reason."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from truss_portal import contacts, tasks, timeline
from truss_portal.client import InvalidRequestError
from truss_portal.database import alias, write_transaction
from truss_portal.models import Batch, Operation, PaymentIntent, TimelineEntry

from .changing import lost_emails, why_not_cancelable, why_not_refreshable, why_not_resendable
from .drafting import validate
from .recording import Actor, new_operation, pk_of, see_to

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery
LeftOut = Sequence[Any]
"""An invoice by primary key, its name, and the reason, for people."""

# Invoices locked and written together: few enough that nobody waits long for one of them.
TOGETHER: Final = 500
_WHY_NOT: Final[dict[str, Callable[[PaymentIntent], str | None]]] = {
    Kind.CANCEL: why_not_cancelable,
    Kind.RESEND_EMAIL: why_not_resendable,
    Kind.REFRESH: why_not_refreshable,
}


def why_not_each(kind: Kind, intents: Collection[PaymentIntent]) -> dict[int, str]:
    """Of these invoices (with company, contact and transactions at hand) those that `kind` can't be asked for.

    With the reason, for people, by primary key. CREATE, CANCEL, RESEND_EMAIL and REFRESH can be asked for many at once.
    """
    if kind != Kind.CREATE:
        why_not = _WHY_NOT[kind]
        reasons = {intent.pk: reason for intent in intents if (reason := why_not(intent))}
        return (lost_emails(intents) if kind == Kind.RESEND_EMAIL else {}) | reasons
    sendable = [intent for intent in intents if intent.is_editable and not intent.discovered]
    traps = contacts.same_name_traps([intent.contact for intent in sendable if intent.contact])
    return {intent.pk: reason for intent in intents if (reason := _why_not_created(intent, traps))}


def _why_not_created(intent: PaymentIntent, traps: dict[int, str]) -> str | None:
    if intent.discovered:
        return _("Made at Truss: there is nothing to send.")
    if intent.delivery == Delivery.UNCONFIRMED:
        return _("Sent already, and Truss's answer was lost: the next complete sync shows whether it is there.")
    if intent.delivery == Delivery.QUEUED:
        return None
    if not intent.is_editable:
        return _("Sent already.") if intent.uid else _("Being sent already.")
    if intent.contact_id in traps:
        return traps[intent.contact_id]
    try:
        validate(intent)
    except InvalidRequestError as error:
        return " ".join(f"{found}." for found in error.errors)
    return None


def ask_for_many(
    kind: Kind,
    payment_intents: Iterable[int],
    *,
    left_out: Sequence[LeftOut] = (),
    actor: Actor = None,
    wait: bool = True,
    confirmation: str | None = None,
) -> Batch:
    """Record one wish for each of these invoices, by primary key, and have them carried out.

    Those that it can't be asked for are left out, with the reason, in the batch's `left_out`, where those come first
    that the caller has left out: primary key, name, reason. One that waits already is not asked for twice: it joins
    this batch, and the one that it was in says so. Without `wait` the wishes are only recorded, for `truss_push`.

    The same `confirmation`, of up to 32 characters, always gives the same batch: given again, nothing is asked.
    """
    chosen = sorted(set(payment_intents))
    known = [list(each) for each in left_out]
    columns = {
        "kind": kind,
        "requested_by_id": pk_of(actor),
        "chosen": len(chosen) + len(known),
        "left_out": known,
    }
    if confirmation is None:
        batch = Batch.objects.create(**columns)
    else:
        batch, new = Batch.objects.get_or_create(confirmation=confirmation, defaults=columns)
        if not new:
            return batch
    for start in range(0, len(chosen), TOGETHER):
        with write_transaction():
            recorded = _record_together(batch, kind, chosen[start : start + TOGETHER], actor)
            if wait:
                transaction.on_commit(lambda ids=recorded: tasks.wake_outbox(ids), using=alias())  # type: ignore[misc]
    batch.refresh_from_db()
    return batch


def _record_together(batch: Batch, kind: Kind, chosen: list[int], actor: Actor) -> list[int]:
    rows = PaymentIntent.objects.filter(pk__in=chosen).order_by("pk")
    list(rows.select_for_update().values_list("pk"))
    intents = list(rows.select_related("company", "contact").prefetch_related("transactions"))
    joined = _join(batch, kind, intents)
    others = [intent for intent in intents if intent.pk not in joined]
    reasons = why_not_each(kind, others)
    asked = [intent for intent in others if intent.pk not in reasons]
    see_to(Operation.objects.filter(payment_intent__in=[intent.pk for intent in asked]), kind)
    body: dict[str, Any] = {"resend_email": True} if kind == Kind.RESEND_EMAIL else {}
    operations = [new_operation(intent, kind, actor, body) for intent in asked]
    for operation in operations:
        operation.batch = batch
    Operation.objects.bulk_create(operations)
    if kind == Kind.CREATE:
        PaymentIntent.objects.filter(pk__in=[intent.pk for intent in asked]).update(
            delivery=Delivery.QUEUED, delivery_error=""
        )
        queued = TimelineEntry.Kind.QUEUED
        timeline.write(timeline.entry(i, queued, actor_id=pk_of(actor), total=i.total) for i in asked)
    _leave_out({batch.pk: [(i.pk, str(i), reasons[i.pk]) for i in others if i.pk in reasons]})
    return list(Operation.objects.filter(batch=batch, payment_intent__in=chosen).values_list("pk", flat=True))


def _join(batch: Batch, kind: Kind, intents: Collection[PaymentIntent]) -> set[int]:
    """Take over what waits for these already, due at once. Returns what isn't to be asked for anew.

    Whatever a batch has lost, or couldn't take over, it counts among what it has left out: nothing vanishes from it.
    """
    names = {intent.pk: str(intent) for intent in intents}
    left_out: dict[int, list[LeftOut]] = {}
    under_way = Operation.objects.filter(payment_intent__in=names, kind=kind).under_way().order_by("pk")
    taken: list[int] = []
    joined: set[int] = set()
    for pk, intent, state, other in under_way.values_list("pk", "payment_intent_id", "state", "batch_id"):
        joined.add(intent)
        if state == State.SENDING:
            text = _("Truss was being asked for it at that moment.")
            left_out.setdefault(batch.pk, []).append((intent, names[intent], text))
            continue
        taken.append(pk)
        if other is not None:
            text = _("Somebody asked for it again before its turn had come: see batch %(number)s.")
            left_out.setdefault(other, []).append((intent, names[intent], text % {"number": batch.pk}))
    Operation.objects.filter(pk__in=taken).update(batch=batch, next_attempt_at=None)
    _leave_out(left_out)
    return joined


def _leave_out(more: dict[int, list[LeftOut]]) -> None:
    """Write these to the batches' `left_out`. Locked, and read anew: two may be adding to one."""
    batches = Batch.objects.select_for_update().filter(pk__in=[pk for pk, rows in more.items() if rows])
    for batch in batches.order_by("pk"):
        batch.left_out += [list(row) for row in more[batch.pk]]
        batch.save(update_fields=["left_out"])
