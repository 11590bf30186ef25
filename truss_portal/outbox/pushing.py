"""Carry out operations: one while somebody waits, or all that are due, several at a time."""

import logging
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from django.db.models import Case, F, QuerySet, When
from django.utils import timezone

from truss_portal import contacts
from truss_portal.client import TrussClient
from truss_portal.conf import conf
from truss_portal.connection import connect, learn_company
from truss_portal.exceptions import ActionRefusedError, NotConnectedError
from truss_portal.models import Company, Contact, Operation
from truss_portal.sync import Progress, no_progress

from .asking import NOT_ABOUT_THE_INVOICE, Answer, ask, confirmed_gone
from .claims import claim, release, supersede, waiting
from .writing import write, write_failure

logger = logging.getLogger("truss_portal.outbox")

State = Operation.State
Due = list[tuple[int, int | None, int | None]]
"""Operations by primary key, each with its invoice, and the payer whom Truss doesn't know yet, where it has one."""

# Seconds to wait for more answers once one has come: written together they cost a handful of statements.
GATHER: Final = 0.03


def perform(operation_ids: Collection[int], *, seconds: float | None = None) -> None:
    """Carry out these operations, as far as they wait, are due, and nobody else is at them.

    After so many `seconds` no further request is begun. Never raises for what Truss answers or for a missing
    connection: both are written on the rows.
    """
    among = Operation.objects.filter(pk__in=operation_ids)
    for company in Company.objects.filter(operations__in=among).distinct():
        try:
            for _operation in push(company, among=among, seconds=seconds):
                pass
        except NotConnectedError as error:
            among.filter(company=company, state=State.QUEUED).update(error=str(error))


def push(
    company: Company,
    *,
    among: QuerySet[Operation] | None = None,
    limit: int | None = None,
    seconds: float | None = None,
    progress: Progress = no_progress,
) -> Iterator[Operation]:
    """Perform what is queued and due, `CONCURRENCY` at a time; yields each operation as it then is.

    The oldest comes first, and looks come after all changes: ten thousand of them hold up nobody's invoice.

    Only `among` these operations, where given; after so many `seconds` no further request is begun. Raises
    NotConnectedError. Whoever stops early, or is interrupted, leaves nothing half done: what was asked for is written,
    and what wasn't goes back into the queue.
    """
    now = timezone.now()
    until = None if seconds is None else time.monotonic() + seconds
    looks_last = Case(When(kind=Operation.Kind.REFRESH, then=1), default=0)
    wanted = waiting(Operation.objects.all() if among is None else among, now).filter(company=company)
    unknown = Case(When(payment_intent__contact__uid=None, then=F("payment_intent__contact_id")))
    due: Due = list(wanted.order_by(looks_last, "pk").values_list("pk", "payment_intent_id", unknown)[:limit])
    if due:
        with connect(company) as client:
            learn_company(company, client)
            yield from _Push(company, client, due, until, progress).run()


def _askable(claimed: list[Operation]) -> Iterator[Operation]:
    """Those that may and must be asked as things stand now; the others are refused, or done by a newer change."""
    traps = contacts.same_name_traps([contact for operation in claimed if (contact := _new_payer(operation))])
    for operation in claimed:
        contact = _new_payer(operation)
        if contact and contact.pk in traps:
            write_failure(operation, ActionRefusedError(traps[contact.pk]))
        elif not supersede(operation):
            yield operation


def _new_payer(operation: Operation) -> Contact | None:
    """The payer whom this create makes known to Truss by name."""
    intent = operation.payment_intent
    contact = intent.contact if intent and operation.kind == Operation.Kind.CREATE else None
    return contact if contact and contact.uid is None else None


class _Push:
    """One run: the database here, the network in a pool of threads."""

    def __init__(
        self, company: Company, client: TrussClient, due: Due, until: float | None, progress: Progress
    ) -> None:
        self.company = company
        self.client = client
        self.due = due
        self.until = until
        self.total = len(due)
        self.done = 0
        self.progress = progress
        self.known: set[int] = set()
        # Set by a thread that was told that our token, or its scope, won't do: nobody else need be told the same.
        self.refused = threading.Event()
        # Set by a thread to whom Truss has shown an invoice: a 404 then is about the one that was asked for.
        self.heard = threading.Event()
        self.flying: dict[Future[Answer], Operation] = {}

    def run(self) -> Iterator[Operation]:
        at_once = conf.concurrency
        with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="truss-push") as pool:
            try:
                while self._in_time() and (self.flying or (self.due and not self.refused.is_set())):
                    # Twice as many are claimed ahead as can be asked at once: no thread waits for the database.
                    if len(self.flying) <= 2 * at_once and not self.refused.is_set():
                        yield from self._start(pool, 3 * at_once - len(self.flying))
                    if self.flying:
                        left = None if self.until is None else max(0.0, self.until - time.monotonic())
                        wait(self.flying, timeout=left, return_when=FIRST_COMPLETED)
                        finished, _pending = wait(self.flying, timeout=GATHER)
                        yield from self._written(finished)
            finally:
                self._land()

    def _in_time(self) -> bool:
        return self.until is None or time.monotonic() < self.until

    def _start(self, pool: ThreadPoolExecutor, room: int) -> Iterator[Operation]:
        """Claim as many as there is room for, and let the pool ask. Yields what was refused on the way.

        One operation of an invoice is under way at a time, oldest first. So is one invoice of a payer whom Truss
        doesn't know yet: the first makes the payer known by name, and the others then name the payer by uid.
        """
        invoices = {operation.payment_intent_id for operation in self.flying.values()}
        payers = {payer.pk for operation in self.flying.values() if (payer := _new_payer(operation))}
        chosen: list[int] = []
        later: Due = []
        for number, (pk, intent_id, payer_id) in enumerate(self.due):
            if len(chosen) == room:
                later += self.due[number:]
                break
            new_payer = payer_id if payer_id not in self.known else None
            if (intent_id and intent_id in invoices) or (new_payer and new_payer in payers):
                later.append((pk, intent_id, payer_id))
                continue
            chosen.append(pk)
            invoices.add(intent_id)
            if new_payer:
                payers.add(new_payer)
        self.due = later
        claimed = claim(chosen)
        asked = set()
        for operation in _askable(claimed):
            asked.add(operation.pk)
            self.flying[pool.submit(self._ask, operation)] = operation
        yield from self._told([operation.pk for operation in claimed if operation.pk not in asked])
        self.done += len(chosen) - len(claimed)

    def _ask(self, operation: Operation) -> Answer:
        """In a thread of the pool: the network and nothing else."""
        answer = ask(operation, self.client)
        if answer.gone and operation.kind == Operation.Kind.REFRESH and not self.heard.is_set():
            answer = confirmed_gone(answer, self.client)
        if answer.created or answer.read_back:
            self.heard.set()
        if isinstance(answer.error, NOT_ABOUT_THE_INVOICE):
            self.refused.set()
        return answer

    def _written(self, finished: set[Future[Answer]]) -> Iterator[Operation]:
        answers = self._answers(finished)
        write(self.company, answers)
        self.known |= {payer.pk for answer in answers if answer.created and (payer := _new_payer(answer.operation))}
        yield from self._told([answer.operation.pk for answer in answers])

    def _told(self, ids: list[int]) -> Iterator[Operation]:
        self.done += len(ids)
        if ids:
            self.progress("send", self.done, self.total)
            yield from Operation.objects.filter(pk__in=ids).order_by("pk")

    def _land(self) -> None:
        """Give back what isn't asked for yet, and write the answers that are still on their way."""
        self.client.stop_waiting()
        for future, operation in list(self.flying.items()):
            if future.cancel():
                release(operation)
                del self.flying[future]
        wait(self.flying)
        write(self.company, self._answers(set(self.flying)))

    def _answers(self, finished: set[Future[Answer]]) -> list[Answer]:
        """The answers of these. A mistake of ours in one is logged, and its claim runs out: it takes no other along."""
        answers = []
        for future in finished:
            operation = self.flying.pop(future)
            error = future.exception()
            if error is None:
                answers.append(future.result())
            else:
                logger.error("Asking Truss for operation %s failed on our side", operation.pk, exc_info=error)
        self.done += len(finished) - len(answers)
        return answers
