"""How far a batch is, in numbers and in words: a few statements, however many invoices it has."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.db.models import Count, Min, Q, Sum
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal import tasks
from truss_portal.models import Batch, Operation

from .wording import moment, money, number

State = Operation.State

# In the order in which people ask for them.
ORDER: Final = (
    State.DONE, State.QUEUED, State.SENDING, State.REFUSED, State.GIVEN_UP, State.UNCONFIRMED, State.WITHDRAWN,
)  # fmt: skip
SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Line:
    """So many of a batch are in this state, over so much."""

    state: State
    count: int
    total: Decimal
    for_a_person: int

    @property
    def label(self) -> str:
        return str(self.state.label)

    @property
    def shown(self) -> str:
        return number(self.count)

    @property
    def amount(self) -> str:
        return money(self.total)


class Progress:
    """As it is at this moment."""

    def __init__(self, batch: Batch) -> None:
        self.operations = Operation.objects.filter(batch=batch)
        person = Q(needs_person=True) | Q(state=State.UNCONFIRMED)
        rows = (
            self.operations.order_by()
            .values("state")
            .annotate(count=Count("pk"), total=Sum("payment_intent__total"), for_a_person=Count("pk", filter=person))
        )
        found = {row["state"]: row for row in rows}
        self.lines = [
            Line(state, found[state]["count"], found[state]["total"] or Decimal(0), found[state]["for_a_person"])
            for state in ORDER
            if state in found
        ]

    def _count(self, *states: State) -> int:
        return sum(line.count for line in self.lines if line.state in states)

    @property
    def asked(self) -> int:
        return sum(line.count for line in self.lines)

    @property
    def asked_shown(self) -> str:
        return number(self.asked)

    @property
    def amount(self) -> str:
        return money(sum((line.total for line in self.lines), Decimal(0)))

    @property
    def queued_shown(self) -> str:
        return number(self.queued)

    @property
    def queued(self) -> int:
        return self._count(State.QUEUED)

    @property
    def unfinished(self) -> int:
        return self._count(State.QUEUED, State.SENDING)

    @property
    def finished(self) -> int:
        return self.asked - self.unfinished

    @property
    def for_a_person(self) -> int:
        return sum(line.for_a_person for line in self.lines)

    @property
    def words(self) -> str:
        """Short enough to be read aloud again and again."""
        done = {"done": number(self._count(State.DONE)), "all": number(self.asked)}
        return _("%(done)s of %(all)s are done.") % done

    @cached_property
    def next_step(self) -> str:
        """Who does what now."""
        if self.queued:
            return self._waiting()
        if self.unfinished:
            return _("Truss is being asked for the last of them.")
        if not self.asked:
            return _("Nothing was asked of Truss.")
        count = self.for_a_person
        text = ngettext("Finished; %(count)s needs a person.", "Finished; %(count)s need a person.", count)
        return text % {"count": number(count)} if count else _("Finished.")

    def _waiting(self) -> str:
        count = {"count": number(self.queued)}
        if tasks.in_background():
            text = ngettext(
                "%(count)s waits: workers are at it. What they leave, truss_push takes.",
                "%(count)s wait: workers are at them. What they leave, truss_push takes.",
                self.queued,
            )
        else:
            text = ngettext(
                "%(count)s waits: truss_push asks Truss by itself.",
                "%(count)s wait: truss_push asks Truss by itself.",
                self.queued,
            )
        now = timezone.now()
        due = Count("pk", filter=Q(next_attempt_at=None) | Q(next_attempt_at__lte=now))
        found = self.operations.filter(state=State.QUEUED).aggregate(due=due, next=Min("next_attempt_at"))
        if found["due"] or found["next"] is None:
            return text % count
        next_try = _("The next try is due at %(time)s.") % {"time": moment(found["next"])}
        return f"{text % count} {next_try}"

    @cached_property
    def in_the_way(self) -> str:
        """Why those that wait do so, as one of them tells it."""
        told = self.operations.filter(state=State.QUEUED).exclude(error="").order_by("-pk") if self.queued else None
        return (told.values_list("error", flat=True).first() or "") if told is not None else ""

    @cached_property
    def problems(self) -> list[Operation]:
        """The first of those that need a person, or could do with one."""
        if not self.for_a_person:
            return []
        return list(self.operations.for_a_person().select_related("payment_intent").order_by("pk")[:SHOWN])
