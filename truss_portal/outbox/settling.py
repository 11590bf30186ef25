"""Creates whose answer was lost: what a listing says of them."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from truss_portal.conf import conf
from truss_portal.models import Company, Operation, PaymentIntent, SyncRun, TimelineEntry

from .claims import invoices_locked, note_create

Kind = Operation.Kind
State = Operation.State


def unconfirmed(company: Company) -> QuerySet[Operation]:
    """Creates whose answer was lost."""
    return Operation.objects.filter(company=company, kind=Kind.CREATE, state=State.UNCONFIRMED)


def settle(run: SyncRun) -> int:
    """Queue again what a complete listing has shown to be absent. Returns how many creates.

    The listing must have begun after the grace period: until then Truss may still be at work on a request whose answer
    was lost. What the listing has found is settled already: `mirror` adopts it by its mark.
    """
    if not (run.kind == run.Kind.ALL and run.state == run.State.DONE and run.complete):
        return 0
    asked_before = run.started_at - timedelta(seconds=conf.unconfirmed_grace)
    waiting = unconfirmed(run.company).filter(unconfirmed_at__lt=asked_before).select_related("payment_intent")
    count = 0
    for operation in waiting:
        text = _("A complete listing shows that Truss doesn't have it: it will be sent again.")
        with invoices_locked([operation.pk]):
            if Operation.objects.filter(pk=operation.pk, state=State.UNCONFIRMED).update(
                state=State.QUEUED, unconfirmed_at=None, next_attempt_at=None, error=text
            ):
                note_create(operation, PaymentIntent.Delivery.QUEUED, TimelineEntry.Kind.ABSENT, text)
                count += 1
    return count
