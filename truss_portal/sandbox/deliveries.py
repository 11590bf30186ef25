"""Brings events to their company's address by HTTP, beside the requests that made them.

A company's deliveries are made one after the other, in the order of their ids, by a thread that is started when there
is something to deliver and ends when there is nothing left. What must be known about a delivery is in its row, so that
several processes can share one database: who puts off `due_at` first makes the try, and the others wait for what comes
of it.
"""

import contextlib
import datetime as dt
import http.client
import logging
import threading
import time
from urllib.parse import urlsplit

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from truss_portal.sandbox import signatures
from truss_portal.sandbox.models import Company, WebhookDelivery, WebhookEvent

TIMEOUT = 5.0
"""Seconds that a receiver has to take the connection, and again to answer."""

_CLAIM = dt.timedelta(seconds=30)
_LOOK_AGAIN = 0.1
_LONGEST_ANSWER = 2**16
_SUCCESS = range(200, 300)
_logger = logging.getLogger(__name__)

_couriers: dict[int, "_Courier"] = {}
_lock = threading.Lock()


def wake(company_pk: int) -> None:
    """Has all that waits for the company delivered. Returns at once."""
    with _lock:
        courier = _couriers.get(company_pk)
        if courier is None:
            courier = _Courier(company_pk)
            courier.start()
            _couriers[company_pk] = courier
        else:
            courier.woken.set()


def wake_all() -> None:
    """Takes up what another process has left, which perhaps has ended."""
    waiting = WebhookDelivery.objects.filter(is_waiting=True)
    # That the tables haven't been made yet is the first request's trouble.
    with contextlib.suppress(DatabaseError):
        for company_pk in waiting.values_list("company", flat=True).distinct():
            wake(company_pk)


def come_to_rest() -> None:
    """Waits for the tries that are under way in this process: afterwards, if nothing waits, nothing will be sent."""
    until = time.monotonic() + 2 * TIMEOUT
    for thread in threading.enumerate():
        if isinstance(thread, _Courier):
            thread.woken.set()
            thread.join(max(0, until - time.monotonic()))


class _Courier(threading.Thread):
    def __init__(self, company_pk: int) -> None:
        super().__init__(name=f"truss-sandbox-webhooks-{company_pk}", daemon=True)
        self.company_pk = company_pk
        self.woken = threading.Event()

    def run(self) -> None:
        try:
            while self._deliver_next() or not self._may_end():
                pass
        except DatabaseError:
            # The rows are kept, and the next event takes them along.
            _logger.exception("The Truss sandbox can't deliver its webhooks.")
        finally:
            with _lock:
                if _couriers.get(self.company_pk) is self:
                    del _couriers[self.company_pk]
            connections.close_all()

    def _may_end(self) -> bool:
        """Under the lock, so that whoever wakes this thread while it ends finds either it or no thread at all."""
        with _lock:
            if self.woken.is_set():
                return False
            del _couriers[self.company_pk]
            return True

    def _deliver_next(self) -> bool:
        """One try, or a rest until it is time for it. False where nothing waits."""
        self.woken.clear()
        waiting = WebhookDelivery.objects.filter(company=self.company_pk, is_waiting=True)
        delivery = waiting.select_related("company", "event").order_by("pk").first()
        if delivery is None:
            return False
        rest = (delivery.due_at - timezone.now()).total_seconds()
        if rest > 0:
            self.woken.wait(min(rest, _LOOK_AGAIN))
        elif waiting.filter(pk=delivery.pk, due_at=delivery.due_at).update(due_at=timezone.now() + _CLAIM):
            _try(delivery)
        return True


def _try(delivery: WebhookDelivery) -> None:
    status, error = _post(delivery.company, delivery.event)
    tried_at, attempts, pauses = timezone.now(), delivery.attempts + 1, delivery.company.webhook_pauses
    is_delivered = status in _SUCCESS
    # A forger has one try: a refusal tells them all they want to know.
    is_waiting = not is_delivered and not delivery.event.forgery and attempts <= len(pauses)
    # A reset may have deleted the row meanwhile.
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        attempts=attempts,
        last_status=status,
        error=error[:200],
        is_waiting=is_waiting,
        due_at=tried_at + dt.timedelta(seconds=pauses[attempts - 1]) if is_waiting else tried_at,
        delivered_at=tried_at if is_delivered else None,
    )


def _post(company: Company, event: WebhookEvent) -> tuple[int | None, str]:
    """The answer's status, or None and what happened in place of an answer."""
    if not company.webhook_url:
        return None, "The company has no webhook address any more."
    body = event.body.encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Truss sandbox", "Connection": "close"}
    signature = _signature(company, event, body)
    if signature:
        headers[signatures.HEADER] = signature
    try:
        address = urlsplit(company.webhook_url)
        to = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        target = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
        with contextlib.closing(to(address.hostname or "", address.port, timeout=TIMEOUT)) as connection:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            # Who hangs up on a receiver that still writes would only fill its log.
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer.read(_LONGEST_ANSWER)
            return answer.status, ""
    except (OSError, ValueError, http.client.HTTPException) as problem:
        return None, f"{type(problem).__name__}: {problem}"


def _signature(company: Company, event: WebhookEvent, body: bytes) -> str:
    """Made anew for each try, as whoever checks it looks at its time. Empty means none."""
    timestamp = int(time.time())
    if event.forgery:
        return signatures.FORGERIES[event.forgery](company.webhook_secret, company.webhook_encoding, timestamp, body)
    if not company.webhook_secret:
        return ""
    return signatures.sign(company.webhook_secret, company.webhook_encoding, timestamp, body)
