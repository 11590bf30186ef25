"""Do what was asked: claim invitations, ask Trustist once for each, write the answers, settle what was lost.

Three steps, each committed by itself, and the network between them. A process that dies in between leaves the row
`sending`; when its claim has run out, `recover` takes it up as one whose answer was lost.
"""

import logging
import random
import time
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal.conf import conf as portal_conf
from truss_portal.database import new_claim_token, retried, write_transaction
from truss_portal.exceptions import NotConnectedError
from truss_portal.plain_words import told
from truss_portal.trustist import mirror
from truss_portal.trustist.client import (
    HeldBackError,
    NotAllowedError,
    NotAuthenticatedError,
    Outcome,
    TrustistClient,
    TrustistError,
    UnreadableAnswerError,
    resources,
)
from truss_portal.trustist.conf import conf
from truss_portal.trustist.connection import connect
from truss_portal.trustist.models import Invitation

logger = logging.getLogger("truss_portal.trustist.outbox")

Delivery = Invitation.Delivery

# Besides the timeouts of the request itself: longer than it may wait for its turn, with a new token on the way.
CLAIM: Final = timedelta(minutes=10)
MOST_ATTEMPTS: Final = 20
# After a request that surely wasn't done: 1, 2, 4 … minutes.
BACKOFF: Final = timedelta(minutes=1)
LONGEST_BACKOFF: Final = timedelta(hours=1)
# Nothing is wrong with the invitation: it waits until that is mended.
ABOUT_US: Final = (NotAuthenticatedError, NotAllowedError)


def perform(ids: Collection[int], *, seconds: float | None = None) -> None:
    """Send these invitations, as far as they wait, are due, and nobody else is at them.

    Never raises for what Trustist answers or for missing settings: both are written on the rows.
    """
    among = Invitation.objects.of_this_environment().filter(pk__in=ids)
    try:
        for _invitation in push(among=among, seconds=seconds):
            pass
    except NotConnectedError as error:
        among.filter(delivery=Delivery.QUEUED).update(error=str(error))


def push(*, among: QuerySet[Invitation] | None = None, seconds: float | None = None) -> Iterator[Invitation]:
    """Send what is queued and due, oldest first; yields each invitation as it then is.

    It stops at the first one that shows that Trustist can't be asked just now: the others would be told the same.
    After so many `seconds` no further request is begun. Raises NotConfiguredError.
    """
    wanted = Invitation.objects.of_this_environment() if among is None else among
    due = list(wanted.due(timezone.now()).values_list("pk", flat=True))  # type: ignore[attr-defined]
    if not due:
        return
    until = None if seconds is None else time.monotonic() + seconds
    with connect(hurried=seconds is not None) as client:
        for pk in due:
            if until is not None and time.monotonic() >= until:
                return
            claimed = claim(pk)
            if claimed is None:
                continue
            goes_on = _send(claimed, client)
            claimed.refresh_from_db()
            yield claimed
            if not goes_on:
                return


def claim(pk: int) -> Invitation | None:
    """Take it, if it still waits and is due: of two who try, one gets it."""
    now = timezone.now()
    token = new_claim_token()
    ready = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    mine = Invitation.objects.of_this_environment().filter(ready, pk=pk, delivery=Delivery.QUEUED)
    until = now + CLAIM + timedelta(seconds=sum(conf.timeout))
    sending = {"delivery": Delivery.SENDING, "claim_token": token, "claimed_until": until, "next_attempt_at": None}
    taken = retried(lambda: mine.update(attempts=F("attempts") + 1, error="", **sending))
    return Invitation.objects.get(pk=pk) if taken else None


def _send(claimed: Invitation, client: TrustistClient) -> bool:
    """Ask and write. Whether the next one may be asked for."""
    try:
        answer = ask(claimed, client)
    except TrustistError as error:
        write_failure(claimed, error)
        return error.outcome == Outcome.REFUSED and not isinstance(error, ABOUT_US)
    write(claimed, answer)
    return True


def ask(claimed: Invitation, client: TrustistClient) -> resources.Invitation:
    """The network, and nothing else. Raises TrustistError."""
    return client.create_invitation(name=claimed.name, email=claimed.email, payment_types=list(claimed.payment_types))


def write(claimed: Invitation, answer: resources.Invitation) -> None:
    """Trustist has it."""
    known = Invitation.objects.of_this_environment().of_id(answer.id).exclude(pk=claimed.pk)
    first = known.first()
    if first is not None and first.known_since >= answer.fetched_at and mirror.merge(claimed, first):
        first = None  # a list was quicker than this answer
    if first is not None:
        text = _("Trustist answered with an invitation that was there before: %(first)s. Nobody was invited twice.")
        mirror.write([answer])
        _mine(claimed).update(
            delivery=Delivery.FAILED, claimed_until=None, needs_person=True, error=text % {"first": first}
        )
        return
    written = mirror.write([answer], adopt={answer.id.lower(): claimed.pk})
    for item in written.rejected:
        write_failure(claimed, UnreadableAnswerError(item.reason))


def write_failure(claimed: Invitation, error: TrustistError) -> None:
    """What an answer means that isn't a yes.

    =====================  ===========================================
    what came              the invitation
    =====================  ===========================================
    a rule broken here     failed
    401, 403               waits for the next try, for ever
    any other 4xx          failed
    429, never connected   waits for the next try; failed after twenty
    anything else          unconfirmed: looked for in the list
    =====================  ===========================================
    """
    now = timezone.now()
    values: dict[str, Any] = {
        "claimed_until": None, "claim_token": "", "error": told(error), "response_status": error.status,
    }  # fmt: skip
    if isinstance(error, HeldBackError):
        values |= {"delivery": Delivery.QUEUED, "attempts": F("attempts") - 1, "next_attempt_at": _next(claimed, error)}
    elif error.outcome == Outcome.UNKNOWN:
        values |= {"delivery": Delivery.UNCONFIRMED, "unconfirmed_at": now}
    elif isinstance(error, ABOUT_US):
        values |= {"delivery": Delivery.QUEUED, "next_attempt_at": _next(claimed, error)}
    elif error.outcome == Outcome.REFUSED or claimed.attempts >= MOST_ATTEMPTS:
        values |= {"delivery": Delivery.FAILED, "needs_person": True}
    else:
        values |= {"delivery": Delivery.QUEUED, "next_attempt_at": _next(claimed, error)}
    # While Trustist was asked a listing may have found it; or the claim ran out and another process is at it.
    retried(lambda: _mine(claimed).update(**values))


def _mine(claimed: Invitation) -> QuerySet[Invitation]:
    return Invitation.objects.filter(pk=claimed.pk, delivery=Delivery.SENDING, claim_token=claimed.claim_token)


def _next(claimed: Invitation, error: TrustistError) -> datetime:
    doublings = min(max(claimed.attempts - 1, 0), 10)
    wait: timedelta = min(BACKOFF * 2**doublings, LONGEST_BACKOFF) * random.uniform(1, 1.25)  # noqa: S311 - no secret
    return timezone.now() + max(wait, timedelta(seconds=error.retry_after or 0))


def recover(now: datetime | None = None) -> int:
    """Take up what a process left `sending` when it died: whether Trustist got it is not known. Returns how many."""
    now = now or timezone.now()
    left = Invitation.objects.of_this_environment().filter(delivery=Delivery.SENDING, claimed_until__lt=now)
    text = _("The process that was asking Trustist ended before the answer came.")
    with write_transaction():
        return left.update(
            delivery=Delivery.UNCONFIRMED, claimed_until=None, claim_token="", unconfirmed_at=now, error=text
        )


def unconfirmed() -> QuerySet[Invitation]:
    """Those whose answer was lost."""
    return Invitation.objects.of_this_environment().filter(delivery=Delivery.UNCONFIRMED)


def settle(begun_at: datetime) -> int:
    """Judge what was lost by a complete listing that was begun at that time. Returns how many are sent again.

    What the listing has found once is settled already: `mirror` adopts it by its email. Nothing is judged before the
    grace period has passed: until then Trustist may still be at work on a request whose answer was lost.
    """
    asked_before = begun_at - timedelta(seconds=portal_conf.unconfirmed_grace)
    here = Invitation.objects.of_this_environment()
    # Of these it isn't known whom they invite: one of them may be what we look for.
    nameless = here.at_trustist().filter(email_lower="", missing_since=None)
    again = 0
    for lost in unconfirmed().filter(unconfirmed_at__lt=asked_before):
        mine = unconfirmed().filter(pk=lost.pk)
        same = list(here.at_trustist().filter(email_lower=lost.email_lower, missing_since=None)[:2])
        hidden = nameless.filter(known_since__gte=lost.known_since).exists()
        if len(same) == 1 and mirror.merge(lost, same[0]):
            continue
        with write_transaction():
            if same:
                text = _("Trustist has an invitation for this email that may be another one: say whether it is this.")
                if len(same) > 1:
                    text = _("Trustist has more than one invitation for this email. Say which one it is.")
                mine.update(needs_person=True, error=text)
            elif hidden:
                text = _(
                    "Trustist's list doesn't tell whom each invitation is for, so one of them may be this one. Look "
                    "in Trustist's own pages, then say which one it is, or that it isn't there."
                )
                mine.update(needs_person=True, error=text)
            elif lost.attempts >= MOST_ATTEMPTS:
                text = _("Trustist doesn't have it, and was asked %(count)d times.") % {"count": lost.attempts}
                mine.update(delivery=Delivery.FAILED, unconfirmed_at=None, needs_person=True, error=text)
            else:
                text = _("A complete list shows that Trustist doesn't have it: it will be sent again.")
                again += queue_again(mine, text)
    return again


def queue_again(rows: QuerySet[Invitation], why: str) -> int:
    """Have these sent; whoever calls this knows that Trustist doesn't have them."""
    return rows.update(
        delivery=Delivery.QUEUED, unconfirmed_at=None, next_attempt_at=None, needs_person=False, error=why
    )
