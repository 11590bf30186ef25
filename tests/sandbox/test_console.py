"""The sandbox's own pages."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from tests.sandbox.conftest import Api
from truss_portal.sandbox.models import WebhookDelivery


def test_the_home_page_shows_what_is_there(api: Api) -> None:
    page = api.client.get("/sandbox/").content.decode()
    assert "Sandbox — no real money" in page
    assert "/sandbox/pay/sandbox/" in page
    assert "None yet" in page

    uid = api.created()["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {})
    api.fault("drop_after", path="inbound", count=None)
    page = api.client.get("/sandbox/").content.decode()
    assert f"/sandbox/pay/sandbox/paymentIntent/{uid}" in page
    assert "$120.00" in page
    assert "drop_after" in page
    assert "for ever" in page


def test_the_home_page_shows_the_latest_webhooks_and_what_became_of_them(api: Api) -> None:
    assert "Webhooks" not in api.client.get("/sandbox/").content.decode()
    # Nothing is sent here: this test's transaction never ends.
    api.control("PATCH", "company", {"webhook_url": "http://127.0.0.1:9/hook"})
    assert "None yet. Pay or change" in api.client.get("/sandbox/").content.decode()
    uid = api.created()["uid"]
    api.control("POST", "webhooks/lose", {"count": 1})
    api.control("POST", f"payment-intents/{uid}/pay", {"amount": "1.00"})
    api.control("POST", "webhooks/forge", {"kind": "wrong_secret"})
    api.control("POST", "webhooks", {"event_name": "payout.failed"})
    api.control("POST", "webhooks", {"event_name": "payout.made"})
    api.control("POST", "webhooks/hold")
    api.control("POST", f"payment-intents/{uid}/pay", {"amount": "1.00"})
    deliveries = WebhookDelivery.objects.order_by("pk")
    failed, made = deliveries[1], deliveries[2]
    WebhookDelivery.objects.filter(pk=failed.pk).update(is_waiting=False, attempts=4, error="TimeoutError: timed out")
    done = {"is_waiting": False, "attempts": 1, "last_status": 204, "delivered_at": timezone.now()}
    WebhookDelivery.objects.filter(pk__gte=made.pk).update(**done)

    page = " ".join(api.client.get("/sandbox/").content.decode().split())
    assert "is told of every change at <code>http://127.0.0.1:9/hook</code>; events are held now" in page
    for shown in (
        ">lost<",
        ">held<",
        ">on its way<",
        ">given up<",
        "TimeoutError: timed out, try 4",
        ">delivered<",
        "204",
    ):
        assert shown in page, shown
    assert "forged: wrong_secret" in page
    assert page.index("payout.made") < page.index("payout.failed")


def test_the_home_page_without_a_portal(api: Api) -> None:
    api.created()
    api.control("PATCH", "company", {"checkout_link_id": ""})
    page = api.client.get("/sandbox/").content.decode()
    assert "has not set up its payment portal" in page
    assert "Invoice 1042" in page


def test_the_mailbox_lists_mail_newest_first(api: Api) -> None:
    assert "No mail yet" in api.client.get("/sandbox/mailbox/").content.decode()
    api.created(addenda="Invoice A", send_email=True)
    uid = api.created(addenda="Invoice B", send_email=True)["uid"]
    page = api.client.get("/sandbox/mailbox/").content.decode()
    assert page.index("Invoice B") < page.index("Invoice A")
    assert f"/sandbox/pay/sandbox/paymentIntent/{uid}" in page


def test_a_payment_settles_and_returns_at_the_press_of_a_button(api: Api) -> None:
    uid = api.created()["uid"]
    payment = api.control("POST", f"payment-intents/{uid}/pay", {})["uid"]
    client = Client(enforce_csrf_checks=True)

    def press(action: str, **environ: str) -> int:
        page = client.get("/sandbox/").content.decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        data = {"csrfmiddlewaretoken": token[1]} if token else {}
        return int(client.post(f"/sandbox/bank/{payment}/{action}", data, **environ).status_code)

    assert client.post(f"/sandbox/bank/{payment}/settle").status_code == 403
    assert press("settle", REMOTE_ADDR="192.0.2.7") == 403
    assert press("settle") == 302
    assert api.fetched(uid)["transactions"][0]["settled_at"]
    assert press("settle") == 409
    assert press("return") == 302
    assert api.fetched(uid)["status"] == "Pending"


@pytest.mark.parametrize("method", ["get", "put"])
def test_money_moves_by_post_only(api: Api, method: str) -> None:
    assert getattr(api.client, method)("/sandbox/bank/8f0c2d54-6b1e-4c0a-9a57-2f6f1d0b7c31/settle").status_code == 405
