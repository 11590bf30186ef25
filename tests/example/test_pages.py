"""What customers and finance staff see of the shop."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from example_project.orders.invoicing import send_invoice
from example_project.orders.models import Order
from tests.example.orders import ordered
from truss_portal import actions, sync
from truss_portal.models import Company, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


class TestOrderPage:
    def test_before_the_invoice_there_is_nothing_to_pay(self, client: Client, order: Order) -> None:
        page = client.get(order.get_absolute_url()).content.decode()
        assert "We are preparing your invoice." in page
        assert "Pay invoice" not in page
        assert "$1,523.05" in page

    def test_the_button_leads_to_the_invoice_and_back_here(self, client: Client, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        response = client.get(order.get_absolute_url())
        url = response.context["pay_url"]
        assert urlsplit(url).path == f"/pay/sandbox/paymentIntent/{invoice.uid}"
        back = parse_qs(parse_qs(urlsplit(url).query)["redirect_uri"][0].partition("?")[2])
        assert back["next"] == [order.get_absolute_url()]
        page = response.content.decode()
        assert "Pay invoice" in page
        assert "h•••@copperkettle.example" in page
        assert "hello@copperkettle.example" not in page

    def test_part_paid(self, client: Client, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        shop.pay(str(invoice.uid), "523.05")
        sync.refresh(invoice)
        page = client.get(order.get_absolute_url()).content.decode()
        assert "$523.05" in page
        assert "$1,000.00" in page
        assert "Pay invoice" in page

    def test_paid(self, client: Client, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        shop.pay(str(invoice.uid))
        sync.refresh(invoice)
        page = client.get(order.get_absolute_url()).content.decode()
        assert "This invoice is paid in full. Thank you!" in page
        assert "Pay invoice" not in page

    def test_canceled(self, client: Client, shop: Sandbox, order: Order) -> None:
        actions.cancel(send_invoice(order))
        assert "This invoice was canceled." in client.get(order.get_absolute_url()).content.decode()

    def test_gone_from_truss(self, client: Client, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        shop.vanish(str(invoice.uid))
        sync.refresh(invoice)
        assert "don&#x27;t pay it" in client.get(order.get_absolute_url()).content.decode()

    def test_on_hold(self, client: Client, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        shop.alter(str(invoice.uid), status="Errored")
        sync.refresh(invoice)
        assert "can&#x27;t be paid online at the moment" in client.get(order.get_absolute_url()).content.decode()

    def test_no_portal(self, client: Client, shop: Sandbox, order: Order) -> None:
        send_invoice(order)
        Company.objects.update(checkout_link_id="")
        assert "Paying online isn&#x27;t possible" in client.get(order.get_absolute_url()).content.decode()

    def test_the_address_is_kept_private(self, client: Client, order: Order) -> None:
        response = client.get(order.get_absolute_url())
        assert response["Referrer-Policy"] == "no-referrer"
        assert response["X-Robots-Tag"] == "noindex"
        assert "no-store" in response["Cache-Control"]
        assert client.get(f"/orders/{uuid4()}/").status_code == 404
        assert client.get(f"/orders/{order.number}/").status_code == 404


class TestCustomerPage:
    def test_lists_their_orders_and_nobody_elses(self, client: Client, shop: Sandbox, order: Order) -> None:
        other = ordered("HS-1009")
        send_invoice(order)
        page = client.get(order.customer.get_absolute_url()).content.decode()
        assert order.number in page
        assert "To pay" in page
        assert other.number not in page
        assert client.get(f"/customers/{uuid4()}/").status_code == 404


class TestHomePage:
    def test_shows_the_way_around_where_all_is_pretended(self, client: Client, order: Order, settings: Any) -> None:
        settings.DEBUG = True
        page = client.get("/").content.decode()
        for url in ("/admin/", "/admin/orders/order/", "/sandbox/", "/sandbox/mailbox/", order.get_absolute_url()):
            assert f'href="{url}"' in page

    def test_names_no_customer_elsewhere(self, client: Client, order: Order, settings: Any) -> None:
        settings.DEBUG = True
        settings.USES_SANDBOX = False
        page = client.get("/").content.decode()
        assert order.number not in page
        assert "demonstration" not in page


class TestReturnPage:
    def test_wears_the_shops_dress(self, client: Client, shop: Sandbox, order: Order) -> None:
        invoice = send_invoice(order)
        shop.pay(str(invoice.uid))
        url = client.get(order.get_absolute_url()).context["pay_url"]
        back = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        page = client.get(f"{back}&payment_intent_uid={invoice.uid}&result=success").content.decode()
        assert "Restaurant and café supplies, Seattle" in page
        assert "Paid in full. Thank you!" in page
        assert f'<a href="{order.get_absolute_url()}">Back to your order</a>' in page


class TestAdmin:
    def test_sends_the_invoices_of_the_chosen_orders(self, admin_client: Client, shop: Sandbox) -> None:
        orders = [ordered(number) for number in ("HS-1001", "HS-1002", "HS-1003")]
        data = {"action": "send_invoices", "_selected_action": [order.pk for order in orders]}
        response = admin_client.post(reverse("admin:orders_order_changelist"), data, follow=True)
        told = [str(message) for message in response.context["messages"]]
        assert told[0].startswith("HS-1003: Two payers are named")
        assert told[1] == "2 invoices are at Truss."
        assert len(shop.payment_intents()) == 2
        page = response.content.decode()
        assert page.count("Unpaid") == 2

    def test_says_why_one_was_not_sent(self, admin_client: Client, shop: Sandbox, order: Order) -> None:
        shop.fault("error_after", method="POST")
        data = {"action": "send_invoices", "_selected_action": [order.pk]}
        response = admin_client.post(reverse("admin:orders_order_changelist"), data, follow=True)
        [told] = [str(message) for message in response.context["messages"]]
        assert told.startswith("HS-1008: Not confirmed.")

    def test_sending_needs_its_own_permission(self, client: Client, shop: Sandbox, order: Order) -> None:
        clerk = User.objects.create_user("clerk", is_staff=True)
        clerk.user_permissions.add(*Permission.objects.filter(codename__in=["view_order", "change_order"]))
        client.force_login(clerk)
        url = reverse("admin:orders_order_changelist")
        assert "send_invoices" not in client.get(url).content.decode()
        client.post(url, {"action": "send_invoices", "_selected_action": [order.pk]})
        assert not PaymentIntent.objects.exists()

        clerk.user_permissions.add(Permission.objects.get(codename="send_paymentintent"))
        client.post(url, {"action": "send_invoices", "_selected_action": [order.pk]})
        assert len(shop.payment_intents()) == 1

    def test_an_invoiced_order_stands(self, admin_client: Client, shop: Sandbox, order: Order) -> None:
        url = reverse("admin:orders_order_change", args=[order.pk])
        assert 'name="_save"' in admin_client.get(url).content.decode()
        send_invoice(order)
        assert 'name="_save"' not in admin_client.get(url).content.decode()
        assert admin_client.post(url, {"number": "HS-1"}).status_code == 403

    def test_lists_in_a_fixed_number_of_queries(
        self, admin_client: Client, shop: Sandbox, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(1001, 1012):
            ordered(f"HS-{number}")
        with django_assert_max_num_queries(8):
            admin_client.get(reverse("admin:orders_order_changelist"))
