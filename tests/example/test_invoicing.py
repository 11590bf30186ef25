"""From an order to an invoice, and from a payment back to the order."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from example_project.demo import seed
from example_project.orders.invoicing import send_invoice
from example_project.orders.models import Customer, Order, OrderLine
from tests.example.orders import ordered
from truss_portal import actions, signals, sync
from truss_portal.exceptions import ActionRefusedError, InvalidRequestError
from truss_portal.models import PaymentIntent
from truss_portal.testing.sandbox import Sandbox


@pytest.mark.django_db(transaction=True)
class TestSending:
    def test_the_invoice_says_what_the_order_says(self, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)

        [held] = shop.payment_intents()
        assert str(invoice.uid) == held["uid"]
        assert invoice.reference == "HS-1008"
        assert held["addenda"] == "Order HS-1008"
        assert Decimal(held["total"]) == order.total == Decimal("1523.05")
        assert held["due_date"] == str(timezone.localdate() + timedelta(days=10))
        assert held["note"] == f"Your purchase order: {order.purchase_order}"
        assert held["memo"].startswith("Net 10 [TP-")
        assert held["contact"]["email"] == "hello@copperkettle.example"
        assert [mail["to"] for mail in shop.mailbox()] == ["hello@copperkettle.example"]

    def test_it_is_sent_once(self, shop: Sandbox, order: Order) -> None:
        assert send_invoice(order).pk == send_invoice(order).pk
        assert len(shop.payment_intents()) == 1

    def test_two_customers_of_one_name_are_kept_apart(self, shop: Sandbox) -> None:
        send_invoice(ordered("HS-1002"))
        with pytest.raises(ActionRefusedError, match="Two payers are named “Main Street Diner”"):
            send_invoice(ordered("HS-1003"))
        assert [held["contact"]["email"] for held in shop.payment_intents()] == ["tacoma@mainstreetdiner.example"]

    def test_an_order_for_nothing_is_not_invoiced(self, shop: Sandbox, order: Order) -> None:
        OrderLine.objects.filter(order=order).delete()
        with pytest.raises(InvalidRequestError, match="total"):
            send_invoice(order)
        assert not PaymentIntent.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestFollowingTheInvoice:
    def test_a_paid_invoice_marks_its_order_paid(self, shop: Sandbox, order: Order) -> None:
        other = ordered("HS-1009")
        invoice = send_invoice(order)
        send_invoice(other)
        shop.pay(str(invoice.uid))
        sync.refresh(invoice)

        order.refresh_from_db()
        other.refresh_from_db()
        assert order.paid_at == invoice.paid_at is not None
        assert other.paid_at is None

    def test_a_part_is_not_enough(self, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        shop.pay(str(invoice.uid), "10.00")
        sync.refresh(invoice)
        order.refresh_from_db()
        assert order.paid_at is None

    def test_a_returned_payment_marks_it_unpaid_again(self, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        payment = shop.pay(str(invoice.uid))
        sync.refresh(invoice)
        shop.return_transaction(payment["uid"])
        sync.refresh(invoice)
        order.refresh_from_db()
        assert order.paid_at is None

    def test_being_told_twice_or_late_changes_nothing(self, shop: Sandbox, order: Order) -> None:
        """The signals of a payment and of its return, once more and the older one last."""
        invoice = send_invoice(order)
        payment = shop.pay(str(invoice.uid))
        sync.refresh(invoice)
        shop.return_transaction(payment["uid"])
        sync.refresh(invoice)
        entries = {entry.kind: entry for entry in invoice.timeline.all()}
        for name, kind in (("payment_returned", "payment_returned"), ("payment_intent_paid", "paid")):
            getattr(signals, name).send(PaymentIntent, payment_intent=invoice, entry=entries[kind])
        order.refresh_from_db()
        assert order.paid_at is None

    def test_an_invoice_without_an_order_is_none_of_its_business(self, shop: Sandbox, order: Order) -> None:
        contact = {"name": "Walk-in", "email": "walkin@elsewhere.example"}
        invoice = actions.draft(contact=contact, total="5.00", addenda="Over the counter")
        actions.send(invoice)
        shop.pay(str(invoice.uid))
        sync.refresh(invoice)
        assert invoice.status == "Paid"
        assert not Order.objects.exclude(paid_at=None).exists()


class TestOrdersFile:
    def test_every_order_can_be_invoiced(self) -> None:
        samples = list(seed.read_orders())
        assert len(samples) == len({sample.number for sample in samples}) == 304
        for sample in samples:
            assert sum(quantity * price for _item, quantity, price in sample.lines) >= 1
            assert sample.net_days >= 7
            assert sample.email != sample.secondary_email
            assert len(sample.phone) <= 11

    def test_nobody_real_is_in_it(self) -> None:
        """Addresses under .example and telephone numbers set aside for fiction."""
        for sample in seed.read_orders():
            assert all(mail.endswith(".example") for mail in (sample.email, sample.secondary_email) if mail)
            assert not sample.phone or sample.phone.startswith("120655501")

    @pytest.mark.django_db
    def test_placing_it_again_places_nothing(self) -> None:
        samples = list(seed.read_orders())[:20]
        assert seed.place(samples) == 20
        assert seed.place(samples) == 0
        assert Order.objects.count() == 20
        assert Customer.objects.count() == len({sample.email for sample in samples})

    @pytest.mark.django_db
    def test_ordering_again_takes_the_next_number(self) -> None:
        sample = next(seed.read_orders())
        assert [seed.order_again(sample).number for _ in range(3)] == ["HS-5001", "HS-5002", "HS-5003"]
        assert Customer.objects.count() == 1
