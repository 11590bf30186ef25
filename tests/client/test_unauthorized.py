"""After a 401: a better token, and the request once more."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.calling import create
from tests.client.loopback import Server, answer
from tests.client.payloads import intent
from truss_portal.client import NotAuthenticatedError, RateLimitedError, TrussClient

Connect = Callable[..., TrussClient]


class Tokens:
    """A source with an old token, and a new one for whoever says that the old one was refused."""

    def __init__(self, new: str = "new") -> None:
        self.token, self.new = "old", new
        self.told: list[str] = []

    def __call__(self) -> str:
        return self.token

    def refused(self, token: str) -> bool:
        self.told.append(token)
        self.token = self.new or self.token
        return bool(self.new)


def used(server: Server) -> list[tuple[str, str]]:
    return [(received.method, received.headers["Authorization"][7:]) for received in server.received]


def test_reading_and_writing_are_done_once_more_with_the_better_token(server: Server, connect: Connect) -> None:
    tokens = Tokens()
    client = connect(server.url, tokens, on_unauthorized=tokens.refused)
    server.will(answer({}, 401), answer({"checkout_link_id": "k7"}))
    assert client.fetch_company().checkout_link_id == "k7"
    tokens.token = "old"
    server.will(answer({}, 401), answer(intent()))
    create(client)
    tokens.token = "old"
    server.will(answer({}, 401), answer({"count": 0, "next": None, "results": []}))
    assert len(list(client.list_payment_intents())) == 1
    assert used(server) == [(method, token) for method in ("GET", "POST", "GET") for token in ("old", "new")]
    assert tokens.told == ["old"] * 3


def test_a_second_401_is_final(server: Server, connect: Connect) -> None:
    tokens = Tokens()
    server.otherwise = answer({}, 401)
    with pytest.raises(NotAuthenticatedError) as caught:
        create(connect(server.url, tokens, on_unauthorized=tokens.refused))
    assert used(server) == [("POST", "old"), ("POST", "new")]
    assert caught.value.__context__ is None


def test_without_a_better_token_nothing_is_asked_again(server: Server, connect: Connect) -> None:
    tokens = Tokens(new="")
    server.otherwise = answer({}, 401)
    for given in ({"on_unauthorized": tokens.refused}, {}):
        with pytest.raises(NotAuthenticatedError):
            connect(server.url, tokens, **given).fetch_company()
    assert used(server) == [("GET", "old"), ("GET", "old")]
    assert tokens.told == ["old"]


def test_only_a_401_asks_for_a_better_token(server: Server, connect: Connect) -> None:
    tokens = Tokens()
    server.otherwise = answer({}, 429, Retry_After="1")
    with pytest.raises(RateLimitedError):
        connect(server.url, tokens, on_unauthorized=tokens.refused, get_attempts=2, patience=5).fetch_company()
    assert tokens.told == []


def test_a_source_that_gives_no_token_is_not_asked_for_a_better_one(server: Server, connect: Connect) -> None:
    told: list[str] = []

    def source() -> Any:
        raise NotAuthenticatedError("Acme must be connected again.")

    def refused(token: str) -> bool:
        told.append(token)
        return True

    with pytest.raises(NotAuthenticatedError, match=r"^Acme must be connected again\.$"):
        create(connect(server.url, source, on_unauthorized=refused))
    assert server.received == []
    assert told == []
