"""Send one invoice."""

from django.utils.translation import gettext as _

from truss_portal import contacts, timeline
from truss_portal.database import write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Operation, PaymentIntent, TimelineEntry

from .drafting import validate
from .recording import Actor, lock, new_operation, pk_of, record, under_way, wake

Kind = Operation.Kind
Delivery = PaymentIntent.Delivery


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
