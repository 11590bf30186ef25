"""The payments of intents that were fetched one by one, and what they tell."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from truss_portal import timeline
from truss_portal.client import resources
from truss_portal.models import Company, PaymentIntent, TimelineEntry, Transaction
from truss_portal.models.transaction import OUTBOUND

from . import columns
from .upsert import upsert

Kind = TimelineEntry.Kind


def write_transactions(
    company: Company, detailed: Sequence[tuple[PaymentIntent, resources.PaymentIntent]]
) -> list[TimelineEntry]:
    """Write the transactions of these rows, each with the answer to its single GET; what there is to tell of them."""
    if not detailed:
        return []
    asked_at = {row.pk: intent.fetched_at for row, intent in detailed}
    told = {
        transaction.uid: (row, transaction) for row, intent in detailed for transaction in intent.transactions or ()
    }
    known = {
        row.uid: row
        for row in Transaction.objects.select_for_update()
        .filter(company=company)
        .filter(Q(uid__in=told) | Q(payment_intent__in=asked_at))
        .order_by("pk")
    }
    returns_before = _returns(known.values())
    entries: list[TimelineEntry] = []
    new: list[Transaction] = []
    changed: list[Transaction] = []
    for uid, (intent, transaction) in told.items():
        row = known.get(uid)
        values = columns.of_transaction(transaction, intent) | {"missing_since": None}
        was_settled = row is not None and row.settled_at is not None
        was_payment = row is not None and row.is_payment
        if row is None:
            row = known[uid] = Transaction(company=company, uid=uid, fetched_at=asked_at[intent.pk], **values)
            new.append(row)
        elif row.fetched_at <= asked_at[intent.pk] and columns.change(row, values):
            row.fetched_at = asked_at[intent.pk]
            changed.append(row)
        if row.is_payment and not was_payment:
            entries.append(_entry(Kind.PAYMENT_RECEIVED, intent, row, at=row.date))
        if was_payment and not row.is_payment and not row.returned_at:
            entries.append(_entry(Kind.PAYMENT_RETURNED, intent, row, at=asked_at[intent.pk]))
        if row.settled_at and not was_settled and row.is_payment:
            entries.append(_entry(Kind.PAYMENT_SETTLED, intent, row, at=row.settled_at))
    for row in known.values():
        asked = asked_at.get(row.payment_intent_id)
        if row.uid not in told and asked is not None and row.missing_since is None and row.fetched_at <= asked:
            row.missing_since = row.fetched_at = asked
            changed.append(row)
    entries += _return_entries(returns_before, list(known.values()), {row.pk: row for row, _intent in detailed})
    Transaction.objects.bulk_create(new)
    upsert(Transaction, changed, (*columns.TRANSACTION, "fetched_at", "missing_since"))
    return entries


def _entry(kind: Kind, intent: PaymentIntent, row: Transaction, *, at: datetime) -> TimelineEntry:
    # What happened before an invoice made at Truss was known here is history: told, but not signalled.
    quiet = intent.discovered and at < intent.known_since
    facts = {"transaction": row.uid, "amount": row.amount, "payment_method": row.payment_method}
    return timeline.entry(intent, kind, at=at, quiet=quiet, **facts)


def _returns(rows: Iterable[Transaction]) -> Counter[tuple[int, Decimal]]:
    """How often an amount was taken back from an invoice.

    Truss may show a return on the payment itself, as a reversing entry of its own, or as both, one after the other;
    which, isn't published. So the two are counted apart, and the larger count is what happened.
    """
    marked: Counter[tuple[int, Decimal]] = Counter()
    reversing: Counter[tuple[int, Decimal]] = Counter()
    for row in rows:
        if row.direction == OUTBOUND:
            reversing[row.payment_intent_id, row.amount] += 1
        elif row.returned_at:
            marked[row.payment_intent_id, row.amount] += 1
    return marked | reversing


def _return_entries(
    before: Counter[tuple[int, Decimal]], rows: Sequence[Transaction], intents: Mapping[int, PaymentIntent]
) -> list[TimelineEntry]:
    """An entry for each time that money was taken back since `before`, with the row that shows it."""
    entries = []
    for (intent_id, amount), times in (_returns(rows) - before).items():
        evidence = [
            row
            for row in rows
            if (row.payment_intent_id, row.amount) == (intent_id, amount)
            and (row.direction == OUTBOUND or row.returned_at)
        ]
        for row in evidence[-times:] if intent_id in intents else ():
            at = row.returned_at or row.date
            entries.append(_entry(Kind.PAYMENT_RETURNED, intents[intent_id], row, at=at))
    return entries
