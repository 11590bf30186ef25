"""The access token of a connected company, kept good: renewed early, by one process, while the others go on.

Who renews is decided by a lease on the connection's row, taken by one compare-and-set; every write then is one more, on
what the row said before. So of any number of processes and threads one asks Truss, and an answer that comes too late,
after somebody has connected again, changes nothing. The network is never asked inside a transaction.

What is published about renewal is that it exists. Whether a refresh token can be used twice isn't: so it is never sent
by two at once, and whatever new one comes is written together with the access token.
https://docs.trusspayments.com/api-references/tag/authentication/post/v1/oauth2/token
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self

from django.db import connections
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import encryption, sealed_columns
from truss_portal.client import (
    LONGEST_REST,
    NotAuthenticatedError,
    Token,
    TrussError,
    ends_connection,
    refresh_token,
)
from truss_portal.conf import conf
from truss_portal.database import alias, retried
from truss_portal.exceptions import EncryptionKeysError, NeedsReconnectError, NotConnectedError, NotRenewedError
from truss_portal.models import Company, Connection, Operation
from truss_portal.plain_words import told

logger = logging.getLogger("truss_portal.connection")

# A token is renewed when so much of its life is left, or a tenth of it, whichever is less.
EARLY: Final = timedelta(minutes=5)
EARLY_SHARE: Final = 10
# Seconds that one whose token has run out waits for another process that is renewing it.
PATIENCE: Final = 20.0
HURRIED_PATIENCE: Final = 2.0
LOOK_EVERY: Final = 0.1
# Seconds until this process looks again, when another one is renewing or Truss couldn't be reached: the token is good.
PAUSE: Final = 5.0
# The lease of the renewing process, besides the timeouts of its request: longer than an answer and a rest may take.
LEASE: Final = timedelta(minutes=4)
# A token that Truss refuses so soon after it was renewed isn't made better by renewing it again.
JUST_RENEWED: Final = timedelta(seconds=30)
LONGEST_LIFE: Final = 10 * 365 * 86_400  # seconds: a database has no place for more


@dataclass(frozen=True, slots=True)
class _Held:
    """The connection as its row was when it was last read."""

    token: str = field(repr=False)
    connected_at: datetime
    renewed_at: datetime | None
    expires_at: datetime | None
    renew_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """As far as one can tell: without a lifetime it is good until Truss refuses it."""
        return self.expires_at is None or now < self.expires_at

    def is_due(self, now: datetime) -> bool:
        return self.renew_at is not None and now >= self.renew_at


class TokenSource:
    """Gives `TrussClient` the company's access token for every request; several threads may ask at once.

    Renewing may happen in any of these threads, since a long run outlives a token: whoever first finds it due renews,
    and opens a database connection for that moment if its thread has none. (Handing it to the thread that began the run
    would need no second connection; but that thread waits for the others, and they would wait for it.)
    """

    def __init__(self, company: Company, row: Connection, *, hurried: bool) -> None:
        self._company = company
        self._hurried = hurried
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._problem = ""
        """Why the last try to renew came to nothing; "" when there was none, or when it came to something."""
        self._held = self._opened(row)

    @classmethod
    def of(cls, company: Company, *, hurried: bool = False) -> Self | None:
        """None for a company that has no connection. Raises NotConnectedError where its token can't be used.

        A `hurried` one renews only what has run out, and leaves what is merely due to others.
        """
        row = _rows(company).first()
        return None if row is None else cls(company, row, hurried=hurried)

    def prepare(self) -> None:
        """Renew what is due before a run begins: then its threads seldom need to. Raises NotConnectedError."""
        self._keep_good()

    def __call__(self) -> str:
        """A token that is good as far as one can tell. Raises NotAuthenticatedError, by which the queue is kept."""
        try:
            self._keep_good()
        except NotConnectedError as error:
            problem = str(error)
        else:
            return self._held.token
        raise NotAuthenticatedError(problem)

    def refused(self, token: str) -> bool:
        """Truss has answered 401 to this token. True when there is another one now."""
        with self._lock, _connection_for_a_moment():
            if self._held.token != token:
                return True
            if self._problem and time.monotonic() < self._not_before:
                return False
            try:
                self._renew(refused=True)
            except NotConnectedError as error:
                logger.warning("Truss refused the access token of %s: %s", self._company, error)
                return False
            return self._held.token != token

    def _keep_good(self) -> None:
        """Raises NotConnectedError."""
        now = timezone.now()
        good = self._held.is_good(now)
        # Those whose token is still good don't wait for the thread that renews it.
        if not self._is_due(now) or not self._lock.acquire(blocking=not good):
            return
        try:
            if not self._is_due(timezone.now()):
                return
            if time.monotonic() < self._not_before and (good or self._problem):
                if not good:
                    raise NotRenewedError(self._problem)
                return
            with _connection_for_a_moment():
                self._renew()
        finally:
            self._lock.release()

    def _is_due(self, now: datetime) -> bool:
        return self._held.is_due(now) and not (self._hurried and self._held.is_good(now))

    def _renew(self, *, refused: bool = False) -> None:
        """Until the token is good, by us or by whoever else is at it; one that was `refused` is not good.

        Raises NotConnectedError.
        """
        before, self._problem = self._held, ""
        until = time.monotonic() + (HURRIED_PATIENCE if self._hurried else PATIENCE)
        while True:
            self._held = self._read()
            now = timezone.now()
            if self._held.token != before.token:
                refused = False
            if refused and not self._held.is_due(now) and self._was_just_renewed(now):
                return
            if not refused and not self._is_due(now):
                return
            if self._claimed_and_asked(may_go_on=not refused and self._held.is_good(now)):
                return
            if not refused and self._held.is_good(now):
                self._not_before = time.monotonic() + PAUSE
                return
            if time.monotonic() >= until:
                text = _("The access of %(company)s has run out, and another process is still renewing it.")
                raise self._not_now(text % {"company": self._company})
            time.sleep(LOOK_EVERY)

    def _was_just_renewed(self, now: datetime) -> bool:
        renewed_at = self._held.renewed_at
        return renewed_at is not None and now - renewed_at < JUST_RENEWED

    def _claimed_and_asked(self, *, may_go_on: bool) -> bool:
        """Be the one who renews. False where another process is; raises NotConnectedError."""
        mine = secrets.token_hex(16)
        now = timezone.now()
        lease = LEASE + timedelta(seconds=sum(conf.timeout))
        free = Q(renewing_until=None) | Q(renewing_until__lt=now)
        if not self._unchanged().filter(free).update(renewing_token=mine, renewing_until=now + lease):
            return False
        try:
            self._ask(may_go_on=may_go_on)
        finally:
            _rows(self._company).filter(renewing_token=mine).update(renewing_token="", renewing_until=None)
        return True

    def _ask(self, *, may_go_on: bool) -> None:
        """Ask Truss for a new token and write what comes. Raises NotConnectedError, unless the old one is good yet."""
        asked_at = timezone.now()
        # Only of the row that was claimed: the refresh token of a newer one isn't ours to use up.
        row = self._unchanged().first()
        if row is not None and not row.refresh_token:
            self._write_refusal(_("Truss gave no refresh token, so the access has ended with the access token."))
        elif row is not None:
            try:
                token = self._fetch(row)
            except (TrussError, ValueError) as error:
                if not (isinstance(error, TrussError) and ends_connection(error)):
                    self._put_off(error, may_go_on=may_go_on)
                    return
                self._write_refusal(told(error))
            else:
                columns = token_columns(token, asked_at) | {"renewed_at": timezone.now()}
                if retried(lambda: self._unchanged().update(**columns)):
                    logger.info("The access token of %s was renewed.", self._company)
                    let_go_on(self._company)
        self._held = self._read()

    def _put_off(self, error: Exception, *, may_go_on: bool) -> None:
        """Nothing says that the refresh token is dead: it may be tried again. Raises NotRenewedError."""
        logger.warning("The access token of %s could not be renewed yet: %s", self._company, error)
        text = _("The access of %(company)s has run out, and couldn't be renewed just now: %(why)s")
        problem = self._not_now(text % {"company": self._company, "why": told(error)})
        if not may_go_on:
            raise problem

    def _not_now(self, why: str) -> NotRenewedError:
        """Neither this thread nor the others ask again for a while."""
        self._not_before = time.monotonic() + PAUSE
        self._problem = why
        return NotRenewedError(why)

    def _fetch(self, row: Connection) -> Token:
        try:
            return refresh_token(
                conf.auth_url,
                conf.client_id,
                conf.client_secret,
                sealed_columns.REFRESH_TOKEN.open(row),
                timeout=conf.timeout,
                patience=0 if self._hurried else LONGEST_REST,
            )
        except EncryptionKeysError as error:
            raise NotConnectedError(str(error)) from error

    def _write_refusal(self, why: str) -> None:
        if self._unchanged().update(refused_at=timezone.now(), refusal=why):
            logger.error(
                "Truss doesn't renew the access of %s any more, so nothing is asked of Truss for this company: %s "
                "What waits stays waiting. Connect the company again, on its page in the admin.",
                self._company,
                why,
            )

    def _unchanged(self) -> QuerySet[Connection]:
        """The row, if nobody has renewed or reconnected since it was read. Whoever does changes one of these times."""
        held = self._held
        return _rows(self._company).filter(
            connected_at=held.connected_at, renewed_at=held.renewed_at, refused_at__isnull=True
        )

    def _read(self) -> _Held:
        return self._opened(_row(self._company))

    def _opened(self, row: Connection) -> _Held:
        """Raises NotConnectedError: its subclass NeedsReconnectError where Truss has refused to renew."""
        if row.refused_at:
            raise NeedsReconnectError(why_refused(row))
        try:
            token = sealed_columns.ACCESS_TOKEN.open(row)
        except EncryptionKeysError as error:
            raise NotConnectedError(str(error)) from error
        renew_at = None
        if row.expires_at and row.refresh_token:
            life = row.expires_at - (row.renewed_at or row.connected_at)
            renew_at = row.expires_at - min(EARLY, life / EARLY_SHARE)
        return _Held(token, row.connected_at, row.renewed_at, row.expires_at, renew_at)


def token_columns(token: Token, asked_at: datetime) -> dict[str, Any]:
    """What of a connection's row an answer of the token endpoint gives: in one write, as they belong together."""
    # A lifetime that says nothing is taken for none: the token is good until Truss refuses it.
    life = timedelta(seconds=min(token.expires_in or 0, LONGEST_LIFE))
    columns: dict[str, Any] = {
        "access_token": encryption.seal(token.access_token),
        "expires_at": asked_at + life if life > timedelta(0) else None,
        "renewing_token": "",
        "renewing_until": None,
        "refused_at": None,
        "refusal": "",
    }
    # Whether a new one comes each time isn't published; where none comes the old one stays.
    if token.refresh_token:
        columns["refresh_token"] = encryption.seal(token.refresh_token)
    if token.scope is not None:
        columns["scope"] = token.scope
    return columns


def let_go_on(company: Company) -> None:
    """What waits for its next try because our access wouldn't do, or because Truss wasn't reached, waits no longer."""
    waiting = Operation.objects.filter(company=company, state=Operation.State.QUEUED, next_attempt_at__isnull=False)
    ours = Q(response_status=None) | Q(response_status__in=[401, 403])
    waiting.filter(ours).update(next_attempt_at=None)


def why_refused(row: Connection) -> str:
    """Why nothing is asked of Truss for this company, and what to do."""
    return _(
        "Truss doesn't renew the access of %(company)s any more (%(why)s). Open its page in the admin, under "
        "“Companies”, and choose “Reconnect”. What waits to be sent stays waiting until then."
    ) % {"company": row.company, "why": row.refusal}


def _rows(company: Company) -> QuerySet[Connection]:
    """Always where it is written: a replica may not know yet who renews."""
    return Connection.objects.using(alias()).filter(company=company).select_related("company")


def _row(company: Company) -> Connection:
    row = _rows(company).first()
    if row is None:
        raise NotConnectedError(_("%(company)s was disconnected from Truss.") % {"company": company})
    return row


@contextmanager
def _connection_for_a_moment() -> Iterator[None]:
    """A pool's thread has no database connection, and nobody would close one that it leaves behind."""
    connection = connections[alias()]
    lent = connection.connection is None
    try:
        yield
    finally:
        if lent:
            connection.close()
