"""What came of each invoice of a batch, as a file: those that were asked for, and those that were left out."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal.models import Batch, Operation, PaymentIntent

from .asking import TOGETHER, together

Kind = Operation.Kind
State = Operation.State

DONE: Final = {
    Kind.CREATE: gettext_lazy("Sent to Truss"),
    Kind.CANCEL: gettext_lazy("Canceled"),
    Kind.RESEND_EMAIL: gettext_lazy("Emailed again"),
    Kind.REFRESH: gettext_lazy("Up to date"),
}
_INVOICE: Final = ("reference", "addenda", "contact__name", "contact__email", "total")
_OF_OPERATION: Final = ("state", "error", "finished_at", "unconfirmed_at")


def headings() -> list[str]:
    return [
        _("Invoice"), _("Description"), _("Payer"), _("Payer email"), _("Amount, USD"), _("Outcome"), _("Reason"),
        _("When"),
    ]  # fmt: skip


class Results:
    """Read some at a time: ten thousand need no more memory, but for the reasons of those that were left out.

    Words and times are as they are for whoever asks: a file is written when the page is long done.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._zone = timezone.get_current_timezone()
        self._states = {state: str(state.label) for state in State}
        if batch.kind in DONE:
            self._states[State.DONE] = str(DONE[Kind(batch.kind)])
        self._left_out = _("Left out")
        self._gone = _("Not found at Truss")

    def rows(self) -> Iterator[list[Any]]:
        """Cells as `headings` names them, those that were asked for first."""
        yield from self._asked()
        yield from self._not_asked()

    def _asked(self) -> Iterator[list[Any]]:
        columns = ("pk", *_OF_OPERATION, *(f"payment_intent__{name}" for name in _INVOICE))
        mine = Operation.objects.filter(batch=self.batch).order_by("pk")
        last = 0
        while page := list(mine.filter(pk__gt=last).values_list(*columns)[:TOGETHER]):
            for pk, state, error, finished_at, unconfirmed_at, *invoice in page:
                last = pk
                yield [*_invoice(*invoice), self._outcome(state, error), error, self._at(finished_at or unconfirmed_at)]

    def _outcome(self, state: str, error: str) -> str:
        if state == State.DONE and error and self.batch.kind == Kind.REFRESH:
            return self._gone
        return self._states[State(state)]

    def _not_asked(self) -> Iterator[list[Any]]:
        at = self._at(self.batch.requested_at)
        for some in together(self.batch.left_out):
            pks = [pk for pk, _name, _reason in some]
            known = {row[0]: row[1:] for row in PaymentIntent.objects.filter(pk__in=pks).values_list("pk", *_INVOICE)}
            for pk, name, reason in some:
                # Of one that was deleted since, only the name is known.
                invoice = _invoice(*known[pk]) if pk in known else [name, None, None, None, None]
                yield [*invoice, self._left_out, reason, at]

    def _at(self, time: datetime | None) -> str | None:
        """In the site's zone, and with the offset."""
        return time.astimezone(self._zone).isoformat(timespec="seconds") if time else None


def _invoice(reference: str | None, addenda: str, payer: str | None, email: str | None, total: Any) -> list[Any]:
    return [reference or addenda, addenda, payer, email, total]
