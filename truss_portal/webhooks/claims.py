"""Who is at which event: of several workers one, until the event is settled or the time is up."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from truss_portal.conf import conf
from truss_portal.database import retried
from truss_portal.models import Company, WebhookEvent
from truss_portal.models.webhook_event import WebhookEventQuerySet

State = WebhookEvent.State

# Besides the timeouts of a request: longer than a look may take with all its pauses.
CLAIM: Final = timedelta(minutes=10)
# Events taken at once, and of how many of them the invoices are looked up first.
MOST: Final = 500
SCANNED: Final = 100

# Past that an event is given up, some four hours after it came, until somebody has it tried again.
ATTEMPTS: Final = 10

# https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intentupdated
# https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intenttransactionadded
# The examples there leave the name blank: an event that names an invoice needs no other name.
KNOWN_NAMES: Final = ("payment_intent.updated", "payment_intent.transaction.added", "")
# What one look at one invoice settles.
ABOUT_ONE_INVOICE: Final = Q(payment_intent_uid__isnull=False, event_name__in=KNOWN_NAMES)


@dataclass(slots=True)
class Claimed:
    """Events that are ours until `until`."""

    until: datetime
    due: list[WebhookEvent] = field(default_factory=list)
    along: list[WebhookEvent] = field(default_factory=list)
    """Not due yet, or given up: a look that succeeds settles them, and one that fails isn't counted against them."""
    dead: list[WebhookEvent] = field(default_factory=list)
    """One process after the other has died at them."""

    def by_uid(self) -> dict[UUID, list[WebhookEvent]]:
        found: dict[UUID, list[WebhookEvent]] = {}
        for event in [*self.due, *self.along]:
            if event.payment_intent_uid:
                found.setdefault(event.payment_intent_uid, []).append(event)
        return found


def claim_for_invoices(company: Company, invoices: int) -> Claimed | None:
    """Take what has been told of the next few invoices, oldest first; None when nothing is due.

    All of an invoice's unprocessed events are taken, also those that wait for their next try or were given up: one look
    settles them together. Empty when another worker was quicker.
    """
    due = _of(company).due(timezone.now()).filter(ABOUT_ONE_INVOICE)
    uids = list(dict.fromkeys(due.values_list("payment_intent_uid", flat=True)[:SCANNED]))[:invoices]
    if not uids:
        return None
    return _take(_of(company).filter(ABOUT_ONE_INVOICE, payment_intent_uid__in=uids).exclude(state=State.PROCESSED))


def claim_for_everything(company: Company) -> Claimed | None:
    """Take what tells of no invoice, or something that we don't know; None when nothing is due."""
    due = _of(company).due(timezone.now()).exclude(ABOUT_ONE_INVOICE)
    return _take(due) if due.exists() else None


def make_due(events: QuerySet[WebhookEvent]) -> int:
    """Have these processed again, whatever became of them. Returns how many; who is just at one goes on with it."""
    return events.filter(_free(timezone.now())).update(state=State.WAITING, next_attempt_at=None, processed_at=None)


def _of(company: Company) -> WebhookEventQuerySet:
    return WebhookEvent.objects.filter(company=company)


def _free(now: datetime) -> Q:
    return Q(claimed_until=None) | Q(claimed_until__lte=now)


def _take(rows: QuerySet[WebhookEvent]) -> Claimed:
    def work() -> Claimed:
        now = timezone.now()
        until = now + CLAIM + timedelta(seconds=sum(conf.timeout))
        claimed = Claimed(until)
        for event in rows.filter(_free(now)).select_for_update().defer("payload").order_by("pk")[:MOST]:
            if event.state == State.GIVEN_UP or (event.next_attempt_at and event.next_attempt_at > now):
                claimed.along.append(event)
                continue
            event.attempts += 1
            died = event.claimed_until is not None and event.attempts > ATTEMPTS
            (claimed.dead if died else claimed.due).append(event)
        attempted = [event.pk for event in [*claimed.due, *claimed.dead]]
        WebhookEvent.objects.filter(pk__in=attempted).update(claimed_until=until, attempts=F("attempts") + 1)
        if claimed.along:
            along = [event.pk for event in claimed.along]
            WebhookEvent.objects.filter(pk__in=along).update(claimed_until=until)
        return claimed

    return retried(work)
