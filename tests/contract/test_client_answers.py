"""Every answer that truss.openapi.yaml draws is read, through the front door."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.generating import patient_on_the_wire
from tests.client.loopback import Server, answer, serving
from tests.contract.contract import truss as contract
from truss_portal.client import (
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    TrussClient,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
    exchange_code,
)

ACME = CreateOrUpdateContactRequest(uid=uuid.UUID(int=1))
CREATE = CreateInboundPaymentIntentRequest(addenda="A", total="5", contact=ACME)

CALLS: dict[str, Callable[[TrussClient, uuid.UUID], Any]] = {
    "getCompany": lambda client, _uid: client.fetch_company(),
    "listInboundPaymentIntents": lambda client, _uid: next(client.list_payment_intents()),
    "retrieveInboundPaymentIntent": lambda client, uid: client.fetch_payment_intent(uid),
    "createInboundPaymentIntent": lambda client, _uid: client.create_payment_intent(CREATE),
    "updateInboundPaymentIntent": lambda client, uid: client.update_payment_intent(
        uid, UpdateInboundPaymentIntentRequest(memo=None)
    ),
    "updateContact": lambda client, uid: client.update_contact(uid, UpdateContactRequest(phone=None)),
}
TEXTS = {"addenda", "status", "note", "memo", "name", "email", "secondary_email", "phone", "checkout_link_id"}
EXAMPLES = [
    (operation_id, name, value) for operation_id in CALLS for name, value in contract.examples(operation_id).items()
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[TrussClient]:
    with TrussClient(server.url, "sandbox-token", get_attempts=1) as client:
        yield client


@pytest.mark.parametrize(("operation_id", "name", "value"), EXAMPLES, ids=[f"{row[0]} {row[1]}" for row in EXAMPLES])
def test_an_example_is_read(server: Server, client: TrussClient, operation_id: str, name: str, value: Any) -> None:
    server.otherwise = answer(value, int(name[:3]))
    uid = uuid.UUID(value.get("uid", str(uuid.UUID(int=1))))
    got = CALLS[operation_id](client, uid)
    items = got.payment_intents if operation_id == "listInboundPaymentIntents" else [got]
    assert [str(item.uid) for item in items if hasattr(item, "uid")] == [
        item["uid"] for item in value.get("results", [value]) if "uid" in item
    ]
    for item, drawn in zip(items, value.get("results", [value]), strict=True):
        assert item.extra == {}
        for field in TEXTS & drawn.keys():
            assert getattr(item, field) == drawn[field]
        if "total" in drawn:
            assert f"{item.total}|{item.balance_paid}" == f"{drawn['total']}|{drawn['balance_paid']}"
    if operation_id == "retrieveInboundPaymentIntent":
        assert [str(transaction.amount) for transaction in got.transactions] == [
            transaction["amount"] for transaction in value["transactions"]
        ]


def test_the_example_of_a_token_is_read(server: Server) -> None:
    [value] = contract.examples("requestToken").values()
    server.otherwise = answer(value)
    got = exchange_code(server.url, "id", "secret", "code", "https://shop.test/")
    assert {name: getattr(got, name) for name in value} == value


def test_no_operation_with_an_answer_is_left_out() -> None:
    drawn = {operation_id for operation_id in contract.operations() if contract.examples(operation_id)}
    # The answer to a cancel isn't published and isn't read.
    assert drawn == {*CALLS, "requestToken", "cancelInboundPaymentIntent"}


@patient_on_the_wire
@given(data=st.data())
def test_an_intent_with_any_of_its_optional_fields_left_out_or_null_is_read(
    server: Server, client: TrussClient, data: st.DataObject
) -> None:
    schema = contract.document()["components"]["schemas"]["PaymentIntent"]
    drawn = dict(contract.examples("retrieveInboundPaymentIntent")["200 partially_paid"])
    for field in sorted(set(schema["properties"]) - set(schema["required"])):
        null = "null" in contract.resolve(schema["properties"][field]).get("type", ())
        fate = data.draw(st.sampled_from(["drawn", "left out", "null"] if null else ["drawn", "left out"]), label=field)
        if fate == "null":
            drawn[field] = None
        elif fate == "left out":
            del drawn[field]
    contract.validator({"$ref": "#/components/schemas/PaymentIntent"}).validate(drawn)
    status = data.draw(st.text(max_size=20))
    server.otherwise = answer(drawn | {"status": status, "field_of_tomorrow": [1, {"a": None}]})
    got = client.fetch_payment_intent(uuid.UUID(drawn["uid"]))
    assert got.extra == {"field_of_tomorrow": [1, {"a": None}]}
