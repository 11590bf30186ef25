"""Resources → rows: the only writer of Truss's truth. In bulk, in one transaction, without the network.

How a page of 100 stays a handful of statements: one SELECT for each kind of row, a comparison in memory, one INSERT and
one upsert for what differs. An unchanged row isn't written. The rules that hold here:

* Freshness is when we asked: an answer older than what the row already knows is dropped.
* Absent is not empty: only a resource whose `transactions` is a tuple (the single GET) touches transaction rows.
* Nothing vanishes: what Truss no longer shows is marked missing.
* One bad item never stops the rest: it is reported in `Written.rejected`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from truss_portal import timeline
from truss_portal.client import resources
from truss_portal.database import retried
from truss_portal.models import Company, Contact, PaymentIntent, TimelineEntry

from . import columns
from .page import Page, Written

__all__ = ["Written", "mark_missing", "write", "write_contact"]


def write(
    company: Company,
    payment_intents: Iterable[resources.PaymentIntent],
    *,
    adopt: Mapping[UUID, int] | None = None,
    actor_id: Any = None,
) -> Written:
    """Write what Truss told us about these intents.

    `adopt` names the local row (its primary key) that a uid belongs to, for the answer to a create. Otherwise a new uid
    is matched to a row of ours by our mark in its memo. `actor_id` is the user whose wish the answer shows, if any.
    Raises only for what is wrong with the database itself.
    """
    newest: dict[UUID, resources.PaymentIntent] = {}
    for intent in payment_intents:
        known = newest.get(intent.uid)
        if known is None or known.fetched_at <= intent.fetched_at:
            newest[intent.uid] = intent
    return retried(lambda: Page(company, list(newest.values()), adopt or {}, actor_id).write())


def write_contact(company: Company, contact: resources.Contact, *, fetched_at: datetime) -> None:
    """Write Truss's answer to a contact's own PATCH."""

    def work() -> None:
        row = Contact.objects.select_for_update().filter(company=company, uid=contact.uid).first()
        if row and (row.fetched_at is None or row.fetched_at <= fetched_at):
            columns.change(row, columns.of_contact(contact))
            row.fetched_at = fetched_at
            row.save()

    retried(work)


def mark_missing(company: Company, uids: Iterable[UUID], *, asked_at: datetime) -> int:
    """Mark what Truss answered 404 for. Returns how many were newly marked. Nothing is deleted."""

    def work() -> int:
        rows = list(
            PaymentIntent.objects.select_for_update()
            .filter(company=company, uid__in=list(uids), missing_since=None)
            .filter(Q(fetched_at=None) | Q(fetched_at__lte=asked_at))
            .order_by("pk")
        )
        for row in rows:
            row.missing_since = row.fetched_at = asked_at
            row.details_due = False
        PaymentIntent.objects.bulk_update(rows, ["missing_since", "fetched_at", "details_due"])
        timeline.write([timeline.entry(row, TimelineEntry.Kind.MISSING) for row in rows])
        return len(rows)

    return retried(work)
