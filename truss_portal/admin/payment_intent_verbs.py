"""Send, cancel or refresh many invoices while a page waits, and tell what came of each. Touches the network."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from truss_portal import actions
from truss_portal.client import InvalidRequestError, Outcome, TrussError
from truss_portal.connection import connect
from truss_portal.exceptions import ActionRefusedError, NotConnectedError
from truss_portal.models import Company, Operation, PaymentIntent
from truss_portal.sync import refresh as refresh_one

from .wording import why

Delivery = PaymentIntent.Delivery
State = Operation.State


class Patience:
    """How much longer a page waits: for so many requests, so many seconds, and not once Truss failed to answer."""

    def __init__(self, requests: int, seconds: float) -> None:
        self._requests = requests
        self._until = time.monotonic() + seconds

    def take(self) -> bool:
        """Whether one more request may be waited for; it is counted."""
        self._requests -= 1
        return self._requests >= 0 and time.monotonic() < self._until

    def lose(self) -> None:
        self._requests = 0


@dataclass(slots=True)
class Report:
    """What came of each invoice."""

    done: list[PaymentIntent] = field(default_factory=list)
    waiting: list[tuple[PaymentIntent, str]] = field(default_factory=list)
    """The wish is recorded and not carried out yet; with what is in the way, if anything is."""
    failed: list[tuple[PaymentIntent, str]] = field(default_factory=list)
    left: list[PaymentIntent] = field(default_factory=list)
    """Nobody was asked about these: the page would have waited too long."""

    def note(self, intent: PaymentIntent, operation: Operation) -> None:
        if operation.state == State.DONE:
            self.done.append(intent)
        elif operation.state == State.REFUSED:
            self.failed.append((intent, operation.error))
        elif operation.state == State.UNCONFIRMED:
            lost = _("Truss's answer was lost. A later sync shows whether it is there; it is not sent twice.")
            self.waiting.append((intent, lost))
        else:
            self.waiting.append((intent, operation.error))

    @property
    def asked(self) -> Iterator[PaymentIntent]:
        """All whose wish was recorded."""
        yield from self.done
        yield from (intent for intent, _why in self.waiting)

    def __bool__(self) -> bool:
        return bool(self.done or self.waiting or self.failed or self.left)


def why_not_send(intent: PaymentIntent) -> str | None:
    """Why sending would do nothing, or be refused here. One that waits may be tried again at once."""
    if intent.delivery == Delivery.UNCONFIRMED:
        return _("Sent already, and Truss's answer was lost: the next complete sync shows whether it is there.")
    if intent.delivery == Delivery.QUEUED:
        return None
    if not intent.is_editable:
        return _("Sent already.") if intent.uid else _("Being sent already.")
    refusal = actions.why_not_sendable(intent)
    if refusal:
        return refusal
    try:
        actions.validate(intent)
    except InvalidRequestError as error:
        return why(error)
    return None


def why_not_refresh(intent: PaymentIntent) -> str | None:
    return None if intent.uid else _("Not sent to Truss yet: there is nothing to look at.")


def why_not_cancel(intent: PaymentIntent) -> str | None:
    if intent.uid is None and intent.is_editable:
        return _("Not sent to Truss: nothing to cancel there. Delete it here instead.")
    return actions.why_not_cancelable(intent)


def send(intents: Iterable[PaymentIntent], actor: Any, patience: Patience) -> Report:
    """Send each; past the page's patience they are queued for `truss_push`."""
    report = Report()
    for intent in intents:
        refusal = why_not_send(intent)
        if refusal:
            report.failed.append((intent, refusal))
            continue
        wait = patience.take()
        with _refusals(report, intent):
            operation = actions.send(intent, actor=actor, wait=wait)
            report.note(intent, operation)
            if wait and operation.state not in {State.DONE, State.REFUSED}:
                patience.lose()
    return report


def cancel(intents: Iterable[PaymentIntent], actor: Any, patience: Patience) -> Report:
    report = Report()
    for intent in intents:
        if not patience.take():
            report.left.append(intent)
            continue
        with _refusals(report, intent):
            operation = actions.cancel(intent, actor=actor)
            report.note(intent, operation)
            if operation.state not in {State.DONE, State.REFUSED}:
                patience.lose()
    return report


@contextmanager
def _refusals(report: Report, intent: PaymentIntent) -> Iterator[None]:
    """What changed since the page was shown is told like any other refusal."""
    try:
        yield
    except (ActionRefusedError, InvalidRequestError) as error:
        report.failed.append((intent, why(error)))


def refresh(intents: Iterable[PaymentIntent], _actor: Any, patience: Patience) -> Report:
    """Ask Truss for each with its payments."""
    report = Report()
    by_company = sorted(intents, key=attrgetter("company_id"))
    for _pk, group in groupby(by_company, key=attrgetter("company_id")):
        same_company = list(group)
        _refresh_group(same_company[0].company, same_company, patience, report)
    return report


def _refresh_group(company: Company, intents: list[PaymentIntent], patience: Patience, report: Report) -> None:
    try:
        client = connect(company)
    except NotConnectedError as error:
        report.failed += [(intent, str(error)) for intent in intents]
        return
    with client:
        for intent in intents:
            refusal = why_not_refresh(intent)
            if refusal:
                report.failed.append((intent, refusal))
            elif not patience.take():
                report.left.append(intent)
            else:
                try:
                    refresh_one(intent, client=client)
                except TrussError as error:
                    report.failed.append((intent, str(error)))
                    if error.outcome != Outcome.REFUSED:
                        patience.lose()
                    continue
                if intent.missing_since:
                    report.failed.append((intent, _("No longer found at Truss.")))
                else:
                    report.done.append(intent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing that people ask of Truss here, and the words around it. `name` is its permission and its address."""

    name: str
    title: Any
    question: Any = None
    """Asked before it is done; None where nothing can go wrong."""
    button: Any
    done: Any
    log: Any = None
    """For Django's admin log; None where nothing is changed."""
    why_not: Callable[[PaymentIntent], str | None]
    perform: Callable[[Iterable[PaymentIntent], Any, Patience], Report]


SEND: Final = Verb(
    name="send",
    title=gettext_lazy("Send to Truss"),
    question=gettext_lazy("Once an invoice is at Truss it can be canceled, but not unsent."),
    button=gettext_lazy("Send to Truss"),
    done=ngettext_lazy("%(count)d invoice was sent to Truss.", "%(count)d invoices were sent to Truss.", "count"),
    log=gettext_lazy("Sent to Truss."),
    why_not=why_not_send,
    perform=send,
)
CANCEL: Final = Verb(
    name="cancel",
    title=gettext_lazy("Cancel at Truss"),
    question=gettext_lazy("Canceling can't be undone: the payer can no longer pay, and a new invoice must be written."),
    button=gettext_lazy("Yes, cancel at Truss"),
    done=ngettext_lazy("%(count)d invoice was canceled.", "%(count)d invoices were canceled.", "count"),
    log=gettext_lazy("Canceled at Truss."),
    why_not=why_not_cancel,
    perform=cancel,
)
REFRESH: Final = Verb(
    name="refresh",
    title=gettext_lazy("Refresh from Truss"),
    button=gettext_lazy("Refresh from Truss"),
    done=ngettext_lazy("%(count)d invoice is up to date.", "%(count)d invoices are up to date.", "count"),
    why_not=why_not_refresh,
    perform=refresh,
)
VERBS: Final = (SEND, REFRESH, CANCEL)


def waiting_text(count: int) -> str:
    return ngettext(
        "%(count)d invoice waits: truss_push asks Truss by itself.",
        "%(count)d invoices wait: truss_push asks Truss by itself.",
        count,
    ) % {"count": count}


def failed_text(count: int) -> str:
    return ngettext("%(count)d invoice was left out:", "%(count)d invoices were left out:", count) % {"count": count}


def left_text(count: int) -> str:
    return ngettext(
        "%(count)d invoice was not asked about: the page would have taken too long. Choose it again.",
        "%(count)d invoices were not asked about: the page would have taken too long. Choose them again.",
        count,
    ) % {"count": count}
