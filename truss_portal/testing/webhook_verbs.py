"""What a network does to webhooks: the verbs that Truss's and Trustist's have in common."""

from __future__ import annotations

import abc
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

_POLL = 0.02


class SandboxError(Exception):
    """The pretend Truss could not be started, or refused what it was told."""


class WebhookVerbs(abc.ABC):
    """Methods raise SandboxError when the process refuses or doesn't answer."""

    def _dict(self, method: str, what: str, /, **sent: Any) -> dict[str, Any]:
        return dict(self._call(method, what, **sent))

    def _list(self, what: str) -> list[dict[str, Any]]:
        return list(self._call("GET", what))

    @abc.abstractmethod
    def _call(self, method: str, what: str, /, **sent: Any) -> Any: ...

    def webhook_events(self) -> list[dict[str, Any]]:
        """All events since an address was named, oldest first.

        Each has event_id, event_name, payment_intent_uid, body (the text as sent), forgery (empty for Truss's own),
        fate (sent, held or lost), created_at and its deliveries, of which each has is_waiting, attempts, last_status
        (None without an answer), error, delivered_at.
        """
        return self._list("webhooks")

    def wait_for_webhooks(self, timeout: float = 30) -> None:
        """Returns when nothing is on its way any more: everything is delivered, given up, held or lost.

        Raises SandboxError when that takes longer than `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while waiting := self._dict("GET", "webhooks/waiting")["waiting"]:
            if time.monotonic() > until:
                raise SandboxError(f"{waiting} webhooks are still on their way after {timeout} seconds.")
            time.sleep(_POLL)

    def hold_webhooks(self) -> None:
        """From now on, events are collected and not delivered."""
        self._call("POST", "webhooks/hold")

    def release_webhooks(self, order: str | Sequence[UUID | str] = "made", *, seed: int | None = None) -> list[str]:
        """Delivers what was held, and ends the hold. Answers with the event_ids as they are sent.

        `order`: "made", "reversed", "random" (the same again for the same `seed`); or event_ids, some more than once if
        you like. Then exactly these are sent, even if they had been sent or lost before; others that are held stay so.
        """
        wanted = order if isinstance(order, str) else [str(event_id) for event_id in order]
        return list(self._dict("POST", "webhooks/release", order=wanted, seed=seed)["event_ids"])

    def double_webhooks(self, times: int = 2) -> None:
        """From now on, delivers each event so many times; 1 ends it."""
        self._call("POST", "webhooks/double", times=times)

    def lose_webhooks(self, count: int = 1) -> None:
        """Never delivers the next `count` events; 0 ends it."""
        self._call("POST", "webhooks/lose", count=count)
