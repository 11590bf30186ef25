from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.client.conftest import _no_proxies, _no_rest_left, pace, server, slept
from tests.client.loopback import Server
from truss_portal.client import pacing
from truss_portal.trustist.client import Token, TokenMemory, TrustistClient

__all__ = ["_no_proxies", "_no_rest_left", "pace", "server", "slept"]

NOW = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)
CLIENT_ID = "partner-2318"
CLIENT_SECRET = "s3cr3t/71be<04>c9+&é"
INVITATION_ID = "0b7e51d4-92fa-4c36-8d1e-6a40f9c2b873"

Connect = Callable[..., TrustistClient]


class Clock:
    """A time that only a test lets pass."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens() -> TokenMemory:
    """With a token in it that is good for a long time."""
    memory = TokenMemory()
    memory.set(Token(access_token="pt_8c41d7", expires_at=datetime(2030, 1, 1, tzinfo=UTC)))
    return memory


@pytest.fixture
def connect(server: Server, clock: Clock, pace: pacing.Pace) -> Iterator[Connect]:
    clients: list[TrustistClient] = []

    def connect(url: str = "", **options: Any) -> TrustistClient:
        given: dict[str, Any] = {"timeout": (2, 2), "clock": clock, "pace": pace} | options
        clients.append(TrustistClient(url or server.url, CLIENT_ID, CLIENT_SECRET, **given))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect, tokens: TokenMemory) -> TrustistClient:
    """One that has a token."""
    return connect(tokens=tokens)
