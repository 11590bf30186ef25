"""The main job, whole, over real sockets: a site, a pretend Truss in a process of its own, and a payer between them.

The payer is a plain HTTP client that follows links and fills in forms: everything here works without JavaScript.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from example_project.demo.payer import Payer
from tests import make
from truss_portal import actions, signals
from truss_portal.exceptions import NotPayableError
from truss_portal.models import PayerReturn, PaymentIntent, SyncRun
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(live_server: Any, truss: Sandbox, settings: Any) -> str:
    """This site's address, known to Truss as one that payers may be sent back to."""
    return_url = f"{live_server.url}/truss/return/"
    truss.allow_redirects([return_url])
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"RETURN_URL": return_url, "RETURN_URL_ALLOWLISTED": True}
    return str(live_server.url)


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str]]]:
    """What the site's own code is told: (signal, invoice number), in order."""
    told: list[tuple[str, str]] = []
    names = ("payment_intent_sent", "payment_received", "payment_intent_paid", "payment_returned", "payer_returned")
    receivers = []
    for name in names:

        def receiver(payment_intent: PaymentIntent, name: str = name, **_arguments: Any) -> None:
            told.append((name, str(payment_intent)))

        getattr(signals, name).connect(receiver, weak=False)
        receivers.append((getattr(signals, name), receiver))
    yield told
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def invoice_for(total: str = "120.00") -> PaymentIntent:
    invoice = make.draft(
        reference="INV-1001",
        addenda="Invoice 1001",
        total=total,
        contact={"name": "Acme", "email": "ap@acme.example", "secondary_email": "boss@acme.example"},
        due_date=timezone.localdate() + timedelta(days=30),
        send_email=True,
    )
    actions.send(invoice)
    return invoice


def at_checkout(truss: Sandbox, invoice: PaymentIntent, email: str = "ap@acme.example") -> Payer:
    payer = Payer(truss, email)
    payer.open(invoice.checkout_url(next_url="/admin/"))
    payer.sign_in()
    return payer


def test_an_invoice_is_sent_paid_and_seen_paid(site: str, truss: Sandbox, heard: list[tuple[str, str]]) -> None:
    invoice = invoice_for("120.00")
    assert invoice.delivery == "sent"

    payer = at_checkout(truss, invoice)
    assert "$120.00" in payer.page.text
    payer.pay("120.00")
    page = payer.follow("Done")

    assert page.url.startswith(f"{site}/truss/return/?t=")
    assert page.heading == "Paid in full. Thank you!"
    assert page.links["Continue"] == f"{site}/admin/"
    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance_due) == ("Paid", 0)
    [payment] = invoice.transactions.all()
    assert (payment.amount, payment.payment_method, payment.stage) == (Decimal("120.00"), "ach", "On its way")
    with pytest.raises(NotPayableError, match="already paid"):
        invoice.checkout_url()
    assert [name for name, number in heard if number == "INV-1001"] == [
        "payment_intent_sent",
        "payer_returned",
        "payment_received",
        "payment_intent_paid",
    ]

    truss.settle(payment.uid)
    call_command("truss_sync")
    payment.refresh_from_db()
    assert payment.stage == "Settled"
    assert SyncRun.objects.latest("pk").state == "done"


def test_the_link_in_the_email_leads_to_the_same_invoice(site: str, truss: Sandbox) -> None:
    invoice = invoice_for()
    notified = {mail["to"]: mail["link"] for mail in truss.mailbox()}
    assert set(notified) == {"ap@acme.example", "boss@acme.example"}

    payer = Payer(truss, "boss@acme.example")
    payer.open(notified["boss@acme.example"])
    payer.sign_in()
    payer.pay("120.00", "credit_card")
    payer.follow("Done")  # no redirect_uri in Truss's own link: the payer stays there

    assert not PayerReturn.objects.exists()
    call_command("truss_sync")
    invoice.refresh_from_db()
    assert invoice.status == "Paid"


def test_a_part_is_paid_and_then_the_rest(site: str, truss: Sandbox, heard: list[tuple[str, str]]) -> None:
    invoice = invoice_for("100.00")
    payer = at_checkout(truss, invoice)
    payer.pay("40.00", "credit_card")
    page = payer.follow("Done")
    assert page.heading == "Thank you. $60.00 is left to pay."
    assert "payment_intent_paid" not in dict(heard)

    payer.follow("Pay the rest")
    assert "$60.00" in payer.page.text
    payer.pay("60.00")
    make_old(invoice)
    assert payer.follow("Done").heading == "Paid in full. Thank you!"
    assert [name for name, _number in heard].count("payment_received") == 2
    assert heard[-1] == ("payment_intent_paid", "INV-1001")


def test_nobody_pays_more_than_is_due(site: str, truss: Sandbox) -> None:
    payer = at_checkout(truss, invoice_for("100.00"))
    page = payer.fill_in("pay", {"amount": "100.01", "payment_method": "ach"})
    assert "Only $100.00 is left to pay." in page.text
    assert truss.payment_intents()[0]["transactions"] == []


def test_the_wrong_email_is_sent_back_with_a_hint(site: str, truss: Sandbox) -> None:
    payer = at_checkout(truss, invoice_for(), "someone@elsewhere.example")
    assert payer.page.heading == "You can't see this invoice"

    page = payer.follow("Close this page")
    assert page.heading == "This invoice is not paid yet."
    assert "a•••@acme.example" in page.text
    assert PayerReturn.objects.get().claimed_result == "incomplete"

    second_try = Payer(truss, "ap@acme.example")
    second_try.open(page.links["Try again"])
    assert second_try.sign_in().status == 200


def test_being_confirmed_turns_to_paid_by_itself(site: str, truss: Sandbox) -> None:
    """While Truss's API still shows the state before the payment."""
    invoice = invoice_for()
    payer = at_checkout(truss, invoice)
    payer.pay("120.00")
    [held] = truss.payment_intents()
    truss.alter(held["uid"], extra={"status": "Pending", "balance_paid": "0.00", "transactions": []})

    page = payer.follow("Done")
    assert page.heading == "Thank you. Your payment is being confirmed."
    seconds, again = refresh_of(page.source)
    assert seconds == 5

    truss.alter(held["uid"], extra={})
    make_old(invoice)
    assert payer.open(page.url.split("?")[0] + again).heading == "Paid in full. Thank you!"
    assert PayerReturn.objects.count() == 1


def test_a_return_address_that_truss_has_not_approved_blocks_nobody(site: str, truss: Sandbox, settings: Any) -> None:
    invoice = invoice_for()
    truss.allow_redirects([])
    payer = Payer(truss, "ap@acme.example")
    assert payer.open(invoice.checkout_url()).heading == "This link is invalid"

    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"RETURN_URL_ALLOWLISTED": False}
    payer.open(invoice.checkout_url())
    assert payer.sign_in().status == 200


def test_a_payment_comes_back(site: str, truss: Sandbox, heard: list[tuple[str, str]]) -> None:
    invoice = invoice_for()
    payer = at_checkout(truss, invoice)
    payer.pay("120.00")
    payer.follow("Done")
    [payment] = invoice.transactions.all()

    truss.return_transaction(payment.uid)
    call_command("truss_sync")

    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance_due) == ("Pending", Decimal("120.00"))
    assert heard[-1] == ("payment_returned", "INV-1001")
    assert invoice.is_payable


def make_old(invoice: PaymentIntent) -> None:
    """As if the last look at Truss had been a while ago, so that the next isn't held back by the rate limit."""
    PaymentIntent.objects.filter(pk=invoice.pk).update(asked_at=timezone.now() - timedelta(minutes=1))


def refresh_of(source: str) -> tuple[int, str]:
    """After how many seconds the page loads itself again, and what."""
    found = re.search(r'<meta http-equiv="refresh" content="(\d+);url=([^"]+)"', source)
    assert found is not None
    return int(found[1]), unescape(found[2])
