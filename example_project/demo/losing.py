"""The scenes on a bad line: what was sent, and whether it arrived, are not the same question."""

from example_project.demo import seed
from example_project.demo.stage import TAKES_INVOICES, Stage, invoice_of, run, truss_portal_settings
from example_project.orders.invoicing import send_invoice
from truss_portal.models import PaymentIntent

Delivery = PaymentIntent.Delivery


def an_answer_is_lost(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Truss's answer is lost")
    order = seed.order_again(stage.samples[6])
    stage.sandbox.fault("drop_after", method="POST", path=TAKES_INVOICES)
    send_invoice(order)
    narrator.tell(
        f"The invoice for order {order} is sent; Truss makes it, and the connection breaks before the answer is here. "
        "Truss publishes no way to send a thing twice safely, so nobody may simply try again."
    )
    delivery = invoice_of(order).delivery
    narrator.proof("Here it is “not confirmed”: neither sent nor failed.", delivery == Delivery.UNCONFIRMED, delivery)
    send_invoice(order)
    narrator.tell("Finance presses “send” once more.")
    narrator.proof("Truss holds it once: the second press sent nothing.", len(stage.at_truss(order)) == 1)
    status, line = run("truss_sync")
    narrator.tell(f"Cron runs truss_sync: {line}")
    invoice, held = invoice_of(order), stage.at_truss(order)
    narrator.proof(
        "The invoice was found at Truss by the mark in its private memo, and adopted.",
        status == 0 and invoice.delivery == Delivery.SENT and [it["uid"] for it in held] == [str(invoice.uid)],
        invoice.delivery,
    )
    narrator.proof("It can be paid, as if nothing had happened.", invoice.is_payable)
    narrator.look(stage.in_admin(order), stage.page_of(order))


def a_request_is_lost(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("The request itself is lost")
    order = seed.order_again(stage.samples[8])
    stage.sandbox.fault("drop_before", method="POST", path=TAKES_INVOICES)
    send_invoice(order)
    narrator.tell(f"Seen from here it looks the same with order {order}; but this time Truss has made nothing.")
    delivery = invoice_of(order).delivery
    narrator.proof("Here it is “not confirmed” as well.", delivery == Delivery.UNCONFIRMED, delivery)
    run("truss_push")
    waiting = invoice_of(order).delivery == Delivery.UNCONFIRMED and not stage.at_truss(order)
    narrator.proof("A push right after it still waits: Truss might be at work on it yet.", waiting)
    with truss_portal_settings(UNCONFIRMED_GRACE=0):
        status, line = run("truss_push")
    narrator.tell(f"Five minutes later (shortened here) cron runs truss_push: {line}")
    invoice, held = invoice_of(order), stage.at_truss(order)
    narrator.proof(
        "A complete listing showed that it wasn't there; so it was sent again, and Truss holds it once.",
        status == 0 and invoice.delivery == Delivery.SENT and len(held) == 1,
        (status, invoice.delivery, len(held)),
    )
    narrator.look(stage.in_admin(order))
