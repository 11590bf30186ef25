"""The first scenes: orders come in, invoices go out."""

from collections import Counter

from example_project.demo import seed
from example_project.demo.payer import Payer
from example_project.demo.stage import Stage, invoice_of
from example_project.orders.invoicing import send_invoice
from example_project.orders.models import Customer, Order
from truss_portal import actions, memo
from truss_portal.exceptions import ActionRefusedError, NotPayableError
from truss_portal.models import PaymentIntent


def orders_come_in(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Orders come in")
    wanted = stage.samples[: stage.wanted]
    new = seed.place(wanted)
    narrator.tell(
        f"Harbor Street Supply reads its orders from orders.csv: {new} new ones, {len(wanted) - new} it had already, "
        f"by {Customer.objects.count()} customers."
    )
    there = Order.objects.filter(number__in=[sample.number for sample in wanted])
    narrator.proof(
        f"Each of the {len(wanted)} orders is in the shop once.", there.count() == len(wanted), there.count()
    )
    narrator.look(("the shop", stage.url("home")), ("its orders", stage.url("admin:orders_order_changelist")))


def invoices_go_out(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Invoices go out")
    numbers = [sample.number for sample in stage.samples[: stage.wanted]]
    orders = Order.objects.filter(number__in=numbers).select_related("customer").prefetch_related("lines")
    before = len(stage.sandbox.payment_intents())
    refused: dict[str, str] = {}
    for order in stage.progress(list(orders.order_by("number")), "Sending"):
        try:
            send_invoice(order)
        except ActionRefusedError as error:
            refused[order.number] = str(error)
    sent = set(numbers) - refused.keys()
    held = stage.sandbox.payment_intents()
    narrator.tell(
        f"Each order becomes an invoice, with the order's number as its reference: {len(held) - before} are sent to "
        "Truss now. Who runs this a second time sends nothing twice."
    )
    arrived = PaymentIntent.objects.filter(reference__in=sent, delivery=PaymentIntent.Delivery.SENT).at_truss()
    narrator.proof(f"All {len(sent)} invoices have arrived and have Truss's UID.", arrived.count() == len(sent))
    times = Counter(mark for intent in held for mark in memo.marks(intent["memo"]))
    wrong = {str(invoice): times[invoice.memo_reference] for invoice in arrived if times[invoice.memo_reference] != 1}
    narrator.proof("Truss holds each of them exactly once.", not wrong, wrong)
    if refused:
        number, why = next(iter(refused.items()))
        narrator.tell(f"{len(refused)} held back, for one reason. {number}: {why}")
    narrator.look(
        ("the invoices", stage.url("admin:truss_portal_paymentintent_changelist")),
        ("the same at Truss", stage.url("truss_sandbox:home")),
        ("what Truss emailed", stage.url("truss_sandbox:mailbox")),
    )


def two_customers_have_one_name(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Two customers have one name")
    first, second = stage.samples[1], stage.samples[2]
    narrator.tell(
        f"Two different customers are called “{first.name}”. Truss tells customers apart by name alone: sending the "
        "second one's invoice would give it the first one's invoices."
    )
    send_invoice(seed.order_again(first))
    try:
        send_invoice(seed.order_again(second))
        refusal = ""
    except ActionRefusedError as error:
        refusal = str(error)
    narrator.proof("The second one's invoice is refused before it is sent, with the way out.", bool(refusal))
    emails = {intent["contact"]["email"] for intent in stage.sandbox.payment_intents() if _is_for(intent, first.name)}
    narrator.proof(f"At Truss {first.name} still has the email {first.email}.", emails == {first.email}, emails)
    narrator.look(("the payers", stage.url("admin:truss_portal_contact_changelist") + "?q=main+street"))


def an_invoice_is_canceled(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("An invoice is canceled")
    order = seed.order_again(stage.samples[10])
    invoice = send_invoice(order)
    link = invoice.checkout_url()
    actions.cancel(invoice)
    narrator.tell(f"{order.customer} calls and takes back order {order}: finance cancels the invoice.")
    narrator.proof("It is canceled at Truss.", [it["status"] for it in stage.at_truss(order)] == ["Canceled"])
    try:
        found = invoice_of(order).checkout_url()
    except NotPayableError as error:
        found = error.reason
    narrator.proof("Nobody is given a link to it any more, and the reason is said.", found == "canceled", found)
    payer = Payer(stage.sandbox, order.customer.email)
    payer.open(link)
    page = payer.sign_in()
    narrator.tell(f"Who kept the old link finds at Truss: “{page.heading}”")
    narrator.proof("It can't be paid there any more either.", "amount" not in page.text.lower(), page.text)
    narrator.look(stage.page_of(order), stage.in_admin(order))


def _is_for(intent: dict[str, dict[str, str]], name: str) -> bool:
    return intent["contact"]["name"] == name
