"""Resources → rows: the only writer of Truss's truth. In bulk, in one transaction, without the network.

How a page of 100 stays a handful of statements: one SELECT for each kind of row, a comparison in memory, one INSERT and
one upsert for what differs. An unchanged row isn't written. The rules that hold here:

* Freshness is when we asked: an answer older than what the row already knows is dropped.
* Absent is not empty: only a resource whose `transactions` is a tuple (the single GET) touches transaction rows.
* Nothing vanishes: what Truss no longer shows is marked missing.
* One bad item never stops the rest: it is reported in `Written.rejected`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import connections, models
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import columns, memo, timeline
from truss_portal.client import resources
from truss_portal.database import alias, retried
from truss_portal.models import (
    Company,
    Contact,
    Operation,
    PayerReturn,
    PaymentIntent,
    TimelineEntry,
    Transaction,
)
from truss_portal.models.transaction import OUTBOUND

Kind = TimelineEntry.Kind
Row = TypeVar("Row", bound=models.Model)

# Written together with an intent's mirrored columns, but ours.
INTENT_STATE: Final = (
    "uid", "delivery", "delivery_error", "fetched_at", "detailed_at", "details_due", "missing_since",
)  # fmt: skip


@dataclass(slots=True)
class Written:
    """What a write did, counted in payment intents."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    rejected: list[resources.Rejected] = field(default_factory=list)


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
    return retried(lambda: _Page(company, list(newest.values()), adopt or {}, actor_id).write())


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
            .filter(models.Q(fetched_at=None) | models.Q(fetched_at__lte=asked_at))
            .order_by("pk")
        )
        for row in rows:
            row.missing_since = row.fetched_at = asked_at
            row.details_due = False
        PaymentIntent.objects.bulk_update(rows, ["missing_since", "fetched_at", "details_due"])
        timeline.write([timeline.entry(row, Kind.MISSING) for row in rows])
        return len(rows)

    return retried(work)


class _Page:
    """One write: the state that its steps share."""

    def __init__(
        self, company: Company, intents: list[resources.PaymentIntent], adopt: Mapping[UUID, int], actor_id: Any
    ) -> None:
        self.company = company
        self.intents = intents
        self.adopt = adopt
        self.actor_id = actor_id
        self.result = Written()
        self.adopted: list[PaymentIntent] = []
        self.entries: list[TimelineEntry] = []
        # What follows from payments is told after them.
        self.closing_entries: list[TimelineEntry] = []

    def write(self) -> Written:
        self.intents = [intent for intent in self.intents if self._fits(intent)]
        contacts = self._write_contacts()
        rows = self._find_rows()
        new: list[PaymentIntent] = []
        changed: list[PaymentIntent] = []
        for intent in self.intents:
            row = rows.get(intent.uid)
            contact = contacts.get(intent.contact.uid) if intent.contact else None
            if row is None:
                row = rows[intent.uid] = self._discover(intent, contact)
                new.append(row)
            elif row.fetched_at is not None and row.fetched_at > intent.fetched_at:
                del rows[intent.uid]
                self.result.stale += 1
            elif self._update(row, intent, contact):
                changed.append(row)
        PaymentIntent.objects.bulk_create(new)
        _upsert(PaymentIntent, changed, (*columns.PAYMENT_INTENT, *INTENT_STATE))
        self._write_transactions(rows)
        self._settle_creates()
        timeline.write([*self.entries, *self.closing_entries])
        return self.result

    def _fits(self, intent: resources.PaymentIntent) -> bool:
        problem = columns.why_unfit(intent)
        if problem:
            self.result.rejected.append(resources.Rejected(uid=str(intent.uid), reason=problem))
        return problem is None

    # --- contacts

    def _write_contacts(self) -> dict[UUID, Contact]:
        """The rows of all contacts of the page, by uid."""
        newest: dict[UUID, tuple[datetime, resources.Contact]] = {}
        for intent in self.intents:
            told = intent.contact
            if told and (told.uid not in newest or newest[told.uid][0] < intent.fetched_at):
                newest[told.uid] = (intent.fetched_at, told)
        if not newest:
            return {}
        locked = Contact.objects.select_for_update().filter(company=self.company)
        rows = {row.uid: row for row in locked.filter(uid__in=newest).order_by("pk") if row.uid}
        # Contacts that so far exist only here, by what Truss would recognise them by.
        names = [contact.name for uid, (_at, contact) in newest.items() if uid not in rows]
        local = {(row.name, row.email): row for row in locked.filter(uid=None, name__in=names)} if names else {}
        new: list[Contact] = []
        changed: list[Contact] = []
        for uid, (fetched_at, contact) in newest.items():
            values = columns.of_contact(contact)
            row = rows.get(uid) or local.pop((values["name"], values["email"]), None)
            if row is None:
                new.append(Contact(company=self.company, uid=uid, fetched_at=fetched_at, **values))
                row = new[-1]
            elif (row.fetched_at is None or row.fetched_at <= fetched_at) and columns.change(
                row, values | {"uid": uid}
            ):
                row.fetched_at = fetched_at
                changed.append(row)
            rows[uid] = row
        Contact.objects.bulk_create(new)
        _upsert(Contact, changed, (*columns.CONTACT, "uid", "fetched_at"))
        return rows

    # --- intents

    def _find_rows(self) -> dict[UUID, PaymentIntent]:
        """The rows that these intents belong to: by uid, by `adopt`, or by our mark in the memo."""
        locked = PaymentIntent.objects.select_for_update().filter(company=self.company).order_by("pk")
        rows = {row.uid: row for row in locked.filter(uid__in=[intent.uid for intent in self.intents]) if row.uid}
        by_pk = {pk: uid for uid, pk in self.adopt.items()}
        by_mark: dict[str, list[UUID]] = {}
        for intent in self.intents:
            if intent.uid not in rows:
                for mark in memo.marks(intent.memo):
                    by_mark.setdefault(mark, []).append(intent.uid)
        if not by_pk and not by_mark:
            return rows
        for row in locked.filter(models.Q(memo_reference__in=by_mark) | models.Q(pk__in=by_pk)):
            uids = [by_pk[row.pk]] if row.pk in by_pk else by_mark[row.memo_reference]
            for uid in uids:
                if row.uid is None and row not in rows.values():
                    if uid in rows:
                        self._absorb(rows[uid], into=row)
                    rows[uid] = row
                elif rows.get(uid) is not row and row.uid != uid:
                    self._note_double(row, next(other for other, known in rows.items() if known.pk == row.pk), uid)
        return rows

    def _absorb(self, twin: PaymentIntent, into: PaymentIntent) -> None:
        """A listing brought the invoice in before the answer to its create, and without our mark: make them one row."""
        for model in (Transaction, TimelineEntry, PayerReturn, Operation):
            model._default_manager.filter(payment_intent=twin).update(payment_intent=into)
        twin.delete()

    def _note_double(self, row: PaymentIntent, first: UUID, second: UUID) -> None:
        """Truss holds our mark twice: both are kept, and a person is told, loudly."""
        text = _("Truss has this invoice twice: %(first)s and %(second)s. Cancel the one that is too many.") % {
            "first": first,
            "second": second,
        }
        PaymentIntent.objects.filter(pk=row.pk).update(attention=text)
        self.entries.append(timeline.entry(row, Kind.ATTENTION, reason=text))

    def _discover(self, intent: resources.PaymentIntent, contact: Contact | None) -> PaymentIntent:
        row = PaymentIntent(
            company=self.company,
            uid=intent.uid,
            delivery=PaymentIntent.Delivery.SENT,
            discovered=True,
            fetched_at=intent.fetched_at,
        )
        columns.change(row, columns.of_payment_intent(intent, row, contact))
        self._note_details(row, intent, moved=bool(row.balance_paid) or row.status != row.Status.PENDING)
        self.entries.append(timeline.entry(row, Kind.DISCOVERED, status=row.status, total=row.total))
        self.result.created += 1
        return row

    def _update(self, row: PaymentIntent, intent: resources.PaymentIntent, contact: Contact | None) -> bool:
        """Bring the row up to date; False when there is nothing to write."""
        was = row.status or row.Status.PENDING
        was_paid = row.balance_paid
        # A single look that is under way may bring an older answer than this one. Only then does an unchanged row have
        # to remember when it was last known to be true: docs/explanation/freshness.md.
        looked_at = row.asked_at is not None and (row.fetched_at is None or row.asked_at >= row.fetched_at)
        changed = columns.change(row, columns.of_payment_intent(intent, row, contact))
        if row.uid is None:
            row.uid = intent.uid
            row.delivery = row.Delivery.SENT
            row.delivery_error = ""
            self.adopted.append(row)
            changed = True
        if row.missing_since:
            row.missing_since = None
            self.entries.append(timeline.entry(row, Kind.FOUND_AGAIN))
            changed = True
        self._note_details(row, intent, moved=row.status != was or row.balance_paid != was_paid)
        self._note_status(row, was)
        if changed:
            self.result.updated += 1
        else:
            self.result.unchanged += 1
        if changed or looked_at or intent.transactions is not None:
            row.fetched_at = intent.fetched_at
            return True
        return False

    def _note_details(self, row: PaymentIntent, intent: resources.PaymentIntent, *, moved: bool) -> None:
        if intent.transactions is not None:
            row.details_due = False
            row.detailed_at = intent.fetched_at
        elif moved:
            row.details_due = True

    def _note_status(self, row: PaymentIntent, was: str) -> None:
        if row.status == was:
            return
        if row.status == row.Status.PAID:
            entry = timeline.entry(row, Kind.PAID, at=row.paid_at, total=row.total)
        elif row.status == row.Status.CANCELED:
            entry = timeline.entry(row, Kind.CANCELED, at=row.canceled_at, actor_id=self.actor_id)
        else:
            entry = timeline.entry(row, Kind.STATUS_CHANGED, was=was, now=row.status)
        self.closing_entries.append(entry)

    def _settle_creates(self) -> None:
        """What was found at Truss is sent, however its create ended."""
        if not self.adopted:
            return
        creates = Operation.objects.filter(open_create_of__in=self.adopted)
        actors = dict(creates.values_list("open_create_of_id", "requested_by_id"))
        creates.update(
            state=Operation.State.DONE, open_create_of=None, claimed_until=None, finished_at=timezone.now(), error=""
        )
        sent = [timeline.entry(row, Kind.SENT, actor_id=actors.get(row.pk), total=row.total) for row in self.adopted]
        self.entries = sent + self.entries

    # --- transactions

    def _write_transactions(self, rows: Mapping[UUID, PaymentIntent]) -> None:
        told = {
            (rows[intent.uid].pk, transaction.uid): (rows[intent.uid], intent.fetched_at, transaction)
            for intent in self.intents
            if intent.uid in rows
            for transaction in intent.transactions or ()
        }
        detailed = {
            rows[intent.uid].pk: (rows[intent.uid], intent.fetched_at)
            for intent in self.intents
            if intent.uid in rows and intent.transactions is not None
        }
        if not detailed:
            return
        known = {
            row.uid: row
            for row in Transaction.objects.select_for_update()
            .filter(company=self.company)
            .filter(models.Q(uid__in=[uid for _pk, uid in told]) | models.Q(payment_intent__in=detailed))
            .order_by("pk")
        }
        returns_before = _returns(known.values())
        new: list[Transaction] = []
        changed: list[Transaction] = []
        for (_pk, uid), (intent, fetched_at, transaction) in told.items():
            row = known.get(uid)
            values = columns.of_transaction(transaction, intent) | {"missing_since": None}
            was_settled = row is not None and row.settled_at is not None
            if row is None:
                row = known[uid] = Transaction(company=self.company, uid=uid, fetched_at=fetched_at, **values)
                new.append(row)
                if row.direction != OUTBOUND:
                    self._note_payment(Kind.PAYMENT_RECEIVED, intent, row, at=row.date)
            elif row.fetched_at <= fetched_at and columns.change(row, values):
                row.fetched_at = fetched_at
                changed.append(row)
            if row.settled_at and not was_settled and row.direction != OUTBOUND:
                self._note_payment(Kind.PAYMENT_SETTLED, intent, row, at=row.settled_at)
        for uid, row in known.items():
            parent = detailed.get(row.payment_intent_id)
            if parent and (row.payment_intent_id, uid) not in told and not row.missing_since:
                asked_at = parent[1]
                if row.fetched_at <= asked_at:
                    row.missing_since = row.fetched_at = asked_at
                    changed.append(row)
        self._note_returns(returns_before, known.values(), detailed)
        Transaction.objects.bulk_create(new)
        _upsert(Transaction, changed, (*columns.TRANSACTION, "fetched_at", "missing_since"))

    def _note_returns(
        self,
        before: Counter[tuple[int, Decimal]],
        rows: Iterable[Transaction],
        detailed: Mapping[int, tuple[PaymentIntent, datetime]],
    ) -> None:
        for (pk, amount), count in (_returns(rows) - before).items():
            if pk not in detailed:
                continue
            evidence = [row for row in rows if row.payment_intent_id == pk and row.amount == amount and _is_return(row)]
            for row in evidence[-count:]:
                self._note_payment(Kind.PAYMENT_RETURNED, detailed[pk][0], row, at=row.returned_at or row.date)

    def _note_payment(self, kind: Kind, intent: PaymentIntent, row: Transaction, *, at: datetime) -> None:
        # What happened before an invoice made at Truss was known here is history: told, but not signalled.
        quiet = intent.discovered and at < intent.known_since
        facts = {"transaction": row.uid, "amount": row.amount, "payment_method": row.payment_method}
        self.entries.append(timeline.entry(intent, kind, at=at, quiet=quiet, **facts))


def _is_return(row: Transaction) -> bool:
    return row.direction == OUTBOUND or row.returned_at is not None


def _returns(rows: Iterable[Transaction]) -> Counter[tuple[int, Decimal]]:
    """How often an amount was taken back from an invoice.

    Truss may show a return on the payment itself, as a reversing entry of its own, or as both, one after the other;
    which, isn't published. So the two are counted apart, and the larger count is what happened.
    """
    marked = Counter(
        (row.payment_intent_id, row.amount) for row in rows if row.returned_at and row.direction != OUTBOUND
    )
    reversing = Counter((row.payment_intent_id, row.amount) for row in rows if row.direction == OUTBOUND)
    return marked | reversing


def _upsert(model: type[Row], rows: Sequence[Row], names: Sequence[str]) -> None:
    """Write these columns of rows that exist, in one statement: an INSERT of the whole row that always conflicts.

    (`bulk_update` says the same with a CASE for each column and row, and is several times slower.)
    """
    if rows:
        with_target = connections[alias()].features.supports_update_conflicts_with_target
        model._default_manager.bulk_create(
            rows,
            update_conflicts=True,
            update_fields=[model._meta.get_field(name).name for name in names],
            unique_fields=["pk"] if with_target else None,
        )
