"""How fast a host may be asked: after a 429 every request of this process to it rests, whoever was told.

Truss publishes neither its rate limits nor whether a 429 names a time, so a rest without one is short. Other processes
learn of it by their own 429.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Final

from truss_portal.client import addresses

SHORTEST_REST: Final = 1.0
"""Seconds that a host is left alone after a 429 without a `Retry-After`."""
LONGEST_REST: Final = 60.0
"""Seconds that a host is left alone at most, whatever `Retry-After` says: then one asks again and is told anew."""
MAX_TOTAL_WAIT: Final = 60.0
"""Seconds: all that one repeated GET waits before its last attempt."""

_SPREAD: Final = 0.25  # seconds over which those who wake from one rest are strewn


class Pace:
    """The pace of one host. Thread-safe; asking whether it rests takes no lock."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        """`wait` waits for an event, so many seconds at the most, and says whether it came."""
        self._monotonic = monotonic
        self.wait: Final = wait
        self._until = 0.0
        self._lock = threading.Lock()

    def rest(self, retry_after: float | None) -> None:
        """The host answered 429. `retry_after` is in seconds, None where it named no time."""
        seconds = SHORTEST_REST if retry_after is None else min(retry_after, LONGEST_REST)
        with self._lock:
            self._until = max(self._until, self._monotonic() + seconds)

    def left(self) -> float:
        """Seconds until the host may be asked again; 0.0 when it may be asked now."""
        until = self._until
        return min(max(until - self._monotonic(), 0.0), LONGEST_REST) if until else 0.0

    def forget(self) -> None:
        """End the rest. Who already waits for its end goes on waiting."""
        with self._lock:
            self._until = 0.0


class Patience:
    """How long the calls of one client wait, and whether they still do."""

    def __init__(self, pace: Pace, seconds: float) -> None:
        """`seconds` is the longest that one call waits for a host that rests. Raises ValueError."""
        if not seconds >= 0:
            raise ValueError(f"patience must be a number of seconds, not {seconds!r}.")
        self.pace: Final = pace
        self._seconds = seconds
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Nobody waits any more, from now on."""
        self._stopped.set()

    def wait(self, pause: float = 0.0, *, waited: float = 0.0) -> float | None:
        """Wait `pause` seconds, and longer while the host rests: the seconds that the call has waited altogether.

        `waited` is what it had waited before. None says that it would be too long, or that nobody waits any more.
        """
        repeating = pause > 0
        while True:
            resting = self.pace.left()
            needed = max(resting, pause)
            if not needed:
                return waited
            beyond_patience = resting > 0 and waited + resting > self._seconds
            too_long = beyond_patience or (repeating and waited + needed > MAX_TOTAL_WAIT)
            if too_long or self._stopped.is_set():
                return None
            spread = random.uniform(0, _SPREAD) if resting else 0.0  # noqa: S311 - not for secrets
            if self.pace.wait(self._stopped, needed + spread):
                return None
            waited, pause = waited + needed, 0.0  # the rest may have grown longer meanwhile, the pause hasn't


_paces: Final[dict[tuple[str, str, int], Pace]] = {}


def pace_of(url: str) -> Pace:
    """The one pace that this process has for the scheme, host and port of this address."""
    return _paces.setdefault(addresses.origin(url), Pace())


def forget_rests() -> None:
    """End every rest of this process: for tests, where one test's 429 would otherwise slow the next."""
    for pace in list(_paces.values()):
        pace.forget()
