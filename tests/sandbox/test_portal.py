"""Payers' journeys through the hosted portal, by HTTP."""

import datetime as dt
import html
import re
import uuid
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from tests.sandbox.conftest import Api

RETURN_URL = "https://site.example/truss/return/"
EMAIL = "ap@ortega.example"


class Browser:
    """Keeps cookies, sends CSRF tokens, and follows redirects inside the portal."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.client = Client(enforce_csrf_checks=True)
        self.address = ""
        self.status = 0
        self.page = ""

    def open(self, address: str) -> str:
        return self._show(self.client.get(address), address)

    def submit(self, step: str, **fields: str) -> str:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.page)
        assert token is not None, self.page
        data = {"csrfmiddlewaretoken": token[1], "step": step} | fields
        return self._show(self.client.post(self.address, data), self.address)

    def sign_in(self, email: str = EMAIL) -> str:
        self.submit("email", email=email)
        return self.submit("code", code=self.api.control("GET", "mailbox")[0]["code"])

    def link(self, label: str) -> str:
        found = re.search(rf'<a [^>]*href="([^"]+)"[^>]*>\s*{re.escape(label)}', self.page)
        assert found is not None, self.page
        return html.unescape(found[1])

    def _show(self, answer: Any, address: str) -> str:
        if answer.status_code == 302:
            return self.open(answer["Location"])
        self.address, self.status, self.page = address, answer.status_code, answer.content.decode()
        assert "Sandbox — no real money" in self.page
        return self.page


@pytest.fixture
def browser(api: Api) -> Browser:
    api.control("PATCH", "company", {"allowed_redirects": [RETURN_URL]})
    return Browser(api)


def checkout(uid: str, redirect_uri: str | None = None) -> str:
    query = "" if redirect_uri is None else f"?redirect_uri={quote(redirect_uri, safe='')}"
    return f"/sandbox/pay/sandbox/paymentIntent/{uid}{query}"


def test_a_payer_pays_all_and_returns(browser: Browser) -> None:
    api = browser.api
    uid = api.created(note="Thank you.")["uid"]

    assert "Send code" in browser.open(checkout(uid, f"{RETURN_URL}?state=a%20b&x=1"))
    assert "Enter your code" in browser.submit("email", email=EMAIL.upper())
    assert "Continue" in browser.page
    browser.submit("code", code=api.control("GET", "mailbox")[0]["code"])
    assert "Thank you." in browser.page
    assert 'value="120.00"' in browser.page
    assert "Payment sent" in browser.submit("pay", amount="120.00", payment_method="ach")

    done = urlsplit(browser.link("Done"))
    assert f"{done.scheme}://{done.netloc}{done.path}" == RETURN_URL
    assert parse_qs(done.query) == {
        "state": ["a b"],
        "x": ["1"],
        "payment_intent_uid": [uid],
        "result": ["success"],
    }
    intent = api.fetched(uid)
    assert intent["status"] == "Paid"
    assert intent["transactions"][0]["payment_method"] == "ach"


def test_part_of_an_invoice_is_paid_by_card_and_the_rest_later(browser: Browser) -> None:
    uid = browser.api.created()["uid"]
    browser.open(checkout(uid))
    browser.sign_in()

    browser.submit("pay", amount="20.50", payment_method="credit_card")
    assert "$99.50" in browser.page
    assert "Your invoices" in browser.open(browser.link("Done"))
    assert "Partially paid" in browser.page
    assert 'value="99.50"' in browser.open(checkout(uid))
    intent = browser.api.fetched(uid)
    assert (intent["status"], intent["transactions"][0]["payment_method"]) == ("PartiallyPaid", "credit_card")


@pytest.mark.parametrize("amount", ["0", "0.00", "-1", "120.01", "1.001", "x", "", "NaN", "1e1000"])
def test_an_amount_that_cannot_be_paid_is_refused(browser: Browser, amount: str) -> None:
    uid = browser.api.created()["uid"]
    browser.open(checkout(uid))
    browser.sign_in()
    browser.submit("pay", amount=amount, payment_method="ach")
    assert browser.status == 400
    assert "errorlist" in browser.page
    assert browser.api.fetched(uid)["status"] == "Pending"


def test_a_method_that_is_not_offered_is_refused(browser: Browser) -> None:
    uid = browser.api.created()["uid"]
    browser.open(checkout(uid))
    browser.sign_in()
    browser.submit("pay", amount="5.00", payment_method="cash")
    assert browser.status == 400


def test_a_payer_sees_only_the_invoices_of_that_email(browser: Browser) -> None:
    api = browser.api
    contact = {"name": "Ortega Bakery", "email": EMAIL, "secondary_email": "owner@ortega.example"}
    api.created(addenda="open one", contact=contact)
    paid = api.created(addenda="paid one", contact=contact)["uid"]
    api.control("POST", f"payment-intents/{paid}/pay", {})
    canceled = api.created(addenda="canceled one", contact=contact)["uid"]
    api.post(f"/v1/payment-intents/inbound/{canceled}/cancel/")
    api.created(addenda="of another", contact={"name": "Harbor Diner", "email": "owner@harbor.example"})

    browser.open("/sandbox/pay/sandbox/")
    for email in (EMAIL, "Owner@Ortega.example"):
        page = browser.sign_in(email)
        assert "open one" in page
        assert "paid one" in page
        assert "canceled one" not in page
        assert "of another" not in page
        browser.submit("restart")
    assert "has no invoices for" in browser.sign_in("stranger@example.test")


def test_somebody_elses_invoice_is_not_shown(browser: Browser) -> None:
    uid = browser.api.created(addenda="secret words")["uid"]
    browser.open(checkout(uid, RETURN_URL))
    page = browser.sign_in("stranger@example.test")

    assert browser.status == 403
    assert "You can&#x27;t see this invoice" in page or "You can't see this invoice" in page
    assert "stranger@example.test" in page
    assert "secret words" not in page
    close = parse_qs(urlsplit(browser.link("Close this page")).query)
    assert close == {"payment_intent_uid": [uid], "result": ["incomplete"]}
    browser.submit("pay", amount="1.00", payment_method="ach")
    assert browser.api.fetched(uid)["status"] == "Pending"


@pytest.mark.parametrize("uid", ["8f0c2d54-6b1e-4c0a-9a57-2f6f1d0b7c31", "not-a-uid"])
def test_an_invoice_that_does_not_exist_looks_the_same(browser: Browser, uid: str) -> None:
    browser.open(checkout(uid))
    page = browser.sign_in()
    assert browser.status == 403
    assert "see this invoice" in page
    assert "Close this page" not in page


@pytest.mark.parametrize(("end", "words"), [("pay", "already been paid"), ("cancel", "was canceled")])
def test_checkout_cannot_go_on_and_returns_early(browser: Browser, end: str, words: str) -> None:
    api = browser.api
    uid = api.created()["uid"]
    browser.open(checkout(uid, RETURN_URL))
    browser.sign_in()
    if end == "pay":
        api.control("POST", f"payment-intents/{uid}/pay", {})
    else:
        api.post(f"/v1/payment-intents/inbound/{uid}/cancel/")

    assert words in browser.submit("pay", amount="5.00", payment_method="ach")
    assert browser.link("Close this page") == f"{RETURN_URL}?payment_intent_uid={uid}&result=incomplete"


def test_an_intent_of_unknown_status_or_overpaid_cannot_be_paid(browser: Browser) -> None:
    uid = browser.api.created()["uid"]
    browser.open(checkout(uid))
    browser.sign_in()
    browser.api.control("PATCH", f"payment-intents/{uid}", {"status": "Errored"})
    assert "be paid now" in browser.open(checkout(uid))
    browser.api.control("PATCH", f"payment-intents/{uid}", {"status": "PartiallyPaid", "balance_paid": "200.00"})
    assert "be paid now" in browser.open(checkout(uid))


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://site.example/truss/return",
        "https://site.example:443/truss/return/?next=/x",
        "https://SITE.example/truss/return/",
        "http://127.0.0.1:8000/truss/return/",
        "http://localhost:8000/back",
    ],
)
def test_an_allowed_return_address_is_taken(browser: Browser, redirect_uri: str) -> None:
    allowed = [RETURN_URL, "http://127.0.0.1:8000/truss/return", "http://localhost:8000/back"]
    browser.api.control("PATCH", "company", {"allowed_redirects": allowed})
    assert "Send code" in browser.open(checkout(str(uuid.uuid4()), redirect_uri))


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "",
        "site",
        "/truss/return/",
        "//site.example/truss/return/",
        "http://site.example/truss/return/",
        "https://site.example/truss/return/extra",
        "https://site.example/truss",
        "https://site.example/truss/x/../return/",
        "https://site.example:8443/truss/return/",
        "https://site.example:99999/truss/return/",
        "https://site.example.evil.example/truss/return/",
        "https://user@site.example/truss/return/",
        "https://evil.example\\@site.example/truss/return/",
        " https://site.example/truss/return/",
        "https://site.example/truss/return/\n",
        "https://[site.example/truss/return/",
        "https:///truss/return/",
        "javascript:alert(1)",
        "http://testserver/truss/return/",
    ],
)
def test_any_other_return_address_makes_the_link_invalid(browser: Browser, redirect_uri: str) -> None:
    uid = browser.api.created()["uid"]
    browser.open(checkout(uid))
    browser.sign_in()

    page = browser.open(checkout(uid, redirect_uri))
    assert browser.status == 400
    assert "This link is invalid" in page
    assert "<form" not in page


def test_two_return_addresses_make_the_link_invalid(browser: Browser) -> None:
    address = f"{checkout(str(uuid.uuid4()), RETURN_URL)}&redirect_uri={quote(RETURN_URL, safe='')}"
    assert "This link is invalid" in browser.open(address)


def test_an_unknown_checkout_link(browser: Browser) -> None:
    assert "No such payment page" in browser.open("/sandbox/pay/elsewhere/")
    assert browser.status == 404


def test_the_general_link_works_without_a_slash_at_its_end(browser: Browser) -> None:
    back = quote(RETURN_URL, safe="")
    assert "See and pay your invoices" in browser.open(f"/sandbox/pay/sandbox?redirect_uri={back}")
    assert browser.address == f"/sandbox/pay/sandbox/?redirect_uri={back}"
    browser.open("/sandbox/pay/sandbox")
    assert browser.address == "/sandbox/pay/sandbox/"
    assert "Your invoices" in browser.sign_in()


def test_a_code_is_tried_five_times(browser: Browser) -> None:
    browser.open("/sandbox/pay/sandbox/")
    browser.submit("email", email=EMAIL)
    code = browser.api.control("GET", "mailbox")[0]["code"]
    wrong = f"{(int(code) + 1) % 10**6:06}"

    assert "six digits" in browser.submit("code", code="12")
    for _ in range(5):
        assert "isn&#x27;t the code" in browser.submit("code", code=wrong)
    assert "be used any more" in browser.submit("code", code=code)
    assert "Send code" in browser.submit("restart")
    assert "Your invoices" in browser.sign_in()


def test_a_code_expires_and_is_good_once(browser: Browser) -> None:
    browser.open("/sandbox/pay/sandbox/")
    browser.submit("email", email=EMAIL)
    code = browser.api.control("GET", "mailbox")[0]["code"]
    waiting = browser.client.cookies["truss_sandbox_payer"].value
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11), tick=False):
        assert "be used any more" in browser.submit("code", code=code)
    assert "Your invoices" in browser.submit("code", code=f" {code} ")

    browser.client.cookies["truss_sandbox_payer"] = waiting
    browser.open("/sandbox/pay/sandbox/")
    assert "be used any more" in browser.submit("code", code=code)


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c.example"])
def test_an_email_that_is_none_is_refused(browser: Browser, email: str) -> None:
    browser.open("/sandbox/pay/sandbox/")
    browser.submit("email", email=email)
    assert browser.status == 400
    assert browser.api.control("GET", "mailbox") == []


def test_the_cookie_is_signed_kept_to_one_portal_and_hidden_from_scripts(browser: Browser) -> None:
    browser.open("/sandbox/pay/sandbox/")
    browser.sign_in()
    cookie = browser.client.cookies["truss_sandbox_payer"]
    assert cookie["path"] == "/sandbox/pay/sandbox/"
    assert cookie["httponly"]
    browser.client.cookies["truss_sandbox_payer"] = cookie.value[:-1] + ("a" if cookie.value[-1] != "a" else "b")
    assert "Send code" in browser.open("/sandbox/pay/sandbox/")


def test_a_form_without_the_csrf_token_is_refused(browser: Browser, settings: Any) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "csrf" not in each]
    browser = Browser(browser.api)
    browser.open("/sandbox/pay/sandbox/")
    assert browser.client.post(browser.address, {"step": "email", "email": EMAIL}).status_code == 403
    assert "Enter your code" in browser.submit("email", email=EMAIL)


def test_a_custom_payment_never_returns(browser: Browser) -> None:
    browser.open(f"/sandbox/pay/sandbox/?redirect_uri={quote(RETURN_URL, safe='')}")
    browser.sign_in()
    assert "Send Sandbox Company a payment" in browser.open(browser.link("Make another payment"))
    browser.submit("pay", amount="", payment_method="ach", addenda="x")
    assert browser.status == 400
    assert "Payment sent" in browser.submit("pay", amount="15.00", payment_method="ach", addenda="A deposit")
    receipt = browser.address
    assert urlsplit(browser.link("Done")).netloc == ""
    assert "Your invoices" in browser.open(browser.link("Done"))
    assert browser.api.control("GET", "payment-intents") == []
    assert "A deposit" in browser.open("/sandbox/")
    returning = re.search(r'action="([^"]+/return)"', browser.page)
    assert returning is not None
    browser.address = returning[1]
    assert "ReturnedTransaction" in browser.submit("")

    browser.open("/sandbox/pay/sandbox/")
    browser.submit("restart")
    browser.open(receipt)
    browser.sign_in("stranger@example.test")
    assert browser.status == 403


def test_custom_payments_can_be_switched_off(browser: Browser) -> None:
    browser.api.control("PATCH", "company", {"custom_payments": False})
    browser.open("/sandbox/pay/sandbox/custom")
    assert "Only invoices can be paid here" in browser.sign_in()
    assert "Make another payment" not in browser.open("/sandbox/pay/sandbox/")


def test_a_receipt_is_for_the_payer_only(browser: Browser) -> None:
    uid = browser.api.created()["uid"]
    payment = browser.api.control("POST", f"payment-intents/{uid}/pay", {})["uid"]
    receipt = f"{checkout(uid)}/receipt/{payment}"
    browser.open(receipt)
    assert "Payment sent" in browser.sign_in()
    browser.open(f"{checkout(uid)}/receipt/{uuid.uuid4()}")
    assert browser.status == 403
    browser.submit("restart")
    browser.sign_in("stranger@example.test")
    assert browser.status == 403
