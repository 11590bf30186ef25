"""Whether a request has left this machine: the difference between "not done" and "perhaps"."""

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.client import loopback
from tests.client.calling import Connect, assert_not_reached, assert_unanswered, create, each_write, free_port
from tests.client.conftest import TOKEN
from tests.client.loopback import Server, answer, drip, hang_up, raw_server, reset, stall
from tests.client.payloads import intent
from truss_portal.client import (
    TrussClient,
)

# --- whether it was sent


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
    client = connect(server.url, timeout=(5, 0.5 if behaviour is stall else 5))
    assert_unanswered(lambda: write(client))
    deadline = time.monotonic() + 5  # on a busy machine the server's thread may come after the client's time-out
    while not server.received and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.received) == 1


def test_a_server_that_hangs_up_without_reading(connect: Connect) -> None:
    with raw_server(lambda _connection: None) as port:
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
    assert create(connect(server.url, timeout=(5, 5)))


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
    client = connect(f"https://localhost:{secure_server.server_port}", timeout=(5, 1))
    secure_server.will(answer(intent()), behaviour)
    assert create(client)
    assert_unanswered(lambda: create(client))


def test_an_answer_that_drips_over_tls_is_given_up(
    secure_server: Server, connect: Connect, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    client = connect(f"https://localhost:{secure_server.server_port}", answer_seconds=0.3)
    secure_server.will(
        answer(intent()), drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b" " * 500, at_once=40)
    )
    assert create(client)
    started = time.monotonic()
    assert "longer than 0.3 seconds" in str(assert_unanswered(lambda: create(client)))
    assert time.monotonic() - started < 8


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
