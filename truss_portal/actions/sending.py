"""Send: one invoice, or many things at once."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from truss_portal import contacts, tasks, timeline
from truss_portal.client import InvalidRequestError
from truss_portal.database import alias, write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Batch, Operation, PaymentIntent, TimelineEntry

from .changing import why_not_cancelable, why_not_resendable
from .drafting import validate
from .recording import Actor, lock, new_operation, pk_of, record, under_way, wake

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery

# Invoices locked and written together: few enough that nobody waits long for one of them.
TOGETHER: Final = 500


def why_not_sendable(intent: PaymentIntent) -> str | None:
    """Why `send` would refuse this invoice, for people; None when it wouldn't."""
    if intent.discovered:
        return _("Invoice %(invoice)s was made at Truss: there is nothing to send.") % {"invoice": intent}
    return contacts.same_name_trap(intent.contact) if intent.contact else None


def send(intent: PaymentIntent, *, actor: Actor = None, wait: bool = True) -> Operation:
    """Create the invoice at Truss. One that is on its way, unconfirmed or there already is not sent again.

    Returns the operation that stands for it. With the immediate task backend `intent` is up to date once the
    surrounding transaction is committed. Without `wait` the wish is only recorded, and the next `truss_push` sends it.
    """
    with write_transaction():
        lock(intent)
        operation = under_way(intent, Kind.CREATE) or (
            Operation.objects.filter(payment_intent=intent, kind=Kind.CREATE).order_by("-pk").first()
        )
        if operation is None or intent.is_editable:
            refusal = why_not_sendable(intent)
            if refusal:
                raise ActionRefusedError(refusal)
            validate(intent)
            operation = record(new_operation(intent, Kind.CREATE, actor))
            intent.delivery, intent.delivery_error = Delivery.QUEUED, ""
            intent.save(update_fields=["delivery", "delivery_error"])
            timeline.record(intent, TimelineEntry.Kind.QUEUED, actor_id=pk_of(actor), total=intent.total)
        if wait:
            wake(operation, intent)
    return operation


# --- many at once


def why_not_each(kind: Kind, intents: Collection[PaymentIntent]) -> dict[int, str]:
    """Of these invoices (with company, contact and transactions at hand) those that `kind` can't be asked for.

    With the reason, for people, by primary key. CREATE, CANCEL and RESEND_EMAIL can be asked for many at once.
    """
    if kind != Kind.CREATE:
        why_not = {Kind.CANCEL: why_not_cancelable, Kind.RESEND_EMAIL: why_not_resendable}[kind]
        return {intent.pk: reason for intent in intents if (reason := why_not(intent))}
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
    left_out: Sequence[tuple[int, str, str]] = (),
    actor: Actor = None,
    wait: bool = True,
) -> Batch:
    """Record one wish for each of these invoices, by primary key, and have them carried out.

    Those that it can't be asked for are left out, with the reason, in the batch's `left_out`, where those come first
    that the caller has left out: primary key, name, reason. One that waits already is not asked for twice: it joins
    this batch. Without `wait` the wishes are only recorded, for `truss_push`.
    """
    chosen = sorted(set(payment_intents))
    known = [list(each) for each in left_out]
    batch = Batch.objects.create(
        kind=kind, requested_by_id=pk_of(actor), chosen=len(chosen) + len(known), left_out=known
    )
    for start in range(0, len(chosen), TOGETHER):
        with write_transaction():
            recorded = _record_together(batch, kind, chosen[start : start + TOGETHER], actor)
            if wait:
                transaction.on_commit(lambda ids=recorded: tasks.wake_outbox(ids), using=alias())  # type: ignore[misc]
    return batch


def _record_together(batch: Batch, kind: Kind, chosen: list[int], actor: Actor) -> list[int]:
    rows = PaymentIntent.objects.filter(pk__in=chosen).order_by("pk")
    list(rows.select_for_update().values_list("pk"))
    intents = list(rows.select_related("company", "contact").prefetch_related("transactions"))
    waiting = Operation.objects.filter(payment_intent__in=chosen, kind=kind).under_way()
    joined = set(waiting.values_list("payment_intent_id", flat=True))
    waiting.filter(state=State.QUEUED).update(batch=batch, next_attempt_at=None)
    others = [intent for intent in intents if intent.pk not in joined]
    reasons = why_not_each(kind, others)
    asked = [intent for intent in others if intent.pk not in reasons]
    Operation.objects.filter(payment_intent__in=[intent.pk for intent in asked], needs_person=True).update(
        needs_person=False
    )
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
    if reasons:
        batch.left_out += [[i.pk, str(i), reasons[i.pk]] for i in others if i.pk in reasons]
        batch.save(update_fields=["left_out"])
    return list(Operation.objects.filter(batch=batch, payment_intent__in=chosen).values_list("pk", flat=True))
