"""An answer may be slow, but it must be whole in the end: nobody waits for one that drips without end."""

import json
import math
import time

import pytest

from tests.client.calling import Connect, assert_unanswered, create, failure
from tests.client.loopback import Server, answer, drip
from tests.client.payloads import intent
from truss_portal.client import NotAllowedError, RateLimitedError, ServerError, UnansweredError

pytestmark = pytest.mark.slow

BODY = json.dumps(intent()).encode()
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

DRIPPING = {
    "body": (PLAIN + BODY, len(PLAIN)),
    "body without a length": (UNTIL_CLOSED + BODY, len(UNTIL_CLOSED)),
    "chunks": (CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n", len(CHUNKED)),
    "inside a chunk": (CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY), len(CHUNKED)),
    "status line": (PLAIN + BODY, 0),
    "headers": (b"HTTP/1.1 200 OK\r\n" + b"X-Padding: %s\r\n" % (b"x" * 1000) + PLAIN[17:] + BODY, 17),
    "ever another status 100": (b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + PLAIN + BODY, 0),
}


@pytest.mark.parametrize(("sent", "at_once"), DRIPPING.values(), ids=DRIPPING)
def test_an_answer_that_drips_is_given_up(server: Server, connect: Connect, sent: bytes, at_once: int) -> None:
    server.otherwise = drip(sent, at_once=at_once)
    started = time.monotonic()
    error = assert_unanswered(lambda: create(connect(server.url, answer_seconds=0.5)))
    assert time.monotonic() - started < 8
    assert "it took longer than 0.5 seconds altogether" in str(error)
    assert len(server.received) == 1


@pytest.mark.parametrize(("sent", "at_once"), DRIPPING.values(), ids=DRIPPING)
def test_an_answer_that_drips_and_is_whole_in_time_is_read(
    server: Server, connect: Connect, sent: bytes, at_once: int
) -> None:
    server.otherwise = drip(sent, at_once=at_once, every=0.0002)
    assert create(connect(server.url, answer_seconds=30))


def test_each_answer_has_its_own_time_on_one_connection(server: Server, connect: Connect) -> None:
    server.otherwise = answer(intent())
    client = connect(server.url, answer_seconds=1)
    for _ in range(4):
        assert create(client)
        time.sleep(0.4)


def test_reading_is_repeated_after_an_answer_that_dripped(server: Server, connect: Connect) -> None:
    server.will(drip(PLAIN + BODY, at_once=len(PLAIN)), answer({"checkout_link_id": "k7"}))
    assert connect(server.url, answer_seconds=0.3).fetch_company().checkout_link_id == "k7"
    server.otherwise = drip(PLAIN + BODY)
    assert type(failure(connect(server.url, answer_seconds=0.1, get_attempts=2).fetch_company)) is UnansweredError


@pytest.mark.parametrize(("status", "kind"), [(403, NotAllowedError), (429, RateLimitedError), (503, ServerError)])
def test_what_the_status_says_counts_though_the_body_drips(
    server: Server, connect: Connect, status: int, kind: type[Exception]
) -> None:
    head = b"HTTP/1.1 %d No\r\nContent-Length: 1000\r\n\r\n" % status
    server.otherwise = drip(head + b"x" * 1000, at_once=len(head))
    assert type(failure(lambda: create(connect(server.url, answer_seconds=0.3)))) is kind


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_time_that_makes_no_sense(connect: Connect, seconds: float) -> None:
    with pytest.raises(ValueError, match="answer_seconds"):
        connect("http://127.0.0.1:1", answer_seconds=seconds)
