"""Truss's operations through the front door."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.client.conftest import NOW, TOKEN
from tests.client.loopback import Handler, Server, answer, answer_bytes, cut_off
from tests.client.payloads import CONTACT_UID, INTENT_UID, contact, intent, page, without
from truss_portal.client import (
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    Outcome,
    TrussClient,
    UnreadableAnswerError,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)

Connect = Callable[..., TrussClient]
UID = uuid.UUID(INTENT_UID)
OTHER = "5b1f6c1e-0f5d-4f0e-8a55-7d2f3f0c9e10"
LIST = "/v1/payment-intents/inbound/"
CREATE = CreateInboundPaymentIntentRequest(
    addenda="INV-1001", total="120", contact=CreateOrUpdateContactRequest(name="Acme", email="ap@acme.test")
)
UPDATE = UpdateInboundPaymentIntentRequest(total="130")
CONTACT_UPDATE = UpdateContactRequest(email="new@acme.test")


def targets(server: Server) -> list[str]:
    return [f"{received.method} {received.target}" for received in server.received]


# --- the settings of a client


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "not an absolute"), ("api.truss.test", "not an absolute"), ("ftp://api.truss.test", "not an absolute"),
        ("https://", "not an absolute"), ("http://api.truss.test", "https://"), ("http://10.0.0.1", "https://"),
        ("https://user:hunter2@api.truss.test", "user name"), ("https://api.truss.test?x=1", "query"),
        ("https://api.truss.test/#x", "query or a fragment"), ("https://api.truss.test\n", "spaces"),
        ("https://api.truss.test:x", "Port"), ("http://localhost.evil.test", "https://"),
    ],
)  # fmt: skip
def test_addresses_that_no_token_is_sent_to(connect: Connect, url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        connect(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://api.truss.test", "http://localhost:8001/", "http://truss.localhost", "http://[::1]:8001/sandbox"]
)
def test_addresses_that_are_fine(connect: Connect, url: str) -> None:
    assert repr(connect(url)) == f"<TrussClient for {url.rstrip('/')}>"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"page_size": 0}, "page_size"),
        ({"cancel_path": "/v1/cancel/"}, "cancel_path"),
        ({"cancel_path": "{uid}"}, "slash"),
        ({"cancel_method": "GET"}, "cancel_method"),
        ({"get_attempts": 0}, "get_attempts"),
        ({"timeout": (0, 5)}, "timeout"),
        ({"timeout": (5, -1)}, "timeout"),
    ],
)
def test_settings_that_can_not_work(connect: Connect, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        connect("https://api.truss.test", **options)


def test_a_client_can_be_closed_by_with(server: Server) -> None:
    with TrussClient(server.url, TOKEN) as client:
        server.otherwise = answer({"checkout_link_id": "k7m2p9qx", "name": "Acme"})
        assert client.fetch_company().checkout_link_id == "k7m2p9qx"


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(seconds=-90), timedelta(0)])
def test_how_far_truss_s_clock_is_ahead_is_seen_in_its_answers(server: Server, ahead: timedelta) -> None:
    server.otherwise = answer({"checkout_link_id": "k7m2p9qx"})
    with TrussClient(server.url, TOKEN, clock=lambda: datetime.now(UTC) - ahead) as client:
        offset = client.fetch_clock_offset()
    assert offset is not None
    assert abs(offset - ahead) < timedelta(seconds=3)


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_an_answer_may_tell_no_time(server: Server, date: str | None) -> None:
    def behave(handler: Handler) -> None:
        handler.send_response_only(200)
        if date:
            handler.send_header("Date", date)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    server.otherwise = behave
    with TrussClient(server.url, TOKEN) as client:
        assert client.fetch_clock_offset() is None


def test_a_clock_of_its_own(server: Server) -> None:
    server.otherwise = answer(intent())
    with TrussClient(server.url, TOKEN) as client:
        assert client.fetch_payment_intent(UID).fetched_at.tzinfo is not None


# --- listing


def test_all_pages_are_listed(server: Server, client: TrussClient) -> None:
    server.will(
        answer(page(intent(), following=f"{server.url}{LIST}?limit=1&offset=1")),
        answer(page(intent(uid=OTHER), "junk", following=f"{LIST}?limit=1&offset=2")),
        answer(page(intent())),
    )
    pages = list(client.list_payment_intents())
    assert [str(item.uid) for got in pages for item in got.payment_intents] == [INTENT_UID, OTHER, INTENT_UID]
    assert [len(got.rejected) for got in pages] == [0, 1, 0]
    assert pages[0].fetched_at == NOW
    assert targets(server) == [
        f"GET {LIST}?limit=100&offset=0",
        f"GET {LIST}?limit=1&offset=1",
        f"GET {LIST}?limit=1&offset=2",
    ]


def test_a_page_is_fetched_when_it_is_asked_for(server: Server, connect: Connect) -> None:
    server.otherwise = answer(page(intent(), following=f"{server.url}{LIST}?offset=7"))
    pages = connect(server.url, page_size=7).list_payment_intents()
    assert targets(server) == []
    next(pages)
    assert targets(server) == [f"GET {LIST}?limit=7&offset=0"]


def test_the_api_may_live_under_a_prefix(server: Server, connect: Connect) -> None:
    server.will(
        answer(page(intent(), following=f"{server.url}/sandbox{LIST}?offset=1")), answer(page()), answer(intent())
    )
    client = connect(f"{server.url}/sandbox/")
    assert len(list(client.list_payment_intents())) == 2
    client.fetch_payment_intent(UID)
    assert targets(server)[1:] == [f"GET /sandbox{LIST}?offset=1", f"GET /sandbox{LIST}{UID}/"]
    server.otherwise = answer({}, 404)
    with pytest.raises(NotFoundError) as caught:
        client.fetch_company()
    assert caught.value.request == "GET /v1/company/"


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.test/v1/payment-intents/inbound/?offset=1",
        "//evil.test/v1/",
        "http://127.0.0.1:1/sandbox/v1/",
        "{url}/v1/",
        "{url}/sandboxed/v1/",
        "{url}/sandbox",
        "{url}/sandbox/../v1/",
        "{url}/sandbox/%2e%2E/v1/",
        "{url}/sandbox/%2e/v1/",
        "http://user@{host}/sandbox/v1/",
        "http://{host}@evil.test/sandbox/",
        "{url}/sandbox/v1/ x",
        "{url}\\@evil.test/sandbox/",
        "ht\ntps://evil.test/",
        "javascript:alert(1)",
        "http://[",
        "http://127.0.0.1:x/sandbox/",
        "https://{host}/sandbox/v1/",
        "/v1/payment-intents/inbound/",
    ],
)
def test_a_next_that_leads_elsewhere_is_not_followed(server: Server, connect: Connect, following: str) -> None:
    address = following.replace("{url}", server.url).replace("{host}", server.url.removeprefix("http://"))
    server.will(answer(page(intent(), following=address)))
    pages = connect(f"{server.url}/sandbox").list_payment_intents()
    assert len(next(pages).payment_intents) == 1
    with pytest.raises(UnreadableAnswerError, match="next page"):
        next(pages)
    assert len(server.received) == 1


def test_pages_that_lead_in_a_circle(server: Server, client: TrussClient) -> None:
    first, second = f"{LIST}?limit=100&offset=0", f"{LIST}?limit=100&offset=100"
    server.will(answer(page(intent(), following=second)), answer(page(intent(), following=first)))
    with pytest.raises(UnreadableAnswerError, match="circle"):
        list(client.list_payment_intents())
    server.will(answer(page(following=second)))
    with pytest.raises(UnreadableAnswerError, match="circle"):
        list(client.list_payment_intents())
    assert len(server.received) == 3


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"count": 0, "results": []}', b'{"count": NaN, "next": null, "results": []}']
)
def test_a_page_that_can_not_be_read(server: Server, client: TrussClient, body: bytes) -> None:
    server.otherwise = answer_bytes(body)
    with pytest.raises(UnreadableAnswerError, match="can't be used"):
        list(client.list_payment_intents())


# --- one intent


def test_one_intent_comes_with_its_transactions(server: Server, client: TrussClient) -> None:
    server.otherwise = answer(intent())
    got = client.fetch_payment_intent(UID)
    assert got.transactions
    assert got.transactions[0].amount == Decimal("500.00")
    assert got.fetched_at == NOW
    assert targets(server) == [f"GET {LIST}{UID}/"]


def test_an_answer_about_another_intent_is_no_answer(server: Server, client: TrussClient) -> None:
    server.otherwise = answer(intent(uid=OTHER))
    with pytest.raises(UnreadableAnswerError, match=OTHER):
        client.fetch_payment_intent(UID)


def test_a_uid_can_not_smuggle_a_path(server: Server, client: TrussClient) -> None:
    for call in (
        client.fetch_payment_intent,
        client.cancel_payment_intent,
        lambda uid: client.update_payment_intent(uid, UPDATE),
        lambda uid: client.update_contact(uid, CONTACT_UPDATE),
    ):
        with pytest.raises(ValueError, match="UUID"):
            call("../../company")  # type: ignore[arg-type]
    assert server.received == []


# --- writing


def test_create(server: Server, client: TrussClient) -> None:
    server.otherwise = answer(intent(), 201)
    got = client.create_payment_intent(CREATE)
    assert got.uid == UID
    assert got.transactions is None
    assert targets(server) == [f"POST {LIST}"]
    assert server.received[0].json == CREATE.payload()


@pytest.mark.parametrize(
    "behaviour", [answer(None), answer({}), answer_bytes(b"<html>"), answer(without(intent(), "uid"))]
)
def test_a_create_whose_answer_can_not_be_read_is_unknown(server: Server, client: TrussClient, behaviour: Any) -> None:
    server.otherwise = behaviour
    with pytest.raises(UnreadableAnswerError) as caught:
        client.create_payment_intent(CREATE)
    assert (caught.value.outcome, caught.value.may_retry, caught.value.status) == (Outcome.UNKNOWN, False, 200)
    assert len(server.received) == 1


def test_update(server: Server, client: TrussClient) -> None:
    server.otherwise = answer(intent(total="130.00"))
    got = client.update_payment_intent(UID, UPDATE)
    assert got
    assert (got.total, got.transactions) == (Decimal("130.00"), None)
    assert targets(server) == [f"PATCH {LIST}{UID}/"]
    assert server.received[0].json == {"total": "130.00"}


def test_update_contact(server: Server, client: TrussClient) -> None:
    server.otherwise = answer(contact(email="new@acme.test"))
    got = client.update_contact(uuid.UUID(CONTACT_UID), CONTACT_UPDATE)
    assert got
    assert got.email == "new@acme.test"
    assert targets(server) == [f"PATCH /v1/contacts/{CONTACT_UID}/"]
    assert server.received[0].json == {"email": "new@acme.test"}


@pytest.mark.parametrize(
    "behaviour", [answer(None, 204), answer({}), answer_bytes(b"OK"), cut_off(), answer(intent(uid=OTHER, name="x"))]
)
def test_a_change_that_was_taken_is_a_success_whatever_the_answer_holds(
    server: Server, client: TrussClient, behaviour: Any
) -> None:
    server.otherwise = behaviour
    assert client.update_payment_intent(UID, UPDATE) is None
    assert client.update_contact(UID, CONTACT_UPDATE) is None
    client.cancel_payment_intent(UID)


def test_what_breaks_a_rule_never_reaches_the_network(server: Server, client: TrussClient) -> None:
    bad = CreateInboundPaymentIntentRequest(addenda="", total="0", contact=CreateOrUpdateContactRequest())
    with pytest.raises(InvalidRequestError) as caught:
        client.create_payment_intent(bad)
    assert len(caught.value.errors) == 4
    with pytest.raises(InvalidRequestError, match="at least one field"):
        client.update_payment_intent(UID, UpdateInboundPaymentIntentRequest())
    with pytest.raises(InvalidRequestError, match="at least one field"):
        client.update_contact(UID, UpdateContactRequest())
    assert server.received == []


def test_the_future_begins_tomorrow(server: Server, client: TrussClient) -> None:
    server.otherwise = answer(intent())
    today = NOW.date()
    request = UpdateInboundPaymentIntentRequest(due_date=today)
    with pytest.raises(InvalidRequestError, match="later than 2026-03-02"):
        client.update_payment_intent(UID, request)
    assert client.update_payment_intent(UID, request, today=today.replace(day=1))


# --- canceling


def test_cancel_asks_by_the_configured_path_and_method(server: Server, connect: Connect) -> None:
    server.otherwise = answer(None, 204)
    connect(server.url).cancel_payment_intent(UID)
    connect(f"{server.url}/x", cancel_path="/v2/{uid}", cancel_method="DELETE").cancel_payment_intent(UID)
    assert targets(server) == [f"POST {LIST}{UID}/cancel/", f"DELETE /x/v2/{UID}"]
    assert [received.body for received in server.received] == [b"", b""]


def test_a_wrong_path_or_method_for_canceling_is_told_apart(server: Server, client: TrussClient) -> None:
    server.will(answer({}, 405), answer({}, 404))
    with pytest.raises(MethodNotAllowedError, match="configured path or method"):
        client.cancel_payment_intent(UID)
    with pytest.raises(NotFoundError):
        client.cancel_payment_intent(UID)


def test_canceling_can_be_switched_off(server: Server, connect: Connect) -> None:
    with pytest.raises(InvalidRequestError, match="switched off"):
        connect(server.url, cancel_path="").cancel_payment_intent(UID)
    assert server.received == []
