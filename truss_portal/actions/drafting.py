"""Write an invoice, and rewrite it while it is ours alone. Asks nobody."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _

from truss_portal import contacts, outbox, timeline
from truss_portal import memo as memo_marks
from truss_portal.client import FieldError, InvalidRequestError
from truss_portal.connection import default_company
from truss_portal.database import retried, write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Company, Contact, PaymentIntent, TimelineEntry

from .recording import Actor, pk_of

CENT: Final = Decimal("0.01")
WRITTEN_BY_PEOPLE: Final = (
    "contact", "reference", "total", "addenda", "due_date", "note", "memo", "send_email", "send_sms",
)  # fmt: skip


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
        intent.total, intent.addenda, intent.due_date = money(total), addenda, due_date
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
            timeline.record(intent, TimelineEntry.Kind.DRAFTED, actor_id=pk_of(actor), total=intent.total)
            return
        if not PaymentIntent.objects.select_for_update().get(pk=intent.pk).is_editable:
            raise ActionRefusedError(
                _("Invoice %(invoice)s has been sent in the meantime: it can't be rewritten.") % {"invoice": intent}
            )
        intent.save(update_fields=WRITTEN_BY_PEOPLE)


def validate(intent: PaymentIntent) -> None:
    """Raises InvalidRequestError when Truss would refuse this invoice by one of its published rules."""
    errors = list(outbox.create_request(intent).errors(outbox.today()))
    errors = [error for error in errors if error.field != "memo"] + memo_errors(intent, intent.memo)
    if errors:
        raise InvalidRequestError(errors)


def money(value: Decimal | str) -> Decimal:
    try:
        amount = Decimal(value)
        if amount.is_finite():
            cents = amount.quantize(CENT)
            return cents if cents == amount else amount
    except (ArithmeticError, TypeError, ValueError):
        pass
    raise InvalidRequestError([FieldError.of("total", _("must be an amount such as 120.00"), value)])


def memo_errors(intent: PaymentIntent, memo: str) -> list[FieldError]:
    """Our own mark needs a place in the 500 characters of an invoice that is ours."""
    limit = memo_marks.TRUSS_MAX if intent.discovered else memo_marks.MAX_LENGTH
    if len(memo) <= limit:
        return []
    return [FieldError.of("memo", _("must have at most %(limit)d characters") % {"limit": limit}, memo)]
