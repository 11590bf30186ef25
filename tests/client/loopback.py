"""A tiny HTTP server on this machine that does what a test says: answer, stall, drop, cut off."""

import contextlib
import json
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    """As it stood in the request line."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"
    timeout = 10
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client hung up: often that is the test
            super().handle_one_request()

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        received = Received(self.command, self.path, dict(self.headers.items()), body)
        self.server.received.append(received)
        behaviour = self.server.script.popleft() if self.server.script else self.server.otherwise
        behaviour(self)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _do  # noqa: N815 - http.server names them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.script: deque[Behaviour] = deque()
        self.otherwise: Behaviour = answer({})
        self.stopped = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that breaks off a TLS handshake is expected; anything else is a mistake in a test's behaviour."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def will(self, *behaviours: Behaviour) -> None:
        self.script.extend(behaviours)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


# --- what a server may do


def answer(payload: Any = None, status: int = 200, **headers: str) -> Behaviour:
    return answer_bytes(b"" if payload is None else json.dumps(payload).encode(), status, **headers)


def answer_bytes(body: bytes, status: int = 200, **headers: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def hang_up(handler: Handler) -> None:
    """The request was read whole, and no answer comes."""
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """The same, rudely."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def stall(handler: Handler) -> None:
    """No answer before the test ends."""
    handler.server.stopped.wait(10)
    handler.close_connection = True


def babble(handler: Handler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    handler.close_connection = True


def cut_off(body: bytes = b'{"uid": "5b1f6c1e', status: int = 200) -> Behaviour:
    """Fewer bytes than promised."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) + 100))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return behave


def pour_out(mebibytes: int, status: int = 200) -> Behaviour:
    """An answer without an end in sight."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for _ in range(mebibytes):
            handler.wfile.write(b"x" * 2**20)
        handler.close_connection = True

    return behave


def drip(answer: bytes, *, at_once: int = 0, every: float = 0.02) -> Behaviour:
    """This answer, status line and headers included: some bytes at once, the others one by one."""

    def behave(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(answer[:at_once])
        for number in range(at_once, len(answer)):
            if handler.server.stopped.wait(every):
                return
            handler.wfile.write(answer[number : number + 1])

    return behave


@contextlib.contextmanager
def raw_server(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port on which each connection is given to `behave` unread, and then closed."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(5)

    def serve() -> None:
        while True:
            try:
                connection, _address = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                with contextlib.suppress(OSError):
                    behave(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)
