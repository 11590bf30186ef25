"""Every request that the client can send is valid by truss.openapi.yaml: sent over a socket, judged as it arrived."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import ValidationError

from tests.client.generating import TODAY, contact_updates, creates, patient_on_the_wire, updates
from tests.client.loopback import Server, answer, serving
from tests.client.payloads import page
from tests.contract.contract import truss as contract
from truss_portal.client import TrussClient, UnansweredError, exchange_code, refresh_token

words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[TrussClient]:
    with TrussClient(server.url, "sandbox-token", get_attempts=1) as client:
        yield client


@patient_on_the_wire
@given(request=creates)
def test_create(server: Server, client: TrussClient, request: Any) -> None:
    with pytest.raises(UnansweredError):  # the server answers {}
        client.create_payment_intent(request, today=TODAY)
    assert contract.asked(server) == ["createInboundPaymentIntent"]


@patient_on_the_wire
@given(uid=st.uuids(), request=updates)
def test_update(server: Server, client: TrussClient, uid: Any, request: Any) -> None:
    assert client.update_payment_intent(uid, request, today=TODAY) is None
    assert contract.asked(server) == ["updateInboundPaymentIntent"]


@patient_on_the_wire
@given(uid=st.uuids(), request=contact_updates())
def test_update_contact(server: Server, client: TrussClient, uid: Any, request: Any) -> None:
    assert client.update_contact(uid, request) is None
    assert contract.asked(server) == ["updateContact"]


@patient_on_the_wire
@given(uid=st.uuids())
def test_reading_and_canceling(server: Server, client: TrussClient, uid: Any) -> None:
    client.fetch_company()
    with pytest.raises(UnansweredError):
        client.fetch_payment_intent(uid)
    client.cancel_payment_intent(uid)
    assert contract.asked(server) == ["getCompany", "retrieveInboundPaymentIntent", "cancelInboundPaymentIntent"]


@patient_on_the_wire
@given(size=st.integers(1, 10_000))
def test_list(server: Server, size: int) -> None:
    following = f"{server.url}/v1/payment-intents/inbound/?limit={size}&offset={size}"
    server.will(answer(page({}, following=following)), answer(page()))
    with TrussClient(server.url, "sandbox-token", page_size=size) as client:
        assert len(list(client.list_payment_intents())) == 2
    assert contract.asked(server) == ["listInboundPaymentIntents"] * 2


@patient_on_the_wire
@given(client_id=words, client_secret=words, code=words, query=words)
def test_tokens(server: Server, client_id: str, client_secret: str, code: str, query: str) -> None:
    with pytest.raises(UnansweredError):
        exchange_code(server.url, client_id, client_secret, code, f"https://shop.test/back/?next={quote(query)}")
    with pytest.raises(UnansweredError):
        refresh_token(server.url, client_id, client_secret, refresh_token=code)
    assert contract.asked(server) == ["requestToken"] * 2


def test_no_operation_is_left_out() -> None:
    assert set(contract.operations()) == {
        "cancelInboundPaymentIntent",
        "createInboundPaymentIntent",
        "getCompany",
        "listInboundPaymentIntents",
        "requestToken",
        "retrieveInboundPaymentIntent",
        "updateContact",
        "updateInboundPaymentIntent",
    }


# --- the judge is no rubber stamp

CREATE = {"addenda": "A", "total": "5.00", "contact": {"name": "A", "email": "a@b.test"}}


@pytest.mark.parametrize(
    "changes",
    [
        {"total": "0.50"}, {"total": 5}, {"total": "1.234"}, {"addenda": ""}, {"addenda": "x" * 81}, {"memo": None},
        {"due_date": "soon"}, {"contact": {"name": "A"}}, {"contact": {"name": "A", "email": "a@"}}, {"reference": "x"},
        {"contact": {"uid": "5"}}, {"note": "x" * 501}, {"send_sms": "yes"},
    ],
)  # fmt: skip
def test_a_wrong_body_is_found(changes: dict[str, Any]) -> None:
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    path = "/v1/payment-intents/inbound/"
    assert contract.check_request("POST", path, headers, b"{}", CREATE) == "createInboundPaymentIntent"
    with pytest.raises(ValidationError):
        contract.check_request("POST", path, headers, b"{}", CREATE | changes)


@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    [
        ("GET", "/v1/company", {"Authorization": "Bearer x"}, b""),
        ("PUT", "/v1/company/", {"Authorization": "Bearer x"}, b""),
        ("GET", "/v1/company/", {}, b""),
        ("GET", "/v1/company/?fields=name", {"Authorization": "Bearer x"}, b""),
        ("GET", "/v1/company/", {"Authorization": "Bearer x"}, b"{}"),
        ("POST", "/v1/payment-intents/inbound/", {"Authorization": "Bearer x", "Content-Type": "text/plain"}, b"{}"),
    ],
)
def test_a_wrong_request_is_found(method: str, target: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(AssertionError):
        contract.check_request(method, target, headers, body, CREATE)
