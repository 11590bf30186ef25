"""Invitations that move on by themselves: timers of this process, each for one step."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections

_LONGEST_STEP = 30.0  # seconds

_logger = logging.getLogger(__name__)
_timers: set[threading.Timer] = set()
_lock = threading.Lock()


def schedule(seconds: float, step: Callable[..., None], *args: Any) -> None:
    """Has the step taken so many seconds from now, on a thread of its own."""

    def run() -> None:
        try:
            step(*args)
        except DatabaseError:
            _logger.exception("The Truss sandbox can't move an invitation on.")
        finally:
            connections.close_all()
            with _lock:
                _timers.discard(timer)

    timer = threading.Timer(seconds, run)
    timer.daemon = True
    with _lock:
        _timers.add(timer)
    timer.start()


def cancel_all() -> None:
    """Waits for the steps that are being taken: afterwards none is. The longest wait is a database's."""
    # Again and again, because a step that is being taken may schedule the next one.
    while timers := _all():
        for timer in timers:
            timer.cancel()
            timer.join(_LONGEST_STEP)
        with _lock:
            _timers.difference_update(timers)


def _all() -> list[threading.Timer]:
    with _lock:
        return list(_timers)
