import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.client.loopback import Server, serving
from truss_portal.client import TrussClient, pacing

NOW = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)
TOKEN = "at_N5e0pTgX2rVw8JcB/+=="


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's proxy isn't asked for this machine's own addresses."""
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_rest_left() -> Iterator[None]:
    """The next test's server may get the port of one that answered 429."""
    yield
    pacing.forget_rests()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    """The pauses that the client made, in seconds: nobody waits for them here."""
    return []


@pytest.fixture
def pace(slept: list[float]) -> pacing.Pace:
    """A pace in a time that only pauses let pass."""

    def wait(stopped: threading.Event, seconds: float) -> bool:
        slept.append(seconds)
        return stopped.is_set()

    return pacing.Pace(monotonic=lambda: 1000.0 + sum(slept), wait=wait)


@pytest.fixture
def connect(pace: pacing.Pace) -> Iterator[Callable[..., TrussClient]]:
    clients: list[TrussClient] = []

    def connect(url: str, token: Any = TOKEN, **options: Any) -> TrussClient:
        options = {"timeout": (2, 2), "clock": lambda: NOW, "pace": pace} | options
        client = TrussClient(url, token, **options)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(server: Server, connect: Callable[..., TrussClient]) -> TrussClient:
    return connect(server.url)
