"""Ask for a change: each thing that the app can do is named here once, and every door only translates into it.

An action checks what can be checked without the network and raises, before anything is recorded, when Truss would
refuse: `InvalidRequestError` for a published rule, `ActionRefusedError` for what this invoice doesn't allow as it
stands. Then it records the wish in a row and lets the outbox carry it out once the surrounding transaction is
committed. What Truss answers is written on the rows; no action raises for it.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from truss_portal import contacts, outbox, timeline
from truss_portal import memo as memo_marks
from truss_portal.client import UNSET, FieldError, InvalidRequestError, Unset
from truss_portal.conf import conf
from truss_portal.connection import default_company
from truss_portal.database import alias, retried, write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Company, Contact, Operation, PaymentIntent, TimelineEntry

Kind = Operation.Kind
Delivery = PaymentIntent.Delivery
Status = PaymentIntent.Status

# What Truss says can't change once an intent is paid or canceled.
# https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/patch/v1/payment-intents/inbound/uid
FIXED_WHEN_CLOSED: Final = {"addenda": _lazy("description"), "note": _lazy("note"), "total": _lazy("amount")}
LEAST_LEFT: Final = Decimal("1.00")
CENT: Final = Decimal("0.01")
WRITTEN_BY_PEOPLE: Final = (
    "contact", "reference", "total", "addenda", "due_date", "note", "memo", "send_email", "send_sms",
)  # fmt: skip

Actor = AbstractBaseUser | None


def draft(
    *,
    contact: Contact | Mapping[str, Any],
    total: Decimal | str,
    addenda: str,
    due_date: date | None = None,
    note: str = "",
    memo: str = "",
    reference: str | None = None,
    send_email: bool = False,
    send_sms: bool = False,
    company: Company | None = None,
    actor: Actor = None,
) -> PaymentIntent:
    """Write an invoice, to be sent later. The same `reference` always gives the same row.

    A row that isn't sent yet is brought up to date with what is given here; one that is on its way or at Truss is
    returned as it is (change it with `amend`). `total` is in US dollars. `contact` is a Contact, or a mapping with
    `uid`, or with `name` and `email` and perhaps `secondary_email` and `phone`.
    """
    owner = company or default_company()

    def work() -> PaymentIntent:
        intent = PaymentIntent(company=owner)
        if reference:
            intent = (
                PaymentIntent.objects.select_for_update().filter(company=owner, reference=reference).first() or intent
            )
            if not intent.is_editable:
                return intent
        intent.contact = contacts.row_for(owner, contact)
        intent.reference = reference or None
        intent.total, intent.addenda, intent.due_date = _money(total), addenda, due_date
        intent.note, intent.memo = note, memo
        intent.send_email, intent.send_sms = send_email, send_sms
        save_draft(intent, actor=actor)
        return intent

    # Again where another process has written the same reference meanwhile: then it is found.
    return retried(work)


def save_draft(intent: PaymentIntent, *, actor: Actor = None) -> None:
    """Write an invoice that was filled in elsewhere, such as in a form; of one that exists, what may be written only.

    Raises ActionRefusedError when it was sent in the meantime, InvalidRequestError when Truss would refuse it.
    """
    with write_transaction():
        validate(intent)
        if intent._state.adding:
            intent.save()
            timeline.record(intent, TimelineEntry.Kind.DRAFTED, actor_id=_pk(actor), total=intent.total)
            return
        if not PaymentIntent.objects.select_for_update().get(pk=intent.pk).is_editable:
            raise ActionRefusedError(
                _("Invoice %(invoice)s has been sent in the meantime: it can't be rewritten.") % {"invoice": intent}
            )
        intent.save(update_fields=WRITTEN_BY_PEOPLE)


def validate(intent: PaymentIntent) -> None:
    """Raises InvalidRequestError when Truss would refuse this invoice by one of its published rules."""
    errors = list(outbox.create_request(intent).errors(outbox.today()))
    errors = [error for error in errors if error.field != "memo"] + _memo_errors(intent, intent.memo)
    if errors:
        raise InvalidRequestError(errors)


def why_not_sendable(intent: PaymentIntent) -> str | None:
    """Why `send` would refuse this invoice, for people; None when it wouldn't."""
    if intent.discovered:
        return _("Invoice %(invoice)s was made at Truss: there is nothing to send.") % {"invoice": intent}
    return contacts.same_name_trap(intent.contact) if intent.contact else None


def send(intent: PaymentIntent, *, actor: Actor = None, wait: bool = True) -> Operation:
    """Create the invoice at Truss. One that is on its way, unconfirmed or there already is not sent again.

    Returns the operation that stands for it; `intent` is up to date when the outbox has run. Without `wait` the wish
    is only recorded, and the next `truss_push` sends it.
    """
    with write_transaction():
        _lock(intent)
        operation = Operation.objects.filter(payment_intent=intent, kind=Kind.CREATE).order_by("-pk").first()
        if operation is None or intent.is_editable:
            refusal = why_not_sendable(intent)
            if refusal:
                raise ActionRefusedError(refusal)
            validate(intent)
            operation = _record(intent, Kind.CREATE, actor)
            intent.delivery, intent.delivery_error = Delivery.QUEUED, ""
            intent.save(update_fields=["delivery", "delivery_error"])
            timeline.record(intent, TimelineEntry.Kind.QUEUED, actor_id=_pk(actor), total=intent.total)
        if wait:
            _wake(operation, intent)
    return operation


def amend(
    intent: PaymentIntent,
    *,
    total: Decimal | str | Unset = UNSET,
    addenda: str | Unset = UNSET,
    due_date: date | Unset | None = UNSET,
    note: str | Unset = UNSET,
    memo: str | Unset = UNSET,
    actor: Actor = None,
) -> Operation | None:
    """Change an invoice: at Truss when it is there, here when it isn't sent yet (then no operation is returned).

    Only what is given is changed. Once an invoice is paid or canceled Truss doesn't change its `addenda`, `note` and
    `total` any more; after a new `total` it wants at least 1.00 left to pay.
    """
    given = {"total": total, "addenda": addenda, "due_date": due_date, "note": note, "memo": memo}
    changes: dict[str, Any] = {name: value for name, value in given.items() if not isinstance(value, Unset)}
    if not isinstance(total, Unset):
        changes["total"] = _money(total)
    with write_transaction():
        _lock(intent)
        changes = {name: value for name, value in changes.items() if value != getattr(intent, name)}
        if not changes:
            raise ActionRefusedError(_("Nothing in invoice %(invoice)s would change.") % {"invoice": intent})
        if intent.is_editable:
            for name, value in changes.items():
                setattr(intent, name, value)
            validate(intent)
            intent.save(update_fields=list(changes))
            return None
        refusal = why_not_at_truss(intent) or why_not_amendable(intent, changes)
        if refusal:
            raise ActionRefusedError(refusal)
        errors = _memo_errors(intent, changes["memo"]) if "memo" in changes else []
        body = _amendment(intent, changes)
        errors += [e for e in outbox.update_request(body).errors(outbox.today()) if not (errors and e.field == "memo")]
        if errors:
            raise InvalidRequestError(errors)
        operation = _record(intent, Kind.AMEND, actor, body)
        _wake(operation, intent)
    return operation


def why_not_amendable(intent: PaymentIntent, changes: Mapping[str, Any]) -> str | None:
    """Why Truss wouldn't take these changes as the invoice stands; None when it would, as far as is published."""
    fixed = sorted(FIXED_WHEN_CLOSED.keys() & changes.keys())
    if fixed and intent.status in Status.FINAL:
        return _("Invoice %(invoice)s is %(status)s: its %(fields)s can't be changed any more.") % {
            "invoice": intent,
            "status": intent.status_label.lower(),
            "fields": ", ".join(str(FIXED_WHEN_CLOSED[name]) for name in fixed),
        }
    if "total" in changes and changes["total"] - intent.balance_paid < LEAST_LEFT:
        return _(
            "%(paid)s of invoice %(invoice)s is already paid: the new amount must be at least %(least)s, "
            "as Truss wants at least 1.00 left to pay."
        ) % {"paid": intent.balance_paid, "invoice": intent, "least": intent.balance_paid + LEAST_LEFT}
    return None


def why_not_resendable(intent: PaymentIntent) -> str | None:
    """Why Truss wouldn't email the payer again; None when it would."""
    if intent.status in Status.FINAL:
        return _("Invoice %(invoice)s is %(status)s: Truss sends no more email about it.") % {
            "invoice": intent,
            "status": intent.status_label.lower(),
        }
    return why_not_at_truss(intent)


def resend_email(intent: PaymentIntent, *, actor: Actor = None) -> Operation:
    """Let Truss email the payer again."""
    return _change_at_truss(intent, Kind.RESEND_EMAIL, why_not_resendable, {"resend_email": True}, actor)


def why_not_cancelable(intent: PaymentIntent) -> str | None:
    """Why Truss wouldn't cancel it; None when it would, as far as is known.

    https://articles.trusspayments.com/en/articles/9648844-how-do-i-cancel-an-invoice: only while it is unpaid and no
    payment has started.
    """
    if intent.status == Status.CANCELED:
        return _("Invoice %(invoice)s is canceled already.") % {"invoice": intent}
    if intent.uid and (intent.status != Status.PENDING or intent.balance_paid or intent.transactions.exists()):
        return _("Invoice %(invoice)s has a payment, or isn't unpaid: Truss cancels only unpaid invoices.") % {
            "invoice": intent
        }
    if not conf.cancel_path:
        return _(
            'Canceling is switched off (TRUSS_PORTAL["CANCEL_PATH"]): cancel invoice %(invoice)s in Truss itself.'
        ) % {"invoice": intent}
    return why_not_at_truss(intent)


def cancel(intent: PaymentIntent, *, actor: Actor = None) -> Operation:
    """Cancel the invoice at Truss. It can't be undone."""
    return _change_at_truss(intent, Kind.CANCEL, why_not_cancelable, {}, actor)


def update_contact(
    contact: Contact,
    *,
    name: str | Unset = UNSET,
    email: str | Unset = UNSET,
    secondary_email: str | Unset | None = UNSET,
    phone: str | Unset | None = UNSET,
    actor: Actor = None,
) -> Operation | None:
    """Change a payer: at Truss when Truss has them, else here (then no operation is returned).

    Who can open the invoices changes with the email: the payer signs in to the portal with it.
    """
    given = {"name": name, "email": email, "secondary_email": secondary_email or None, "phone": phone or None}
    left_out = {key for key, value in (("secondary_email", secondary_email), ("phone", phone)) if value is UNSET}
    body: dict[str, Any] = {
        key: value for key, value in given.items() if not (key in left_out or isinstance(value, Unset))
    }
    with write_transaction():
        # As it is now: Truss may have got to know the payer since the caller's object was read.
        contact.refresh_from_db(from_queryset=Contact.objects.select_for_update())
        errors = contacts.broken_rules(contact, body, outbox.today())
        if errors:
            raise InvalidRequestError(errors)
        if contact.uid is None:
            for key, value in body.items():
                setattr(contact, key, value or "")
            contact.save(update_fields=list(body))
            return None
        operation = Operation.objects.create(
            company=contact.company,
            contact=contact,
            kind=Kind.UPDATE_CONTACT,
            body=body,
            requested_by_id=_pk(actor),
        )
        _wake(operation, contact)
    return operation


def why_not_at_truss(intent: PaymentIntent) -> str | None:
    """Why nothing can be asked of Truss about this invoice yet; None when it is there."""
    if intent.missing_since:
        return _("Invoice %(invoice)s is no longer found at Truss.") % {"invoice": intent}
    if intent.uid is None:
        return _("Invoice %(invoice)s isn't at Truss (%(delivery)s): send it first.") % {
            "invoice": intent,
            "delivery": intent.get_delivery_display().lower(),
        }
    return None


# --- what the verbs share


def _change_at_truss(intent: PaymentIntent, kind: Kind, why_not: Any, body: dict[str, Any], actor: Actor) -> Operation:
    with write_transaction():
        _lock(intent)
        refusal = why_not(intent)
        if refusal:
            raise ActionRefusedError(refusal)
        operation = _record(intent, kind, actor, body)
        _wake(operation, intent)
    return operation


def _lock(intent: PaymentIntent) -> None:
    """Bring `intent` up to date and keep others from changing it until the transaction ends."""
    intent.refresh_from_db(from_queryset=PaymentIntent.objects.select_for_update())


def _record(intent: PaymentIntent, kind: Kind, actor: Actor, body: dict[str, Any] | None = None) -> Operation:
    return Operation.objects.create(
        company=intent.company,
        payment_intent=intent,
        kind=kind,
        body=body or {},
        open_create_of=intent if kind == Kind.CREATE else None,
        requested_by_id=_pk(actor),
    )


def _wake(operation: Operation, subject: PaymentIntent | Contact) -> None:
    """Carry it out after the commit; then show the caller's objects what came of it."""

    def work() -> None:
        if not Operation.objects.filter(pk=operation.pk).exists():
            return  # whoever asked for it has deleted the invoice in the same transaction
        outbox.perform(operation.pk)
        operation.refresh_from_db()
        subject.refresh_from_db()

    transaction.on_commit(work, using=alias())


def _pk(actor: Actor) -> Any:
    return actor.pk if actor is not None else None


def _money(value: Decimal | str) -> Decimal:
    try:
        amount = Decimal(value)
        if amount.is_finite():
            cents = amount.quantize(CENT)
            return cents if cents == amount else amount
    except (ArithmeticError, TypeError, ValueError):
        pass
    raise InvalidRequestError([FieldError.of("total", _("must be an amount such as 120.00"), value)])


def _memo_errors(intent: PaymentIntent, memo: str) -> list[FieldError]:
    """Our own mark needs a place in the 500 characters of an invoice that is ours."""
    limit = memo_marks.TRUSS_MAX if intent.discovered else memo_marks.MAX_LENGTH
    if len(memo) <= limit:
        return []
    return [FieldError.of("memo", _("must have at most %(limit)d characters") % {"limit": limit}, memo)]


def _amendment(intent: PaymentIntent, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as Truss takes them, ready for JSON."""
    body = dict(changes)
    if "total" in body:
        body["total"] = str(body["total"])
    if body.get("due_date"):
        body["due_date"] = body["due_date"].isoformat()
    if "note" in body:
        body["note"] = body["note"] or None
    if "memo" in body:
        body["memo"] = (
            (body["memo"] or None) if intent.discovered else memo_marks.join(body["memo"], intent.memo_reference)
        )
    return body
