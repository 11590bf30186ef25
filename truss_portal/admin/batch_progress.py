"""How far a batch is, in numbers and in words: a few statements, however many invoices it has."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Count, Min, Q, QuerySet, Sum
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
# Ten thousand are written down in a few seconds. What isn't after so long never was: whoever did so has died.
WRITING: Final = timedelta(minutes=2)


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
        self.batch = batch
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
    def under_way(self) -> int:
        return self._count(State.QUEUED, State.SENDING)

    @cached_property
    def missing(self) -> int:
        """So many were chosen and are neither asked for nor left out."""
        if self.asked >= self.batch.chosen:
            return 0
        return max(0, self.batch.chosen - self.asked - len(self.batch.left_out))

    @property
    def being_written(self) -> int:
        """So many are still to be written down, by whoever asks for them at this moment."""
        return self.missing if timezone.now() - self.batch.requested_at < WRITING else 0

    @property
    def unfinished(self) -> int:
        return self.under_way + self.being_written

    @property
    def finished(self) -> int:
        return self.asked - self.under_way

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
        if self.being_written:
            text = ngettext(
                "%(count)s is still being written down.", "%(count)s are still being written down.", self.being_written
            )
            return text % {"count": number(self.being_written)}
        if self.queued:
            return self._waiting()
        if self.under_way:
            return _("Truss is being asked for the last of them.")
        if not self.asked:
            return _("Nothing was asked of Truss.")
        count = self.problem_count
        if self.only_looks:
            text = ngettext(
                "Finished; %(count)s couldn't be brought up to date.",
                "Finished; %(count)s couldn't be brought up to date.",
                count,
            )
        else:
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

    @property
    def only_looks(self) -> bool:
        """A look that failed has changed nothing, and needs nobody: it is told all the same."""
        return self.batch.kind == Operation.Kind.REFRESH

    @cached_property
    def problem_count(self) -> int:
        return self._found_wanting().count() if self.only_looks else self.for_a_person

    @cached_property
    def problems(self) -> list[Operation]:
        """The first of those that need a person, or could do with one."""
        if not self.problem_count:
            return []
        rows = self._found_wanting() if self.only_looks else self.operations.for_a_person()
        return list(rows.select_related("payment_intent").order_by("pk")[:SHOWN])

    def _found_wanting(self) -> QuerySet[Operation]:
        """Looks that were refused or given up, and those that found nothing there any more."""
        nothing_there = Q(state=State.DONE) & ~Q(error="")
        return self.operations.filter(Q(state__in=[State.REFUSED, State.GIVEN_UP]) | nothing_there)
