"""Do what was asked: claim an operation, ask Truss once, write the answer.

Three steps, each with a transaction of its own, and the network between them:

    claim     queued → sending, by one compare-and-set: of two who try, one asks
    ask       outside any transaction
    write     the answer: see `_write_failure` for what each kind of answer means

A process that dies in between leaves the row `sending`; when its claim has run out, `recover` takes it up again.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import contacts, memo, mirror, timeline
from truss_portal.client import (
    UNSET,
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    MethodNotAllowedError,
    NotFoundError,
    Outcome,
    TrussClient,
    TrussError,
    UnreadableAnswerError,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)
from truss_portal.conf import conf
from truss_portal.connection import connect, learn_company
from truss_portal.database import write_transaction
from truss_portal.exceptions import ActionRefusedError, NotConnectedError
from truss_portal.models import Company, Operation, PaymentIntent, SyncRun, TimelineEntry
from truss_portal.sync import Progress, no_progress, refresh

logger = logging.getLogger("truss_portal.outbox")

Kind = Operation.Kind
State = Operation.State
Delivery = PaymentIntent.Delivery

# Besides the timeouts of the request itself.
CLAIM: Final = timedelta(minutes=10)
# After a request that surely wasn't done: 1, 2, 4 … minutes.
BACKOFF: Final = timedelta(minutes=1)
LONGEST_BACKOFF: Final = timedelta(hours=1)
# What would be there twice if it were asked again after its answer was lost: an invoice, an email.
NEVER_REPEATED: Final = frozenset({Kind.CREATE, Kind.RESEND_EMAIL})


def today() -> date:
    """The latest date that it may be for Truss or here: a due date after it is in the future for both.

    Whether Truss takes a due date of today, and in which time zone, isn't published.
    """
    return max(timezone.localdate(), timezone.now().date())


def create_request(intent: PaymentIntent) -> CreateInboundPaymentIntentRequest:
    """What is sent to create this invoice. By uid once the contact's uid is known: a uid can't be mistaken."""
    contact = intent.contact
    if contact is None:
        who = CreateOrUpdateContactRequest()
    elif contact.uid:
        who = CreateOrUpdateContactRequest(uid=contact.uid)
    else:
        who = CreateOrUpdateContactRequest(
            name=contact.name,
            email=contact.email,
            secondary_email=contact.secondary_email or UNSET,
            phone=contact.phone or UNSET,
        )
    return CreateInboundPaymentIntentRequest(
        addenda=intent.addenda,
        total=intent.total,
        contact=who,
        due_date=intent.due_date,
        memo=memo.join(intent.memo, intent.memo_reference),
        note=intent.note,
        send_email=intent.send_email,
        send_sms=intent.send_sms,
    )


def update_request(changes: dict[str, Any]) -> UpdateInboundPaymentIntentRequest:
    """An amendment as the operation's row holds it → the request."""
    changes = dict(changes)
    if changes.get("due_date"):
        changes["due_date"] = date.fromisoformat(changes["due_date"])
    return UpdateInboundPaymentIntentRequest(**changes)


def perform(operation_id: int, *, client: TrussClient | None = None) -> Operation:
    """Ask Truss for this operation, if it waits to be asked and nobody else is at it. Returns the row as it then is.

    Never raises for what Truss answers or for a missing connection: both are written on the row.
    """
    operation = Operation.objects.select_related("company", "payment_intent__contact", "contact").get(pk=operation_id)
    with ExitStack() as stack:
        if client is None:
            try:
                client = stack.enter_context(connect(operation.company))
            except NotConnectedError as error:
                Operation.objects.filter(pk=operation_id, state=State.QUEUED).update(error=str(error))
                operation.refresh_from_db()
                return operation
        if _claim(operation):
            try:
                _ask(operation, client)
            except (TrussError, ActionRefusedError) as error:
                _write_failure(operation, error)
                if operation.kind == Kind.CANCEL:
                    _settle_cancel(operation, client)
    operation.refresh_from_db()
    return operation


@contextmanager
def _invoice_locked(operation: Operation) -> Iterator[None]:
    """A write transaction that takes the invoice before the operation, as `mirror` and `actions` do.

    In the other order each could hold what the other one waits for.
    """
    with write_transaction():
        if operation.payment_intent_id is not None:
            PaymentIntent.objects.select_for_update().filter(pk=operation.payment_intent_id).first()
        yield


def _claim(operation: Operation) -> bool:
    until = timezone.now() + CLAIM + timedelta(seconds=sum(conf.timeout))
    with _invoice_locked(operation):
        claimed = Operation.objects.filter(pk=operation.pk, state=State.QUEUED).update(
            state=State.SENDING, claimed_until=until, attempts=F("attempts") + 1, next_attempt_at=None, error=""
        )
        if claimed and operation.kind == Kind.CREATE:
            PaymentIntent.objects.filter(operations=operation.pk).update(delivery=Delivery.SENDING)
    operation.refresh_from_db()
    return bool(claimed)


# --- ask


def _ask(operation: Operation, client: TrussClient) -> None:
    if operation.kind == Kind.UPDATE_CONTACT:
        _ask_contact(operation, client)
        return
    intent = operation.payment_intent
    if intent is None:
        raise AssertionError(f"operation {operation.pk} has no invoice")
    if operation.kind == Kind.CREATE:
        trap = contacts.same_name_trap(intent.contact) if intent.contact else None
        if trap:
            raise ActionRefusedError(trap)
        answer = client.create_payment_intent(create_request(intent), today=today())
        written = mirror.write(
            operation.company, [answer], adopt={answer.uid: intent.pk}, actor_id=operation.requested_by_id
        )
        for item in written.rejected:
            raise UnreadableAnswerError(item.reason)
        learn_company(operation.company, client)
        return
    if intent.uid is None:
        raise AssertionError(f"operation {operation.pk} is for an invoice that isn't at Truss")
    if operation.kind == Kind.CANCEL:
        client.cancel_payment_intent(intent.uid)
        _settle_cancel(operation, client)
        return
    if not _still_wanted(operation):
        return
    client.update_payment_intent(intent.uid, update_request(operation.body), today=today())
    with write_transaction():
        _finish(operation, State.DONE)
        if operation.kind == Kind.RESEND_EMAIL:
            timeline.record(intent, TimelineEntry.Kind.EMAIL_RESENT, actor_id=operation.requested_by_id)
        else:
            _record_amendment(operation, intent)
    _read_back(operation, client)


def _ask_contact(operation: Operation, client: TrussClient) -> None:
    contact = operation.contact
    if contact is None or contact.uid is None:
        raise AssertionError(f"operation {operation.pk} has no contact at Truss")
    if not _still_wanted(operation):
        return
    asked_at = timezone.now()
    answer = client.update_contact(contact.uid, UpdateContactRequest(**operation.body), today=today())
    with write_transaction():
        if answer is not None:
            mirror.write_contact(operation.company, answer, fetched_at=asked_at)
        _finish(operation, State.DONE)


def _still_wanted(operation: Operation) -> bool:
    """Leave out what somebody has asked to be otherwise since then; whether anything is left, else it is finished.

    An attempt that failed comes again minutes later, and must not undo a newer change that went through at once.
    """
    newer = Operation.objects.filter(
        kind=operation.kind,
        payment_intent=operation.payment_intent_id,
        contact=operation.contact_id,
        pk__gt=operation.pk,
    ).exclude(state=State.REFUSED)
    taken_over = {name for body in newer.values_list("body", flat=True) for name in body}
    operation.body = {name: value for name, value in operation.body.items() if name not in taken_over}
    if not operation.body:
        _finish(operation, State.DONE, error=_("A newer change has taken its place; Truss was not asked for this one."))
    return bool(operation.body)


def _record_amendment(operation: Operation, before: PaymentIntent) -> None:
    for name, now in operation.body.items():
        was = getattr(before, name)
        shown = memo.without(now or "", before.memo_reference) if name == "memo" else now
        timeline.record(
            before,
            TimelineEntry.Kind.AMENDED,
            actor_id=operation.requested_by_id,
            field=name,
            was="" if was is None else was,
            now="" if shown is None else shown,
        )


def _read_back(operation: Operation, client: TrussClient) -> PaymentIntent | None:
    """After a change the truth is what Truss shows. Where it can't be read now, the next sync looks."""
    intent = operation.payment_intent
    if intent is None:
        return None
    try:
        refresh(intent, client=client, actor_id=operation.requested_by_id)
    except TrussError as error:
        logger.warning("Invoice %s was changed at Truss and could not be read back yet: %s", intent, error)
        PaymentIntent.objects.filter(pk=intent.pk).update(details_due=True)
        return None
    return intent


def _settle_cancel(operation: Operation, client: TrussClient) -> None:
    """The answer to a cancel isn't published: whether it is canceled is seen by looking."""
    intent = _read_back(operation, client)
    taken = operation.state == State.SENDING
    if (intent is None and taken) or (intent is not None and intent.status == intent.Status.CANCELED):
        _finish(operation, State.DONE)
    elif intent is not None and taken:
        text = _("Truss took the request, and the invoice is still “%(status)s” there.")
        _finish(operation, State.REFUSED, error=text % {"status": intent.status_label})


# --- write


def _finish(operation: Operation, state: str, **columns: Any) -> None:
    operation.state = state
    values = {"state": state, "claimed_until": None, "open_create_of": None, "finished_at": timezone.now(), "error": ""}
    Operation.objects.filter(pk=operation.pk).update(**values | columns)


def _write_failure(operation: Operation, error: TrussError | ActionRefusedError) -> None:
    """What an answer means that isn't a yes.

    =====================  =====================================  ==================================
    what came              a create                               amend, cancel, resend, contact
    =====================  =====================================  ==================================
    a rule broken here     refused; the invoice can be edited     refused
    4xx                    refused; the invoice can be edited     refused
    429, never connected   waits for the next try                 waits for the next try
    anything else          unconfirmed: looked for in a listing   waits: a repeat does no harm, but
                                                                  for a resend: that stays unconfirmed
    =====================  =====================================  ==================================
    """
    answer: dict[str, Any] = {
        "response_status": getattr(error, "status", None),
        "response_body": getattr(error, "body", ""),
        "error": explain(operation, error),
    }
    with _invoice_locked(operation):
        # While Truss was asked a listing may have found the invoice: then it is sent, whatever this answer was. Or the
        # claim ran out and another process is at it: the number of the attempt says whose claim it is.
        mine = Operation.objects.filter(pk=operation.pk, state=State.SENDING, attempts=operation.attempts)
        if isinstance(error, ActionRefusedError) or error.outcome == Outcome.REFUSED:
            state, delivery, kind = State.REFUSED, Delivery.FAILED, TimelineEntry.Kind.REFUSED
            answer |= {"open_create_of": None, "finished_at": timezone.now()}
        elif error.outcome == Outcome.UNKNOWN and operation.kind in NEVER_REPEATED:
            state, delivery, kind = State.UNCONFIRMED, Delivery.UNCONFIRMED, TimelineEntry.Kind.UNCONFIRMED
            answer["unconfirmed_at"] = timezone.now()
        else:
            state, delivery, kind = State.QUEUED, Delivery.QUEUED, None
            answer["next_attempt_at"] = _next_attempt(operation, error)
        operation.state = state
        if mine.update(state=state, claimed_until=None, **answer):
            _note_create(operation, delivery, kind, answer["error"])


def _note_create(operation: Operation, delivery: Delivery, kind: TimelineEntry.Kind | None, why: str) -> None:
    intent = operation.payment_intent
    if operation.kind != Kind.CREATE or intent is None:
        return
    PaymentIntent.objects.filter(pk=intent.pk, uid=None).update(delivery=delivery, delivery_error=why)
    if kind is not None:
        timeline.record(intent, kind, actor_id=operation.requested_by_id, reason=why)


def _next_attempt(operation: Operation, error: TrussError) -> datetime:
    doublings = min(operation.attempts - 1, 10)
    wait: timedelta = min(BACKOFF * 2**doublings, LONGEST_BACKOFF)
    return timezone.now() + max(wait, timedelta(seconds=error.retry_after or 0))


def explain(operation: Operation, error: TrussError | ActionRefusedError) -> str:
    """What happened, for people: the cause, Truss's own words, and the next step where there is one."""
    if operation.kind == Kind.CANCEL and isinstance(error, NotFoundError | MethodNotAllowedError):
        return _(
            "Truss doesn't know the address for canceling (HTTP %(status)s). Truss publishes none: ask Truss for it "
            'and set TRUSS_PORTAL["CANCEL_PATH"]; until then cancel in Truss itself.'
        ) % {"status": error.status}
    if operation.kind == Kind.RESEND_EMAIL and isinstance(error, TrussError) and error.outcome == Outcome.UNKNOWN:
        return _("%(cause)s Whether the payer got the email isn't known. It isn't sent again by itself.") % {
            "cause": error
        }
    return str(error)


# --- what was left


def push(company: Company, *, limit: int | None = None, progress: Progress = no_progress) -> Iterator[Operation]:
    """Perform what is queued and due, oldest first; yields each operation as it then is. Raises NotConnectedError."""
    due = Operation.objects.filter(company=company, state=State.QUEUED).order_by("pk")
    waiting = due.filter(Q(next_attempt_at=None) | Q(next_attempt_at__lte=timezone.now()))
    ids = list(waiting.values_list("pk", flat=True)[:limit])
    if not ids:
        return
    with connect(company) as client:
        for done, operation_id in enumerate(ids, start=1):
            yield perform(operation_id, client=client)
            progress("send", done, len(ids))


def unconfirmed(company: Company) -> QuerySet[Operation]:
    """Creates whose answer was lost."""
    return Operation.objects.filter(company=company, kind=Kind.CREATE, state=State.UNCONFIRMED)


def recover(now: datetime | None = None) -> int:
    """Take up what a process left `sending` when it died. Returns how many.

    Whether Truss got the request is not known: what is never repeated becomes unconfirmed, the others wait to be
    asked again.
    """
    now = now or timezone.now()
    left = Operation.objects.filter(state=State.SENDING, claimed_until__lt=now).select_related("payment_intent")
    count = 0
    for operation in left:
        text = _("The process that was asking Truss ended before the answer came.")
        with _invoice_locked(operation):
            mine = Operation.objects.filter(pk=operation.pk, state=State.SENDING, claimed_until=operation.claimed_until)
            if operation.kind in NEVER_REPEATED:
                taken = mine.update(state=State.UNCONFIRMED, claimed_until=None, unconfirmed_at=now, error=text)
                if taken:
                    _note_create(operation, Delivery.UNCONFIRMED, TimelineEntry.Kind.UNCONFIRMED, text)
            else:
                taken = mine.update(state=State.QUEUED, claimed_until=None, next_attempt_at=now, error=text)
        count += taken
    return count


def settle(run: SyncRun) -> int:
    """Queue again what a complete listing has shown to be absent. Returns how many creates.

    The listing must have begun after the grace period: until then Truss may still be at work on a request whose answer
    was lost. What the listing has found is settled already: `mirror` adopts it by its mark.
    """
    if not (run.kind == run.Kind.ALL and run.state == run.State.DONE and run.complete):
        return 0
    asked_before = run.started_at - timedelta(seconds=conf.unconfirmed_grace)
    waiting = unconfirmed(run.company).filter(unconfirmed_at__lt=asked_before).select_related("payment_intent")
    count = 0
    for operation in waiting:
        text = _("A complete listing shows that Truss doesn't have it: it will be sent again.")
        with _invoice_locked(operation):
            if Operation.objects.filter(pk=operation.pk, state=State.UNCONFIRMED).update(
                state=State.QUEUED, unconfirmed_at=None, next_attempt_at=None, error=text
            ):
                _note_create(operation, Delivery.QUEUED, TimelineEntry.Kind.ABSENT, text)
                count += 1
    return count
