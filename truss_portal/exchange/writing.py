"""Write what was previewed, in transactions of a few hundred lines, each with a handful of statements.

Each line is planned once more against the rows as they are now, locked. What would no longer do what the preview said
is left, with the reason.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import IntegrityError
from django.utils.translation import gettext as _

from truss_portal import actions, timeline
from truss_portal.actions.recording import Actor, pk_of
from truss_portal.database import retried
from truss_portal.mirror.upsert import upsert
from truss_portal.models import Company, Contact, PaymentIntent, TimelineEntry

from . import columns
from .known import in_parts, load_known
from .lines import Wanted
from .plan import Change, Kind, Outcome, Planner

# Lines that are locked and written together: few enough that nobody waits long for one of them.
TOGETHER: Final = 500
_COLUMN: Final = {columns.NAME: "contact", columns.SECONDARY_EMAIL: "contact", columns.PHONE: "contact"}

Headings = dict[str, tuple[str, int]]
Previewed = tuple[Wanted, str]
"""A line, and the fingerprint of what the preview said of it."""


@dataclass(frozen=True, slots=True)
class Left:
    """A line that was to be written and wasn't, and why."""

    wanted: Wanted
    why: str


@dataclass(slots=True)
class Written:
    """What came of some lines, committed."""

    new: list[PaymentIntent] = field(default_factory=list)
    changed: list[PaymentIntent] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return sum((intent.total for intent in (*self.new, *self.changed)), Decimal(0))


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes lines of one import for one company.

    New invoices are `known_since` the moment `at`, by which they are found again. `told` is called inside each
    transaction, and again should that be repeated.
    """

    company: Company
    headings: Headings
    at: datetime
    actor: Actor = None
    told: Callable[[Written], None] = lambda _written: None

    def write(self, previewed: Sequence[Previewed]) -> Iterator[Written]:
        """Writes as it is iterated over, and yields what is committed. Not for use inside a transaction."""
        for some in in_parts(previewed, TOGETHER):
            yield from self._write(some)

    def _write(self, previewed: Sequence[Previewed]) -> Iterator[Written]:
        def work() -> Written:
            written = self._plan_and_write(previewed)
            self.told(written)
            return written

        try:
            yield retried(work)
        except IntegrityError:
            if len(previewed) == 1:
                why = _("The database has another invoice with this number, or with one that it takes for the same.")
                yield Written(left=[Left(previewed[0][0], why)])
                return
            # One line is in the way of the others: halve until it stands alone.
            middle = len(previewed) // 2
            for half in (previewed[:middle], previewed[middle:]):
                yield from self._write(half)

    def _plan_and_write(self, previewed: Sequence[Previewed]) -> Written:
        lines = [wanted for wanted, _fingerprint in previewed]
        planner = Planner(self.company, load_known(self.company, lines, lock=True), self.headings)
        written = Written()
        changes: list[tuple[PaymentIntent, Change]] = []
        for outcome, (_wanted, fingerprint) in zip(planner.plan(lines), previewed, strict=True):
            intent = outcome.intent
            if intent is None or outcome.fingerprint != fingerprint:
                written.left.append(Left(outcome.wanted, _why_left(outcome)))
            elif outcome.kind == Kind.NEW:
                intent.known_since = self.at
                written.new.append(intent)
            else:
                written.changed.append(intent)
                changes += [(intent, change) for change in outcome.changes]
        _write_payers(planner, [*written.new, *written.changed])
        PaymentIntent.objects.bulk_create(written.new)
        upsert(PaymentIntent, written.changed, actions.WRITTEN_BY_PEOPLE)
        timeline.write([*self._drafted(written.new), *self._amended(changes)])
        return written

    def _drafted(self, intents: Iterable[PaymentIntent]) -> Iterator[TimelineEntry]:
        for intent in intents:
            yield timeline.entry(
                intent, TimelineEntry.Kind.DRAFTED, at=self.at, actor_id=pk_of(self.actor), total=intent.total
            )

    def _amended(self, changes: Iterable[tuple[PaymentIntent, Change]]) -> Iterator[TimelineEntry]:
        for intent, change in changes:
            yield timeline.entry(
                intent,
                TimelineEntry.Kind.AMENDED,
                at=self.at,
                actor_id=pk_of(self.actor),
                field=_COLUMN.get(change.field, change.field),
                was=change.was,
                now=change.now,
            )


def _write_payers(planner: Planner, intents: Sequence[PaymentIntent]) -> None:
    payers = {id(intent.contact): intent.contact for intent in intents if intent.contact is not None}
    Contact.objects.bulk_create([payer for payer in payers.values() if payer._state.adding])
    wanted = {payer.pk for payer in payers.values()}
    changed = [payer for pk, payer in planner.changed_payers.items() if pk in wanted]
    # Nothing else of them: a listing may be giving them their uid at this moment.
    Contact.objects.bulk_update(changed, [columns.SECONDARY_EMAIL, columns.PHONE], batch_size=100)
    for intent in intents:
        # The key of a payer that has just been saved.
        intent.contact = intent.contact


def _why_left(outcome: Outcome) -> str:
    head = _("Not as it was previewed any more.")
    otherwise = _("Somebody has written or changed it meanwhile: import the file again to see how it is now.")
    return f"{head} {outcome.why or otherwise}"
