"""What Truss answered → rows, each answer in a transaction of its own; those that brought new invoices together."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import memo, mirror, timeline
from truss_portal.client import (
    HeldBackError,
    MethodNotAllowedError,
    NotFoundError,
    Outcome,
    TrussError,
    UnreadableAnswerError,
    resources,
)
from truss_portal.database import write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Company, Operation, PaymentIntent, TimelineEntry
from truss_portal.plain_words import told

from .asking import NOT_ABOUT_THE_INVOICE, Answer
from .claims import NEVER_REPEATED, given_up, invoices_locked, most_attempts, note_create, release

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery

# After a request that surely wasn't done: 1, 2, 4 … minutes.
BACKOFF: Final = timedelta(minutes=1)
LONGEST_BACKOFF: Final = timedelta(hours=1)


def write(company: Company, answers: Sequence[Answer]) -> None:
    """Write what came of these operations."""
    created = [answer for answer in answers if answer.created]
    if created:
        _write_created(company, created)
    looked = [answer for answer in answers if answer.operation.kind == Kind.REFRESH and answer.error is None]
    if looked:
        _write_looked(company, looked)
    for answer in answers:
        if isinstance(answer.error, HeldBackError):
            release(answer.operation, timezone.now() + timedelta(seconds=answer.error.retry_after or 0))
        elif answer.created is None and answer not in looked:
            _write_change(company, answer)


def _write_created(company: Company, answers: Sequence[Answer]) -> None:
    """The new invoices, together."""
    created: dict[UUID, Answer] = {}
    told: list[resources.PaymentIntent] = []
    for answer in answers:
        intent = answer.created
        if intent is None:
            continue
        if intent.uid in created:
            twice = _("Truss answered two creates with one invoice, %(uid)s.") % {"uid": intent.uid}
            write_failure(answer.operation, UnreadableAnswerError(twice))
        else:
            created[intent.uid] = answer
            told.append(intent)
    adopt = {uid: answer.operation.payment_intent_id for uid, answer in created.items()}
    written = mirror.write(company, told, adopt={uid: pk for uid, pk in adopt.items() if pk})
    for item in written.rejected:
        for uid, answer in created.items():
            if str(uid) == item.uid:
                write_failure(answer.operation, UnreadableAnswerError(item.reason))


def _write_looked(company: Company, answers: Sequence[Answer]) -> None:
    """What was looked at, together. It is nobody's wish that an invoice is as it is: no name stands beside it."""
    written = mirror.write(company, [answer.read_back for answer in answers if answer.read_back])
    rejected = {item.uid: item.reason for item in written.rejected}
    known: list[Operation] = []
    gone: list[Operation] = []
    for answer in answers:
        intent = answer.operation.payment_intent
        if answer.read_back is None:
            if intent is not None and intent.uid:
                mirror.mark_missing(company, [intent.uid], asked_at=answer.asked_at)
            gone.append(answer.operation)
        elif reason := rejected.get(str(answer.read_back.uid)):
            write_failure(answer.operation, UnreadableAnswerError(reason))
        else:
            known.append(answer.operation)
    _finish(*known)
    _finish(*gone, error=_("No longer found at Truss."))


def _write_change(company: Company, answer: Answer) -> None:
    operation = answer.operation
    if answer.error:
        write_failure(operation, answer.error)
    elif operation.kind == Kind.UPDATE_CONTACT:
        with write_transaction():
            if answer.contact is not None:
                mirror.write_contact(company, answer.contact, fetched_at=answer.asked_at)
            _finish(operation)
    elif operation.kind != Kind.CANCEL:
        with write_transaction():
            _finish(operation)
            _record_change(operation)
    if operation.payment_intent is not None and operation.kind != Kind.CREATE:
        _write_read_back(company, answer)
    if operation.kind == Kind.CANCEL:
        _settle_cancel(answer)


def _write_read_back(company: Company, answer: Answer) -> None:
    intent = answer.operation.payment_intent
    if answer.read_back:
        mirror.write(company, [answer.read_back], actor_id=answer.operation.requested_by_id)
    elif answer.gone and intent is not None and intent.uid:
        mirror.mark_missing(company, [intent.uid], asked_at=answer.asked_at)
    elif answer.error is None and intent is not None:
        # It couldn't be read now: the next sync looks.
        PaymentIntent.objects.filter(pk=intent.pk).update(details_due=True)


def _settle_cancel(answer: Answer) -> None:
    """The answer to a cancel isn't published: whether it is canceled is seen by what was read back."""
    shown = answer.read_back
    if shown is not None and shown.status == PaymentIntent.Status.CANCELED:
        _finish(answer.operation)
    elif answer.error is None and shown is not None:
        text = _("Truss took the request, and the invoice is still “%(status)s” there.")
        status = PaymentIntent(status=shown.status).status_label
        _finish(answer.operation, state=State.REFUSED, error=text % {"status": status})
    elif answer.error is None:
        _finish(answer.operation)


def _record_change(operation: Operation) -> None:
    intent = operation.payment_intent
    if intent is None:
        return
    if operation.kind == Kind.RESEND_EMAIL:
        timeline.record(intent, TimelineEntry.Kind.EMAIL_RESENT, actor_id=operation.requested_by_id)
        return
    for name, now in operation.body.items():
        was = getattr(intent, name)
        shown = memo.without(now or "", intent.memo_reference) if name == "memo" else now
        timeline.record(
            intent,
            TimelineEntry.Kind.AMENDED,
            actor_id=operation.requested_by_id,
            field=name,
            was="" if was is None else was,
            now="" if shown is None else shown,
        )


def _finish(*operations: Operation, state: str = State.DONE, error: str = "") -> None:
    Operation.objects.filter(pk__in=[operation.pk for operation in operations]).update(
        state=state,
        claimed_until=None,
        open_create_of=None,
        next_attempt_at=None,
        finished_at=timezone.now(),
        needs_person=state != State.DONE,
        error=error,
    )


def write_failure(operation: Operation, error: TrussError | ActionRefusedError) -> None:
    """What an answer means that isn't a yes.

    =====================  =====================================  ==================================
    what came              a create                               amend, cancel, resend, contact, look
    =====================  =====================================  ==================================
    a rule broken here     refused; the invoice can be edited     refused
    401, 403               waits for the next try                 waits for the next try
    any other 4xx          refused; the invoice can be edited     refused
    429, never connected   waits for the next try                 waits for the next try
    anything else          unconfirmed: looked for in a listing   waits: a repeat does no harm, but
                                                                  for a resend: that stays unconfirmed
    =====================  =====================================  ==================================

    After `MOST_ATTEMPTS` tries nothing waits any longer: it is given up and left to a person. Only 401 and 403 wait
    for ever, since nothing is wrong with what is asked. A look is given up sooner, and needs nobody.

    (To a change any 2xx is a yes, whether it can be read or not. A cancel is read back besides: see `_settle_cancel`.)
    """
    answer: dict[str, Any] = {
        "response_status": getattr(error, "status", None),
        "response_body": getattr(error, "body", ""),
        "error": explain(operation, error),
    }
    kind: TimelineEntry.Kind | None = None
    with invoices_locked([operation.pk]):
        # While Truss was asked a listing may have found the invoice: then it is sent, whatever this answer was. Or the
        # claim ran out and another process is at it.
        mine = Operation.objects.filter(pk=operation.pk, state=State.SENDING, claim_token=operation.claim_token)
        outcome = Outcome.REFUSED if isinstance(error, ActionRefusedError) else error.outcome
        about_us = isinstance(error, NOT_ABOUT_THE_INVOICE)
        if outcome == Outcome.UNKNOWN:
            answer["unconfirmed_at"] = timezone.now()
        if outcome == Outcome.REFUSED and not about_us:
            state, delivery, kind = State.REFUSED, Delivery.FAILED, TimelineEntry.Kind.REFUSED
            person = operation.kind != Kind.REFRESH
            answer |= {"open_create_of": None, "finished_at": timezone.now(), "needs_person": person}
        elif outcome == Outcome.UNKNOWN and operation.kind in NEVER_REPEATED:
            state, delivery, kind = State.UNCONFIRMED, Delivery.UNCONFIRMED, TimelineEntry.Kind.UNCONFIRMED
            # A create is settled by a listing. Whether an email went out no listing tells.
            answer["needs_person"] = operation.kind != Kind.CREATE
        elif operation.attempts >= most_attempts(operation.kind) and not about_us:
            state, delivery, kind = State.GIVEN_UP, Delivery.FAILED, TimelineEntry.Kind.GIVEN_UP
            text = _("%(cause)s Truss was asked %(count)d times, and is not asked again by itself.")
            answer["error"] = text % {"cause": answer["error"], "count": operation.attempts}
            answer |= given_up(operation.kind) | {"finished_at": timezone.now()}
        else:
            state, delivery = State.QUEUED, Delivery.QUEUED
            answer["next_attempt_at"] = _next_attempt(operation, error)
        if mine.update(**{"state": state, "claimed_until": None} | answer):
            note_create(operation, delivery, kind, answer["error"])


def _next_attempt(operation: Operation, error: Exception) -> datetime:
    doublings = min(operation.attempts - 1, 10)
    # What failed together needn't come back together.
    wait: timedelta = min(BACKOFF * 2**doublings, LONGEST_BACKOFF) * random.uniform(1, 1.25)  # noqa: S311 - no secret
    return timezone.now() + max(wait, timedelta(seconds=getattr(error, "retry_after", None) or 0))


def explain(operation: Operation, error: TrussError | ActionRefusedError) -> str:
    """What happened, for people: the cause, Truss's own words, and the next step where there is one."""
    if operation.kind == Kind.CANCEL and isinstance(error, NotFoundError | MethodNotAllowedError):
        return _(
            "Truss doesn't know the address for canceling (HTTP %(status)s). Truss publishes none: ask Truss for it "
            'and set TRUSS_PORTAL["CANCEL_PATH"]; until then cancel in Truss itself.'
        ) % {"status": error.status}
    if operation.kind == Kind.RESEND_EMAIL and isinstance(error, TrussError) and error.outcome == Outcome.UNKNOWN:
        return _("%(cause)s Whether the payer got the email isn't known. It isn't sent again by itself.") % {
            "cause": told(error)
        }
    return told(error)
