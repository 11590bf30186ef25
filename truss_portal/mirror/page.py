"""A page of intents → rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import memo, timeline
from truss_portal.client import resources
from truss_portal.models import Company, Contact, Operation, PayerReturn, PaymentIntent, TimelineEntry, Transaction

from . import columns
from .contacts import write_contacts
from .transactions import write_transactions
from .upsert import upsert

Kind = TimelineEntry.Kind

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


class Page:
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
        contacts = write_contacts(self.company, self.intents)
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
        upsert(PaymentIntent, changed, (*columns.PAYMENT_INTENT, *INTENT_STATE))
        detailed = [
            (rows[intent.uid], intent)
            for intent in self.intents
            if intent.uid in rows and intent.transactions is not None
        ]
        payments = write_transactions(self.company, detailed)
        timeline.write([*self._settle_creates(), *self.entries, *payments, *self.closing_entries])
        return self.result

    def _fits(self, intent: resources.PaymentIntent) -> bool:
        problem = columns.why_unfit(intent)
        if problem:
            self.result.rejected.append(resources.Rejected(uid=str(intent.uid), reason=problem))
        return problem is None

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
        for row in locked.filter(Q(memo_reference__in=by_mark) | Q(pk__in=by_pk)):
            for uid in [by_pk[row.pk]] if row.pk in by_pk else by_mark[row.memo_reference]:
                self._match(row, uid, rows)
        return rows

    def _match(self, row: PaymentIntent, uid: UUID, rows: dict[UUID, PaymentIntent]) -> None:
        """Our row takes this uid over in `rows`, where neither has somebody else already."""
        known = rows.get(uid)
        if row.uid is not None or row in rows.values():
            if known is not row and row.uid != uid:
                adopted = next((other for other, match in rows.items() if match is row), row.uid)
                self._note_double(row, adopted, uid)
        elif known and not known.discovered:
            self._note_stranger(known, row)
        else:
            if known:
                self._absorb(known, into=row)
            rows[uid] = row

    def _absorb(self, twin: PaymentIntent, into: PaymentIntent) -> None:
        """A listing brought the invoice in before the answer to its create, and without our mark: make them one row."""
        for model in (Transaction, TimelineEntry, PayerReturn, Operation):
            model._default_manager.filter(payment_intent=twin).update(payment_intent=into)
        twin.delete()

    def _note_stranger(self, known: PaymentIntent, row: PaymentIntent) -> None:
        """The answer to a create names another invoice that was sent from here: it stays what it is."""
        reason = _("The answer to invoice %(invoice)s is about %(known)s, which was sent before.") % {
            "invoice": row,
            "known": known,
        }
        self.result.rejected.append(resources.Rejected(uid=str(known.uid), reason=reason))

    def _note_double(self, row: PaymentIntent, first: UUID | None, second: UUID) -> None:
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

    def _settle_creates(self) -> list[TimelineEntry]:
        """What was found at Truss is sent, however its create ended."""
        if not self.adopted:
            return []
        creates = Operation.objects.filter(open_create_of__in=self.adopted)
        actors = dict(creates.values_list("open_create_of_id", "requested_by_id"))
        creates.update(
            state=Operation.State.DONE, open_create_of=None, claimed_until=None, finished_at=timezone.now(), error=""
        )
        return [timeline.entry(row, Kind.SENT, actor_id=actors.get(row.pk), total=row.total) for row in self.adopted]
