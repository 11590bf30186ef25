"""The shop's side of a payment: an order is paid when Truss says that its invoice is."""

from typing import Any

from django.db import transaction
from django.dispatch import receiver

from example_project.orders.models import Order
from truss_portal.models import PaymentIntent, TimelineEntry
from truss_portal.signals import payment_intent_paid, payment_returned


@receiver([payment_intent_paid, payment_returned])
def follow_the_invoice(payment_intent: PaymentIntent, entry: TimelineEntry, **_arguments: Any) -> None:
    """Signals may come twice, and the older one last: so what counts is how the invoice stands now."""
    if payment_intent.reference is None:
        return
    with transaction.atomic():
        invoice = PaymentIntent.objects.select_for_update().get(pk=payment_intent.pk)
        paid_at = (invoice.paid_at or entry.at) if invoice.status == invoice.Status.PAID else None
        Order.objects.filter(number=invoice.reference).update(paid_at=paid_at)
