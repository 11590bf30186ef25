"""What Trustist sends by itself. No I/O.

Nothing of it is signed, and neither retries nor order are published: an event only says "look again". So all that isn't
needed for that is optional, and a field that can't be read is kept as it came.

https://trustisttransfer.com/docs/partner-webhooks/
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from truss_portal.client.json_fields import Fields, UnreadableError, as_object, parse_json, shown
from truss_portal.trustist.client import statuses
from truss_portal.trustist.client.resources import take_text

_DIGITS: Final = 12  # before the point
_ZEROS: Final = 20  # and other digits behind it
_CENTS: Final = 2
_AMOUNT = re.compile(rf"-?[0-9]{{1,{_DIGITS}}}(?:\.([0-9]{{1,{_ZEROS}}}))?", re.ASCII)


def _extra() -> Any:
    return field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationStatusChanged:
    """An invitation moved on. `merchant_id` comes when onboarding is done."""

    event_type: ClassVar[str] = "InvitationStatusChanged"
    invitation_id: str
    status: str
    merchant_id: str | None = None
    updated: datetime | None = None
    """Aware, in UTC, to the microsecond: the seventh digit is cut off."""
    extra: Mapping[str, Any] = _extra()

    @property
    def key(self) -> tuple[str, str, str]:
        """What duplicates have in common, as there is no event id: kind, id (in lower case), status."""
        return self.event_type, self.invitation_id.lower(), statuses.normalized(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatusChanged:
    """A merchant's payment was begun or came to its end. Nothing confirms it: book nothing on its strength alone."""

    event_type: ClassVar[str] = "PaymentStatusChanged"
    payment_id: str
    status: str
    merchant_id: str | None = None
    created: datetime | None = None
    """As `InvitationStatusChanged.updated`."""
    amount: Decimal | None = None
    """With two decimals. The currency isn't told."""
    extra: Mapping[str, Any] = _extra()

    @property
    def key(self) -> tuple[str, str, str]:
        """As that of `InvitationStatusChanged`."""
        return self.event_type, self.payment_id.lower(), statuses.normalized(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent:
    """An event of a kind that isn't published. `extra` is all of it, but for its kind."""

    event_type: str
    extra: Mapping[str, Any] = _extra()


Event = InvitationStatusChanged | PaymentStatusChanged | UnknownEvent


def parse_event(body: bytes) -> Event:
    """The event in a webhook's body. Raises UnreadableError where it doesn't say what it is about."""
    fields = dict(as_object(parse_json(body, noun="the event"), "the event"))
    kind = _text(fields, "eventType")
    if kind == InvitationStatusChanged.event_type:
        return InvitationStatusChanged(
            invitation_id=_text(fields, "invitationId"),
            status=_text(fields, "status"),
            merchant_id=take_text(fields, "merchantId"),
            updated=_take_time(fields, "updated"),
            extra=_rest(fields),
        )
    if kind == PaymentStatusChanged.event_type:
        return PaymentStatusChanged(
            payment_id=_text(fields, "paymentId"),
            status=_text(fields, "status"),
            merchant_id=take_text(fields, "merchantId"),
            created=_take_time(fields, "created"),
            amount=_take_amount(fields, "amount"),
            extra=_rest(fields),
        )
    return UnknownEvent(event_type=kind, extra=_rest(fields))


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.pop(name, None)
    if not isinstance(value, str) or not value.strip():
        raise UnreadableError(f"the event: {name} is not text, or empty: {shown(value)}")
    return value


def _rest(fields: dict[str, Any]) -> dict[str, Any]:
    return Fields(fields, "the event", identified=False).rest()


def _take_time(fields: dict[str, Any], name: str) -> datetime | None:
    """An instant in UTC; without an offset it is taken as UTC."""
    value = fields.get(name)
    try:
        # Seven fractional digits: Python reads six and skips what follows.
        moment = datetime.fromisoformat(value.upper())  # type: ignore[union-attr]
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None
    del fields[name]
    return moment


def _take_amount(fields: dict[str, Any], name: str) -> Decimal | None:
    """A number or a text, exactly. Zeros behind the pennies are none: .NET may write 42.5000 where it means 42.50."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    found = _AMOUNT.fullmatch(_written(value))
    if not found or (found[1] or "")[_CENTS:].strip("0"):
        return None
    del fields[name]
    amount = Decimal(found[0]).quantize(Decimal("0.01"))
    return amount or amount.copy_abs()


def _written(value: int | str | Decimal) -> str:
    """Without an exponent; empty for what no amount can be, and would take long to write out."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_DIGITS else ""
    if isinstance(value, str):
        return value.strip()
    exponent = value.as_tuple().exponent
    fits = isinstance(exponent, int) and exponent >= -_ZEROS and value.adjusted() < _DIGITS
    return format(value, "f") if fits else ""
