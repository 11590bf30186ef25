"""The last scene: are the two sides the same, to the cent?"""

from collections import Counter
from decimal import Decimal
from typing import Any

from example_project.demo.stage import Stage, run
from example_project.orders.models import Order
from truss_portal import memo
from truss_portal.models import PaymentIntent, Transaction

Side = dict[str, tuple[Any, ...]]


def both_sides_agree(stage: Stage) -> None:
    narrator = stage.narrator
    narrator.step("Both sides agree")
    status, line = run("truss_sync")
    narrator.tell(f"One more truss_sync: {line}")
    narrator.proof("truss_sync ends with status 0.", status == 0, status)
    held = stage.sandbox.payment_intents()
    theirs: Side = {
        it["uid"]: (Decimal(it["total"]), Decimal(it["balance_paid"]), it["status"], it["contact"]["email"])
        for it in held
    }
    rows = PaymentIntent.objects.at_truss().filter(missing_since=None).select_related("contact")
    ours: Side = {str(row.uid): (row.total, row.balance_paid, row.status, _email(row)) for row in rows}
    _compare(stage, "invoices", theirs, ours)
    narrator.tell(
        f"{len(ours)} invoices over ${_sum(ours, 0):,.2f}, of which ${_sum(ours, 1):,.2f} is paid; "
        f"at Truss {len(theirs)} over ${_sum(theirs, 0):,.2f}, of which ${_sum(theirs, 1):,.2f} is paid."
    )
    payments = [transaction for it in held for transaction in it["transactions"]]
    _compare(
        stage,
        "payments and returns",
        {it["uid"]: (Decimal(it["amount"]), it["direction"], it["status"]) for it in payments},
        {str(it.uid): (it.amount, it.direction, it.status) for it in Transaction.objects.filter(missing_since=None)},
    )
    times = Counter(mark for it in held for mark in memo.marks(it["memo"]))
    doubled = [mark for mark, count in times.items() if count > 1]
    narrator.proof("No mark stands on two invoices at Truss: nothing was ever made twice.", not doubled, doubled)
    paid = stage.numbers_of("Paid").keys()
    marked = set(Order.objects.exclude(paid_at=None).values_list("number", flat=True))
    narrator.proof(f"The shop's books say the same: {len(marked)} orders are paid.", paid == marked, paid ^ marked)
    narrator.look(
        ("the invoices", stage.url("admin:truss_portal_paymentintent_changelist")),
        ("every sync run", stage.url("admin:truss_portal_syncrun_changelist")),
        ("the pretend Truss", stage.url("truss_sandbox:home")),
    )


def _compare(stage: Stage, what: str, theirs: Side, ours: Side) -> None:
    different = {
        uid: (theirs.get(uid), ours.get(uid)) for uid in theirs.keys() | ours if theirs.get(uid) != ours.get(uid)
    }
    claim = f"The {len(theirs)} {what} at Truss and the {len(ours)} here are the same, one by one and to the cent."
    stage.narrator.proof(claim, not different, dict(list(different.items())[:5]))


def _email(invoice: PaymentIntent) -> str:
    return invoice.contact.email if invoice.contact else ""


def _sum(side: Side, column: int) -> Decimal:
    return sum((row[column] for row in side.values()), Decimal(0))
