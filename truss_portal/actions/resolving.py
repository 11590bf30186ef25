"""What a person does about operations that don't get on by themselves: try again, withdraw, say what became of one."""

import secrets
from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from truss_portal import outbox, timeline
from truss_portal.conf import conf
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Contact, Operation, PaymentIntent, TimelineEntry

from .changing import (
    why_not_amendable,
    why_not_at_truss,
    why_not_cancelable,
    why_not_refreshable,
    why_not_resendable,
)
from .recording import Actor, pk_of, record, wake
from .sending import send, why_not_sendable

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery


def why_not_try_again(operation: Operation) -> str | None:
    """Why this can't be asked of Truss again; None when it can."""
    match operation.state:
        case State.QUEUED:
            return None
        case State.SENDING:
            return _("Truss is being asked at this moment.")
        case State.DONE | State.WITHDRAWN:
            return _("Nothing is left to do here.")
        case State.UNCONFIRMED if operation.kind == Kind.CREATE:
            return _("Truss may have it: a complete sync shows whether it does, and then it goes on by itself.")
    intent = operation.payment_intent
    if intent is None:
        return None
    match operation.kind:
        case Kind.CREATE:
            return _why_not_created_again(intent)
        case Kind.CANCEL:
            return why_not_cancelable(intent)
        case Kind.RESEND_EMAIL:
            return why_not_resendable(intent)
        case Kind.REFRESH:
            return why_not_refreshable(intent)
    return why_not_at_truss(intent) or why_not_amendable(intent, _changes(operation))


def _why_not_created_again(intent: PaymentIntent) -> str | None:
    if not intent.is_editable:
        return _("Invoice %(invoice)s has been sent anew since then.") % {"invoice": intent}
    return why_not_sendable(intent)


def _changes(operation: Operation) -> dict[str, Any]:
    changes = dict(operation.body)
    if "total" in changes:
        changes["total"] = Decimal(changes["total"])
    return changes


def try_again(operation: Operation, *, actor: Actor = None, wait: bool = True) -> Operation:
    """Ask Truss again, now. What was finished stays in the history; the new try is an operation of its own.

    Without `wait` the wish is only recorded, and the next `truss_push` carries it out. Raises ActionRefusedError with
    the reason when it can't be, InvalidRequestError when Truss would refuse it by a published rule.
    """
    intent = operation.payment_intent
    with outbox.invoices_locked([operation.pk]):
        operation.refresh_from_db()
        if intent is not None:
            intent.refresh_from_db()
        refusal = why_not_try_again(operation)
        if refusal:
            raise ActionRefusedError(refusal)
        if operation.kind == Kind.CREATE and intent is not None:
            return send(intent, actor=actor, wait=wait)
        subject: PaymentIntent | Contact | None = intent or operation.contact
        if operation.state == State.QUEUED:
            Operation.objects.filter(pk=operation.pk).update(next_attempt_at=None)
            again = operation
        else:
            Operation.objects.filter(pk=operation.pk).update(needs_person=False)
            asked = {"kind": operation.kind, "body": operation.body, "requested_by_id": pk_of(actor)}
            again = record(
                Operation(company_id=operation.company_id, payment_intent=intent, contact=operation.contact, **asked)
            )
        if wait:
            wake(again, subject)
    return again


def why_not_send_again(operation: Operation) -> str | None:
    """Why nobody may say that this create isn't at Truss; None when somebody may."""
    if operation.kind != Kind.CREATE or operation.state != State.UNCONFIRMED or operation.unconfirmed_at is None:
        return _("Only a send whose answer was lost can be settled by hand.")
    free = operation.unconfirmed_at + timedelta(seconds=conf.unconfirmed_grace)
    if free > timezone.now():
        return _("Truss may still be at work on it: look at Truss after %(time)s, and decide then.") % {
            "time": date_format(timezone.localtime(free), "TIME_FORMAT")
        }
    return None


def send_again(operation: Operation, *, actor: Actor = None, wait: bool = True) -> Operation:
    """Somebody has looked, and the invoice isn't at Truss: send it again.

    If it is there all the same the payer is asked for the money twice. So a complete listing should decide this, as
    `truss_push` has it done; by hand it is for when no listing can be had. Without `wait` it is only queued.
    Raises ActionRefusedError.
    """
    with outbox.invoices_locked([operation.pk]):
        operation.refresh_from_db()
        refusal = why_not_send_again(operation)
        if refusal:
            raise ActionRefusedError(refusal)
        text = _("Somebody has looked and says that Truss doesn't have it: it is sent again.")
        outbox.queue_again(operation, text, actor_id=pk_of(actor))
        if wait:
            wake(operation, operation.payment_intent)
    return operation


def withdraw(operation_ids: Collection[int], *, actor: Actor = None) -> int:
    """Take back what waits, as long as Truss isn't being asked for it. Returns how many."""
    token = secrets.token_hex(16)
    with outbox.invoices_locked(operation_ids):
        Operation.objects.filter(pk__in=operation_ids, state=State.QUEUED).update(
            state=State.WITHDRAWN,
            open_create_of=None,
            claim_token=token,
            next_attempt_at=None,
            needs_person=False,
            finished_at=timezone.now(),
        )
        withdrawn = Operation.objects.filter(claim_token=token).select_related("payment_intent")
        intents = [it.payment_intent for it in withdrawn if it.kind == Kind.CREATE and it.payment_intent]
        unsent = PaymentIntent.objects.filter(pk__in=[intent.pk for intent in intents], uid=None)
        unsent.update(delivery=Delivery.UNSENT, delivery_error="")
        kind = TimelineEntry.Kind.WITHDRAWN
        timeline.write([timeline.entry(intent, kind, actor_id=pk_of(actor)) for intent in intents])
        return len(withdrawn)


def dismiss(operation_ids: Collection[int]) -> int:
    """Somebody has seen to these: they need nobody any more. Returns how many did."""
    return Operation.objects.filter(pk__in=operation_ids, needs_person=True).update(needs_person=False)
