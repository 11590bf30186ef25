"""The access token of the partner: how long it is used, and where it is kept between requests.

https://trustisttransfer.com/docs/partner-api/, "Obtain an Access Token"
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

LIFETIME_UNKNOWN: Final = 300
"""Seconds for which a token is used whose answer doesn't say how long it lives."""
LONGEST_LIFETIME: Final = 86_400
EARLY: Final = 60
"""Seconds before its end in which a token isn't used any more; of one that lives shortly, a tenth of its life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Neither `repr` nor `str` shows the token."""

    access_token: str = field(repr=False)
    expires_at: datetime
    """Aware. From then on it isn't used any more: that is shortly before it ends at Trustist."""

    def is_fresh(self, now: datetime) -> bool:
        return now < self.expires_at


def expires_at(expires_in: int | None, *, asked_at: datetime) -> datetime:
    """`expires_in` is in seconds, None where Trustist doesn't say it. `asked_at` was taken before the request."""
    seconds = LIFETIME_UNKNOWN if expires_in is None else min(max(expires_in, 0), LONGEST_LIFETIME)
    return asked_at + timedelta(seconds=seconds - min(EARLY, seconds / 10))


class TokenStore(Protocol):
    """Where the one token is kept, between requests and perhaps between processes. Thread-safe.

    It may forget: then a new token is asked for. Nobody may read it there.
    """

    def get(self) -> Token | None: ...

    def set(self, token: Token) -> None: ...

    def delete(self) -> None: ...


class TokenMemory:
    """A store for one process."""

    def __init__(self) -> None:
        self._token: Token | None = None

    def get(self) -> Token | None:
        return self._token

    def set(self, token: Token) -> None:
        self._token = token

    def delete(self) -> None:
        self._token = None
