"""Creates whose answer was lost: what a listing says of them."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal.conf import conf
from truss_portal.models import Company, Operation, PaymentIntent, SyncRun, TimelineEntry

from .claims import GIVEN_UP, MOST_ATTEMPTS, invoices_locked, note_create

Kind = Operation.Kind
State = Operation.State


def unconfirmed(company: Company) -> QuerySet[Operation]:
    """Creates whose answer was lost."""
    return Operation.objects.filter(company=company, kind=Kind.CREATE, state=State.UNCONFIRMED)


def settle(run: SyncRun) -> int:
    """Queue again what a complete listing has shown to be absent. Returns how many creates.

    What has been asked for `MOST_ATTEMPTS` times is given up instead, and left to a person.

    The listing must have begun after the grace period: until then Truss may still be at work on a request whose answer
    was lost. What the listing has found is settled already: `mirror` adopts it by its mark.
    """
    if not (run.kind == run.Kind.ALL and run.state == run.State.DONE and run.complete):
        return 0
    asked_before = run.started_at - timedelta(seconds=conf.unconfirmed_grace)
    waiting = unconfirmed(run.company).filter(unconfirmed_at__lt=asked_before).select_related("payment_intent")
    count = 0
    for operation in waiting:
        with invoices_locked([operation.pk]):
            if operation.attempts < MOST_ATTEMPTS:
                text = _("A complete listing shows that Truss doesn't have it: it will be sent again.")
                count += queue_again(operation, text)
            else:
                _give_up(operation)
    return count


def _give_up(operation: Operation) -> None:
    text = _("A complete listing shows that Truss doesn't have it, and it was asked %(count)d times.")
    why = text % {"count": operation.attempts}
    given_up = GIVEN_UP | {"unconfirmed_at": None, "finished_at": timezone.now(), "error": why}
    if Operation.objects.filter(pk=operation.pk, state=State.UNCONFIRMED).update(**given_up):
        note_create(operation, PaymentIntent.Delivery.FAILED, TimelineEntry.Kind.GIVEN_UP, why)


def queue_again(operation: Operation, why: str, *, actor_id: Any = None) -> bool:
    """Have an unconfirmed create sent again; False when it is settled already. Call it with the invoice locked."""
    mine = Operation.objects.filter(pk=operation.pk, state=State.UNCONFIRMED)
    if not mine.update(state=State.QUEUED, unconfirmed_at=None, next_attempt_at=None, error=why):
        return False
    note_create(operation, PaymentIntent.Delivery.QUEUED, TimelineEntry.Kind.ABSENT, why, actor_id=actor_id)
    return True
