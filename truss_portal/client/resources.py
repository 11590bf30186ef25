"""Truss's answers, parsed: everything that can be wrong with them, and no I/O.

Tolerant where Truss's own description is open: unknown statuses, types, methods and fields are kept as they came, null
is taken wherever it may be meant, an absent optional field is None. Strict where guessing would cost money: amounts
are exact decimals and uids are UUIDs, or the item is refused with the field's name.

https://docs.trusspayments.com/api-references/model/PaymentIntent
https://docs.trusspayments.com/api-references/model/PaymentIntentTransaction
https://docs.trusspayments.com/api-references/model/PaginatedPaymentIntentList
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from truss_portal.client.json_fields import SHOWN, Fields, UnreadableError, as_object, optional_uuid, shown

INBOUND: Final = 0
OUTBOUND: Final = 1


def _extra() -> Any:
    """Fields that we don't know, JSON-ready: a decimal number is kept as its exact text."""
    return field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    uid: UUID
    name: str
    email: str | None = None
    secondary_email: str | None = None
    phone: str | None = None
    extra: Mapping[str, Any] = _extra()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A payment, return or refund on an intent. `amount` is in US dollars; go by `direction`, not by the names."""

    uid: UUID
    amount: Decimal
    addenda: str | None = None
    type: str
    payment_method: str
    status: str
    direction: int
    date: datetime
    preprocessed_at: datetime | None = None
    processed_at: datetime | None = None
    posted_at: datetime | None = None
    settled_at: datetime | None = None
    returned_at: datetime | None = None
    extra: Mapping[str, Any] = _extra()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntent:
    """An invoice at Truss. Amounts are in US dollars, times are aware and in UTC."""

    uid: UUID
    total: Decimal
    balance_paid: Decimal
    addenda: str = ""
    direction: int = INBOUND
    note: str | None = None
    memo: str | None = None
    due_date: date | None = None
    contact: Contact | None = None
    status: str
    created_at: datetime | None = None
    pending_at: datetime | None = None
    paid_at: datetime | None = None
    canceled_at: datetime | None = None
    transactions: tuple[Transaction, ...] | None = None
    """None unless this is the answer to the single GET: elsewhere an empty list means nothing."""
    fetched_at: datetime
    """When we asked, before the request went out."""
    extra: Mapping[str, Any] = _extra()


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    checkout_link_id: str
    """Empty where no payment portal has been set up."""
    name: str = ""
    extra: Mapping[str, Any] = _extra()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An item of a page that couldn't be read. `uid` is what stood there, or empty."""

    uid: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a listing. `count` is Truss's own count of the whole listing at that moment."""

    payment_intents: tuple[PaymentIntent, ...]
    rejected: tuple[Rejected, ...]
    count: int
    fetched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An answer of the token endpoint. `expires_in` is in seconds; a refresh token of None means that none came."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None
    scope: str | None = None
    token_type: str = "bearer"  # noqa: S105 - not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Something happened at Truss: fetch what it is about, because a payload says little and may come late.

    https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intentupdated
    https://docs.trusspayments.com/api-references/tag/webhooks/webhook/post/payment-intenttransactionadded
    """

    event_id: UUID
    event_name: str
    event_created_at: datetime
    payment_intent_uid: UUID | None
    """None where the payload doesn't say which, as in the published examples."""
    payload: Mapping[str, Any] = field(hash=False)
    extra: Mapping[str, Any] = _extra()


def parse_page(payload: Any, *, fetched_at: datetime) -> tuple[Page, str | None]:
    """One page, and the address of the next: None when the listing is complete.

    An item that can't be read is reported in `rejected`. Raises UnreadableError when the page itself can't be read;
    a page without `next` is such a page, because the listing can't be known to be complete.
    """
    envelope = as_object(payload, "the page")
    count, items = envelope.get("count"), envelope.get("results")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise UnreadableError(f"the page: count is not a number of items: {shown(count)}")
    if not isinstance(items, list):
        raise UnreadableError(f"the page: results is not a list: {shown(items)}")
    if "next" not in envelope:
        raise UnreadableError("the page: next is missing, so nobody knows whether this is all")
    following = envelope["next"]
    if following is not None and not (isinstance(following, str) and following):
        raise UnreadableError(f"the page: next is neither an address nor null: {shown(following)}")
    intents: list[PaymentIntent] = []
    rejected: list[Rejected] = []
    for item in items:
        try:
            intents.append(parse_payment_intent(item, fetched_at=fetched_at, detailed=False))
        except UnreadableError as error:
            uid = item.get("uid") if isinstance(item, dict) else None
            rejected.append(Rejected(uid=uid[:SHOWN] if isinstance(uid, str) else "", reason=str(error)))
    return Page(payment_intents=tuple(intents), rejected=tuple(rejected), count=count, fetched_at=fetched_at), following


def parse_payment_intent(payload: Any, *, fetched_at: datetime, detailed: bool) -> PaymentIntent:
    """A payment intent. `detailed` only for the answer to the single GET, the one that fills `transactions`.

    Raises UnreadableError.
    """
    fields = Fields(payload, "payment intent")
    # https://docs.trusspayments.com/api-references/model/PaymentIntent: filled only when a single intent is retrieved.
    items = fields.take("transactions")
    if not detailed:
        items = None
    if items is not None and not isinstance(items, list):
        raise fields.error("transactions", "is not a list", items)
    contact = fields.take("contact")
    return PaymentIntent(
        uid=fields.uid,
        total=fields.amount("total"),
        balance_paid=fields.amount("balance_paid"),
        addenda=fields.optional_text("addenda") or "",
        direction=fields.integer("direction", default=INBOUND),
        note=fields.optional_text("note"),
        memo=fields.optional_text("memo"),
        due_date=fields.optional_date("due_date"),
        # A webhook's published example draws an empty object.
        contact=fields.nested("contact", parse_contact, contact) if contact not in (None, {}) else None,
        status=fields.text("status"),
        created_at=fields.optional_time("created_at"),
        pending_at=fields.optional_time("pending_at"),
        paid_at=fields.optional_time("paid_at"),
        canceled_at=fields.optional_time("canceled_at"),
        transactions=None
        if items is None
        else tuple(
            fields.nested(f"transactions[{index}]", parse_transaction, item) for index, item in enumerate(items)
        ),
        fetched_at=fetched_at,
        extra=fields.rest(),
    )


def parse_transaction(payload: Any) -> Transaction:
    """A transaction of an intent. Raises UnreadableError.

    https://docs.trusspayments.com/api-references/model/PaymentIntentTransaction
    """
    fields = Fields(payload, "transaction")
    return Transaction(
        uid=fields.uid,
        amount=fields.amount("amount"),
        addenda=fields.optional_text("addenda"),
        type=fields.text("type"),
        payment_method=fields.text("payment_method"),
        status=fields.text("status"),
        direction=fields.integer("direction"),
        date=fields.time("date"),
        preprocessed_at=fields.optional_time("preprocessed_at"),
        processed_at=fields.optional_time("processed_at"),
        posted_at=fields.optional_time("posted_at"),
        settled_at=fields.optional_time("settled_at"),
        returned_at=fields.optional_time("returned_at"),
        extra=fields.rest(),
    )


def parse_contact(payload: Any) -> Contact:
    """A customer. Raises UnreadableError."""
    fields = Fields(payload, "contact")
    return Contact(
        uid=fields.uid,
        name=fields.optional_text("name") or "",
        email=fields.optional_text("email"),
        secondary_email=fields.optional_text("secondary_email"),
        phone=fields.optional_text("phone"),
        extra=fields.rest(),
    )


def parse_company(payload: Any) -> Company:
    """The connected company; null, empty and absent mean alike that it has no payment portal. Raises UnreadableError.

    https://docs.trusspayments.com/guides/partner-payment-portal
    """
    fields = Fields(payload, "company", identified=False)
    name = fields.take("name")  # not published: taken where it is text
    return Company(
        checkout_link_id=fields.optional_text("checkout_link_id") or "",
        name=name if isinstance(name, str) else "",
        extra=fields.rest(),
    )


def parse_event(payload: Any) -> WebhookEvent:
    """The body of a webhook. Raises UnreadableError."""
    fields = Fields(payload, "the event", identified=False)
    about = fields.object("event_payload")
    return WebhookEvent(
        event_id=fields.uuid("event_id"),
        event_name=fields.text("event_name"),
        event_created_at=fields.time("event_created_at"),
        payment_intent_uid=optional_uuid(about.get("uid")),
        payload=about,
        extra=fields.rest(),
    )


def parse_token(payload: Any) -> Token:
    """An answer of the token endpoint. Raises UnreadableError, which never shows a token.

    https://docs.trusspayments.com/api-references/tag/authentication/post/v1/oauth2/token
    """
    answer = as_object(payload, "the token")

    def text(name: str) -> str | None:
        value = answer.get(name)
        if value is not None and not isinstance(value, str):
            raise UnreadableError(f"the token: {name} is not text")
        return value or None

    access_token, expires_in = text("access_token"), answer.get("expires_in")
    if access_token is None:
        raise UnreadableError("the token: access_token is missing")
    if isinstance(expires_in, str) and re.fullmatch(r"[0-9]{1,9}", expires_in):
        expires_in = int(expires_in)
    return Token(
        access_token=access_token,
        refresh_token=text("refresh_token"),
        # Without a usable lifetime the caller renews when the token is refused.
        expires_in=expires_in if isinstance(expires_in, int) and not isinstance(expires_in, bool) else None,
        scope=text("scope"),
        token_type=text("token_type") or "bearer",
    )
