"""What was told → a look at Truss → what it says, through `mirror`. "Seen" is not "processed": a failure stays due."""

import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import mirror, sync
from truss_portal.client import (
    HeldBackError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    RateLimitedError,
    TrussClient,
    TrussError,
    resources,
)
from truss_portal.conf import conf
from truss_portal.connection import connect
from truss_portal.exceptions import LeaseHeldError, TrussPortalError
from truss_portal.models import Company, PaymentIntent, SyncRun, WebhookEvent
from truss_portal.plain_words import told

from .claims import ATTEMPTS, Claimed, claim_for_everything, claim_for_invoices

logger = logging.getLogger("truss_portal.webhooks")

State = WebhookEvent.State

# After a failure: 1, 2, 4 … minutes, each up to a half less, so that what failed together doesn't come together.
BACKOFF: Final = timedelta(minutes=1)
LONGEST_BACKOFF: Final = timedelta(hours=1)
# So many looks in a row without an answer say that Truss is not well: the rest is left for later, as `sync` does.
STOP_AFTER: Final = 5
# What the next look would be told as well.
HOPELESS: Final = (NotAllowedError, RateLimitedError)
# Truss wasn't asked, or it isn't about what was asked: a rest after a 429, our token, something else on this side.
OUR_SIDE: Final = (HeldBackError, NotAuthenticatedError, TrussPortalError)
PROBLEMS_KEPT: Final = 20
# So many open invoices may be looked at while somebody waits.
FEW: Final = 25


@dataclass(slots=True)
class Processed:
    """What a run did, counted in events."""

    processed: int = 0
    failed: int = 0
    """To be tried again later."""
    given_up: int = 0
    postponed: int = 0
    """Not an attempt, as nothing is wrong with them: another sync is at it, Truss wants a rest, our token won't do."""
    problems: list[str] = field(default_factory=list)
    """The first few, as sentences."""

    def __iadd__(self, other: "Processed") -> "Processed":
        for name in ("processed", "failed", "given_up", "postponed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems
        return self


class _OvertakenError(Exception):
    """A listing that was asked for later was written before Truss's answer."""


class _UnfitError(Exception):
    """Truss's answer can't be kept here."""


Outcome = str | Exception
"""What came of a look: a note, mostly empty, where it settles what was told; or why it doesn't."""


def process(company: Company, *, hurried: bool = False) -> Processed:
    """Look at Truss for every event that is due, and settle it. Never raises for what Truss answers.

    Whatever is told of one invoice is settled by one look, begun after it was told. What tells of no invoice, or of
    something that we don't know, leads to one look at all that can still change.

    A `hurried` run waits for no slow answer and takes only a few looks: for a request that somebody is waiting for.
    Raises NotConnectedError where something is due and the company has no connection.
    """
    run = _Run(company, hurried=hurried)
    if WebhookEvent.objects.filter(company=company).due(timezone.now()).exists():
        with connect(company, hurried=hurried) as client:
            run.process(client)
    return run.report


class _Run:
    """One run: the state that its steps share."""

    def __init__(self, company: Company, *, hurried: bool) -> None:
        self.company = company
        self.hurried = hurried
        self.report = Processed()
        self.failures = 0
        """Looks in a row that Truss didn't answer."""

    def process(self, client: TrussClient) -> None:
        while self.failures < STOP_AFTER and (claimed := claim_for_invoices(self.company, conf.concurrency)):
            self._bury(claimed)
            self._look_and_settle(claimed, client)
            if self.hurried:
                break
        if self.failures >= STOP_AFTER or (self.hurried and self._is_much_open()):
            return
        if claimed := claim_for_everything(self.company):
            self._bury(claimed)
            self._look_around(claimed, client)

    def _is_much_open(self) -> bool:
        return PaymentIntent.objects.filter(company=self.company).open().count() > FEW

    def _bury(self, claimed: Claimed) -> None:
        for event in claimed.dead:
            self._fail(claimed, event, _("Whoever processed it ended without a word, time and again."))

    def _look_and_settle(self, claimed: Claimed, client: TrussClient) -> None:
        by_uid = claimed.by_uid()
        for uid, outcome in self._look(list(by_uid), client).items():
            self._settle(claimed, by_uid[uid], outcome)

    def _look_around(self, claimed: Claimed, client: TrussClient) -> None:
        """The invoices that were named after all, and all that can still change."""
        by_uid = claimed.by_uid()
        left = {event.pk: event for event in claimed.due}
        uids = list(by_uid)
        for start in range(0, len(uids), conf.concurrency):
            for uid, outcome in self._look(uids[start : start + conf.concurrency], client).items():
                if isinstance(outcome, Exception):
                    self._settle(claimed, by_uid[uid], outcome)
                    for event in by_uid[uid]:
                        del left[event.pk]
            if self.failures >= STOP_AFTER:
                unasked = _still_ours(claimed, list(left.values()))
                unasked.update(claimed_until=None, attempts=F("attempts") - 1)
                return
        if left:
            self._settle(claimed, list(left.values()), self._sync_open())

    def _sync_open(self) -> Outcome:
        try:
            run = sync.sync_open(self.company, hurried=self.hurried)
        except TrussPortalError as error:
            return error
        if run.state != SyncRun.State.DONE:
            return _UnfitError(run.problems[0] if run.problems else _("The sync has failed."))
        return ""

    # --- one look

    def _look(self, uids: Sequence[UUID], client: TrussClient) -> dict[UUID, Outcome]:
        """Ask for each of these with its payments, at once, and write the answers."""
        outcomes = self._look_once(uids, client)
        overtaken = [uid for uid, outcome in outcomes.items() if isinstance(outcome, _OvertakenError)]
        return outcomes | self._look_once(overtaken, client)

    def _look_once(self, uids: Sequence[UUID], client: TrussClient) -> dict[UUID, Outcome]:
        if not uids:
            return {}
        # As before any single look: a listing must know that an older answer may be on its way.
        PaymentIntent.objects.filter(company=self.company, uid__in=uids).update(asked_at=timezone.now())
        if len(uids) == 1:
            answers = [_fetch(client, uids[0])]
        else:
            with ThreadPoolExecutor(max_workers=len(uids), thread_name_prefix="truss-webhooks") as pool:
                answers = list(pool.map(lambda uid: _fetch(client, uid), uids))
        return {uid: self._written(uid, answer) for uid, answer in zip(uids, answers, strict=True)}

    def _written(self, uid: UUID, answer: resources.PaymentIntent | Exception) -> Outcome:
        try:
            if isinstance(answer, resources.PaymentIntent):
                return self._write(answer)
        except Exception as error:
            # It takes no other invoice along.
            logger.exception("Truss's answer on invoice %s of %s could not be written", uid, self.company)
            return _UnfitError(
                _("Truss's answer couldn't be written (%(kind)s): see the log.") % {"kind": type(error).__name__}
            )
        if isinstance(answer, NotFoundError):
            # A wrong address answers 404 to everything. The next sync can tell, and looks at what has details due.
            PaymentIntent.objects.filter(company=self.company, uid=uid).update(details_due=True)
            return _("Truss doesn't have this invoice (404).")
        return answer

    def _write(self, answer: resources.PaymentIntent) -> Outcome:
        written = mirror.write(self.company, [answer])
        if written.rejected:
            return _UnfitError(_("Truss's answer can't be kept here: %(why)s") % {"why": written.rejected[0].reason})
        row = PaymentIntent.objects.filter(company=self.company, uid=answer.uid)
        if answer.transactions is None:
            row.update(details_due=False)
            logger.warning("Truss shows no payments of %s: is the scope transactions:read granted?", answer.uid)
        elif written.stale and not row.filter(detailed_at__gte=answer.fetched_at).exists():
            return _OvertakenError(_("A listing was written before Truss's answer, which it had overtaken."))
        return ""

    # --- what becomes of the events

    def _settle(self, claimed: Claimed, events: Sequence[WebhookEvent], outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._keep(claimed, events, outcome)
            return
        self.failures = 0
        # Whoever has claimed them since: a look that was begun after they came has settled them.
        told = WebhookEvent.objects.filter(pk__in=[event.pk for event in events]).exclude(state=State.PROCESSED)
        self.report.processed += told.update(
            state=State.PROCESSED,
            processed_at=timezone.now(),
            claimed_until=None,
            next_attempt_at=None,
            error=outcome,
        )

    def _keep(self, claimed: Claimed, events: Sequence[WebhookEvent], why: Exception) -> None:
        along = [event for event in events if event in claimed.along]
        if along:
            _still_ours(claimed, along).update(claimed_until=None)
        due = [event for event in events if event not in along]
        if isinstance(why, OUR_SIDE):
            self._postpone(claimed, due, why)
            return
        self.failures = STOP_AFTER if isinstance(why, HOPELESS) else self.failures + 1
        for event in due:
            self._fail(claimed, event, why)

    def _postpone(self, claimed: Claimed, events: Sequence[WebhookEvent], why: Exception) -> None:
        if not isinstance(why, LeaseHeldError):
            self.failures = STOP_AFTER
            self._note(f"{self.company}: {why}")
        again = timezone.now() + max(BACKOFF, _asked_for(why))
        self.report.postponed += _still_ours(claimed, events).update(
            claimed_until=None, attempts=F("attempts") - 1, next_attempt_at=again, error=told(why)
        )

    def _fail(self, claimed: Claimed, event: WebhookEvent, why: Exception | str) -> None:
        again = None if event.attempts >= ATTEMPTS else _next_attempt(event.attempts, why)
        state = State.WAITING if again else State.GIVEN_UP
        text = told(why) if isinstance(why, Exception) else why
        kept = {"state": state, "next_attempt_at": again, "error": text}
        if not _still_ours(claimed, [event]).update(claimed_until=None, **kept):
            return
        if again:
            self.report.failed += 1
            logger.warning("Webhook %s of %s is tried again at %s: %s", event, self.company, again, why)
        else:
            self.report.given_up += 1
            logger.error(
                "Webhook %s of %s was given up after %d attempts: %s When that is mended, run truss_webhooks --retry.",
                event,
                self.company,
                event.attempts,
                why,
            )
        self._note(f"{event}: {why}")

    def _note(self, problem: str) -> None:
        if len(self.report.problems) < PROBLEMS_KEPT:
            self.report.problems.append(problem)


def _still_ours(claimed: Claimed, events: Sequence[WebhookEvent]) -> QuerySet[WebhookEvent]:
    """Of these, those that nobody has taken over because our time was up."""
    return WebhookEvent.objects.filter(pk__in=[event.pk for event in events], claimed_until=claimed.until)


def _fetch(client: TrussClient, uid: UUID) -> resources.PaymentIntent | Exception:
    """In a thread of a pool: the network and nothing else."""
    try:
        return client.fetch_payment_intent(uid)
    except (TrussError, TrussPortalError) as error:
        return error


def _next_attempt(attempts: int, why: Exception | str) -> datetime:
    pause: timedelta = min(BACKOFF * 2 ** (attempts - 1), LONGEST_BACKOFF)
    pause *= random.uniform(0.5, 1)  # noqa: S311 - not for secrets
    return timezone.now() + max(pause, _asked_for(why))


def _asked_for(why: Exception | str) -> timedelta:
    """How long Truss wants to be left alone."""
    return timedelta(seconds=getattr(why, "retry_after", None) or 0)
