"""Checkout links, and the page that the payer comes back to."""

import time
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from tests import make
from truss_portal import checkout, sync, views
from truss_portal.exceptions import NotPayableError
from truss_portal.models import PayerReturn, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

RETURN_URL = "https://shop.example/truss/return/"


class TestCheckoutUrl:
    pytestmark = pytest.mark.django_db

    @pytest.mark.parametrize(
        ("environment", "host"),
        [
            ("production", "https://app.trusspayments.com"),
            ("sandbox", "https://app.staging.trusspayments.com"),
            ("local", "http://127.0.0.1:8123/sandbox"),
        ],
    )
    def test_each_environment_has_its_portal(self, settings: Any, environment: str, host: str) -> None:
        settings.TRUSS_PORTAL = {"ENVIRONMENT": environment, "API_URL": "http://127.0.0.1:8123/sandbox/"}
        intent = make.row(company=make.company(environment=environment))
        assert intent.checkout_url() == f"{host}/pay/k7m2p9qx/paymentIntent/{intent.uid}"
        assert intent.company.portal_url().startswith(f"{host}/pay/k7m2p9qx")
        assert intent.is_payable

    def test_portal_url_can_be_set(self, settings: Any) -> None:
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local", "PORTAL_URL": "https://portal.example/"}
        assert make.row().checkout_url().startswith("https://portal.example/pay/k7m2p9qx/paymentIntent/")

    def test_the_return_address_waits_for_the_allowlist(self, settings: Any) -> None:
        settings.TRUSS_PORTAL = {"RETURN_URL": RETURN_URL, "ENVIRONMENT": "local"}
        assert "redirect_uri" not in make.row().checkout_url()
        settings.TRUSS_PORTAL = {"RETURN_URL_ALLOWLISTED": True, "ENVIRONMENT": "local"}
        assert "redirect_uri" not in make.row().checkout_url()

    def test_the_return_address_carries_our_token_and_where_to_go_on(self, settings: Any) -> None:
        settings.TRUSS_PORTAL = {
            "ENVIRONMENT": "local",
            "RETURN_URL": RETURN_URL + "?shop=1",
            "RETURN_URL_ALLOWLISTED": True,
        }
        intent = make.row()
        query = parse_qs(urlsplit(intent.checkout_url("/orders/7/?a=b&c=d")).query)
        [redirect_uri] = query["redirect_uri"]
        assert redirect_uri.startswith(RETURN_URL)
        inner = parse_qs(urlsplit(redirect_uri).query)
        assert (inner["shop"], inner["next"]) == (["1"], ["/orders/7/?a=b&c=d"])
        assert checkout.read_token(inner["t"][0]) == intent.memo_reference

    @pytest.mark.parametrize(
        ("columns", "reason", "words"),
        [
            ({"uid": None, "status": "", "delivery": "unsent"}, "not_sent", "hasn't been sent"),
            ({"status": "Canceled"}, "canceled", "was canceled"),
            ({"status": "Paid"}, "paid", "already paid"),
            ({"status": "Errored"}, "status", "Accounting error"),
            ({"status": "Pondering"}, "status", "Pondering"),
            ({"missing_since": timezone.now()}, "missing", "no longer found"),
        ],
    )
    def test_a_refusal_gives_its_reason(self, columns: dict[str, Any], reason: str, words: str) -> None:
        intent = make.row(**columns)
        with pytest.raises(NotPayableError, match=words) as caught:
            intent.checkout_url()
        assert caught.value.reason == reason
        assert not intent.is_payable

    def test_no_portal(self) -> None:
        company = make.company(checkout_link_id="")
        with pytest.raises(NotPayableError, match="no payment portal link") as caught:
            make.row(company=company).checkout_url()
        assert caught.value.reason == "no_portal"
        with pytest.raises(NotPayableError, match="no payment portal link"):
            company.portal_url()

    def test_a_token_is_ours_or_nothing(self) -> None:
        intent = make.row()
        token = checkout.make_token(intent)
        assert checkout.read_token(token) == intent.memo_reference
        for forged in ("", "x", token + "x", token[:-1], f"AAAAAAAAAA{token[10:]}", "ä" * 10):
            assert checkout.read_token(forged) is None


@pytest.mark.django_db(transaction=True)
class TestReturn:
    def _visit(self, client: Client, intent: PaymentIntent | None, **query: str) -> Any:
        token = {"t": checkout.make_token(intent)} if intent else {}
        return client.get("/truss/return/", token | query)

    def _paid(self, truss: Sandbox, **payment: str) -> PaymentIntent:
        intent = make.sent()
        truss.pay(str(intent.uid), **payment)
        return intent

    def test_paid_in_full(self, client: Client, truss: Sandbox) -> None:
        intent = self._paid(truss)
        answer = self._visit(client, intent, result="success", payment_intent_uid=str(intent.uid))
        assert "Paid in full" in answer.content.decode()
        assert answer.context["state"] == "paid"
        intent.refresh_from_db()
        assert intent.status == "Paid", "the return made us look"
        returned = PayerReturn.objects.get()
        assert (returned.payment_intent, returned.claimed_result, returned.status) == (intent, "success", "Pending")
        assert "payer_returned" in make.kinds(intent)
        assert answer["Referrer-Policy"] == "same-origin"
        assert "no-store" in answer["Cache-Control"]

    def test_part_paid_with_what_is_left(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent(total="1523.05")
        truss.pay(str(intent.uid), amount="20.50")
        page = self._visit(client, intent, result="success").content.decode()
        assert "$1,502.55 is left to pay" in page
        assert "$20.50 of $1,523.05" in page
        assert "Pay the rest" in page
        assert "a•••@acme.test" in page
        assert "ap@acme.test" not in page

    def test_being_confirmed_looks_again_by_itself_for_a_while(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent()
        answer = self._visit(client, intent, result="success")
        page = answer.content.decode()
        assert "being confirmed" in page
        assert '<meta http-equiv="refresh" content="5;url=?' in page
        PaymentIntent.objects.update(asked_at=timezone.now() - timedelta(minutes=1))
        truss.pay(str(intent.uid))
        again = client.get("/truss/return/" + answer.context["look_again_url"])
        assert again.context["state"] == "paid"
        assert "http-equiv" not in again.content.decode()
        assert PayerReturn.objects.count() == 1, "the page's own looks are not returns"
        intent.refresh_from_db()
        last = self._visit(client, make.sent(), result="success", look=str(len(views.LOOK_AGAIN_AFTER)))
        assert "longer than usual" in last.content.decode()
        assert "look_again_url" not in last.context

    def test_not_completed_offers_the_link_again(self, client: Client, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"RETURN_URL": RETURN_URL, "RETURN_URL_ALLOWLISTED": True}
        intent = make.sent()
        for result in ("incomplete", "fail", "", "something-new"):
            answer = self._visit(client, intent, result=result, next="/orders/7/")
            page = answer.content.decode()
            assert "not paid yet" in page
            assert escape(intent.checkout_url("/orders/7/")) in page
            assert "a•••@acme.test" in page
            assert 'href="/orders/7/"' in page

    def test_canceled_and_other(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent()
        truss.alter(str(intent.uid), status="Canceled")
        assert "was canceled" in self._visit(client, intent, result="success").content.decode()
        for status in ("Errored", "Pondering"):
            odd = make.sent()
            truss.alter(str(odd.uid), status=status)
            page = self._visit(client, odd, result="success").content.decode()
            assert "can't be paid at the moment" in page or "can&#x27;t be paid" in page

    def test_a_claim_of_success_proves_nothing(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent()
        self._visit(client, intent, result="success")
        intent.refresh_from_db()
        assert intent.status == "Pending"

    def test_without_a_valid_token_nothing_is_said_about_any_invoice(self, client: Client, truss: Sandbox) -> None:
        intent, other = make.sent(), make.sent()
        asked = len(truss.requests())
        token = checkout.make_token(intent)
        for query in (
            {},
            {"payment_intent_uid": str(intent.uid), "result": "success"},
            {"t": token[:-2], "payment_intent_uid": str(intent.uid)},
            {"t": token, "payment_intent_uid": str(other.uid)},
            {"t": checkout.make_token(PaymentIntent(memo_reference="0000000000"))},
        ):
            answer = client.get("/truss/return/", query)
            page = answer.content.decode()
            assert answer.status_code == 200
            assert "Thank you!" in page
            for secret in (str(intent), "120.00", "acme", str(intent.uid)):
                assert secret not in page
        assert len(truss.requests()) == asked
        assert PayerReturn.objects.filter(payment_intent=None).count() == 5

    def test_truss_is_asked_at_most_so_often_about_one_invoice(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent()
        asked = len(truss.requests())
        for _ in range(5):
            self._visit(client, intent, result="success")
        assert len(truss.requests()) == asked + 1

    def test_truss_being_down_does_not_take_the_page_with_it(self, client: Client, truss: Sandbox) -> None:
        intent = make.sent()
        truss.fault("unauthorized", count=None)
        answer = self._visit(client, intent, result="success")
        assert answer.context["state"] == "confirming"

    def test_a_slow_truss_does_not_keep_the_payer_waiting(self, client: Client, truss: Sandbox, settings: Any) -> None:
        intent = make.sent()
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"TIMEOUT": (1, 0.2)}
        truss.fault("latency", method="GET", seconds=1, count=None)
        asked = len(truss.requests())
        answer = self._visit(client, intent, result="success")
        truss.clear_faults()
        assert answer.context["state"] == "confirming"
        deadline = time.monotonic() + 10  # the sandbox is still at it, and would else be so in the next test
        while len(truss.requests()) == asked and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(truss.requests()) == asked + 1, "asked once, not again and again while somebody waits"

    @pytest.mark.parametrize(
        ("url", "safe"),
        [
            ("/orders/7/", True),
            ("http://testserver/orders/", True),
            ("https://evil.example/", False),
            ("//evil.example/", False),
            ("javascript:alert(1)", False),
            ("http:///evil.example", False),
        ],
    )
    def test_next_leads_only_to_this_site(self, client: Client, url: str, safe: bool) -> None:
        answer = client.get("/truss/return/", {"next": url})
        assert answer.context["next_url"] == (url if safe else "")

    def test_under_atomic_requests_too(self, client: Client, truss: Sandbox, settings: Any) -> None:
        from django.db import connections

        intent = self._paid(truss)
        connections["default"].settings_dict["ATOMIC_REQUESTS"] = True
        try:
            assert self._visit(client, intent, result="success").context["state"] == "paid"
        finally:
            connections["default"].settings_dict["ATOMIC_REQUESTS"] = False

    def test_nonsense_in_the_address_is_harmless(self, client: Client) -> None:
        for query in ({"look": "-1"}, {"look": "٣"}, {"look": "9" * 400}, {"result": "x" * 5000}, {"t": "\x00"}):
            assert client.get("/truss/return/", query).status_code == 200
        assert client.post("/truss/return/").status_code == 405

    def test_an_invoice_without_a_contact_shows_no_email(self, client: Client, truss: Sandbox) -> None:
        [uid] = truss.create_many(1)
        truss.alter(uid, extra={"contact": {}})
        sync.sync_all(make.company())
        answer = self._visit(client, PaymentIntent.objects.get(), result="incomplete")
        assert answer.context["masked_email"] == ""
