"""The verbs: what can happen to an intent, a contact or a transaction, and when Truss refuses it.

Every verb opens its own database transaction and first counts up the company's `revision`. That one statement takes the
write lock on any database, so all writes for a company queue up behind it and what is read afterwards can't go stale.

The rules are those of https://docs.trusspayments.com/guides/resources/payment-intents and of the reference's pages.
"""

import contextlib
import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from truss_portal.sandbox import mailbox, webhooks
from truss_portal.sandbox.models import PAYABLE, Company, Contact, PaymentIntent, Transaction, name_digest

LOWEST_TOTAL = Decimal("1.00")

CheckoutUrl = Callable[[uuid.UUID], str]


class RefusedError(ValueError):
    """Truss doesn't do this. `errors` says why, by field."""

    def __init__(self, **errors: str) -> None:
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in errors.items()))
        self.errors = {field: [reason] for field, reason in errors.items()}


@contextlib.contextmanager
def writing(company: Company) -> Iterator[None]:
    with transaction.atomic(using=router.db_for_write(Company)):
        Company.objects.filter(pk=company.pk).update(revision=F("revision") + 1)
        yield


def today() -> dt.date:
    return timezone.localdate()


def create_payment_intent(company: Company, data: Mapping[str, Any], checkout_url: CheckoutUrl) -> PaymentIntent:
    """Two equal creates make two intents: Truss publishes no idempotency."""
    if not company.checkout_link_id:
        raise RefusedError(non_field_errors="The company has not set up its payment portal link.")
    _check_due_date(data)
    now = timezone.now()
    with writing(company):
        intent = PaymentIntent.objects.create(
            company=company,
            created_at=now,
            pending_at=now,
            contact=_matched_contact(company, data["contact"]),
            **{field: data[field] for field in ("addenda", "total", "due_date", "memo", "note") if field in data},
        )
        mailbox.notify(
            intent, checkout_url(intent.uid), email=data.get("send_email", False), sms=data.get("send_sms", False)
        )
    return intent


def update_payment_intent(
    company: Company, uid: uuid.UUID, data: Mapping[str, Any], checkout_url: CheckoutUrl
) -> PaymentIntent:
    _check_due_date(data)
    with writing(company):
        intent = _intent(company, uid)
        closed = intent.status in {"Paid", "Canceled"}
        refused = [field for field in ("addenda", "note", "total") if field in data and closed]
        if closed and data.get("resend_email"):
            refused.append("resend_email")
        if refused:
            raise RefusedError(**dict.fromkeys(refused, f"Not possible once the payment intent is {intent.status}."))
        if "total" in data and data["total"] - intent.balance_paid < LOWEST_TOTAL:
            raise RefusedError(total="The remaining balance must be at least 1.00.")
        changes = {field: data[field] for field in ("addenda", "note", "memo", "due_date", "total") if field in data}
        for field, value in changes.items():
            setattr(intent, field, value)
        intent.save()
        if data.get("resend_email"):
            mailbox.notify(intent, checkout_url(intent.uid), email=True, sms=False)
        if changes:
            webhooks.payment_intent_updated(intent)
    return intent


def cancel_payment_intent(company: Company, uid: uuid.UUID) -> PaymentIntent:
    """Published for the dashboard only, and taken to hold here: unpaid, with no payment under way.

    https://articles.trusspayments.com/en/articles/9648844-how-do-i-cancel-an-invoice
    """
    with writing(company):
        intent = _intent(company, uid)
        if intent.status != "Pending" or intent.transactions.exists():
            raise RefusedError(
                non_field_errors=f"This payment intent is {intent.status}. Only one that is Pending and has no "
                "transactions can be canceled."
            )
        intent.status = "Canceled"
        intent.canceled_at = timezone.now()
        intent.save()
        webhooks.payment_intent_updated(intent)
    return intent


def update_contact(company: Company, uid: uuid.UUID, data: Mapping[str, Any]) -> Contact:
    with writing(company):
        contact = Contact.objects.get(company=company, uid=uid)
        _change_contact(contact, data)
    return contact


def pay(intent: PaymentIntent, amount: Decimal, payment_method: str, *, email: str = "") -> Transaction:
    """Somebody's payment: it counts at once and settles later.

    A payer with an `email`, at the portal, can't pay more than is left; a test or a demo can.
    """
    with writing(intent.company):
        intent = PaymentIntent.objects.select_related("company").get(pk=intent.pk)
        if intent.status not in PAYABLE:
            raise RefusedError(non_field_errors=f"This invoice is {intent.status} and can't be paid.")
        if email and amount > intent.remaining:
            raise RefusedError(amount=f"Only ${intent.remaining:,.2f} is left to pay.")
        now = timezone.now()
        payment = Transaction.objects.create(
            company=intent.company,
            payment_intent=intent,
            amount=amount,
            addenda=intent.addenda,
            payment_method=payment_method,
            date=now,
            preprocessed_at=now,
            payer_email=email,
        )
        recompute(intent)
        _tell(intent, payment)
    return payment


def pay_custom(company: Company, amount: Decimal, payment_method: str, addenda: str, *, email: str) -> Transaction:
    """Any amount, tied to no invoice."""
    with writing(company):
        now = timezone.now()
        return Transaction.objects.create(
            company=company,
            amount=amount,
            addenda=addenda,
            payment_method=payment_method,
            date=now,
            preprocessed_at=now,
            payer_email=email,
        )


def settle(payment: Transaction) -> Transaction:
    """The money has arrived and cleared."""
    with writing(payment.company):
        payment = _payment(payment.pk)
        if payment.direction != 0 or payment.settled_at or payment.returned_at:
            raise RefusedError(non_field_errors=f"A transaction that is a {payment.status} can't settle.")
        payment.status = "ProcessedCredit"
        payment.processed_at = payment.posted_at = payment.settled_at = timezone.now()
        payment.save()
    return payment


def return_transaction(payment: Transaction) -> Transaction:
    """The bank takes the money back: the answer is the reversing entry."""
    with writing(payment.company):
        payment = _payment(payment.pk)
        if payment.direction != 0 or payment.returned_at:
            raise RefusedError(non_field_errors=f"A transaction that is a {payment.status} can't be returned.")
        now = timezone.now()
        payment.status = "ReturnedTransaction"
        payment.returned_at = now
        payment.save()
        reversal = Transaction.objects.create(
            company=payment.company,
            payment_intent=payment.payment_intent,
            amount=payment.amount,
            addenda=payment.addenda,
            payment_method=payment.payment_method,
            status="ReturnTransaction",
            direction=1,
            date=now,
            preprocessed_at=now,
            processed_at=now,
        )
        if payment.payment_intent:
            recompute(payment.payment_intent)
            _tell(payment.payment_intent, reversal)
    return reversal


def recompute(intent: PaymentIntent) -> None:
    """Balance and status, from the transactions. Sums are made here because SQLite would make them with floats."""
    balance = Decimal("0.00")
    for amount, direction in intent.transactions.values_list("amount", "direction"):
        balance += amount if direction == 0 else -amount
    intent.balance_paid = balance
    if intent.status != "Canceled":
        intent.status = status_for(intent.total, balance)
    if intent.status != "Paid":
        intent.paid_at = None
    elif intent.paid_at is None:
        intent.paid_at = timezone.now()
    intent.save()


def status_for(total: Decimal, balance_paid: Decimal) -> str:
    """By the letter of the guide: an overpaid intent's balance differs from its total, so it is `PartiallyPaid`."""
    if balance_paid <= 0:
        return "Pending"
    return "Paid" if balance_paid == total else "PartiallyPaid"


def _tell(intent: PaymentIntent, payment: Transaction) -> None:
    webhooks.transactions_added(intent.company, [payment])
    webhooks.payment_intent_updated(intent)


def _intent(company: Company, uid: uuid.UUID) -> PaymentIntent:
    return PaymentIntent.objects.select_related("contact", "company").get(company=company, uid=uid)


def _payment(pk: int) -> Transaction:
    return Transaction.objects.select_related("company", "payment_intent").get(pk=pk)


def _check_due_date(data: Mapping[str, Any]) -> None:
    due_date = data.get("due_date")
    if due_date is not None and due_date <= today():
        raise RefusedError(due_date="The due date must be in the future.")


def _matched_contact(company: Company, data: Mapping[str, Any]) -> Contact:
    """The customer of that uid, else the one of that name, updated with whatever else was sent; else a new one."""
    contacts = Contact.objects.filter(company=company)
    if "uid" in data:
        contact = contacts.filter(uid=data["uid"]).first()
        if contact is None:
            raise RefusedError(contact="There is no customer with this uid.")
    else:
        contact = contacts.filter(name_digest=name_digest(data["name"])).first() or Contact(company=company)
    _change_contact(contact, {field: value for field, value in data.items() if field != "uid"})
    return contact


def _change_contact(contact: Contact, data: Mapping[str, Any]) -> None:
    for field, value in data.items():
        setattr(contact, field, value)
    if contact.email and contact.email.casefold() == contact.secondary_email.casefold():
        raise RefusedError(secondary_email="Must differ from email.")
    contact.name_digest = name_digest(contact.name)
    namesakes = Contact.objects.filter(company=contact.company, name_digest=contact.name_digest)
    if namesakes.exclude(pk=contact.pk).exists():
        raise RefusedError(name="Another customer has this name.")
    contact.save()
