"""After a 429 nobody in this process asks that host, whoever was told. Real sockets, and mostly real time."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from tests.client.calling import Connect, create, each_write, failure
from tests.client.conftest import TOKEN
from tests.client.loopback import Behaviour, Handler, Server, answer, serving
from tests.client.payloads import intent
from truss_portal.client import (
    LONGEST_REST,
    SHORTEST_REST,
    HeldBackError,
    NotAuthenticatedError,
    Outcome,
    RateLimitedError,
    ServerError,
    TrussClient,
    TrussError,
    pacing,
    refresh_token,
)
from truss_portal.client.pacing import Pace, pace_of

Client = Callable[..., TrussClient]


@pytest.fixture
def real(connect: Connect) -> Client:
    """Clients that keep the pace of this process, and really wait."""

    def real(url: str, token: Any = TOKEN, **options: Any) -> TrussClient:
        return connect(url, token, **({"pace": None, "timeout": (5, 5)} | options))

    return real


@pytest.fixture
def arrivals(server: Server) -> list[float]:
    """When requests reached the server; it answers an invoice to whatever is asked."""
    times: list[float] = []

    def behave(handler: Handler) -> None:
        times.append(time.monotonic())
        answer(intent())(handler)

    server.otherwise = behave
    return times


def slow_down(seconds: str) -> Behaviour:
    return answer({"detail": "Request was throttled."}, 429, Retry_After=seconds)


def told_to_slow_down(server: Server, client: TrussClient, seconds: str) -> float:
    """The moment in which `client` learns of it."""
    server.will(slow_down(seconds))
    assert type(failure(lambda: create(client))) is RateLimitedError
    return time.monotonic()


def held_back(call: Callable[[], object]) -> HeldBackError:
    error = failure(call)
    assert type(error) is HeldBackError, repr(error)
    return error


# --- everybody rests


def test_nobody_asks_while_the_host_rests(server: Server, real: Client, arrivals: list[float]) -> None:
    one, another = real(server.url), real(f"{server.url}/", "another-company")
    told = told_to_slow_down(server, one, "1")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(create, [one, another] * 8))
    assert len(arrivals) == 16
    assert min(arrivals) >= told + 0.95
    assert max(arrivals) < told + 10


def test_who_is_under_way_when_another_is_told_rests_before_the_next_request(server: Server, real: Client) -> None:
    """Eight threads ask without end and one is told: after the last that was under way comes the rest."""
    clients = [real(server.url) for _ in range(8)]
    arrivals: list[float] = []
    server.otherwise = lambda handler: (arrivals.append(time.monotonic()), answer(intent())(handler))[1]
    enough = threading.Event()

    def keep_asking(client: TrussClient) -> None:
        while not enough.is_set():
            try:
                create(client)
            except RateLimitedError:
                continue

    with ThreadPoolExecutor(8) as threads:
        for client in clients:
            threads.submit(keep_asking, client)
        time.sleep(0.2)
        server.will(slow_down("1"))
        time.sleep(1.8)
        enough.set()
    pauses = [later - earlier for earlier, later in pairwise(sorted(arrivals))]
    assert max(pauses) > 0.9
    assert arrivals[-1] - arrivals[0] > 1


def test_reading_rests_too_and_then_goes_on(server: Server, real: Client, arrivals: list[float]) -> None:
    """The GET that was told repeats itself after the rest and not a second time as long; the others wait with it."""
    server.will(slow_down("2"))
    started = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(real(server.url).fetch_company)
        while not server.received:
            time.sleep(0.005)
        time.sleep(0.05)
        others = [threads.submit(real(server.url).fetch_company) for _ in range(3)]
        for call in (first, *others):
            call.result(10)
    assert len(arrivals) == 4
    assert started + 1.95 <= min(arrivals)
    assert max(arrivals) < started + 3.9


def test_without_a_time_the_rest_is_short(client: TrussClient, server: Server, pace: Pace) -> None:
    server.will(answer({}, 429))
    failure(lambda: create(client))
    assert pace.left() == SHORTEST_REST


@pytest.mark.parametrize("value", ["3600", "99999999999"])
def test_no_rest_is_longer_than_the_longest(client: TrussClient, server: Server, pace: Pace, value: str) -> None:
    told_to_slow_down(server, client, value)
    assert pace.left() == LONGEST_REST


def test_a_shorter_rest_does_not_end_a_longer_one(pace: Pace) -> None:
    pace.rest(30)
    pace.rest(2)
    assert pace.left() == 30
    pace.rest(45)
    assert pace.left() == 45


def test_a_retry_after_of_zero_makes_nobody_rest(server: Server, real: Client, arrivals: list[float]) -> None:
    client = real(server.url, patience=0)
    told_to_slow_down(server, client, "0")
    assert create(client)


def test_other_hosts_are_asked_meanwhile(server: Server, real: Client, arrivals: list[float]) -> None:
    told_to_slow_down(server, real(server.url), "30")
    with serving() as elsewhere:
        elsewhere.otherwise = answer(intent())
        assert create(real(elsewhere.url, patience=0))
        assert create(real(f"http://localhost:{elsewhere.server_port}", patience=0))


def test_a_host_is_one_host_however_its_address_is_written() -> None:
    assert pace_of("https://api.truss.test") is pace_of("https://API.truss.test:443/prefix/")
    assert pace_of("https://api.truss.test") is not pace_of("https://auth.truss.test")
    assert pace_of("http://127.0.0.1") is not pace_of("https://127.0.0.1")
    assert pace_of("http://127.0.0.1:1") is not pace_of("http://127.0.0.1:2")


def test_the_token_endpoint_rests_with_its_host(server: Server, real: Client) -> None:
    server.will(slow_down("30"))
    with pytest.raises(RateLimitedError):
        refresh_token(server.url, "id", "secret", "rt")
    held_back(lambda: create(real(server.url, patience=0)))
    error = held_back(lambda: refresh_token(server.url, "id", "secret", "rt", patience=0))
    assert error.request == "POST /v1/oauth2/token"
    assert len(server.received) == 1


def test_the_token_is_the_one_of_the_moment_after_the_rest(
    server: Server, connect: Connect, pace: Pace, slept: list[float]
) -> None:
    client = connect(server.url, lambda: f"token-after-{sum(slept):.0f}")
    server.otherwise = answer(intent())
    pace.rest(30)
    create(client)
    assert server.received[0].headers["Authorization"] == "Bearer token-after-30"


def test_a_rest_that_begins_while_a_token_is_renewed_is_kept(
    server: Server, connect: Connect, pace: Pace, slept: list[float]
) -> None:
    """Renewing takes its time, and meanwhile another thread is told."""
    rests: Iterator[float | None] = iter([20, None, None])

    def token() -> str:
        if (rest := next(rests)) is not None:
            pace.rest(rest)
        return TOKEN

    server.otherwise = answer(intent())
    create(connect(server.url, token))
    assert [round(pause) for pause in slept] == [20]


def test_a_rest_that_grows_while_one_waits_is_waited_for(server: Server, connect: Connect) -> None:
    slept: list[float] = []

    def wait(stopped: threading.Event, seconds: float) -> bool:
        slept.append(seconds)
        if len(slept) == 1:
            pace.rest(10)  # another thread was told, at the end of ours
        return False

    pace = Pace(monotonic=lambda: 1000.0 + sum(slept), wait=wait)
    server.otherwise = answer(intent())
    pace.rest(5)
    create(connect(server.url, pace=pace))
    assert [round(pause) for pause in slept] == [5, 10]


def test_those_who_wake_are_strewn_a_little(server: Server, real: Client, arrivals: list[float]) -> None:
    client = real(server.url)
    told_to_slow_down(server, client, "1")
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: create(client), range(16)))
    assert max(arrivals) - min(arrivals) > 0.05


# --- patience


@each_write
@pytest.mark.parametrize("patience", [0, 0.5, 29])
def test_who_would_wait_too_long_is_not_made_to_wait(
    server: Server, connect: Connect, pace: Pace, patience: float, write: Callable[[TrussClient], object]
) -> None:
    pace.rest(30)
    client = connect(server.url, patience=patience)
    for call in (lambda: write(client), client.fetch_company):
        error = held_back(call)
        assert (error.outcome, error.may_retry, error.outcome_known) == (Outcome.NOT_DONE, True, True)
        assert (error.status, error.body, error.retry_after) == (None, "", 30.0)
    assert (server.received, pace.left()) == ([], 30.0)  # in a time that only pauses let pass


def test_being_held_back_says_what_is_and_when_it_goes_on(server: Server, connect: Connect, pace: Pace) -> None:
    pace.rest(11.2)
    assert str(held_back(connect(server.url, patience=0).fetch_company)) == (
        "Truss has asked us to slow down, so nothing was asked now: try again in 12 seconds. (GET /v1/company/)"
    )


def test_patience_is_for_all_waiting_of_one_call(server: Server, connect: Connect, slept: list[float]) -> None:
    def wait(stopped: threading.Event, seconds: float) -> bool:
        slept.append(seconds)
        pace.rest(10)  # somebody is told at the end of each rest
        return False

    pace = Pace(monotonic=lambda: 1000.0 + sum(slept), wait=wait)
    pace.rest(10)
    held_back(lambda: create(connect(server.url, pace=pace, patience=35)))
    assert [round(pause) for pause in slept] == [10, 10, 10]
    assert server.received == []


def test_a_get_that_was_told_says_so_when_it_will_not_wait(
    server: Server, connect: Connect, slept: list[float]
) -> None:
    """It was asked, so it isn't said that nothing was asked."""
    server.otherwise = slow_down("5")
    error = failure(connect(server.url, patience=4).fetch_company)
    assert type(error) is RateLimitedError
    assert (error.status, error.retry_after) == (429, 5.0)
    assert (len(server.received), slept) == (1, [])


def test_a_patience_longer_than_a_rest_waits_it_out(
    server: Server, connect: Connect, pace: Pace, slept: list[float]
) -> None:
    server.otherwise = answer(intent())
    pace.rest(3600)
    assert create(connect(server.url))
    assert [round(pause) for pause in slept] == [60]


@pytest.mark.parametrize("patience", [-1, -0.001, math.nan])
def test_a_patience_that_makes_no_sense(server: Server, connect: Connect, patience: float) -> None:
    with pytest.raises(ValueError, match="patience"):
        connect(server.url, patience=patience)


# --- stop_waiting


def test_stop_waiting_frees_who_waits_and_keeps_the_next_from_waiting(
    server: Server, real: Client, arrivals: list[float]
) -> None:
    client, another = real(server.url), real(server.url)
    told_to_slow_down(server, another, "30")
    errors: list[TrussError] = []

    def ask() -> None:
        errors.append(failure(lambda: create(client)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert errors == []
    stopped = time.monotonic()
    client.stop_waiting()
    for thread in threads:
        thread.join(20)
    assert [type(error) for error in errors] == [HeldBackError] * 4
    assert all(10 < (error.retry_after or 0) <= 30 for error in errors)
    held_back(lambda: create(client))
    held_back(client.fetch_company)
    assert time.monotonic() - stopped < 10
    assert arrivals == []


def test_stop_waiting_leaves_other_clients_waiting(server: Server, real: Client, arrivals: list[float]) -> None:
    client, another = real(server.url), real(server.url)
    told = told_to_slow_down(server, client, "1")
    client.stop_waiting()
    create(another)
    assert arrivals[0] >= told + 0.95


def test_who_need_not_wait_is_not_stopped(server: Server, real: Client, arrivals: list[float]) -> None:
    client = real(server.url)
    client.stop_waiting()
    assert create(client)
    assert client.fetch_company()


def test_stop_waiting_ends_the_attempts_of_a_get_with_what_the_last_came_to(server: Server, real: Client) -> None:
    client = real(server.url)
    server.otherwise = answer({}, 503, Retry_After="30")
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.fetch_company)
        while not server.received:
            time.sleep(0.005)
        time.sleep(0.1)
        client.stop_waiting()
        assert type(call.exception(20)) is ServerError
    assert type(failure(client.fetch_company)) is ServerError
    assert len(server.received) == 2


# --- what a 429 doesn't touch


def test_other_errors_make_nobody_rest(server: Server, real: Client) -> None:
    client = real(server.url, patience=0, get_attempts=1)
    server.will(answer({}, 503, Retry_After="30"), answer({}, 401), answer(intent()))
    assert type(failure(lambda: create(client))) is ServerError
    assert type(failure(lambda: create(client))) is NotAuthenticatedError
    assert create(client)


def test_tests_can_end_all_rests(server: Server, real: Client, arrivals: list[float]) -> None:
    client = real(server.url, patience=0)
    told_to_slow_down(server, client, "30")
    pacing.forget_rests()
    assert create(client)
