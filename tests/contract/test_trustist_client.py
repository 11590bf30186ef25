"""Trustist's client and trustist.openapi.yaml: requests are valid by it, and what it draws is read."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import ValidationError

from tests.client.generating import emails, lines, patient_on_the_wire
from tests.client.loopback import Server, answer, serving
from tests.contract.contract import trustist as contract
from truss_portal.trustist.client import (
    PAYMENT_TYPES,
    PaymentStatusChanged,
    Token,
    TokenMemory,
    TrustistClient,
    UnansweredError,
    parse_event,
)

words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
ids = words.filter(lambda text: text.isprintable() and text not in {".", ".."})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[TrustistClient]:
    tokens = TokenMemory()
    tokens.set(Token(access_token="pt_1", expires_at=datetime(2100, 1, 1, tzinfo=UTC)))
    with TrustistClient(server.url, "partner", "secret", tokens=tokens, get_attempts=1) as client:
        yield client


@patient_on_the_wire
@given(
    name=lines(200),
    email=emails,
    payment_types=st.lists(st.sampled_from(PAYMENT_TYPES)) | st.sets(st.sampled_from(PAYMENT_TYPES)),
)
def test_create(server: Server, client: TrustistClient, name: str, email: str, payment_types: Any) -> None:
    server.otherwise = answer({})
    with pytest.raises(UnansweredError):
        client.create_invitation(name=name, email=email, payment_types=payment_types)
    sent = server.received[0].json
    assert (sent["name"], sent["email"]) == (name, email)
    assert sent["paymentTypes"][0] == "openbanking"
    assert contract.asked(server) == ["createInvitation"]


@patient_on_the_wire
@given(invitation_id=ids)
def test_reading(server: Server, client: TrustistClient, invitation_id: str) -> None:
    server.otherwise = answer({})
    server.will(answer([]))
    client.list_invitations()
    with pytest.raises(UnansweredError):
        client.fetch_invitation(invitation_id)
    with pytest.raises(UnansweredError):
        client.fetch_merchant_keys(invitation_id)
    assert contract.asked(server) == ["listInvitations", "getInvitation", "getMerchantKeys"]


@patient_on_the_wire
@given(client_id=words, client_secret=words)
def test_tokens(server: Server, client_id: str, client_secret: str) -> None:
    server.otherwise = answer({"access_token": "pt_1"})
    with TrustistClient(server.url, client_id, client_secret) as client:
        client.fetch_token()
    assert contract.asked(server) == ["requestToken"]


def test_no_operation_is_left_out() -> None:
    assert set(contract.operations()) == {
        "createInvitation", "getInvitation", "getMerchantKeys", "listInvitations", "requestToken",
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"email": "a@b.test", "name": "A"},
        {"email": "a@b.test", "name": "A", "paymentTypes": ["Cards"]},
        {"email": "a@b.test", "name": "A", "paymentTypes": ["cards"], "reference": "x"},
    ],
)
def test_the_judge_is_no_rubber_stamp(body: dict[str, Any]) -> None:
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    with pytest.raises(ValidationError):
        contract.check_request("POST", "/invitations", headers, b"{}", body)


# --- what it draws

CALLS: dict[str, Callable[[TrustistClient, str], Any]] = {
    "listInvitations": lambda client, _id: client.list_invitations(),
    "getInvitation": lambda client, invitation_id: client.fetch_invitation(invitation_id),
    "createInvitation": lambda client, _id: client.create_invitation(name="A", email="a@b.test", payment_types=[]),
    "getMerchantKeys": lambda client, invitation_id: client.fetch_merchant_keys(invitation_id),
    "requestToken": lambda client, _id: client.fetch_token(),
}
EXAMPLES = [(name, example, value) for name in CALLS for example, value in contract.examples(name).items()]


@pytest.mark.parametrize(("name", "example", "value"), EXAMPLES, ids=[f"{row[0]} {row[1]}" for row in EXAMPLES])
def test_an_example_is_read(server: Server, client: TrustistClient, name: str, example: str, value: Any) -> None:
    server.otherwise = answer(value, int(example[:3]))
    got = CALLS[name](client, value.get("id", "x") if isinstance(value, dict) else "x")
    if name == "requestToken":
        assert got.access_token == value["access_token"]
    elif name == "getMerchantKeys":
        assert [(key.api_key, key.item) for key in got] == [(item["apiKey"], item) for item in value["items"]]
    else:
        items, drawn = (got, value) if isinstance(value, list) else ([got], [value])
        assert [(item.id, item.status, item.extra) for item in items] == [
            (each["id"], each["status"], {}) for each in drawn
        ]
        assert getattr(got, "rejected", ()) == ()
    server.received.clear()


EVENTS = contract.events()


@pytest.mark.parametrize(("schema", "drawn"), EVENTS.values(), ids=EVENTS)
def test_an_event_is_read(schema: dict[str, Any], drawn: Any) -> None:
    contract.validator(schema).validate(drawn)
    got = parse_event(json.dumps(drawn).encode())
    about = drawn.get("paymentId", drawn.get("invitationId"))
    assert got.event_type == drawn["eventType"]
    assert got.extra == {}
    assert not hasattr(got, "key") or got.key == (drawn["eventType"], about, drawn["status"])
    if isinstance(got, PaymentStatusChanged):
        assert got.amount == Decimal(str(drawn["amount"]))


def test_no_webhook_is_left_out() -> None:
    assert {drawn["eventType"] for _schema, drawn in EVENTS.values()} == set(contract.document()["webhooks"])
