"""Serves the sandbox on its own: the same for `python -m truss_portal.sandbox` and for the command `truss_sandbox`."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from truss_portal.sandbox import deliveries
from truss_portal.sandbox.faults import CONNECTION

ROOT_URLCONF = "truss_portal.sandbox.root_urls"
_PARENT_POLL = 0.5


class SandboxRequest(WSGIRequest):
    urlconf = ROOT_URLCONF

    def get_host(self) -> str:
        """Any host: who serves the sandbox chose its address, and the site's ALLOWED_HOSTS don't know it."""
        return self.META.get("HTTP_HOST") or f"{self.META['SERVER_NAME']}:{self.META['SERVER_PORT']}"


class SandboxApplication(WSGIHandler):
    """The sandbox at the root path and nothing else of the site: none of its addresses, and none of its middleware."""

    request_class = SandboxRequest

    def load_middleware(self, is_async: bool = False) -> None:
        sites_own = settings.MIDDLEWARE
        settings.MIDDLEWARE = []
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = sites_own

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response = super().get_response(request)
        # Without a length the connection can't be kept for the next request.
        if isinstance(response, HttpResponse) and "Content-Length" not in response:
            response["Content-Length"] = str(len(response.content))
        return response


class SandboxRequestHandler(WSGIRequestHandler):
    # Headers and body are written apart: with Nagle's algorithm the body would wait for the client's acknowledgement.
    disable_nagle_algorithm = True

    def get_environ(self) -> dict[str, Any]:
        return super().get_environ() | {CONNECTION: self.connection}

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent: `/control/requests` has the log."""


class SandboxServer(ThreadedWSGIServer):
    request_queue_size = 128

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), SandboxRequestHandler, ipv6=":" in host)
        self.set_app(SandboxApplication())

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"


def serve(host: str, port: int, *, announce: Callable[[str], None], parent: int | None = None) -> None:
    """Serves until SIGTERM or SIGINT, or until the process `parent` is no longer the parent. Port 0 takes a free one.

    Raises OSError when the address can't be had.
    """
    server = SandboxServer(host, port)

    def stop(*_: object) -> None:
        # shutdown() waits for serve_forever() to return, which this thread, interrupted by the signal, is running.
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if parent is not None:
        threading.Thread(target=_stop_with_parent, args=(parent, stop), daemon=True).start()
    deliveries.wake_all()
    announce(server.url)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()


def print_address(url: str) -> None:
    sys.stdout.write(f"Truss sandbox at {url}\n")
    sys.stdout.flush()


def _stop_with_parent(parent: int, stop: Callable[[], None]) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL)
    stop()
