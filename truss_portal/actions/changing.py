"""Change what is at Truss: amend, resend the email, cancel, change a payer; each with why it can't be done."""

from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import contacts, outbox, plain_words
from truss_portal import memo as memo_marks
from truss_portal.client import UNSET, InvalidRequestError, Unset
from truss_portal.conf import conf
from truss_portal.database import write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Contact, Operation, PaymentIntent

from .drafting import memo_errors, money, validate
from .recording import Actor, lock, new_operation, pk_of, record, under_way, wake

Kind = Operation.Kind
Status = PaymentIntent.Status

# What Truss says can't change once an intent is paid or canceled.
# https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/patch/v1/payment-intents/inbound/uid
FIXED_WHEN_CLOSED: Final = {
    "addenda": gettext_lazy("description"),
    "note": gettext_lazy("note"),
    "total": gettext_lazy("amount"),
}
LEAST_LEFT: Final = Decimal("1.00")


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
        changes["total"] = money(total)
    with write_transaction():
        lock(intent)
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
        errors = memo_errors(intent, changes["memo"]) if "memo" in changes else []
        body = _amendment(intent, changes)
        errors += [e for e in outbox.update_request(body).errors(outbox.today()) if not (errors and e.field == "memo")]
        if errors:
            raise InvalidRequestError(errors)
        operation = record(new_operation(intent, Kind.AMEND, actor, body))
        wake(operation, intent)
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
            "as Truss wants at least $1.00 left to pay."
        ) % {
            "paid": plain_words.money(intent.balance_paid),
            "invoice": intent,
            "least": plain_words.money(intent.balance_paid + LEAST_LEFT),
        }
    return None


def why_not_resendable(intent: PaymentIntent) -> str | None:
    """Why Truss wouldn't email the payer again; None when it would, as far as is known.

    https://articles.trusspayments.com/en/articles/8008311-how-can-i-send-a-payment-reminder: an invoice that is unpaid
    or partially paid.
    """
    if intent.status in Status.FINAL:
        return _("Invoice %(invoice)s is %(status)s: Truss sends no more email about it.") % {
            "invoice": intent,
            "status": intent.status_label.lower(),
        }
    elsewhere = why_not_at_truss(intent)
    if elsewhere:
        return elsewhere
    if intent.contact is None or not intent.contact.email:
        return _("The payer of invoice %(invoice)s has no email: there is nobody to write to.") % {"invoice": intent}
    if intent.status not in Status.PAYABLE:
        return _("Invoice %(invoice)s is “%(status)s”: Truss emails only about unpaid and partially paid ones.") % {
            "invoice": intent,
            "status": intent.status_label,
        }
    return None


def lost_emails(intents: Collection[PaymentIntent]) -> dict[int, str]:
    """Of these invoices those whose last email may have gone out, as nobody knows; with what to do, for people.

    Nothing tells whether it did: another one could be the payer's second.
    """
    lost = Operation.objects.filter(
        payment_intent__in=[intent.pk for intent in intents],
        kind=Kind.RESEND_EMAIL,
        state=Operation.State.UNCONFIRMED,
        needs_person=True,
    )
    text = _("The last email may have reached the payer, as Truss's answer was lost. Ask the payer; then say that you "
             "have seen to it, or try again, under “Requests to Truss”.")  # fmt: skip
    return dict.fromkeys(lost.order_by().values_list("payment_intent_id", flat=True), text)


def resend_email(intent: PaymentIntent, *, actor: Actor = None) -> Operation:
    """Let Truss email the payer again. Asked twice before it is done, it is done once.

    Where nobody knows whether the last email went out, a person decides about that first: see `lost_emails`.
    """

    def why_not(intent: PaymentIntent) -> str | None:
        return why_not_resendable(intent) or lost_emails([intent]).get(intent.pk)

    return _change_at_truss(intent, Kind.RESEND_EMAIL, why_not, {"resend_email": True}, actor)


def why_not_refreshable(intent: PaymentIntent) -> str | None:
    """Why there is nothing to look at; None when there is."""
    return None if intent.uid else _("Not sent to Truss yet: there is nothing to look at.")


def why_not_cancelable(intent: PaymentIntent) -> str | None:
    """Why Truss wouldn't cancel it; None when it would, as far as is known.

    https://articles.trusspayments.com/en/articles/9648844-how-do-i-cancel-an-invoice: only while it is unpaid and no
    payment has started.
    """
    if intent.status == Status.CANCELED:
        return _("Invoice %(invoice)s is canceled already.") % {"invoice": intent}
    if intent.uid and (intent.status != Status.PENDING or intent.balance_paid or intent.transactions.all()):
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
        asked = {"kind": Kind.UPDATE_CONTACT, "body": body, "requested_by_id": pk_of(actor)}
        operation = record(Operation(company_id=contact.company_id, contact=contact, **asked))
        wake(operation, contact)
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


def _change_at_truss(
    intent: PaymentIntent,
    kind: Kind,
    why_not: Callable[[PaymentIntent], str | None],
    body: dict[str, Any],
    actor: Actor,
) -> Operation:
    with write_transaction():
        lock(intent)
        operation = under_way(intent, kind)
        if operation is None:
            refusal = why_not(intent)
            if refusal:
                raise ActionRefusedError(refusal)
            operation = record(new_operation(intent, kind, actor, body))
        wake(operation, intent)
    return operation


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
