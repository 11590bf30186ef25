"""What the campaign asks for, what must be true at Truss in the end, and whether it is."""

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tests import make
from truss_portal import actions
from truss_portal.models import Contact, Operation, PaymentIntent, TimelineEntry
from truss_portal.testing.sandbox import Sandbox

Kind = Operation.Kind
State = Operation.State

MARK: Final = re.compile(r"\[TP-(\w{10})\]")
PORTION: Final = 50
"""Invoices that are asked to be sent in one go."""
CHANGES: Final = 3
"""Of each invoice that is amended, and of each payer that moves: the last one must win."""


@dataclass
class Wishes:
    """All that was asked for, by the invoices' primary keys."""

    sent: set[int] = field(default_factory=set)
    totals: dict[int, str] = field(default_factory=dict)
    emails: dict[int, str] = field(default_factory=dict)
    canceled: set[int] = field(default_factory=set)
    resent: set[int] = field(default_factory=set)

    def draft(self, count: int, payers: int) -> list[int]:
        """So many invoices: most to payers who get several, some to payers of their own, nobody of them known yet."""
        drafted = []
        for _number in range(count):
            number = len(self.sent)
            payer = f"{number % payers}" if number % 4 else f"of {number}"
            contact = {"name": f"Payer {payer}", "email": f"payer{payer.replace(' ', '-')}@acme.test"}
            intent = make.draft(contact=contact, reference=f"INV-{number}", addenda=f"INV-{number}", total="100.00")
            self.sent.add(intent.pk)
            drafted.append(intent.pk)
        return drafted

    def of(self, drafted: list[int], known: list[int]) -> list[Callable[[], object]]:
        """Everything to ask for, in a random order: to send the drafted ones, some at a time and some twice, as two
        people press one button; and changes of the known ones, which are at Truss, each with a payer of its own."""
        portions = [drafted[start : start + PORTION] for start in range(0, len(drafted), PORTION)]
        portions += random.sample(portions, len(portions) // 3)
        asked: list[Callable[[], object]] = [
            partial(actions.ask_for_many, Kind.CREATE, portion, wait=False) for portion in portions
        ]
        fourth = len(known) // 4
        amended, moving, canceled, resent = (known[n * fourth : (n + 1) * fourth] for n in range(4))
        for change, intents in ((self._amend, amended), (self._move, moving)):
            for pk in intents:
                numbers = itertools.count(1)
                asked += [partial(change, pk, numbers)] * CHANGES
        asked += [partial(self._cancel, pk) for pk in canceled]
        asked += [partial(self._resend, pk) for pk in resent]
        random.shuffle(asked)
        return asked

    def _amend(self, pk: int, numbers: Iterator[int]) -> None:
        self.totals[pk] = f"{100 + next(numbers)}.00"
        actions.amend(PaymentIntent.objects.get(pk=pk), total=self.totals[pk])

    def _move(self, pk: int, numbers: Iterator[int]) -> None:
        self.emails[pk] = f"moved{next(numbers)}-{pk}@acme.test"
        actions.update_contact(Contact.objects.get(payment_intents=pk), email=self.emails[pk])

    def _cancel(self, pk: int) -> None:
        self.canceled.add(pk)
        actions.cancel(PaymentIntent.objects.get(pk=pk))

    def _resend(self, pk: int) -> None:
        self.resent.add(pk)
        actions.ask_for_many(Kind.RESEND_EMAIL, [pk], wait=False)

    def compare(self, truss: Sandbox) -> dict[str, int]:
        """What is wrong, counted: every number must be 0. Truss's side is taken from Truss itself."""
        there = {shown["uid"]: shown for shown in truss.payment_intents()}
        marks = Counter(mark for shown in there.values() for mark in MARK.findall(shown["memo"] or ""))
        rows = {row.pk: row for row in PaymentIntent.objects.filter(pk__in=self.sent).select_related("contact")}
        sides = {pk: (row, there.get(str(row.uid), {})) for pk, row in rows.items()}
        emails = Counter(mail["link"] for mail in truss.mailbox())
        operations = Operation.objects.all()
        done_resends = operations.filter(kind=Kind.RESEND_EMAIL, state=State.DONE).count()
        lost_emails = operations.filter(kind=Kind.RESEND_EMAIL, state=State.UNCONFIRMED)
        told = Counter(TimelineEntry.objects.filter(kind="sent").values_list("payment_intent_id", flat=True))
        return {
            "sent twice": sum(count - 1 for count in marks.values()) + len(there) - sum(marks.values()),
            "never sent": sum(marks[row.memo_reference] == 0 for row in rows.values()) + len(self.sent) - len(rows),
            "unconfirmed": operations.filter(kind=Kind.CREATE, state=State.UNCONFIRMED).count(),
            "still under way": operations.under_way().count(),
            "amendments lost": sum(sides[pk][1].get("total") != total for pk, total in self.totals.items()),
            "changes of payers lost": sum(
                sides[pk][1].get("contact", {}).get("email") != email for pk, email in self.emails.items()
            ),
            "cancels lost": sum(sides[pk][1].get("status") != "Canceled" for pk in self.canceled),
            "emails sent twice": sum(count - 1 for count in emails.values()),
            "emails said to be sent and not sent": max(0, done_resends - emails.total()),
            "invoices that differ": sum(differ(row, shown) for row, shown in sides.values()),
            "told as sent not once": sum(told[pk] != 1 for pk in self.sent),
            "left to a person without need": operations.filter(needs_person=True).exclude(pk__in=lost_emails).count(),
        }


def differ(row: PaymentIntent, shown: dict[str, Any]) -> bool:
    """Whether the row says anything else than Truss."""
    mirrored = (row.delivery, row.attention, row.status, str(row.total), row.contact and row.contact.email)
    return not shown or mirrored != ("sent", "", shown["status"], shown["total"], shown["contact"]["email"])
