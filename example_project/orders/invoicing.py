"""From an order to an invoice at Truss. This is all that a shop needs to write."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from example_project.orders.models import Order
from truss_portal import actions
from truss_portal.models import PaymentIntent


def send_invoice(order: Order, *, actor: AbstractBaseUser | None = None) -> PaymentIntent:
    """Write the order's invoice and send it; doing so again changes nothing, as the order number is its reference.

    Look at `delivery` to see what came of it. Raises InvalidRequestError or ActionRefusedError, before anything is
    sent, where Truss would refuse it.
    """
    customer = order.customer
    invoice = actions.draft(
        reference=order.number,
        contact={
            "name": customer.name,
            "email": customer.email,
            "secondary_email": customer.secondary_email,
            "phone": customer.phone,
        },
        total=order.total,
        addenda=f"Order {order.number}",
        due_date=order.due_date_from(timezone.localdate()),
        note=f"Your purchase order: {order.purchase_order}" if order.purchase_order else "Thank you for your order.",
        memo=f"Net {order.net_days}",
        send_email=True,
        actor=actor,
    )
    actions.send(invoice, actor=actor)
    return invoice
