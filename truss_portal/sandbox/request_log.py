"""The API requests that this process has received: in memory, the latest ten thousand."""

import collections
from typing import Any, NamedTuple

_LONGEST = 10_000


class LoggedRequest(NamedTuple):
    method: str
    path: str
    """From /v1/ on, without the query."""
    query: str
    status: int | None
    """None when the answer was dropped."""


_requests: collections.deque[LoggedRequest] = collections.deque(maxlen=_LONGEST)


def record(method: str, path: str, query: str, status: int | None) -> None:
    _requests.append(LoggedRequest(method, path, query, status))


def latest() -> list[dict[str, Any]]:
    """Oldest first."""
    return [request._asdict() for request in list(_requests)]


def clear() -> None:
    _requests.clear()
