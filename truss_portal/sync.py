"""Learn what Truss has: look at one invoice, or at all of them.

A whole run lists every page, then looks one by one only where that can tell more: the balance or status changed, a
payment is still on its way, or something known here wasn't listed. Each step is written as it comes and leaves its mark
on the rows, so a run that dies loses nothing and the next one finishes it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import mirror
from truss_portal.client import NotFoundError, TrussClient, TrussError, resources
from truss_portal.conf import conf
from truss_portal.connection import connect, learn_company
from truss_portal.database import new_claim_token
from truss_portal.exceptions import LeaseHeldError, TrussPortalError
from truss_portal.models import Company, PaymentIntent, SyncRun
from truss_portal.plain_words import told

logger = logging.getLogger("truss_portal.sync")

# Longer than the slowest step between two renewals, a page with all its retries.
LEASE: Final = timedelta(minutes=10)
# Few enough that a Truss that doesn't answer is given up long before the lease ends.
BATCH: Final = 25
# So many looks in a row without an answer say that Truss is not well: the rest is left to the next run.
GIVE_UP_AFTER: Final = 5
PROBLEMS_KEPT: Final = 50

Progress = Callable[[str, int, int | None], None]
"""Told (step, done, total or None): "list" counts listed invoices, "look" those looked at one by one."""


def no_progress(_step: str, _done: int, _total: int | None) -> None:
    """Silence, as in cron."""


# --- one


def refresh(
    intent: PaymentIntent,
    *,
    client: TrussClient | None = None,
    not_within: timedelta | None = None,
    actor_id: Any = None,
) -> bool:
    """Ask Truss for this invoice with its payments and write the answer; `intent` is then up to date.

    False, and nobody was asked, when another look began less than `not_within` ago. An invoice that isn't at Truss
    any more is marked missing. Raises TrussError when Truss couldn't be asked, NotConnectedError without a connection.
    """
    if intent.uid is None:
        return False
    if client is None:
        with connect(intent.company) as own_client:
            return refresh(intent, client=own_client, not_within=not_within, actor_id=actor_id)
    now = timezone.now()
    mine = PaymentIntent.objects.filter(pk=intent.pk)
    if not_within is not None:
        mine = mine.filter(Q(asked_at=None) | Q(asked_at__lte=now - not_within))
    # Written before asking: it is the rate limit, and tells a listing that an older answer may be on its way.
    if not mine.update(asked_at=now):
        return False
    learn_company(intent.company, client)
    try:
        answer = client.fetch_payment_intent(intent.uid)
    except NotFoundError:
        mirror.mark_missing(intent.company, [intent.uid], asked_at=now)
    else:
        mirror.write(intent.company, [answer], actor_id=actor_id)
    intent.refresh_from_db()
    return True


# --- all


def sync_all(company: Company, *, progress: Progress = no_progress) -> SyncRun:
    """List everything, look closer where that tells more, mark what vanished. Returns the finished run.

    Never raises for what Truss answers: the run then is `failed` and names the problem. Raises LeaseHeldError when
    another run of this company is under way, NotConnectedError without a connection.
    """
    with connect(company) as client, _lease(company) as renew:
        run = SyncRun.objects.create(company=company, kind=SyncRun.Kind.ALL)
        return _Run(run, client, renew, progress).everything()


def sync_open(company: Company, *, progress: Progress = no_progress, hurried: bool = False) -> SyncRun:
    """Look one by one at what can still change, without a listing. Otherwise as `sync_all`.

    A `hurried` one waits for no slow answer: see `connect`.
    """
    with connect(company, hurried=hurried) as client, _lease(company) as renew:
        run = SyncRun.objects.create(company=company, kind=SyncRun.Kind.OPEN)
        return _Run(run, client, renew, progress).what_is_open()


@contextmanager
def _lease(company: Company) -> Iterator[Callable[[], None]]:
    """Hold the company's one sync lease; yields what renews it. A lease that ran out belongs to a dead run."""
    token = new_claim_token()
    now = timezone.now()
    free = Company.objects.filter(pk=company.pk).filter(Q(sync_until=None) | Q(sync_until__lt=now))
    if not free.update(sync_token=token, sync_until=now + LEASE):
        raise LeaseHeldError(_("Another sync of %(company)s is running.") % {"company": company})
    held = Company.objects.filter(pk=company.pk, sync_token=token)

    def renew() -> None:
        if not held.update(sync_until=timezone.now() + LEASE):
            raise LeaseHeldError(
                _("This sync of %(company)s took too long and another one has begun.") % {"company": company}
            )

    SyncRun.objects.filter(company=company, state=SyncRun.State.RUNNING).update(state=SyncRun.State.ABANDONED)
    try:
        yield renew
    finally:
        held.update(sync_token="", sync_until=None)


class _StoppedError(TrussPortalError):
    """Truss doesn't answer any more; the rest is left to the next run."""


class _NothingFoundError(TrussPortalError):
    """Truss knows none of the invoices that it was asked for. Is the address right, and the token this company's?"""


class _Run:
    """One run: the state that its steps share."""

    def __init__(self, run: SyncRun, client: TrussClient, renew: Callable[[], None], progress: Progress) -> None:
        self.run = run
        self.company = run.company
        self.client = client
        self.renew = renew
        self.progress = progress
        self.looked: set[UUID] = set()
        self.heard = False
        """Whether Truss has shown an invoice or a list in this run: a wrong address answers 404 to everything."""

    def everything(self) -> SyncRun:
        with self._reported():
            learn_company(self.company, self.client, again=True)
            seen = self._list()
            self._look_for_unlisted(seen)
            self._look(self._worth_a_look())
            if not self.run.problems:
                self.company.listed_at = self.run.started_at
                self.company.save(update_fields=["listed_at"])
        return self.run

    def what_is_open(self) -> SyncRun:
        with self._reported():
            learn_company(self.company, self.client)
            still_open = PaymentIntent.objects.filter(company=self.company).open().filter(missing_since=None)
            self._look([*still_open.values_list("uid", flat=True), *self._worth_a_look()])
        return self.run

    @contextmanager
    def _reported(self) -> Iterator[None]:
        ended = SyncRun.State.FAILED
        try:
            yield
            if not self.run.problems:
                ended = SyncRun.State.DONE
        except (TrussError, TrussPortalError) as error:
            logger.warning("Sync of %s: %s", self.company, error)
            self._keep(told(error))
        finally:
            self.run.state = ended
            self.run.finished_at = timezone.now()
            self.run.save()

    def _note(self, problem: str) -> None:
        logger.warning("Sync of %s: %s", self.company, problem)
        self._keep(problem)

    def _keep(self, problem: str) -> None:
        if len(self.run.problems) < PROBLEMS_KEPT:
            self.run.problems.append(problem)

    def _write(self, intents: Sequence[resources.PaymentIntent], *, counted: bool) -> None:
        """An invoice is counted once: as the list found it, or where there is no list as the look did."""
        written = mirror.write(self.company, intents)
        if counted:
            self.run.created += written.created
            self.run.updated += written.updated
            self.run.unchanged += written.unchanged
        self._note_rejected(written.rejected)

    def _note_rejected(self, rejected: Sequence[resources.Rejected]) -> None:
        self.run.rejected += len(rejected)
        for item in rejected:
            self._note(_("Invoice %(uid)s can't be read: %(reason)s") % {"uid": item.uid, "reason": item.reason})

    def _list(self) -> set[UUID]:
        """List every page; the uids seen. `run.complete` says whether absence from the list means anything."""
        seen: set[UUID] = set()
        counts: set[int] = set()
        for page in self.client.list_payment_intents():
            self.renew()
            self.heard = True
            self._write(page.payment_intents, counted=True)
            self._note_rejected(page.rejected)
            seen.update(intent.uid for intent in page.payment_intents)
            counts.add(page.count)
            self.run.listed = len(seen)
            self.run.save()
            self.progress("list", len(seen), page.count)
        # While the list is read, pages may shift and hide an item. Nothing was hidden when Truss's own count stayed the
        # same and as many different invoices were seen.
        self.run.complete = len(counts) == 1 and len(seen) >= max(counts) and not self.run.rejected
        return seen

    def _worth_a_look(self) -> list[UUID]:
        rows = PaymentIntent.objects.filter(company=self.company).worth_a_look(timezone.now())
        return [uid for uid in rows.values_list("uid", flat=True) if uid]

    def _look_for_unlisted(self, seen: set[UUID]) -> None:
        before = self.run.detailed
        self._look(self._unlisted(seen))
        if self.run.detailed > before:
            # The list kept something back that is there. Then it may have kept back an unconfirmed invoice as well.
            self.run.complete = False

    def _unlisted(self, seen: set[UUID]) -> list[UUID]:
        """What is known here, was so before this run, and wasn't in the list: gone, or hidden by a shifted page."""
        known = PaymentIntent.objects.filter(company=self.company, missing_since=None).at_truss()
        older = known.filter(known_since__lt=self.run.started_at).values_list("uid", flat=True)
        return [uid for uid in older.iterator() if uid and uid not in seen]

    def _look(self, uids: Sequence[UUID | None]) -> None:
        """Ask for each of these with its payments, several at a time; write the answers batch by batch."""
        todo = [uid for uid in dict.fromkeys(uids) if uid and uid not in self.looked]
        total = len(self.looked) + len(todo)
        failures = 0
        with ThreadPoolExecutor(max_workers=conf.concurrency, thread_name_prefix="truss-look") as pool:
            for start in range(0, len(todo), BATCH):
                batch = todo[start : start + BATCH]
                asked_at = timezone.now()
                PaymentIntent.objects.filter(company=self.company, uid__in=batch).update(asked_at=asked_at)
                found: list[resources.PaymentIntent] = []
                gone: list[UUID] = []
                for uid, answer in zip(batch, pool.map(self._fetch, batch), strict=True):
                    if isinstance(answer, resources.PaymentIntent):
                        found.append(answer)
                        failures = 0
                    elif isinstance(answer, NotFoundError):
                        gone.append(uid)
                        failures = 0
                    else:
                        self._note(_("Invoice %(uid)s: %(error)s") % {"uid": uid, "error": answer})
                        failures += 1
                self._write(found, counted=self.run.kind == SyncRun.Kind.OPEN)
                self._note_unfilled([intent.uid for intent in found if intent.transactions is None])
                self.heard = self.heard or bool(found)
                if gone and not self.heard:
                    raise _NothingFoundError
                self.run.missing += mirror.mark_missing(self.company, gone, asked_at=asked_at)
                self.looked.update(batch)
                self.run.detailed += len(found)
                self.run.save()
                self.progress("look", len(self.looked), total)
                if failures >= GIVE_UP_AFTER:
                    raise _StoppedError
                self.renew()

    def _note_unfilled(self, uids: Sequence[UUID]) -> None:
        """Truss shows these without their payments: asking for them again and again would tell no more."""
        if uids:
            PaymentIntent.objects.filter(company=self.company, uid__in=uids).update(details_due=False)
            logger.warning("Truss shows no payments of %d invoices: is the scope transactions:read granted?", len(uids))

    def _fetch(self, uid: UUID) -> resources.PaymentIntent | TrussError:
        """In a thread of the pool: the network and nothing else."""
        try:
            return self.client.fetch_payment_intent(uid)
        except TrussError as error:
            return error
