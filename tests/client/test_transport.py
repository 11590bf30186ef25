"""What the network can do to a request, and what the client makes of it. Real sockets, on this machine only."""

import datetime as dt
import gzip
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from typing import Any

import pytest

from tests.client import loopback
from tests.client.calling import UID, Connect, assert_unanswered, create, each_write, failure, free_port
from tests.client.conftest import NOW, TOKEN
from tests.client.loopback import Server, answer, answer_bytes, cut_off, hang_up, pour_out, reset
from tests.client.payloads import intent
from truss_portal.client import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    NotReachedError,
    Outcome,
    RateLimitedError,
    RefusedError,
    ServerError,
    TrussClient,
    TrussError,
    UnansweredError,
    UnreadableAnswerError,
    pacing,
)

# --- what a status means

REFUSALS = {
    400: RefusedError,
    401: NotAuthenticatedError,
    403: NotAllowedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    409: RefusedError,
    422: RefusedError,
    499: RefusedError,
}


@pytest.mark.parametrize(("status", "kind"), REFUSALS.items())
def test_a_4xx_is_a_refusal(server: Server, client: TrussClient, status: int, kind: type[TrussError]) -> None:
    server.otherwise = answer({"detail": "No."}, status)
    for call in (client.fetch_company, lambda: create(client)):
        server.received.clear()
        error = failure(call)
        assert type(error) is kind
        assert (error.outcome, error.outcome_known, error.may_retry) == (Outcome.REFUSED, True, False)
        assert (error.status, error.body) == (status, '{"detail": "No."}')
        assert len(server.received) == 1
    assert error.request == "POST /v1/payment-intents/inbound/"
    assert str(error).endswith(f'(POST /v1/payment-intents/inbound/, status {status}) Truss says: {{"detail": "No."}}')


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@each_write
def test_a_5xx_after_a_write_is_unknown_and_never_repeated(
    server: Server, client: TrussClient, status: int, write: Callable[[TrussClient], object]
) -> None:
    server.otherwise = answer_bytes(b"<html>Bad gateway</html>", status, Retry_After="7")
    error = failure(lambda: write(client))
    assert type(error) is ServerError
    assert (error.outcome, error.outcome_known, error.may_retry) == (Outcome.UNKNOWN, False, False)
    assert (error.status, error.retry_after, error.body) == (status, 7.0, "<html>Bad gateway</html>")
    assert "<html>" not in str(error)
    assert len(server.received) == 1


@each_write
def test_a_429_to_a_write_is_not_done_and_left_to_the_caller(
    server: Server, client: TrussClient, slept: list[float], write: Callable[[TrussClient], object]
) -> None:
    server.otherwise = answer({}, 429, Retry_After="12")
    error = failure(lambda: write(client))
    assert type(error) is RateLimitedError
    assert (error.outcome, error.may_retry, error.retry_after) == (Outcome.NOT_DONE, True, 12.0)
    assert (len(server.received), slept) == (1, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Server, client: TrussClient, status: int) -> None:
    server.otherwise = answer({}, status, Location="http://127.0.0.1:1/elsewhere")
    for call in (client.fetch_company, lambda: create(client)):
        server.received.clear()
        error = failure(call)
        assert type(error) is UnreadableAnswerError
        assert (error.status, error.outcome) == (status, Outcome.UNKNOWN)
        assert "another address" in str(error)
        assert len(server.received) == 1


def test_a_status_without_a_meaning(server: Server, client: TrussClient) -> None:
    server.otherwise = answer({}, 304)
    assert type(failure(client.fetch_company)) is UnreadableAnswerError


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206])
def test_any_2xx_is_a_success(server: Server, client: TrussClient, status: int) -> None:
    server.otherwise = answer(intent(), status)
    assert create(client)
    assert client.fetch_payment_intent(UID)


# --- reading is repeated


def test_a_get_is_repeated_with_growing_pauses(server: Server, client: TrussClient, slept: list[float]) -> None:
    server.will(answer({}, 500), hang_up, answer({}, 429), answer({"checkout_link_id": "k7"}))
    assert client.fetch_company().checkout_link_id == "k7"
    assert len(server.received) == 4
    for pause, longest in zip(slept, (0.5, 1, 2.25), strict=True):
        assert (longest - 0.25) / 2 <= pause <= longest


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (answer({}, 503), ServerError),
        (answer({}, 429), RateLimitedError),
        (hang_up, UnansweredError),
        (reset, UnansweredError),
        (cut_off(), UnansweredError),
        (loopback.babble, UnansweredError),
    ],
)
def test_a_get_is_given_up_after_so_many_attempts(
    server: Server, client: TrussClient, slept: list[float], behaviour: loopback.Behaviour, kind: type[TrussError]
) -> None:
    server.otherwise = behaviour
    error = failure(client.fetch_company)
    assert type(error) is kind
    assert error.may_retry
    assert (len(server.received), len(slept)) == (4, 3)


def test_one_attempt_means_one(server: Server, connect: Connect, slept: list[float]) -> None:
    server.otherwise = answer({}, 500)
    failure(connect(server.url, get_attempts=1).fetch_company)
    assert (len(server.received), slept) == (1, [])


def test_a_get_that_is_refused_or_senseless_is_not_repeated(server: Server, client: TrussClient) -> None:
    for behaviour in (answer({}, 404), answer([1]), answer_bytes(b"<html>")):
        server.received.clear()
        server.otherwise = behaviour
        failure(client.fetch_company)
        assert len(server.received) == 1


def test_retry_after_is_obeyed(server: Server, client: TrussClient, slept: list[float]) -> None:
    server.will(answer({}, 429, Retry_After="7"), answer({}, 503, Retry_After="0"), answer({}))
    client.fetch_company()
    assert 7.0 <= slept[0] <= 7.25
    assert 0.5 <= slept[1] <= 1


def test_retry_after_may_be_a_date(server: Server, client: TrussClient, slept: list[float]) -> None:
    later = format_datetime(NOW + dt.timedelta(seconds=20), usegmt=True)
    server.will(answer({}, 429, Retry_After=later), answer({}))
    client.fetch_company()
    assert [round(pause) for pause in slept] == [20]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 5 ", 5.0),
        ("99999999999", 86400.0),
        ("9" * 300, 86400.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Mon, 02 Mar 2026 15:04:35 GMT", 30.0),
        ("Mon, 02 Mar 2026 15:04:35 -0000", 30.0),
        ("Sun, 01 Mar 2026 15:04:35 GMT", 0.0),
        ("Mon, 02 Mar 2036 15:04:35 GMT", 86400.0),
        ("Mon, 99 Mar 2026 15:04:35 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_forms_of_retry_after(server: Server, client: TrussClient, value: str, seconds: float | None) -> None:
    server.otherwise = answer({}, 429, Retry_After=value)
    assert failure(lambda: create(client)).retry_after == seconds


def test_a_retry_after_beyond_all_patience_ends_the_attempts(
    server: Server, client: TrussClient, pace: pacing.Pace, slept: list[float]
) -> None:
    server.otherwise = answer({}, 429, Retry_After="61")
    assert failure(client.fetch_company).retry_after == 61.0
    assert (len(server.received), slept) == (1, [])
    pace.forget()
    server.will(*[answer({}, 429, Retry_After="30")] * 3)
    assert type(failure(client.fetch_company)) is RateLimitedError
    assert [round(pause) for pause in slept] == [30, 30]


def test_fetched_at_is_before_the_attempt_that_brought_the_answer(server: Server, connect: Connect) -> None:
    now = [NOW]

    def wait(stopped: threading.Event, seconds: float) -> bool:
        now[0] += dt.timedelta(seconds=30)
        return False

    server.will(answer({}, 500), answer(intent()))
    client = connect(server.url, clock=lambda: now[0], pace=pacing.Pace(wait=wait))
    assert client.fetch_payment_intent(UID).fetched_at == NOW + dt.timedelta(seconds=30)


# --- bodies


def test_an_answer_that_breaks_off(server: Server, client: TrussClient) -> None:
    server.otherwise = cut_off()
    error = assert_unanswered(lambda: create(client))
    assert error.status == 200
    assert "broke off" in str(error)


def test_an_endless_answer_is_not_read_to_its_end(server: Server, client: TrussClient) -> None:
    server.otherwise = pour_out(12)
    assert "longer than 10000000 bytes" in str(assert_unanswered(lambda: create(client)))


def test_an_error_is_decided_by_its_status_whatever_becomes_of_the_body(server: Server, client: TrussClient) -> None:
    server.will(cut_off(b"half", 400), pour_out(3, 403), pour_out(3, 500))
    assert type(failure(lambda: create(client))) is RefusedError
    error = failure(lambda: create(client))
    assert type(error) is NotAllowedError
    assert error.body == "x" * 4000
    assert len(str(error)) < 600
    assert type(failure(lambda: create(client))) is ServerError


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"plain words", b"null", b"\x1f\x8b broken"])
def test_an_error_body_may_be_anything(server: Server, client: TrussClient, body: bytes) -> None:
    server.otherwise = answer_bytes(body, 400)
    error = failure(lambda: create(client))
    assert error.body == body.decode(errors="replace")
    str(error).encode()


def test_compressed_answers(server: Server, client: TrussClient) -> None:
    server.will(
        answer_bytes(gzip.compress(json.dumps(intent()).encode()), Content_Encoding="gzip"),
        answer_bytes(gzip.compress(b" " * 20_000_000), Content_Encoding="gzip"),
        answer_bytes(b"no gzip at all", Content_Encoding="gzip"),
    )
    assert create(client)
    assert "longer than" in str(assert_unanswered(lambda: create(client)))
    assert "broke off" in str(assert_unanswered(lambda: create(client)))


# --- manners


def test_headers(server: Server, client: TrussClient) -> None:
    server.will(answer({}, Set_Cookie="session=1"), answer(intent()), answer(None, 204))
    client.fetch_company()
    create(client)
    client.cancel_payment_intent(UID)
    read, written, canceled = server.received
    for received in server.received:
        assert received.headers["Authorization"] == f"Bearer {TOKEN}"
        assert received.headers["User-Agent"].startswith("truss_portal")
        assert received.headers["Accept"] == "application/json"
        assert "Cookie" not in received.headers
    assert "Content-Type" not in read.headers
    assert written.headers["Content-Type"] == "application/json"
    assert "Content-Type" not in canceled.headers
    assert (canceled.headers["Content-Length"], canceled.body) == ("0", b"")


def test_a_token_is_asked_for_anew_for_every_request(server: Server, connect: Connect) -> None:
    tokens: Iterator[str] = iter(["one", "two", "three"])
    client = connect(server.url, lambda: next(tokens))
    server.will(answer({}, 500), answer({}), answer(intent()))
    client.fetch_company()
    create(client)
    assert [received.headers["Authorization"][7:] for received in server.received] == ["one", "two", "three"]


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "tab\t", "ünicode", None, 5])
def test_a_token_that_can_not_be_sent(server: Server, connect: Connect, token: Any) -> None:
    with pytest.raises(InvalidRequestError, match="access token") as caught:
        connect(server.url, lambda: token).fetch_company()
    assert server.received == []
    assert not token or str(token) not in str(caught.value)


def test_one_line_is_logged_for_each_request(
    server: Server, client: TrussClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "truss_portal.client")
    server.will(answer({}, 500), hang_up, answer({"count": 0, "next": None, "results": []}))
    list(client.list_payment_intents())
    lines = [record.getMessage() for record in caplog.records if record.name == "truss_portal.client"]
    assert [line.partition(" in ")[0] for line in lines] == [
        "GET /v1/payment-intents/inbound/: 500",
        "GET /v1/payment-intents/inbound/: UnansweredError",
        "GET /v1/payment-intents/inbound/: 200",
    ]
    assert all(line.endswith(" s") for line in lines)


def test_many_threads_share_one_client(server: Server, client: TrussClient) -> None:
    at_once = threading.Barrier(8, timeout=5)

    def behave(handler: loopback.Handler) -> None:
        at_once.wait()
        uid = handler.path.split("/")[-2]
        answer(intent(uid=uid))(handler)

    server.otherwise = behave
    uids = [uuid.uuid4() for _ in range(40)]
    with ThreadPoolExecutor(8) as threads:
        assert [got.uid for got in threads.map(client.fetch_payment_intent, uids)] == uids


def test_threads_do_not_mix_up_what_was_sent(server: Server, client: TrussClient, connect: Connect) -> None:
    server.otherwise = hang_up
    nobody = connect(f"http://127.0.0.1:{free_port()}")
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(create, [client, nobody][index % 2]) for index in range(40)]
        kinds = [type(call.exception()) for call in calls]
    assert kinds == [UnansweredError, NotReachedError] * 20
