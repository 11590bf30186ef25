"""What every scene of the story uses."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.urls import reverse

from example_project.demo.narrator import Narrator
from example_project.demo.payer import Payer
from example_project.demo.seed import SampleOrder
from example_project.orders.models import Order
from truss_portal import memo
from truss_portal.models import PaymentIntent
from truss_portal.testing.sandbox import Sandbox

TAKES_INVOICES: Final = "payment-intents/inbound/$"
"""Where the API takes new invoices, for the sandbox to let something go wrong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    site: str
    """The site's address, without a slash at its end."""
    sandbox: Sandbox
    narrator: Narrator
    samples: list[SampleOrder]
    """All orders of the file: the first dozen are by the characters of the story."""
    wanted: int
    """How many of them the shop is to have."""
    progress: Callable[[Iterable[Any], str], Iterable[Any]]

    def url(self, name: str, *args: Any) -> str:
        return self.site + reverse(name, args=args)

    def page_of(self, order: Order) -> tuple[str, str]:
        return "the customer's page", self.site + order.get_absolute_url()

    def in_admin(self, order: Order) -> tuple[str, str]:
        return "in the admin", self.url("admin:truss_portal_paymentintent_change", invoice_of(order).pk)

    def at_truss(self, order: Order) -> list[dict[str, Any]]:
        """Every invoice that Truss holds for that order, by our mark in the memo: one, if all is well."""
        mark = invoice_of(order).memo_reference
        return [intent for intent in self.sandbox.payment_intents() if mark in memo.marks(intent["memo"])]

    def numbers_of(self, status: str) -> dict[str, dict[str, Any]]:
        """The orders whose invoices have that status at Truss: order number → invoice as Truss holds it."""
        held = {intent["uid"]: intent for intent in self.sandbox.payment_intents() if intent["status"] == status}
        references = PaymentIntent.objects.filter(reference__in=Order.objects.values("number")).at_truss()
        return {
            str(number): held[str(uid)]
            for number, uid in references.values_list("reference", "uid")
            if str(uid) in held
        }

    def payer_at(self, order: Order, email: str = "") -> Payer:
        """A payer who has opened the order's page and pressed “Pay invoice”."""
        payer = Payer(self.sandbox, email or order.customer.email)
        payer.open(self.site + order.get_absolute_url())
        payer.follow("Pay invoice")
        return payer


def invoice_of(order: Order) -> PaymentIntent:
    invoice = order.invoice
    if invoice is None:
        raise LookupError(f"Order {order} has no invoice.")
    return invoice


def is_paid(order: Order) -> bool:
    """As the shop's own books have it."""
    order.refresh_from_db()
    return order.paid_at is not None


def run(command: str) -> tuple[int, str]:
    """Run a command as cron would: its exit status and the line that it printed."""
    out = io.StringIO()
    try:
        call_command(command, no_progress=True, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue().strip()
    return 0, out.getvalue().strip()


@contextmanager
def truss_portal_settings(**changes: Any) -> Iterator[None]:
    """The app reads its settings live, so the story may change them for a while."""
    before = settings.TRUSS_PORTAL
    settings.TRUSS_PORTAL = {**before, **changes}
    try:
        yield
    finally:
        settings.TRUSS_PORTAL = before
