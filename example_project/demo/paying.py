"""The scenes at the portal: each payer goes over real HTTP, with an email code, as from any browser."""

from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import parse_qs, urlencode, urlsplit

from example_project.demo import seed
from example_project.demo.payer import Payer
from example_project.demo.stage import Stage, invoice_of, is_paid, run
from example_project.orders.invoicing import send_invoice
from example_project.orders.models import Order
from truss_portal.models import Transaction


def a_customer_pays(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("A customer pays and comes back")
    order = _invoiced(stage, 0)
    narrator.tell(
        f"{order.customer} opens order {order}, presses “Pay invoice”, gives {order.customer.email} at Truss, types "
        f"the code from the email, pays ${order.total:,.2f} from the bank and presses “Done”."
    )
    payer = stage.payer_at(order)
    payer.sign_in()
    payer.pay(str(order.total))
    page = payer.follow("Done")
    narrator.tell(f"The site says: “{page.heading}”")
    narrator.proof("The return page knows, without a word from cron, that it is paid.", page.heading.startswith("Paid"))
    narrator.proof("The mirror says Paid, as Truss does.", invoice_of(order).status == "Paid")
    narrator.proof("The order is marked paid: the shop's signal receiver has heard of it.", is_paid(order))
    page = payer.follow("Back to your order")
    narrator.proof(
        "“Back to your order” leads to the order, which says the same.", "paid in full" in page.text, page.text
    )
    narrator.look(stage.page_of(order), stage.in_admin(order))


def a_customer_pays_a_part(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("A customer pays a part")
    order = _invoiced(stage, 3)
    half = _half(order.total)
    narrator.tell(f"{order.customer} pays ${half:,.2f} of ${order.total:,.2f} by card.")
    payer = stage.payer_at(order)
    payer.sign_in()
    payer.pay(str(half), "credit_card")
    page = payer.follow("Done")
    narrator.tell(f"The site says: “{page.heading}”")
    left = f"${order.total - half:.2f} is left to pay"
    narrator.proof(
        "“success” in the address doesn't fool it: it names what is left.", left in page.heading, page.heading
    )
    narrator.proof("It offers to pay the rest.", "Pay the rest" in page.links, page.links)
    narrator.proof("The order isn't marked paid.", not is_paid(order))
    narrator.look(stage.page_of(order), stage.in_admin(order))


def a_second_address_pays(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Somebody else at the customer pays")
    order = _invoiced(stage, 4)
    customer = order.customer
    narrator.tell(f"{customer} gave a second address. Its owner, {customer.secondary_email}, opens the link and pays.")
    payer = stage.payer_at(order, customer.secondary_email)
    payer.sign_in()
    payer.pay(str(order.total))
    page = payer.follow("Done")
    narrator.proof("The secondary email opens the invoice, and the order is paid.", is_paid(order), page.heading)
    narrator.look(stage.page_of(order))


def a_stranger_is_stopped(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("A stranger gets hold of the link")
    order = _invoiced(stage, 5)
    stranger = stage.payer_at(order, "somebody.else@elsewhere.example")
    page = stranger.sign_in()
    narrator.tell(f"They sign in with an address of their own. Truss says: “{page.heading}”")
    narrator.proof("Truss doesn't show them the invoice.", page.status == 403 and str(order.total) not in page.text)  # noqa: PLR2004 - HTTP's Forbidden
    page = stranger.follow("Close this page")
    narrator.tell(f"They close the page and come back to the site, which says: “{page.heading}”")
    narrator.proof("The return page says that it isn't paid and offers another try.", "Try again" in page.links)
    masked = invoice_of(order).contact
    shown = masked is not None and masked.masked_email() in page.text and order.customer.email not in page.text
    narrator.proof("It hints at the right email without giving it away.", shown, page.text)
    narrator.look(stage.page_of(order))


def a_forged_return_proves_nothing(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Somebody writes “success” into the address")
    order = _invoiced(stage, 7)
    invoice = invoice_of(order)
    claim = {"payment_intent_uid": str(invoice.uid), "result": "success"}
    anybody = Payer(stage.sandbox, "anybody@elsewhere.example")
    page = anybody.open(f"{stage.url('truss_portal:return')}?{urlencode(claim)}")
    narrator.tell(f"First without our token. The site says: “{page.heading}”")
    silent = order.number not in page.text and str(order.total) not in page.text
    narrator.proof("Without our signed token the page says thanks, and nothing about any invoice.", silent, page.text)
    back = parse_qs(urlsplit(invoice.checkout_url()).query)["redirect_uri"][0]
    page = anybody.open(f"{back}&{urlencode(claim)}")
    narrator.tell(f"Then with the token of the real link, but no payment. The site says: “{page.heading}”")
    narrator.proof("Without a payment it says “being confirmed”.", "being confirmed" in page.heading, page.heading)
    narrator.proof("The order isn't marked paid.", not is_paid(order))
    page = anybody.open(invoice.checkout_url().split("?")[0] + "?redirect_uri=https://elsewhere.example/")
    narrator.tell(f"A link that leads back to a site that Truss hasn't approved: “{page.heading}”")
    narrator.proof("Truss blocks it.", page.heading == "This link is invalid", page.heading)


def many_pay_and_close_the_browser(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Many pay from the email and never come back")
    numbers = [sample.number for sample in stage.samples[: stage.wanted]]
    unpaid = stage.numbers_of("Pending")
    whole = [unpaid[number]["uid"] for number in numbers[::3] if number in unpaid]
    parts = [unpaid[number] for number in numbers[1::6] if number in unpaid]
    for nth, uid in enumerate(stage.progress(whole, "Paying")):
        payment = stage.sandbox.pay(uid, payment_method="credit_card" if nth % 4 == 0 else "ach")
        if nth % 2:
            stage.sandbox.settle(payment["uid"])
    for invoice in stage.progress(parts, "Paying a part"):
        stage.sandbox.pay(invoice["uid"], str(_half(Decimal(invoice["total"]))))
    narrator.tell(f"{len(whole)} customers pay in full and {len(parts)} a part; the site hears nothing of it.")
    status, line = run("truss_sync")
    narrator.tell(f"Then cron runs truss_sync. It prints: {line}")
    narrator.proof("truss_sync ends with status 0.", status == 0, status)
    done = stage.numbers_of("Paid").keys()
    marked = set(Order.objects.exclude(paid_at=None).values_list("number", flat=True))
    narrator.proof(
        f"The {len(done)} orders whose invoices are paid, and no others, are marked paid.",
        marked == done,
        marked ^ done,
    )
    narrator.look(
        ("paid orders", stage.url("admin:orders_order_changelist") + "?paid=yes"),
        ("payments", stage.url("admin:truss_portal_transaction_changelist")),
    )


def the_bank_takes_a_payment_back(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("The bank takes a payment back")
    order = _invoiced(stage, 9)
    uid = str(invoice_of(order).uid)
    payment = stage.sandbox.pay(uid)
    run("truss_sync")
    was_paid = is_paid(order)
    stage.sandbox.return_transaction(payment["uid"])
    run("truss_sync")
    narrator.tell(f"{order.customer} had paid order {order}; days later the bank returns the payment, and cron syncs.")
    narrator.proof("The order was marked paid, and is unpaid again.", was_paid and not is_paid(order))
    invoice = invoice_of(order)
    narrator.proof("The whole amount is due again.", invoice.balance_due == invoice.total, invoice.balance_due)
    returned = Transaction.objects.filter(payment_intent=invoice).exclude(returned_at=None).count()
    narrator.proof("The returned payment stays in the books as returned.", returned == 1, returned)
    page = Payer(stage.sandbox, "").open(stage.page_of(order)[1])
    narrator.proof("The customer can pay again.", "Pay invoice" in page.links, page.text)
    narrator.look(stage.page_of(order), stage.in_admin(order))


def _half(amount: Decimal) -> Decimal:
    return (amount / 2).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _invoiced(stage: Stage, which: int) -> Order:
    """A new order by that customer of the file, with its invoice sent."""
    order = seed.order_again(stage.samples[which])
    send_invoice(order)
    return order
