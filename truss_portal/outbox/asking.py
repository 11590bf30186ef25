"""The network, and nothing else: ask Truss for one claimed operation. Runs in threads; reads and writes no rows."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal.client import (
    LONGEST_REST,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    NotReachedError,
    Outcome,
    TrussClient,
    TrussError,
    UpdateContactRequest,
    resources,
)
from truss_portal.conf import conf
from truss_portal.models import Operation

from .requests import create_request, today, update_request

logger = logging.getLogger("truss_portal.outbox")

Kind = Operation.Kind

# Our token or its scope won't do: nothing is wrong with the invoice, and it waits until that is mended.
NOT_ABOUT_THE_INVOICE: Final = (NotAuthenticatedError, NotAllowedError)
# What may pass before a request leaves, besides the timeouts of another one: a rest because Truss has asked us to slow
# down, and the renewal of the token, by us (which may meet a rest of its own) or by another process. A claim must last
# that long.
LONGEST_WAIT: Final = timedelta(seconds=2 * LONGEST_REST + 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking for one operation."""

    operation: Operation
    asked_at: datetime
    error: TrussError | None = None
    """Why it isn't a plain yes."""
    created: resources.PaymentIntent | None = None
    read_back: resources.PaymentIntent | None = None
    """The invoice as Truss showed it, after the change where there was one."""
    gone: bool = False
    """Truss doesn't have the invoice any more."""
    contact: resources.Contact | None = None


def ask(operation: Operation, client: TrussClient) -> Answer:
    """Ask once. Never raises for what Truss answers: that is in the answer."""
    asked_at = timezone.now()
    longest = LONGEST_WAIT + timedelta(seconds=sum(conf.timeout))
    if operation.claimed_until and operation.claimed_until <= asked_at + longest:
        text = "The claim ran out before Truss could be asked."
        return Answer(operation=operation, asked_at=asked_at, error=NotReachedError(text))
    try:
        if operation.kind == Kind.UPDATE_CONTACT:
            contact = client.update_contact(_contact_uid(operation), UpdateContactRequest(**operation.body))
            return Answer(operation=operation, asked_at=asked_at, contact=contact)
        if operation.kind == Kind.CREATE and operation.payment_intent:
            created = client.create_payment_intent(create_request(operation.payment_intent), today=today())
            return Answer(operation=operation, asked_at=asked_at, created=created)
        if operation.kind == Kind.REFRESH:
            return Answer(
                operation=operation, asked_at=asked_at, read_back=client.fetch_payment_intent(_uid(operation))
            )
    except NotFoundError as error:
        gone = operation.kind == Kind.REFRESH
        return Answer(operation=operation, asked_at=asked_at, error=None if gone else error, gone=gone)
    except TrussError as error:
        return Answer(operation=operation, asked_at=asked_at, error=error)
    return _change(operation, client, asked_at)


def confirmed_gone(answer: Answer, client: TrussClient) -> Answer:
    """A look was answered 404, and Truss has shown nothing yet: does it show anything here?

    A wrong address answers 404 to everything, and ten thousand invoices would be marked missing.
    """
    try:
        next(client.list_payment_intents())
    except NotFoundError:
        error: TrussError = NotReachedError(
            _("Truss knows neither this invoice nor a list of invoices here: is the address of Truss right?")
        )
    except TrussError as problem:
        error = problem
    else:
        return answer
    return replace(answer, gone=False, error=error)


def _change(operation: Operation, client: TrussClient, asked_at: datetime) -> Answer:
    """Amend, resend or cancel; then look: after a change the truth is what Truss shows."""
    uid = _uid(operation)
    problem: TrussError | None = None
    try:
        if operation.kind == Kind.CANCEL:
            client.cancel_payment_intent(uid)
        else:
            client.update_payment_intent(uid, update_request(operation.body), today=today())
    except TrussError as error:
        surely_not = error.outcome is Outcome.NOT_DONE or isinstance(error, NOT_ABOUT_THE_INVOICE)
        if operation.kind != Kind.CANCEL or surely_not:
            return Answer(operation=operation, asked_at=asked_at, error=error)
        problem = error
    try:
        shown = client.fetch_payment_intent(uid)
    except NotFoundError:
        return Answer(operation=operation, asked_at=asked_at, error=problem, gone=True)
    except TrussError as error:
        logger.warning(
            "Truss was asked to change invoice %s, which could not be read back yet: %s",
            operation.payment_intent,
            error,
        )
        return Answer(operation=operation, asked_at=asked_at, error=problem)
    return Answer(operation=operation, asked_at=asked_at, error=problem, read_back=shown)


def _uid(operation: Operation) -> UUID:
    if operation.payment_intent is None or operation.payment_intent.uid is None:
        raise AssertionError(f"operation {operation.pk} is for an invoice that isn't at Truss")
    return operation.payment_intent.uid


def _contact_uid(operation: Operation) -> UUID:
    if operation.contact is None or operation.contact.uid is None:
        raise AssertionError(f"operation {operation.pk} has no contact at Truss")
    return operation.contact.uid
