"""Connections that note when they begin to send, and give up an answer that takes too long altogether.

A connection notes the moment in which it begins to send, after it was made and, for https, trusted: that tells "surely
not done" from "perhaps". The time-out of requests and urllib3 is the time between two bytes: an answer that drips would
be read for ever, in its headers as in its body.
"""

import functools
import http.client
import io
import threading
import time
from typing import Any, Final

from requests.adapters import HTTPAdapter


class Exchange(threading.local):
    """The request that this thread is at, and its answer."""

    sent = False
    """Whether it has begun to leave this machine."""
    answer_seconds = 0.0

    def begin(self, *, answer_seconds: float) -> None:
        """The next request of this thread; its answer must be whole within so many seconds after it was sent."""
        self.sent = False
        self.answer_seconds = answer_seconds


exchange: Final = Exchange()


class Adapter(HTTPAdapter):
    """requests' way to such connections."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        # On the pool and not on its manager, so that the pools of every kind of proxy get them as well.
        pool.ConnectionCls = _watched(pool.ConnectionCls)
        return pool


@functools.cache
def _watched(connection: Any) -> Any:
    """This class of connection, with `exchange.sent` set once it is made and a request is about to be written.

    What is sent to make it (a CONNECT to a proxy, a TLS handshake) doesn't count.
    """
    if getattr(connection, "is_watched", False):
        return connection

    class Watched(connection):  # type: ignore[misc]
        is_watched = True
        response_class = _Answer

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.is_closed:
                self.connect()
            exchange.sent = True
            super().request(*args, **kwargs)

    return Watched


class _Answer(http.client.HTTPResponse):
    """An answer that is read from a socket as long as its time isn't over."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Socket(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Socket:
    """As much of a socket as an HTTPResponse asks for."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock.makefile(mode, buffering=0), exchange.answer_seconds))


class _TimedReader(io.RawIOBase):
    """Reads on until its time is over. Between two bytes the socket's own time-out counts."""

    def __init__(self, raw: Any, seconds: float) -> None:
        self._raw = raw
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._end:
            raise TimeoutError(f"it took longer than {self._seconds:g} seconds altogether")
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
