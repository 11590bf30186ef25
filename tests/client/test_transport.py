"""What the network can do to a request, and what the client makes of it. Real sockets, on this machine only."""

import contextlib
import datetime as dt
import gzip
import json
import logging
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.client import loopback
from tests.client.conftest import NOW, TOKEN
from tests.client.loopback import Server, answer, answer_bytes, cut_off, hang_up, pour_out, raw_server, reset, stall
from tests.client.payloads import INTENT_UID, intent
from truss_portal.client import (
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
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
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)

Connect = Callable[..., TrussClient]
UID = uuid.UUID(INTENT_UID)


def create(client: TrussClient) -> object:
    contact = CreateOrUpdateContactRequest(name="Acme", email="ap@acme.test")
    return client.create_payment_intent(CreateInboundPaymentIntentRequest(addenda="A", total="5", contact=contact))


# Everything that may change something at Truss.
WRITES: list[Callable[[TrussClient], object]] = [
    create,
    lambda client: client.update_payment_intent(UID, UpdateInboundPaymentIntentRequest(memo="m")),
    lambda client: client.update_contact(UID, UpdateContactRequest(name="n")),
    lambda client: client.cancel_payment_intent(UID),
]
each_write = pytest.mark.parametrize("write", WRITES, ids=["create", "update", "contact", "cancel"])


def failure(call: Callable[[], object]) -> TrussError:
    with pytest.raises(TrussError) as caught:
        call()
    return caught.value


# --- what a status means

REFUSALS = {400: RefusedError, 401: NotAuthenticatedError, 403: NotAllowedError, 404: NotFoundError, 405: MethodNotAllowedError, 409: RefusedError, 422: RefusedError, 499: RefusedError}  # fmt: skip  # noqa: E501


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
    for pause, longest in zip(slept, (0.5, 1, 2), strict=True):
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [(answer({}, 503), ServerError), (answer({}, 429), RateLimitedError), (hang_up, UnansweredError), (reset, UnansweredError), (cut_off(), UnansweredError), (loopback.babble, UnansweredError)],
)  # fmt: skip
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
    assert slept[0] == 7.0
    assert 0.5 <= slept[1] <= 1


def test_retry_after_may_be_a_date(server: Server, client: TrussClient, slept: list[float]) -> None:
    later = format_datetime(NOW + dt.timedelta(seconds=20), usegmt=True)
    server.will(answer({}, 429, Retry_After=later), answer({}))
    client.fetch_company()
    assert slept == [20.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0), (" 5 ", 5.0), ("99999999999", 86400.0), ("9" * 300, 86400.0), ("-5", None), ("1.5", None), ("soon", None),
        ("", None), ("Mon, 02 Mar 2026 15:04:35 GMT", 30.0), ("Mon, 02 Mar 2026 15:04:35 -0000", 30.0),
        ("Sun, 01 Mar 2026 15:04:35 GMT", 0.0), ("Mon, 02 Mar 2036 15:04:35 GMT", 86400.0),
        ("Mon, 99 Mar 2026 15:04:35 GMT", None), ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)  # fmt: skip
def test_forms_of_retry_after(server: Server, client: TrussClient, value: str, seconds: float | None) -> None:
    server.otherwise = answer({}, 429, Retry_After=value)
    assert failure(lambda: create(client)).retry_after == seconds


def test_a_retry_after_beyond_all_patience_ends_the_attempts(
    server: Server, client: TrussClient, slept: list[float]
) -> None:
    server.otherwise = answer({}, 429, Retry_After="61")
    assert failure(client.fetch_company).retry_after == 61.0
    assert (len(server.received), slept) == (1, [])
    server.will(*[answer({}, 429, Retry_After="30")] * 3)
    failure(client.fetch_company)
    assert slept == [30.0, 30.0]


def test_fetched_at_is_before_the_attempt_that_brought_the_answer(server: Server, connect: Connect) -> None:
    now = [NOW]

    def sleep(seconds: float) -> None:
        now[0] += dt.timedelta(seconds=30)

    server.will(answer({}, 500), answer(intent()))
    client = connect(server.url, clock=lambda: now[0], sleep=sleep)
    assert client.fetch_payment_intent(UID).fetched_at == NOW + dt.timedelta(seconds=30)


# --- whether it was sent


def assert_not_reached(call: Callable[[], object]) -> TrussError:
    error = failure(call)
    assert type(error) is NotReachedError, repr(error)
    assert (error.outcome, error.outcome_known, error.may_retry, error.status) == (Outcome.NOT_DONE, True, True, None)
    return error


def assert_unanswered(call: Callable[[], object]) -> TrussError:
    error = failure(call)
    assert type(error) is UnansweredError, repr(error)
    assert (error.outcome, error.outcome_known, error.may_retry) == (Outcome.UNKNOWN, False, False)
    return error


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def test_nobody_listens(connect: Connect, slept: list[float]) -> None:
    client = connect(f"http://127.0.0.1:{free_port()}")
    assert "Connection refused" in str(assert_not_reached(lambda: create(client)))
    assert slept == []
    assert_not_reached(client.fetch_company)
    assert len(slept) == 3


def test_nobody_accepts(connect: Connect) -> None:
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # fill the queue: from then on the kernel stays silent
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        client = connect(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=(0.2, 5))
        assert_not_reached(lambda: create(client))


def test_a_name_that_is_not_known(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # asking a real name server would leave this machine
    assert "Name or service not known" in str(assert_not_reached(lambda: create(connect("https://api.truss.test"))))


@each_write
@pytest.mark.parametrize("behaviour", [hang_up, reset, loopback.babble, stall])
def test_a_write_whose_answer_is_lost_is_unknown(
    server: Server, connect: Connect, behaviour: loopback.Behaviour, write: Callable[[TrussClient], object]
) -> None:
    server.otherwise = behaviour
    client = connect(server.url, timeout=(1, 0.2))
    assert_unanswered(lambda: write(client))
    assert len(server.received) == 1


def test_a_server_that_hangs_up_without_reading(connect: Connect) -> None:
    with raw_server(lambda connection: None) as port:
        assert_unanswered(lambda: create(connect(f"http://127.0.0.1:{port}")))


@pytest.mark.parametrize("behaviour", [hang_up, reset])
def test_a_connection_that_was_used_before_and_drops_is_unknown(
    server: Server, client: TrussClient, behaviour: loopback.Behaviour
) -> None:
    server.will(answer({}), behaviour)
    client.fetch_company()
    assert_unanswered(lambda: create(client))
    assert len(server.received) == 2


def test_a_connection_that_was_closed_while_idle_is_made_anew(server: Server, client: TrussClient) -> None:
    server.will(answer({}, Connection="close"), answer(intent()))
    client.fetch_company()
    assert create(client)


def test_an_answer_in_time_though_slow(server: Server, connect: Connect) -> None:
    def slowly(handler: loopback.Handler) -> None:
        time.sleep(0.15)
        answer(intent())(handler)

    server.otherwise = slowly
    assert create(connect(server.url, timeout=(1, 1)))


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For "localhost", signed by nobody that anyone trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
        .not_valid_after(dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def secure_server(server: Server, certificate: Path) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def test_a_certificate_that_nobody_signed(secure_server: Server, connect: Connect) -> None:
    error = assert_not_reached(lambda: create(connect(f"https://localhost:{secure_server.server_port}")))
    assert "certificate verify failed" in str(error)
    assert secure_server.received == []


@pytest.mark.parametrize("behaviour", [hang_up, stall])
def test_an_answer_lost_over_tls_is_unknown(
    secure_server: Server, connect: Connect, certificate: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Any
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    client = connect(f"https://localhost:{secure_server.server_port}", timeout=(2, 0.3))
    secure_server.will(answer(intent()), behaviour)
    assert create(client)
    assert_unanswered(lambda: create(client))


def test_a_server_that_does_not_speak_tls(server: Server, connect: Connect) -> None:
    assert_not_reached(lambda: create(connect(f"https://127.0.0.1:{server.server_port}")))
    assert server.received == []


def test_a_tls_handshake_that_is_never_answered(connect: Connect) -> None:
    done = threading.Event()
    with raw_server(lambda _connection: done.wait(5) and None) as port:
        assert_not_reached(lambda: create(connect(f"https://127.0.0.1:{port}", timeout=(0.2, 0.2))))
        done.set()


def test_a_ca_bundle_that_is_not_there(server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    assert_not_reached(lambda: create(connect(f"https://127.0.0.1:{server.server_port}")))


# --- what the environment says


def test_a_proxy_is_used(server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.otherwise = answer(intent())
    assert create(connect("http://127.0.0.1:1"))
    assert server.received[0].target == "http://127.0.0.1:1/v1/payment-intents/inbound/"


def test_a_proxy_that_is_down_or_refuses(server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    assert_not_reached(lambda: create(connect("https://api.truss.test")))
    monkeypatch.setenv("https_proxy", f"http://user:hunter2@127.0.0.1:{server.server_port}")
    error = assert_not_reached(lambda: create(connect("https://api.truss.test")))  # it knows no CONNECT
    assert "hunter2" not in str(error)
    monkeypatch.setenv("https_proxy", "http://")
    assert_not_reached(lambda: create(connect("https://api.truss.test")))


def test_a_netrc_file_does_not_replace_the_token(
    server: Server, client: TrussClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client.fetch_company()
    assert server.received[0].headers["Authorization"] == f"Bearer {TOKEN}"


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
