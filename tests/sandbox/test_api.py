"""The API's behaviour, as the reference describes it."""

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from tests.sandbox.conftest import INTENTS, Api

NOBODYS_UID = "8f0c2d54-6b1e-4c0a-9a57-2f6f1d0b7c31"


def test_the_company_says_its_checkout_link(api: Api) -> None:
    assert api.get("/v1/company/").json() == {"checkout_link_id": "sandbox", "name": "Sandbox Company"}


def test_a_new_intent_has_all_the_fields_that_truss_shows(api: Api, tomorrow: str) -> None:
    intent = api.created(total="1250", due_date=tomorrow, memo="Job 88", note="Thank you.")

    contact = intent.pop("contact")
    assert uuid.UUID(contact.pop("uid"))
    assert contact == {"name": "Ortega Bakery", "email": "ap@ortega.example", "secondary_email": None, "phone": None}
    assert uuid.UUID(intent.pop("uid"))
    created_at = intent.pop("created_at")
    assert dt.datetime.fromisoformat(created_at).tzinfo == dt.UTC
    assert intent == {
        "total": "1250.00",
        "addenda": "Invoice 1042",
        "direction": 0,
        "note": "Thank you.",
        "memo": "Job 88",
        "due_date": tomorrow,
        "status": "Pending",
        "balance_paid": "0.00",
        "pending_at": created_at,
        "paid_at": None,
        "canceled_at": None,
        "transactions": [],
    }


def test_two_equal_creates_make_two_intents_of_one_customer(api: Api) -> None:
    first, second = api.created(), api.created()

    assert first["uid"] != second["uid"]
    assert first["contact"] == second["contact"]


def test_an_existing_customer_of_the_name_is_reused_and_updated(api: Api) -> None:
    first = api.created()
    second = api.created(contact={"name": "Ortega Bakery", "email": "new@ortega.example", "phone": "4155550132"})

    assert second["contact"]["uid"] == first["contact"]["uid"]
    assert api.fetched(first["uid"])["contact"] == second["contact"]
    assert second["contact"]["email"] == "new@ortega.example"
    assert second["contact"]["phone"] == "4155550132"


def test_names_match_exactly(api: Api) -> None:
    upper = api.created(contact={"name": "ORTEGA BAKERY", "email": "ap@ortega.example"})
    assert upper["contact"]["uid"] != api.created()["contact"]["uid"]


def test_a_customer_is_selected_by_uid_and_updated_with_what_else_is_sent(api: Api) -> None:
    known = api.created()["contact"]
    contact = {"uid": known["uid"], "name": "Ortega LLC", "secondary_email": "owner@ortega.example"}

    assert api.created(contact=contact)["contact"] == known | contact
    assert api.created(contact={"uid": known["uid"]})["contact"] == known | contact


def test_a_customer_cannot_take_the_name_of_another(api: Api) -> None:
    known = api.created()["contact"]
    api.created(contact={"name": "Harbor Diner", "email": "owner@harbor.example"})

    assert api.create(contact={"uid": known["uid"], "name": "Harbor Diner"}).status_code == 400
    assert api.patch(f"/v1/contacts/{known['uid']}/", {"name": "Harbor Diner"}).json() == {
        "name": ["Another customer has this name."]
    }


def test_an_unknown_customer_uid_is_refused(api: Api) -> None:
    answer = api.create(contact={"uid": str(uuid.uuid4()), "name": "Somebody", "email": "s@example.test"})
    assert answer.status_code == 400
    assert answer.json() == {"contact": ["There is no customer with this uid."]}
    assert api.get(INTENTS).json()["count"] == 0


def test_a_create_needs_the_companys_payment_portal(api: Api) -> None:
    api.control("PATCH", "company", {"checkout_link_id": ""})

    assert api.get("/v1/company/").json()["checkout_link_id"] == ""
    assert api.create().status_code == 400
    assert api.get(INTENTS).json()["count"] == 0


@pytest.mark.parametrize("days", [0, -1, -400])
def test_a_due_date_must_be_in_the_future(api: Api, days: int) -> None:
    due_date = (timezone.localdate() + dt.timedelta(days=days)).isoformat()
    assert api.create(due_date=due_date).json() == {"due_date": ["The due date must be in the future."]}
    uid = api.created()["uid"]
    assert api.patch(f"{INTENTS}{uid}/", {"due_date": due_date}).status_code == 400


def test_notifications_land_in_the_mailbox_with_the_deep_link(api: Api, tomorrow: str) -> None:
    contact = {
        "name": "Harbor Diner",
        "email": "owner@harbor.example",
        "secondary_email": "books@harbor.example",
        "phone": "4155550132",
    }
    uid = api.created(contact=contact, send_email=True, send_sms=True, due_date=tomorrow, note="Thanks.")["uid"]
    api.created(send_email=False, send_sms=True)

    mails = api.control("GET", "mailbox")
    assert [(mail["kind"], mail["to"]) for mail in mails] == [
        ("sms", "4155550132"),
        ("email", "books@harbor.example"),
        ("email", "owner@harbor.example"),
    ]
    assert {mail["link"] for mail in mails} == {f"http://testserver/sandbox/pay/sandbox/paymentIntent/{uid}"}
    assert "$120.00" in mails[0]["body"]
    assert tomorrow in mails[0]["body"]


def test_a_list_has_pages_with_absolute_addresses_and_no_transactions(api: Api) -> None:
    uids = [api.created()["uid"] for _ in range(5)]
    api.control("POST", f"payment-intents/{uids[0]}/pay", {})
    base = f"http://testserver/sandbox{INTENTS}"

    first = api.get(f"{INTENTS}?limit=2").json()
    assert (first["count"], first["next"], first["previous"]) == (5, f"{base}?limit=2&offset=2", None)
    second = api.get(f"{INTENTS}?limit=2&offset=2").json()
    assert (second["next"], second["previous"]) == (f"{base}?limit=2&offset=4", f"{base}?limit=2")
    third = api.get(f"{INTENTS}?limit=2&offset=4").json()
    assert (third["next"], third["previous"]) == (None, f"{base}?limit=2&offset=2")

    listed = [intent for page in (first, second, third) for intent in page["results"]]
    assert sorted(intent["uid"] for intent in listed) == sorted(uids)
    assert all(intent["transactions"] == [] for intent in listed)
    assert len(api.fetched(uids[0])["transactions"]) == 1


def test_page_sizes(api: Api) -> None:
    api.control("POST", "payment-intents", {"count": 120})

    def sizes(*queries: str) -> list[int]:
        return [len(api.get(f"{INTENTS}{query}").json()["results"]) for query in queries]

    assert sizes("", "?limit=0", "?limit=-3", "?limit=1000", "?limit=7") == [50, 50, 50, 100, 7]
    assert sizes("?offset=-1", "?offset=110", "?offset=120", f"?offset={10**30}") == [50, 10, 0, 0]
    api.control("PATCH", "company", {"page_size_max": 3})
    assert sizes("", "?limit=100") == [3, 3]


@pytest.mark.parametrize(
    "query",
    ["limit=x", "limit=", "offset=1.5", "limit=1&limit=2", "limit=%00", "status=Paid", "limit=5&%ff=", "offset=\u0663"],
)
def test_a_limit_that_is_no_integer_is_refused(api: Api, query: str) -> None:
    assert api.get(f"{INTENTS}?{query}").status_code == 400


def test_an_intent_is_changed(api: Api, tomorrow: str) -> None:
    intent = api.created(memo="old", note="old")
    changes = {"total": "130.00", "addenda": "Invoice 1042b", "due_date": tomorrow, "memo": None, "note": "new"}

    answer = api.patch(f"{INTENTS}{intent['uid']}/", changes)

    assert answer.status_code == 200
    assert answer.json() == intent | changes
    assert api.fetched(intent["uid"]) == intent | changes
    assert api.patch(f"{INTENTS}{intent['uid']}/", {"due_date": None}).json()["due_date"] is None
    assert api.patch(f"{INTENTS}{intent['uid']}/").status_code == 200


def test_the_remaining_balance_must_be_at_least_one_dollar(api: Api) -> None:
    uid = api.created()["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {"amount": "50.00"})

    assert api.patch(f"{INTENTS}{uid}/", {"total": "50.99"}).status_code == 400
    assert api.patch(f"{INTENTS}{uid}/", {"total": "51.00"}).json()["status"] == "PartiallyPaid"


@pytest.mark.parametrize("end", ["paid", "canceled"])
def test_a_closed_intent_keeps_its_amount_and_words_but_not_its_memo(api: Api, end: str, tomorrow: str) -> None:
    uid = api.created()["uid"]
    if end == "paid":
        api.control("POST", f"payment-intents/{uid}/pay", {})
    else:
        api.post(f"{INTENTS}{uid}/cancel/")

    for change in ({"addenda": "x"}, {"note": "x"}, {"total": "500.00"}, {"resend_email": True}):
        assert api.patch(f"{INTENTS}{uid}/", change).status_code == 400, change
    assert api.patch(f"{INTENTS}{uid}/", {"memo": "x", "due_date": tomorrow, "resend_email": False}).status_code == 200


def test_an_email_is_sent_again(api: Api) -> None:
    uid = api.created()["uid"]
    assert api.control("GET", "mailbox") == []
    api.patch(f"{INTENTS}{uid}/", {"resend_email": True})
    assert [mail["to"] for mail in api.control("GET", "mailbox")] == ["ap@ortega.example"]


def test_only_an_unpaid_intent_is_canceled(api: Api) -> None:
    uid, paid, returned = (api.created()["uid"] for _ in range(3))
    api.control("POST", f"payment-intents/{paid}/pay", {"amount": "1.00"})
    payment = api.control("POST", f"payment-intents/{returned}/pay", {})
    api.control("POST", f"transactions/{payment['uid']}/return")

    canceled = api.post(f"{INTENTS}{uid}/cancel/")
    assert canceled.status_code == 200
    assert canceled.json()["status"] == "Canceled"
    assert canceled.json()["canceled_at"]
    assert [api.post(f"{INTENTS}{each}/cancel/").status_code for each in (uid, paid, returned)] == [400, 400, 400]


def test_a_contact_is_changed(api: Api) -> None:
    contact = api.created()["contact"]
    changes = {"email": "new@ortega.example", "name": "Ortega", "phone": "1", "secondary_email": "b@ortega.example"}
    path = f"/v1/contacts/{contact['uid']}/"

    assert api.patch(path, changes).json() == contact | changes
    assert api.patch(path, {"phone": None, "secondary_email": None}).json()["secondary_email"] is None


def test_a_secondary_email_must_differ(api: Api) -> None:
    both = {"name": "A", "email": "a@example.test", "secondary_email": "A@example.test"}
    assert api.create(contact=both).status_code == 400
    contact = api.created()["contact"]
    path = f"/v1/contacts/{contact['uid']}/"
    assert api.patch(path, {"secondary_email": "ap@ortega.example"}).status_code == 400
    assert api.create(contact={"uid": contact["uid"], "secondary_email": "ap@ortega.example"}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/company/"),
        ("GET", INTENTS),
        ("POST", INTENTS),
        ("GET", f"{INTENTS}{NOBODYS_UID}/"),
        ("PATCH", f"{INTENTS}{NOBODYS_UID}/"),
        ("POST", f"{INTENTS}{NOBODYS_UID}/cancel/"),
        ("PATCH", f"/v1/contacts/{NOBODYS_UID}/"),
    ],
)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Bearer ", "Basic sandbox-token", "sandbox-token"])
def test_without_a_good_token_nothing_is_answered(api: Api, method: str, path: str, header: str | None) -> None:
    answer = api.send(method, path, headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("missing", "refused"),
    [
        ("payment_intent.inbound:read", {"list", "get"}),
        ("payment_intent.inbound:write", {"create", "patch", "cancel"}),
        ("transactions:read", {"get"}),
        ("contacts:write", {"contact"}),
    ],
)
def test_each_call_needs_its_scopes(api: Api, missing: str, refused: set[str]) -> None:
    intent = api.created()
    path = f"{INTENTS}{intent['uid']}/"
    scopes = api.control("GET", "company")["scopes"]
    api.control("PATCH", "company", {"scopes": [scope for scope in scopes if scope != missing]})

    answers: dict[str, Any] = {
        "list": api.get(INTENTS),
        "get": api.get(path),
        "patch": api.patch(path, {"memo": "x"}),
        "create": api.create(),
        "contact": api.patch(f"/v1/contacts/{intent['contact']['uid']}/", {}),
        "cancel": api.post(f"{path}cancel/"),
        "company": api.get("/v1/company/"),
    }

    assert {name for name, answer in answers.items() if answer.status_code == 403} == refused
    assert all(answer.status_code in (200, 201, 403) for answer in answers.values())


def test_what_does_not_exist(api: Api) -> None:
    for method, path in [
        ("GET", f"{INTENTS}{uuid.uuid4()}/"),
        ("PATCH", f"{INTENTS}{uuid.uuid4()}/"),
        ("POST", f"{INTENTS}{uuid.uuid4()}/cancel/"),
        ("PATCH", f"/v1/contacts/{uuid.uuid4()}/"),
        ("GET", f"{INTENTS}not-a-uid/"),
        ("GET", "/v1/company"),
        ("GET", "/v1/bills/"),
    ]:
        answer = api.send(method, path)
        assert answer.status_code == 404, path
        assert answer.json() == {"detail": "Not found."}


def test_other_methods_are_refused(api: Api) -> None:
    answer = api.send("DELETE", INTENTS)
    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD, POST"
    assert api.send("OPTIONS", "/v1/company/").status_code == 405
    assert api.send("HEAD", INTENTS).status_code == 200


def test_companies_do_not_see_each_other(api: Api) -> None:
    mine = api.created()["uid"]
    code = api.control("POST", "authorization-codes?company=acme", {"redirect_uri": "https://site.example/cb"})["code"]
    form = (
        "grant_type=authorization_code&client_id=sandbox-client&client_secret=sandbox-secret"
        f"&code={code}&redirect_uri=https%3A%2F%2Fsite.example%2Fcb"
    )
    token = api.send(
        "POST", "/v1/oauth2/token", form.encode(), content_type="application/x-www-form-urlencoded"
    ).json()["access_token"]
    acme = Api(token)

    assert acme.get("/v1/company/").json() == {"checkout_link_id": "acme", "name": "acme"}
    assert acme.get(f"{INTENTS}{mine}/").status_code == 404
    assert acme.get(INTENTS).json()["count"] == 0
    assert acme.created()["contact"]["uid"] != api.created()["contact"]["uid"]
