"""What the verbs share: a wish becomes a row, and the outbox is woken once it is committed."""

from contextlib import suppress
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import QuerySet

from truss_portal import tasks
from truss_portal.database import alias
from truss_portal.models import Contact, Operation, PaymentIntent

Kind = Operation.Kind
Actor = AbstractBaseUser | None


def lock(intent: PaymentIntent) -> None:
    """Bring `intent` up to date and keep others from changing it until the transaction ends."""
    intent.refresh_from_db(from_queryset=PaymentIntent.objects.select_for_update())


def new_operation(intent: PaymentIntent, kind: Kind, actor: Actor, body: dict[str, Any] | None = None) -> Operation:
    """A wish, not yet written."""
    return Operation(
        company_id=intent.company_id,
        payment_intent=intent,
        kind=kind,
        body=body or {},
        open_create_of=intent if kind == Kind.CREATE else None,
        requested_by_id=pk_of(actor),
    )


def record(operation: Operation) -> Operation:
    """Write a wish."""
    older = Operation.objects.filter(payment_intent=operation.payment_intent_id, contact=operation.contact_id)
    see_to(older, operation.kind)
    operation.save(force_insert=True)
    return operation


def see_to(older: QuerySet[Operation], kind: str) -> None:
    """Whatever of the invoice or payer needed a person has been seen to, once such a thing is asked for anew.

    An email is no answer to a change that was refused, and a look is none to anything.
    """
    if kind == Kind.RESEND_EMAIL:
        older = older.filter(kind=kind)
    if kind != Kind.REFRESH:
        older.filter(needs_person=True).update(needs_person=False)


def under_way(intent: PaymentIntent, kind: Kind) -> Operation | None:
    """The operation of this kind that waits or is being asked: two people may press one button. It is due at once."""
    mine = Operation.objects.filter(payment_intent=intent, kind=kind)
    mine.filter(state=Operation.State.QUEUED).update(next_attempt_at=None)
    return mine.under_way().order_by("-pk").first()


def wake(operation: Operation, subject: PaymentIntent | Contact | None) -> None:
    """Have it carried out after the commit; then show the caller's objects what has come of it so far."""

    def work() -> None:
        if not Operation.objects.filter(pk=operation.pk).exists():
            return  # whoever asked for it has deleted the invoice in the same transaction
        tasks.wake_outbox([operation.pk])
        # Somebody may be deleting it at this very moment.
        with suppress(ObjectDoesNotExist):
            operation.refresh_from_db()
            if subject is not None:
                subject.refresh_from_db()

    transaction.on_commit(work, using=alias())


def pk_of(actor: Actor) -> Any:
    return actor.pk if actor is not None else None
