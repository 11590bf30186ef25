"""Learn what Trustist has: look at one invitation, or at all; send what waits; ask for keys.

Each step is written as it comes and leaves its mark on the rows, so a run that dies loses nothing.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal.database import alias
from truss_portal.exceptions import EncryptionKeysError, TrussPortalError
from truss_portal.plain_words import told
from truss_portal.trustist import keys, mirror, outbox
from truss_portal.trustist.client import (
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    Rejected,
    TrustistClient,
    TrustistError,
)
from truss_portal.trustist.conf import conf
from truss_portal.trustist.connection import connect
from truss_portal.trustist.exceptions import SyncRunningError
from truss_portal.trustist.models import Invitation, SyncRun

logger = logging.getLogger("truss_portal.trustist.sync")

# Longer than the slowest step between two renewals.
LEASE: Final = timedelta(minutes=10)
# So many looks in a row without an answer say that Trustist is not well: the rest is left to the next run.
GIVE_UP_AFTER: Final = 3
# Looks at single invitations in one run.
MOST_LOOKS: Final = 200
PROBLEMS_KEPT: Final = 50
# What the next request would be told as well.
HOPELESS: Final = (NotAuthenticatedError, NotAllowedError, RateLimitedError)

Progress = Callable[[str, int, int | None], None]
"""Told (step, done, total or None): "list", "look", "send" and "keys" count invitations."""


def no_progress(_step: str, _done: int, _total: int | None) -> None:
    """Silence, as in cron."""


# --- one


def refresh(invitation: Invitation, client: TrustistClient, *, with_keys: bool = True) -> bool:
    """Look at this one, and at its merchant's keys where they are due; `invitation` is then up to date.

    False where Trustist doesn't know it any more: then it is marked missing. Raises TrustistError and
    EncryptionKeysError.
    """
    if invitation.invitation_id is None:
        return False
    asked_at = timezone.now()
    try:
        answer = client.fetch_invitation(invitation.invitation_id)
    except NotFoundError:
        mirror.mark_missing(invitation, asked_at=asked_at)
        invitation.refresh_from_db()
        return False
    mirror.write([answer], detailed=True)
    invitation.refresh_from_db()
    due = Invitation.objects.keys_due(timezone.now()).filter(pk=invitation.pk, stage=Invitation.Stage.COMPLETE)
    if with_keys and due.exists():
        keys.fetch(invitation, client)
        invitation.refresh_from_db()
    return True


# --- all


def sync(*, progress: Progress = no_progress) -> SyncRun:
    """List all invitations, look closer where that tells more, settle, send what waits, ask for keys that are due.

    Returns the finished run. Never raises for what Trustist answers: the run then is `failed` and names the problem.
    Raises SyncRunningError when another run is under way, NotConfiguredError where the settings don't suffice.
    """
    with connect() as client, _lease() as run:
        return _Run(run, client, progress).everything()


@contextmanager
def _lease() -> Iterator[SyncRun]:
    """Hold the one lease of this environment. One that ran out belongs to a dead run."""
    now = timezone.now()
    dead = SyncRun.objects.filter(lease=conf.environment, lease_until__lt=now)
    dead.update(lease=None, state=SyncRun.State.ABANDONED)
    try:
        with transaction.atomic(using=alias()):
            run = SyncRun.objects.create(environment=conf.environment, lease=conf.environment, lease_until=now + LEASE)
    except IntegrityError:
        raise SyncRunningError from None
    try:
        yield run
    finally:
        SyncRun.objects.filter(pk=run.pk).update(lease=None)


class _StoppedError(TrussPortalError):
    """Trustist doesn't answer any more; the rest is left to the next run."""


class _Run:
    """One run: the state that its steps share."""

    def __init__(self, run: SyncRun, client: TrustistClient, progress: Progress) -> None:
        self.run = run
        self.client = client
        self.progress = progress
        self.failures = 0

    def everything(self) -> SyncRun:
        with self._reported():
            outbox.recover()
            asked_at = self._list()
            if self.run.complete:
                outbox.settle(asked_at)
            self._send()
            self._ask_for_keys()
        return self.run

    @contextmanager
    def _reported(self) -> Iterator[None]:
        ended = SyncRun.State.FAILED
        try:
            yield
            if not self.run.problems:
                ended = SyncRun.State.DONE
        except (TrustistError, TrussPortalError) as error:
            self._note(told(error))
        finally:
            self.run.state = ended
            self.run.finished_at = timezone.now()
            self.run.lease = None
            self.run.save()

    def _note(self, problem: str) -> None:
        logger.warning("Sync with Trustist: %s", problem)
        if len(self.run.problems) < PROBLEMS_KEPT:
            self.run.problems.append(problem)

    def _renew(self) -> None:
        until = timezone.now() + LEASE
        if not SyncRun.objects.filter(pk=self.run.pk, lease=conf.environment).update(lease_until=until):
            raise SyncRunningError(_("This sync took too long, and another one has begun."))

    # --- the list

    def _list(self) -> datetime:
        """List all; when we asked. `run.complete` says whether absence from the list means anything."""
        listing = self.client.list_invitations()
        self._renew()
        self._note_rejected(listing.rejected)
        written = mirror.write(listing)
        self._note_rejected(written.rejected)
        self.run.listed = len(listing)
        self.run.created, self.run.updated, self.run.unchanged = written.created, written.updated, written.unchanged
        self.progress("list", len(listing), len(listing))
        seen = {invitation.id.lower() for invitation in listing}
        looks = [*self._unlisted(seen, listing.fetched_at), *self._nameless()]
        looked = self._look(looks[:MOST_LOOKS], seen)
        # Whether the list comes in pages isn't published. Where it kept back what is there, it may keep back more.
        self.run.complete = looked and len(looks) <= MOST_LOOKS and not self.run.rejected
        return listing.fetched_at

    def _note_rejected(self, rejected: Sequence[Rejected]) -> None:
        self.run.rejected += len(rejected)
        for item in rejected:
            self._note(_("Invitation %(id)s can't be read: %(reason)s") % {"id": item.id, "reason": item.reason})

    def _unlisted(self, seen: set[str], asked_at: datetime) -> list[Invitation]:
        """What was known here before the list was asked for, and isn't in it."""
        known = Invitation.objects.of_this_environment().at_trustist().filter(missing_since=None)
        older = known.filter(known_since__lt=asked_at, fetched_at__lt=asked_at)
        return [row for row in older if str(row.invitation_id).lower() not in seen]

    def _nameless(self) -> list[Invitation]:
        """Whom they are for may be told by a closer look, which is enough once."""
        here = Invitation.objects.of_this_environment().at_trustist()
        return list(here.filter(email_lower="", detailed_at=None, missing_since=None).order_by("pk"))

    def _look(self, rows: Sequence[Invitation], seen: set[str]) -> bool:
        """Look at these one by one. False where the list has kept something back, or somebody couldn't be looked at."""
        whole = True
        for number, row in enumerate(rows, start=1):
            listed = str(row.invitation_id).lower() in seen
            try:
                found = refresh(row, self.client, with_keys=False)
            except (TrustistError, TrussPortalError) as error:
                whole = False
                self._failed(row, error)
            else:
                self.failures = 0
                whole = whole and (listed or not found)
                self.run.missing += not found
            self.progress("look", number, len(rows))
            self._renew()
        return whole

    def _failed(self, row: Invitation, error: Exception) -> None:
        self._note(f"{row}: {told(error)}")
        self.failures += not isinstance(error, RefusedError | EncryptionKeysError)
        if isinstance(error, HOPELESS) or self.failures >= GIVE_UP_AFTER:
            raise _StoppedError

    # --- what waits

    def _send(self) -> None:
        total = Invitation.objects.of_this_environment().due(timezone.now()).count()
        for number, invitation in enumerate(outbox.push(), start=1):
            if invitation.delivery == Invitation.Delivery.SENT:
                self.run.sent += 1
            else:
                self._note(f"{invitation}: {invitation.error}")
            self.progress("send", number, total)
            self._renew()

    def _ask_for_keys(self) -> None:
        due = list(Invitation.objects.of_this_environment().keys_due(timezone.now()))
        self.failures = 0
        for number, row in enumerate(due, start=1):
            try:
                self.run.keys += keys.fetch(row, self.client)
                self.failures = 0
            except (TrustistError, EncryptionKeysError) as error:
                self._failed(row, error)
            self.progress("keys", number, len(due))
            self._renew()
