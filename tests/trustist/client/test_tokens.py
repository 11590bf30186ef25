"""The access token: asked for once, used until shortly before its end, renewed once after a 401."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.client.loopback import Behaviour, Server, answer, answer_bytes, cut_off, hang_up
from tests.trustist.client.conftest import CLIENT_ID, CLIENT_SECRET, INVITATION_ID, NOW, Clock, Connect
from truss_portal.trustist.client import (
    HeldBackError,
    NotAuthenticatedError,
    NotReachedError,
    Outcome,
    RateLimitedError,
    Token,
    TokenMemory,
    TrustistClient,
    TrustistError,
)

INVITATION = {"id": INVITATION_ID, "status": "pending"}
FERN = {"name": "Fern", "email": "a@fern.example", "payment_types": ["cards"]}


def issued(name: str = "pt_1", **changes: Any) -> Behaviour:
    return answer({"access_token": name, "token_type": "Bearer", "expires_in": 3600} | changes)


def asked(server: Server) -> list[str]:
    """Each request: "token", or the token that it was made with."""
    return [
        "token" if received.target == "/token" else received.headers["Authorization"].removeprefix("Bearer ")
        for received in server.received
    ]


def test_a_token_is_asked_for_by_client_credentials(server: Server, connect: Connect) -> None:
    server.otherwise = issued()
    token = connect().fetch_token()
    assert token == Token(access_token="pt_1", expires_at=NOW + timedelta(seconds=3540))
    [received] = server.received
    assert (received.method, received.target) == ("POST", "/token")
    assert received.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in received.headers
    assert parse_qs(received.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT_ID],
        "client_secret": [CLIENT_SECRET],
    }


def test_one_token_serves_many_requests_until_shortly_before_its_end(
    server: Server, connect: Connect, clock: Clock
) -> None:
    client = connect()
    server.otherwise = answer([])
    server.will(issued("pt_1"))
    for seconds in (0, 1000, 3539):
        clock.now = NOW + timedelta(seconds=seconds)
        client.list_invitations()
    server.will(issued("pt_2"))
    clock.now = NOW + timedelta(seconds=3540)
    client.list_invitations()
    assert asked(server) == ["token", "pt_1", "pt_1", "pt_1", "token", "pt_2"]


@pytest.mark.parametrize(
    ("expires_in", "used_for"),
    [
        (3600, 3540), ("3600", 3540), (600, 540), (100, 90), (10, 9), (0, 0), (-5, 0), (10**30, 86_340), (None, 270),
        ("soon", 270), (1.5, 270), (True, 270),
    ],
)  # fmt: skip
def test_how_long_a_token_is_used(server: Server, connect: Connect, expires_in: Any, used_for: float) -> None:
    server.otherwise = issued(expires_in=expires_in)
    assert connect().fetch_token().expires_at - NOW == timedelta(seconds=used_for)


def test_a_token_that_lives_no_time_serves_the_request_that_asked_for_it(server: Server, connect: Connect) -> None:
    server.will(issued(expires_in=0), answer([]), issued("pt_2", expires_in=0), answer([]))
    client = connect()
    client.list_invitations()
    client.list_invitations()
    assert asked(server) == ["token", "pt_1", "token", "pt_2"]


def test_clients_share_a_token_by_its_store(server: Server, connect: Connect, tokens: TokenMemory) -> None:
    server.otherwise = answer([])
    connect(tokens=tokens).list_invitations()
    connect(tokens=tokens).list_invitations()
    assert asked(server) == ["pt_8c41d7", "pt_8c41d7"]
    tokens.delete()
    server.will(issued())
    connect(tokens=tokens).list_invitations()
    stored = tokens.get()
    assert stored
    assert stored.access_token == "pt_1"


class Forgetful:
    """A store that keeps nothing."""

    def get(self) -> Token | None:
        return None

    def set(self, token: Token) -> None:
        pass

    def delete(self) -> None:
        pass


def test_a_store_that_forgets_costs_a_token_each_time(server: Server, connect: Connect) -> None:
    client = connect(tokens=Forgetful())
    server.will(issued(), answer([]), issued("pt_2"), answer({}, 401), issued("pt_3"), issued("pt_4"), answer([]))
    client.list_invitations()
    client.list_invitations()
    assert asked(server) == ["token", "pt_1", "token", "pt_2", "token", "token", "pt_4"]


def test_threads_that_need_a_token_at_once_ask_for_one(server: Server, connect: Connect) -> None:
    waiting = threading.Barrier(8, timeout=10)
    client = connect()
    server.otherwise = answer([])
    server.will(issued())

    def list_invitations(_: int) -> list[Any]:
        waiting.wait()
        return client.list_invitations()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(list_invitations, range(8))) == [[]] * 8
    assert sorted(asked(server)) == ["pt_1"] * 8 + ["token"]


# --- 401


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.list_invitations(),
        lambda client: client.fetch_invitation(INVITATION_ID),
        lambda client: client.create_invitation(**FERN),
        lambda client: client.fetch_merchant_keys(INVITATION_ID),
    ],
    ids=["list", "get", "create", "keys"],
)
def test_after_a_401_it_is_asked_once_more_with_a_new_token(
    server: Server, client: TrustistClient, tokens: TokenMemory, call: Callable[[TrustistClient], object]
) -> None:
    server.otherwise = answer({}, 401)
    server.will(answer({}, 401), issued("pt_2"))
    with pytest.raises(NotAuthenticatedError, match="even with a new access token") as caught:
        call(client)
    assert asked(server) == ["pt_8c41d7", "token", "pt_2"]
    assert caught.value.outcome is Outcome.REFUSED
    assert caught.value.__context__ is None
    stored = tokens.get()
    assert stored
    assert stored.access_token == "pt_2"


def test_a_create_goes_through_with_the_new_token(server: Server, client: TrustistClient) -> None:
    server.will(answer({}, 401), issued("pt_2"), answer(INVITATION))
    assert client.create_invitation(**FERN).id == INVITATION_ID
    assert server.received[0].body == server.received[2].body


def test_a_token_that_somebody_else_has_renewed_is_used(server: Server, client: TrustistClient) -> None:
    """Another process, by the store that the two share."""
    store: Any = client._tokens

    def renewed_meanwhile(handler: Any) -> None:
        store.set(Token(access_token="pt_theirs", expires_at=NOW + timedelta(hours=1)))
        answer({}, 401)(handler)

    server.will(renewed_meanwhile, answer([]))
    client.list_invitations()
    assert asked(server) == ["pt_8c41d7", "pt_theirs"]


def test_a_stale_token_in_the_store_is_not_taken_for_a_renewed_one(server: Server, client: TrustistClient) -> None:
    store: Any = client._tokens

    def stale_meanwhile(handler: Any) -> None:
        store.set(Token(access_token="pt_stale", expires_at=NOW))
        answer({}, 401)(handler)

    server.will(stale_meanwhile, issued("pt_2"), answer([]))
    client.list_invitations()
    assert asked(server) == ["pt_8c41d7", "token", "pt_2"]


def test_where_no_new_token_is_given_the_old_one_is_forgotten(
    server: Server, client: TrustistClient, tokens: TokenMemory
) -> None:
    server.will(answer({}, 401), answer({}, 500))
    with pytest.raises(NotReachedError):
        client.create_invitation(**FERN)
    assert asked(server) == ["pt_8c41d7", "token"]
    assert tokens.get() is None


# --- no token: then surely nothing was done


@pytest.mark.parametrize(
    "expected",
    [
        (answer({"error": "invalid_client"}, 400), NotAuthenticatedError, "client id and secret are wrong"),
        (answer({}, 401), NotAuthenticatedError, "client id and secret are wrong"),
        (answer({}, 403), NotAuthenticatedError, "client id and secret are wrong"),
        (answer({"error": "invalid_client"}), NotAuthenticatedError, "client id and secret are wrong"),
        (answer({}, 404), NotReachedError, "is the address right"),
        (answer({}, 405), NotReachedError, "is the address right"),
        (answer({}, 429, Retry_After="5"), RateLimitedError, "asks for fewer requests"),
        (answer({}, 500), NotReachedError, "nothing was asked; try again later"),
        (answer({}, 503), NotReachedError, "nothing was asked; try again later"),
        (hang_up, NotReachedError, "nothing was asked: Trustist was asked but didn't answer"),
        (cut_off(), NotReachedError, "nothing was asked: Trustist's answer broke off"),
        (answer({}), NotReachedError, "nothing was asked: Trustist's answer can't be used"),
        (answer([]), NotReachedError, "nothing was asked: Trustist's answer can't be used"),
        (answer_bytes(b"<html>"), NotReachedError, "nothing was asked: Trustist's answer can't be used"),
        (answer({"access_token": "two words"}), NotReachedError, "nothing was asked: access token must be printable"),
        (answer({}, 302, Location="https://evil.test/"), NotReachedError, "nothing was asked: Trustist sent us to"),
    ],
)
@pytest.mark.parametrize("call", ["fetch_token", "create_invitation"])
def test_what_goes_wrong_with_the_token(
    server: Server, connect: Connect, call: str, expected: tuple[Behaviour, type[TrustistError], str]
) -> None:
    behaviour, kind, words = expected
    server.otherwise = behaviour
    client = connect(get_attempts=1)
    with pytest.raises(TrustistError, match=words) as caught:
        client.create_invitation(**FERN) if call == "create_invitation" else client.fetch_token()
    error = caught.value
    assert type(error) is kind
    assert error.provider == "Trustist"
    assert error.outcome_known
    assert error.__context__ is None
    assert asked(server) == ["token"]
    if kind is not NotReachedError or error.status:
        assert error.request == "POST /token"


def test_a_host_that_is_not_there(connect: Connect) -> None:
    with pytest.raises(NotReachedError, match=r"^Trustist could not be reached"):
        connect("http://127.0.0.1:1").list_invitations()


def test_after_a_429_the_token_waits_too(server: Server, connect: Connect, slept: list[float]) -> None:
    client = connect(patience=0)
    server.will(answer({}, 429, Retry_After="30"))
    with pytest.raises(RateLimitedError) as first:
        client.list_invitations()
    assert first.value.retry_after == 30
    with pytest.raises(HeldBackError, match=r"^Trustist has asked us to slow down") as held:
        client.list_invitations()
    assert held.value.retry_after
    assert len(server.received) == 1
    assert slept == []


def test_reprs() -> None:
    token = Token(access_token="pt_secret", expires_at=datetime(2026, 1, 1))  # noqa: DTZ001 - only shown
    assert "secret" not in f"{token!r} {token}"
    assert TokenMemory().get() is None
