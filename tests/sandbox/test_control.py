"""The control API: the dashboard, the bank, and the reset."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import INTENTS, Api
from truss_portal.sandbox import signatures, urls


def test_a_payment_counts_at_once_and_the_status_follows(api: Api) -> None:
    uid = api.created(total="100.00")["uid"]

    part = api.control("POST", f"payment-intents/{uid}/pay", {"amount": "40.00"})
    intent = api.fetched(uid)
    assert (intent["status"], intent["balance_paid"], intent["paid_at"]) == ("PartiallyPaid", "40.00", None)
    assert intent["transactions"] == [part]
    assert part["addenda"] == "Invoice 1042"
    assert (part["payment_method"], part["type"], part["direction"]) == ("ach", "transaction", 0)
    assert part["date"]
    assert part["settled_at"] is None

    rest = api.control("POST", f"payment-intents/{uid}/pay", {"payment_method": "credit_card"})
    intent = api.fetched(uid)
    assert rest["amount"] == "60.00"
    assert (intent["status"], intent["balance_paid"]) == ("Paid", "100.00")
    assert intent["paid_at"]
    assert [each["uid"] for each in intent["transactions"]] == [part["uid"], rest["uid"]]
    assert api.control("POST", f"payment-intents/{uid}/pay", {}).status_code == 409


def test_an_overpaid_intent_is_partially_paid_by_the_letter(api: Api) -> None:
    uid = api.created(total="100.00")["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {"amount": "150.00"})
    assert api.fetched(uid)["status"] == "PartiallyPaid"


def test_a_payment_settles_once(api: Api) -> None:
    uid = api.created()["uid"]
    payment = api.control("POST", f"payment-intents/{uid}/pay", {})["uid"]

    settled = api.control("POST", f"transactions/{payment}/settle")
    assert settled["status"] == "ProcessedCredit"
    assert settled["settled_at"]
    assert api.control("POST", f"transactions/{payment}/settle").status_code == 409


def test_a_return_takes_the_money_back(api: Api) -> None:
    uid = api.created(total="100.00")["uid"]
    first = api.control("POST", f"payment-intents/{uid}/pay", {"amount": "30.00"})["uid"]
    second = api.control("POST", f"payment-intents/{uid}/pay", {})["uid"]

    reversal = api.control("POST", f"transactions/{second}/return")
    intent = api.fetched(uid)
    assert (reversal["direction"], reversal["amount"], reversal["status"]) == (1, "70.00", "ReturnTransaction")
    assert (intent["status"], intent["balance_paid"], intent["paid_at"]) == ("PartiallyPaid", "30.00", None)
    assert intent["transactions"][1]["returned_at"]
    assert intent["transactions"][1]["status"] == "ReturnedTransaction"

    api.control("POST", f"transactions/{first}/return")
    assert api.fetched(uid)["status"] == "Pending"
    for uid in (first, reversal["uid"]):
        assert api.control("POST", f"transactions/{uid}/return").status_code == 409
        assert api.control("POST", f"transactions/{uid}/settle").status_code == 409


def test_a_canceled_intent_stays_canceled_when_a_payment_comes_back(api: Api) -> None:
    uid = api.created()["uid"]
    payment = api.control("POST", f"payment-intents/{uid}/pay", {})["uid"]
    api.control("PATCH", f"payment-intents/{uid}", {"status": "Canceled"})
    api.control("POST", f"transactions/{payment}/return")
    assert api.fetched(uid)["status"] == "Canceled"


def test_an_intent_vanishes(api: Api) -> None:
    uid, other = api.created()["uid"], api.created()["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {})

    assert api.control("DELETE", f"payment-intents/{uid}") == {}
    assert api.get(f"{INTENTS}{uid}/").status_code == 404
    assert [each["uid"] for each in api.control("GET", "payment-intents")] == [other]
    assert api.control("DELETE", f"payment-intents/{uid}").status_code == 404


def test_any_column_can_be_forced_and_any_answer_spoilt(api: Api) -> None:
    uid = api.created(note="x", memo="y")["uid"]
    forced = {
        "status": "Errored",
        "total": "5.00",
        "balance_paid": "7.50",
        "due_date": "2001-02-03",
        "paid_at": "2026-01-02T03:04:05Z",
        "note": "",
        "created_at": "2020-01-01T00:00:00Z",
    }
    api.control("PATCH", f"payment-intents/{uid}", forced | {"extra": {"currency": "USD", "memo": 7}})

    intent = api.fetched(uid)
    assert intent["created_at"] == "2020-01-01T00:00:00.000000Z"
    assert intent["paid_at"] == "2026-01-02T03:04:05.000000Z"
    assert intent["note"] is None
    assert {key: intent[key] for key in ("status", "total", "balance_paid", "due_date")} == {
        key: forced[key] for key in ("status", "total", "balance_paid", "due_date")
    }
    assert (intent["currency"], intent["memo"]) == ("USD", 7)
    assert api.get(INTENTS).json()["results"][0]["currency"] == "USD"

    api.control("PATCH", f"payment-intents/{uid}", {"extra": {}, "due_date": None})
    assert "currency" not in api.fetched(uid)


def test_many_intents_are_made_at_once(api: Api) -> None:
    known = api.created(contact={"name": "Customer 2", "email": "known@example.test"})["contact"]["uid"]
    answer = api.control(
        "POST", "payment-intents", {"count": 3, "total": "10.00", "addenda": "Job {n}", "paid": "4.00", "memo": "m"}
    )

    intents = {each["uid"]: each for each in api.control("GET", "payment-intents")}
    made = [intents[uid] for uid in answer["uids"]]
    assert [each["addenda"] for each in made] == ["Job 1", "Job 2", "Job 3"]
    assert [each["contact"]["name"] for each in made] == ["Customer 1", "Customer 2", "Customer 3"]
    assert made[1]["contact"]["uid"] == known
    assert all((each["status"], each["balance_paid"]) == ("PartiallyPaid", "4.00") for each in made)
    assert all(len(each["transactions"]) == 1 for each in made)
    payment = made[0]["transactions"][0]["uid"]
    api.control("POST", f"transactions/{payment}/return")
    assert api.fetched(answer["uids"][0])["status"] == "Pending"


def test_many_intents_of_one_customer_fully_paid(api: Api) -> None:
    contact = {"name": "Acme", "email": "ap@acme.example", "secondary_email": "b@acme.example"}
    api.control("POST", "payment-intents", {"count": 2, "contact": contact, "paid": "100.00"})
    first, second = api.control("GET", "payment-intents")
    assert first["contact"] == second["contact"]
    assert (first["status"], second["status"]) == ("Paid", "Paid")
    assert first["paid_at"]


def test_one_intent_is_the_default(api: Api) -> None:
    assert len(api.control("POST", "payment-intents", {})["uids"]) == 1


def test_reset_empties_everything(api: Api) -> None:
    uid = api.created(send_email=True)["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {})
    api.control("PATCH", "company", {"checkout_link_id": "x", "page_size_max": 1})
    api.fault("latency", count=None)

    assert api.control("POST", "reset", {}) == {}

    for what in ("payment-intents", "mailbox", "faults", "requests"):
        assert api.control("GET", what) == []
    assert api.get("/v1/company/").json()["checkout_link_id"] == "sandbox"


def test_the_company_is_changed_and_put_back(api: Api, settings: Any) -> None:
    changes = {
        "name": "Ortega",
        "checkout_link_id": "",
        "allowed_redirects": ["https://site.example/return"],
        "scopes": ["transactions:read"],
        "page_size_max": 10,
        "token_lifetime": 60,
        "custom_payments": False,
        "rotate_refresh": False,
        "echo_state": False,
        "webhook_url": "https://site.example/truss/webhook/default/",
        "webhook_secret": "5a" * 32,
        "webhook_encoding": "hex",
        "webhook_payload": "as_published",
        "webhook_pauses": [0.5, 60],
    }
    assert api.control("PATCH", "company", changes) == changes | {"slug": "default"}
    assert api.control("GET", "company") == changes | {"slug": "default"}

    settings.TRUSS_SANDBOX = {"COMPANY_NAME": "From the settings", "ALLOWED_REDIRECTS": ("https://a.example/r",)}
    restored = api.control("PATCH", "company", dict.fromkeys(changes))
    assert restored["name"] == "From the settings"
    assert restored["allowed_redirects"] == ["https://a.example/r"]
    assert restored["page_size_max"] == 100


def test_requests_are_logged(api: Api) -> None:
    api.get(f"{INTENTS}?limit=5")
    api.create(total="0")
    assert api.control("GET", "requests") == [
        {"method": "GET", "path": INTENTS, "query": "limit=5", "status": 200},
        {"method": "POST", "path": INTENTS, "query": "", "status": 400},
    ]


@pytest.mark.parametrize(
    ("method", "what", "body"),
    [
        ("POST", "faults", {}),
        ("POST", "faults", {"kind": "unheard_of"}),
        ("POST", "faults", {"kind": "latency", "seconds": -1}),
        ("POST", "faults", {"kind": "latency", "seconds": "1"}),
        ("POST", "faults", {"kind": "latency", "count": True}),
        ("POST", "faults", {"kind": "latency", "path": "["}),
        ("POST", "faults", {"kind": "error_before", "status": 200}),
        ("POST", "faults", {"kind": "latency", "colour": "red"}),
        ("POST", "payment-intents", {"count": 0}),
        ("POST", "payment-intents", {"count": 10**9}),
        ("POST", "payment-intents", {"count": "3"}),
        ("POST", "payment-intents", {"total": "much"}),
        ("POST", "payment-intents", {"paid": "0.001"}),
        ("POST", "payment-intents", {"contact": {"email": "no-name@example.test"}}),
        ("POST", "payment-intents", {"uid": "x"}),
        ("PATCH", "payment-intents/{uid}", {"total": "much"}),
        ("PATCH", "payment-intents/{uid}", {"company": 5}),
        ("PATCH", "payment-intents/{uid}", {"created_at": None}),
        ("PATCH", "payment-intents/{uid}", {"status": "x" * 65}),
        ("POST", "payment-intents/{uid}/pay", {"amount": 5}),
        ("POST", "payment-intents/{uid}/pay", {"amount": "x"}),
        ("POST", "payment-intents/{uid}/pay", {"amount": "-1"}),
        ("POST", "payment-intents/{uid}/pay", {"amount": "NaN"}),
        ("PATCH", "company", {"slug": "x"}),
        ("PATCH", "company", {"page_size_max": 0}),
        ("PATCH", "company", {"scopes": "all"}),
        ("PATCH", "company", {"webhook_url": "site.example/hook"}),
        ("PATCH", "company", {"webhook_url": "ftp://site.example/hook"}),
        ("PATCH", "company", {"webhook_secret": "5A" * 32}),
        ("PATCH", "company", {"webhook_secret": "short"}),
        ("PATCH", "company", {"webhook_encoding": "base64"}),
        ("PATCH", "company", {"webhook_payload": "half"}),
        ("PATCH", "company", {"webhook_pauses": [-1]}),
        ("PATCH", "company", {"webhook_pauses": [True]}),
        ("POST", "webhooks/double", {"times": 0}),
        ("POST", "webhooks/double", {}),
        ("POST", "webhooks/lose", {"count": -1}),
        ("POST", "webhooks/forge", {"kind": "clumsy"}),
        ("POST", "webhooks/release", {"order": "backwards"}),
        ("POST", "webhooks/release", {"order": ["x"]}),
        ("POST", "webhooks/release", {"order": ["8f0c2d54-6b1e-4c0a-9a57-2f6f1d0b7c31"]}),
        ("POST", "webhooks", {"payload": {}}),
        ("POST", "authorization-codes", {}),
        ("POST", "reset", []),
        ("POST", "reset", b"{"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_what_makes_no_sense_is_refused(api: Api, method: str, what: str, body: object) -> None:
    uid = api.created()["uid"]
    answer = api.control(method, what.format(uid=uid), body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_it_answers_only_to_programs_on_this_machine(api: Api) -> None:
    def status(headers: dict[str, str] | None = None, **environ: str) -> int:
        return int(api.client.get("/sandbox/control/company", headers=headers or {}, **environ).status_code)

    assert [status(REMOTE_ADDR=address) for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1")] == [200, 200, 200]
    assert [status(REMOTE_ADDR=address) for address in ("192.0.2.7", "::ffff:192.0.2.7", "")] == [403, 403, 403]
    assert status({"X-Forwarded-For": "192.0.2.7"}) == 403
    assert status({"Origin": "https://evil.example"}) == 403


def test_every_address_and_value_is_in_the_reference(api: Api) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md").read_text()
    routes = {str(each.pattern).replace("<uuid:uid>", "{uid}") for each in urls.urlpatterns}
    addresses = [f"/{route}" for route in routes if route.startswith(("control/", "oauth2/"))]
    assert len(addresses) > 15
    values = [f"`{key}`" for key in (*api.control("GET", "company"), *signatures.FORGERIES) if key != "slug"]
    assert [each for each in (*addresses, *values) if each not in page] == []


def test_wrong_methods_and_addresses(api: Api) -> None:
    assert api.control("GET", "reset").status_code == 405
    assert api.control("POST", f"transactions/{uuid.uuid4()}/settle").status_code == 404
    assert api.control("POST", f"payment-intents/{uuid.uuid4()}/pay", {}).json() == {"detail": "Not found."}
