"""The API requests that this process has received: in memory, the latest ten thousand."""

import collections
import dataclasses
from typing import Any

_LONGEST = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedRequest:
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
    return [dataclasses.asdict(request) for request in list(_requests)]


def clear() -> None:
    _requests.clear()
