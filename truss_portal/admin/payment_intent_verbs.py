"""What people ask of Truss about invoices: send, email again, cancel, refresh; with why not, and the words."""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from truss_portal import actions
from truss_portal.client import InvalidRequestError, Outcome, TrussError
from truss_portal.connection import connect
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Company, Operation, PaymentIntent
from truss_portal.sync import refresh as refresh_one

from .reports import Report
from .wording import why

Kind = Operation.Kind
Intents = Collection[PaymentIntent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing that people ask of Truss here, and the words around it. `name` is its permission and its address."""

    name: str
    kind: Kind
    """What is recorded for it."""
    ask: Callable[..., Operation] | None = None
    """The action for one invoice; None where one is done at once and nothing recorded."""
    title: Any
    question: Any = None
    """Asked before it is done; None where nothing can go wrong, so that one invoice is done at once."""
    sum: Any
    """What happens to how many (`number`, `count`), with how much left to pay (`total`)."""
    means: Any = ""
    """What it means, where there is nothing to ask."""
    at_once: Any
    """How many of them a page waits for, and what becomes of the others."""
    button: Any
    done: Any
    log: Any = None
    """For Django's admin log; None where nothing is changed."""
    why_not: Callable[[Intents], dict[int, str]]
    """Why some of them can't take part, by primary key. Wants company, contact and transactions at hand."""


def why_not_send(intents: Intents) -> dict[int, str]:
    """Why sending would do nothing, or be refused here. One that waits may be tried again at once."""
    reasons = actions.why_not_each(Kind.CREATE, intents)
    for intent in intents:
        if intent.pk in reasons and intent.is_editable and not intent.discovered:
            reasons[intent.pk] = _broken_rules(intent) or reasons[intent.pk]
    return reasons


def _broken_rules(intent: PaymentIntent) -> str | None:
    """In the words of the form where they are mended."""
    try:
        actions.validate(intent)
    except InvalidRequestError as error:
        return why(error)
    return None


def why_not_cancel(intents: Intents) -> dict[int, str]:
    ours = [intent for intent in intents if intent.uid is None and intent.is_editable]
    text = _("Not sent to Truss: nothing to cancel there. Delete it here instead.")
    others = [intent for intent in intents if intent.uid is not None or not intent.is_editable]
    return dict.fromkeys([intent.pk for intent in ours], text) | actions.why_not_each(Kind.CANCEL, others)


def why_not_resend(intents: Intents) -> dict[int, str]:
    return actions.why_not_each(Kind.RESEND_EMAIL, intents)


def why_not_refresh(intents: Intents) -> dict[int, str]:
    return actions.why_not_each(Kind.REFRESH, intents)


SEND: Final = Verb(
    name="send",
    kind=Kind.CREATE,
    ask=actions.send,
    title=gettext_lazy("Send to Truss"),
    sum=ngettext_lazy(
        "%(count)s invoice over %(total)s is sent to Truss.",
        "%(count)s invoices over %(total)s are sent to Truss.",
        "number",
    ),
    question=gettext_lazy("Once an invoice is at Truss it can be canceled, but not unsent."),
    at_once=gettext_lazy(
        "The first %(count)d are sent while this page waits. The rest are queued, and truss_push sends them."
    ),
    button=gettext_lazy("Send to Truss"),
    done=ngettext_lazy("%(count)d invoice was sent to Truss.", "%(count)d invoices were sent to Truss.", "count"),
    log=gettext_lazy("Sent to Truss."),
    why_not=why_not_send,
)
CANCEL: Final = Verb(
    name="cancel",
    kind=Kind.CANCEL,
    ask=actions.cancel,
    title=gettext_lazy("Cancel at Truss"),
    sum=ngettext_lazy(
        "%(count)s invoice over %(total)s is canceled at Truss.",
        "%(count)s invoices over %(total)s are canceled at Truss.",
        "number",
    ),
    question=gettext_lazy("Canceling can't be undone: the payer can no longer pay, and a new invoice must be written."),
    at_once=gettext_lazy(
        "The first %(count)d are canceled while this page waits. The rest are queued, and truss_push asks Truss."
    ),
    button=gettext_lazy("Yes, cancel at Truss"),
    done=ngettext_lazy("%(count)d invoice was canceled.", "%(count)d invoices were canceled.", "count"),
    log=gettext_lazy("Canceled at Truss."),
    why_not=why_not_cancel,
)
RESEND: Final = Verb(
    name="resend",
    kind=Kind.RESEND_EMAIL,
    ask=actions.resend_email,
    title=gettext_lazy("Resend email"),
    sum=ngettext_lazy(
        "Truss emails the payer of %(count)s invoice again, with %(total)s left to pay.",
        "Truss emails the payers of %(count)s invoices again, with %(total)s left to pay.",
        "number",
    ),
    question=gettext_lazy("An email can't be taken back."),
    at_once=gettext_lazy(
        "The first %(count)d are asked for while this page waits. The rest are queued, and truss_push asks Truss."
    ),
    button=gettext_lazy("Resend email"),
    done=ngettext_lazy("%(count)d invoice was emailed again.", "%(count)d invoices were emailed again.", "count"),
    log=gettext_lazy("Emailed again."),
    why_not=why_not_resend,
)
REFRESH: Final = Verb(
    name="refresh",
    kind=Kind.REFRESH,
    title=gettext_lazy("Refresh from Truss"),
    sum=ngettext_lazy(
        "Truss is asked about %(count)s invoice, with %(total)s left to pay.",
        "Truss is asked about %(count)s invoices, with %(total)s left to pay.",
        "number",
    ),
    means=gettext_lazy("Nothing changes at Truss: what it says of them, and of their payments, is shown here."),
    at_once=gettext_lazy(
        "The first %(count)d are asked about while this page waits. The rest are queued, and truss_push asks Truss."
    ),
    button=gettext_lazy("Refresh from Truss"),
    done=ngettext_lazy("%(count)d invoice is up to date.", "%(count)d invoices are up to date.", "count"),
    why_not=why_not_refresh,
)
VERBS: Final = (SEND, REFRESH, RESEND, CANCEL)


# --- looking again


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


def refresh(intents: Iterable[PaymentIntent], patience: Patience) -> Report:
    """Ask Truss for each with its payments. Touches the network."""
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
    reasons = why_not_refresh(intents)
    with client:
        for intent in intents:
            if intent.pk in reasons:
                report.failed.append((intent, reasons[intent.pk]))
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
