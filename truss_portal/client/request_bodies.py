"""What we send to Truss, checked strictly by the published rules before anything touches the network. No I/O.

Each request collects all its errors at once: `errors(today)` lists them, `validate(today)` raises InvalidRequestError,
`payload()` is the JSON-ready body of a valid request. A field that is UNSET is left out; None is sent as null, where
null is published.
"""

import abc
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from truss_portal.client import field_rules
from truss_portal.client.exceptions import FieldError, InvalidRequestError

# https://docs.trusspayments.com/api-references/model/CreateInboundPaymentIntentRequest
ADDENDA_MAX: Final = 80
MEMO_MAX: Final = 500
NOTE_MAX: Final = 500
MINIMUM_TOTAL: Final = Decimal("1.00")
# https://docs.trusspayments.com/api-references/model/CreateOrUpdateContactRequest
PHONE_MAX: Final = 11
# https://docs.trusspayments.com/api-references/tag/contacts/patch/v1/contacts/uid/
NAME_MAX: Final = 60

_PHONE = re.compile(rf"[0-9]{{1,{PHONE_MAX}}}")
# The published pattern, ^-?\d{0,12}(?:\.\d{0,2})?$, without what its minimum of 1.00 rules out.
_TOTAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,2})?")
_WRITABLE: Final = 50


class Unset(enum.Enum):
    """The type of UNSET."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return self.name

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET
"""A field that is left out of the request, and so stays at Truss as it is."""

_Unset = Literal[Unset.UNSET]


class _Request(abc.ABC):
    __slots__ = ()

    def errors(self, today: date) -> tuple[FieldError, ...]:
        """Every broken rule. `today` is the sender's own date: a due date must be later."""
        return tuple(self._problems(today))

    def validate(self, today: date) -> None:
        """Raises InvalidRequestError with all the errors."""
        if errors := self.errors(today):
            raise InvalidRequestError(errors)

    @abc.abstractmethod
    def payload(self) -> dict[str, Any]:
        """The JSON-ready body. Only of a valid request."""

    @abc.abstractmethod
    def _problems(self, today: date) -> Iterator[FieldError]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrUpdateContactRequest(_Request):
    """The payer of a new intent: by `uid`, or by `name` and `email`.

    Whatever is sent along also updates the customer at Truss. Without a uid the name alone decides who that is, so two
    customers of one name overwrite each other: send the uid as soon as it is known.

    https://docs.trusspayments.com/api-references/model/CreateOrUpdateContactRequest
    """

    uid: UUID | None = None
    name: str | None = None
    email: str | None = None
    secondary_email: str | _Unset | None = UNSET
    phone: str | _Unset | None = UNSET

    def payload(self) -> dict[str, Any]:
        required = {"uid": None if self.uid is None else str(self.uid), "name": self.name, "email": self.email}
        return {name: value for name, value in required.items() if value is not None} | _given(
            secondary_email=self.secondary_email, phone=self.phone
        )

    def _problems(self, today: date) -> Iterator[FieldError]:
        yield from _uuid("uid", self.uid)
        if self.name is not None:
            yield from field_rules.line("name", self.name)
        elif self.uid is None:
            yield FieldError("name", "is required for a contact without a uid")
        if self.email is not None:
            yield from field_rules.email("email", self.email)
        elif self.uid is None:
            yield FieldError("email", "is required for a contact without a uid")
        yield from _reachable(self.email, self.secondary_email, self.phone)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInboundPaymentIntentRequest(_Request):
    """A new invoice. `total` is in US dollars; `memo` is private, `note` is shown to the payer.

    Truss's defaults for the two notifications aren't published, so both are always said. null isn't published for memo
    and note here, so an empty one is left out.

    https://docs.trusspayments.com/api-references/model/CreateInboundPaymentIntentRequest
    """

    addenda: str
    total: Decimal | str
    contact: CreateOrUpdateContactRequest
    due_date: date | None = None
    memo: str = ""
    note: str = ""
    send_email: bool = False
    send_sms: bool = False

    def payload(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "addenda": self.addenda,
            "total": _decimal_string(self.total),
            "contact": self.contact.payload(),
            "send_email": self.send_email,
            "send_sms": self.send_sms,
        }
        if self.due_date is not None:
            body["due_date"] = self.due_date.isoformat()
        return body | {name: text for name, text in (("memo", self.memo), ("note", self.note)) if text}

    def _problems(self, today: date) -> Iterator[FieldError]:
        yield from field_rules.line("addenda", self.addenda, ADDENDA_MAX)
        yield from _total(self.total)
        yield from _contact(self.contact, today)
        yield from _due_date(self.due_date, today)
        yield from field_rules.paragraph("memo", self.memo, MEMO_MAX)
        yield from field_rules.paragraph("note", self.note, NOTE_MAX)
        yield from _flag("send_email", self.send_email)
        yield from _flag("send_sms", self.send_sms)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateInboundPaymentIntentRequest(_Request):
    """A change of an invoice, of at least one field. `resend_email` sends the notification once more.

    Truss refuses addenda, note, total and resend_email once the intent is paid or canceled, and a total that leaves
    less than 1.00 to pay: only Truss knows that for sure.

    https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/patch/v1/payment-intents/inbound/uid
    """

    addenda: str | _Unset = UNSET
    total: Decimal | str | _Unset = UNSET
    due_date: date | _Unset | None = UNSET
    memo: str | _Unset | None = UNSET
    note: str | _Unset | None = UNSET
    resend_email: bool | _Unset = UNSET

    def payload(self) -> dict[str, Any]:
        return _given(
            addenda=self.addenda,
            total=self.total if self.total is UNSET else _decimal_string(self.total),
            due_date=self.due_date.isoformat() if isinstance(self.due_date, date) else self.due_date,
            memo=self.memo,
            note=self.note,
            resend_email=self.resend_email,
        )

    def _problems(self, today: date) -> Iterator[FieldError]:
        yield from _something(self.addenda, self.total, self.due_date, self.memo, self.note, self.resend_email)
        if self.addenda is not UNSET:
            yield from field_rules.line("addenda", self.addenda, ADDENDA_MAX)
        if self.total is not UNSET:
            yield from _total(self.total)
        if self.due_date is not UNSET:
            yield from _due_date(self.due_date, today)
        if self.memo is not UNSET and self.memo is not None:
            yield from field_rules.paragraph("memo", self.memo, MEMO_MAX)
        if self.note is not UNSET and self.note is not None:
            yield from field_rules.paragraph("note", self.note, NOTE_MAX)
        if self.resend_email is not UNSET:
            yield from _flag("resend_email", self.resend_email)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateContactRequest(_Request):
    """A change of a customer, of at least one field. The two emails decide who can open the invoices in the portal.

    Whether a secondary email differs from an email that isn't in the same request is for Truss to see.

    https://docs.trusspayments.com/api-references/tag/contacts/patch/v1/contacts/uid/
    """

    email: str | _Unset = UNSET
    name: str | _Unset = UNSET
    phone: str | _Unset | None = UNSET
    secondary_email: str | _Unset | None = UNSET

    def payload(self) -> dict[str, Any]:
        return _given(email=self.email, name=self.name, phone=self.phone, secondary_email=self.secondary_email)

    def _problems(self, today: date) -> Iterator[FieldError]:
        yield from _something(self.email, self.name, self.phone, self.secondary_email)
        if self.email is not UNSET:
            yield from field_rules.email("email", self.email)
        if self.name is not UNSET:
            yield from field_rules.line("name", self.name, NAME_MAX)
        yield from _reachable(self.email, self.secondary_email, self.phone)


def _given(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not UNSET}


def _decimal_string(total: Decimal | str) -> str:
    """As Truss wants it: no exponent, two decimals."""
    return format(Decimal(total), ".2f")


# --- the rules. Each takes any object: whoever calls without a type checker gets a sentence, not a TypeError.


def _something(*fields: object) -> Iterator[FieldError]:
    if all(value is UNSET for value in fields):
        yield FieldError("request", "must change at least one field")


def _uuid(field: str, value: object) -> Iterator[FieldError]:
    if value is not None and not isinstance(value, UUID):
        yield FieldError.of(field, "must be a UUID", value)


def _contact(contact: object, today: date) -> Iterator[FieldError]:
    if isinstance(contact, CreateOrUpdateContactRequest):
        for error in contact.errors(today):
            yield FieldError(f"contact.{error.field}", error.rule, error.value)
    else:
        yield FieldError.of("contact", "must be a CreateOrUpdateContactRequest", contact)


def _flag(field: str, value: object) -> Iterator[FieldError]:
    if not isinstance(value, bool):
        yield FieldError.of(field, "must be true or false", value)


def _total(value: object) -> Iterator[FieldError]:
    rule = "must be an amount with at most 12 digits before the point and 2 after it, such as 120.00"
    if isinstance(value, Decimal):
        written = _written(value)
    elif isinstance(value, str):
        written = value
    else:
        yield FieldError.of("total", "must be a Decimal or a string", value)
        return
    if written.startswith("-"):
        yield FieldError.of("total", "must not be negative", value)
    elif not _TOTAL.fullmatch(written):
        yield FieldError.of("total", rule, value)
    elif Decimal(written) < MINIMUM_TOTAL:
        yield FieldError.of("total", f"must be at least {MINIMUM_TOTAL}", value)


def _written(value: Decimal) -> str:
    """A Decimal is judged by its value: 1E+2 is 100, and 1.5000 is 1.5."""
    exponent = value.as_tuple().exponent
    # Far beyond any amount, and perhaps megabytes when written out; NaN and Infinity have a letter here.
    if not isinstance(exponent, int) or value.adjusted() > _WRITABLE or exponent < -_WRITABLE:
        return "-" if value.is_signed() else ""
    text = format(value, "f")
    return text.rstrip("0") if "." in text else text


def _due_date(value: object, today: date) -> Iterator[FieldError]:
    """Whether today itself counts as the future, and in which time zone, isn't published: from tomorrow on."""
    if value is None:
        return
    if not isinstance(value, date) or isinstance(value, datetime):
        yield FieldError.of("due_date", "must be a date without a time", value)
    elif value <= today:
        yield FieldError.of("due_date", f"must be later than {today}", value)


def _reachable(email: object, secondary_email: object, phone: object) -> Iterator[FieldError]:
    if secondary_email is not UNSET and secondary_email is not None:
        yield from field_rules.email("secondary_email", secondary_email)
        if isinstance(email, str) and isinstance(secondary_email, str) and email.lower() == secondary_email.lower():
            yield FieldError.of("secondary_email", "must differ from email", secondary_email)
    if phone is not UNSET and phone is not None and not (isinstance(phone, str) and _PHONE.fullmatch(phone)):
        # Whether a leading 1 is wanted isn't published: only length and digits are checked.
        yield FieldError.of("phone", f"must have 1 to {PHONE_MAX} digits and nothing else", phone)
