"""Trustist's answers, parsed: everything that can be wrong with them, and no I/O.

Only `id` and `status` of an invitation and `apiKey` of a key are published. Other fields are read where they are what
their names say, and kept as they came everywhere else: nothing unknown is an error.

https://trustisttransfer.com/docs/partner-api/
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from truss_portal.client.json_fields import Fields, UnreadableError, as_object, shown
from truss_portal.trustist.client import statuses


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation as Trustist has it. `name` to `merchant_id` are None where Trustist doesn't tell them."""

    id: str
    status: str
    """As it came: see `is_complete` and `is_opened`, and `statuses.normalized` for comparing."""
    name: str | None = None
    email: str | None = None
    payment_types: tuple[str, ...] | None = None
    merchant_id: str | None = None
    fetched_at: datetime
    """When we asked, before the request went out."""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    """Fields that we don't know, JSON-ready. Nobody knows what is in them: don't log them."""

    @property
    def is_complete(self) -> bool:
        return statuses.is_complete(self.status)

    @property
    def is_opened(self) -> bool:
        return statuses.is_opened(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An item of the listing that couldn't be read. `id` is what stood there, or empty."""

    id: str
    reason: str


class Listing(list[Invitation]):
    """All invitations that could be read, in no order to rely on.

    Whoever looks for something that may not be there must also look at `rejected`: one of these may be it.
    """

    def __init__(
        self, invitations: Iterable[Invitation], *, rejected: Iterable[Rejected], fetched_at: datetime
    ) -> None:
        super().__init__(invitations)
        self.rejected = tuple(rejected)
        self.fetched_at = fetched_at
        """When we asked, before the request went out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantKey:
    """One of a merchant's API keys. Neither field is ever shown by `repr` or `str`."""

    api_key: str = field(repr=False)
    """Empty where the item has none."""
    item: Mapping[str, Any] = field(repr=False, hash=False)
    """The whole item as it came, JSON-ready: the payments API needs an id and a secret, and which fields carry them
    isn't published."""


def parse_invitation(payload: Any, *, fetched_at: datetime) -> Invitation:
    """Raises UnreadableError where `id` or `status` is missing."""
    fields = dict(as_object(payload, "the invitation"))
    invitation_id, status = fields.pop("id", None), fields.pop("status", None)
    if not isinstance(invitation_id, str) or not invitation_id.strip():
        raise UnreadableError(f"the invitation: id is not text, or empty: {shown(invitation_id)}")
    if not isinstance(status, str) or not status.strip():
        raise UnreadableError(f"the invitation {shown(invitation_id)}: status is not text, or empty: {shown(status)}")
    return Invitation(
        id=invitation_id,
        status=status,
        name=take_text(fields, "name"),
        email=take_text(fields, "email"),
        payment_types=_take_texts(fields, "paymentTypes"),
        merchant_id=take_text(fields, "merchantId"),
        fetched_at=fetched_at,
        extra=Fields(fields, f"the invitation {shown(invitation_id)}", identified=False).rest(),
    )


def parse_listing(payload: Any, *, fetched_at: datetime) -> Listing:
    """A bare array of any length. An item that can't be read is reported in `rejected`."""
    if not isinstance(payload, list):
        raise UnreadableError(f"the invitations are not a list: {shown(payload)}")
    invitations: list[Invitation] = []
    rejected: list[Rejected] = []
    for item in payload:
        try:
            invitations.append(parse_invitation(item, fetched_at=fetched_at))
        except UnreadableError as error:
            found = item.get("id") if isinstance(item, dict) else None
            rejected.append(Rejected(id=found[:100] if isinstance(found, str) else "", reason=str(error)))
    return Listing(invitations, rejected=rejected, fetched_at=fetched_at)


def cleaned(listing: Listing, clean: Callable[[str], str]) -> Listing:
    """Reasons quote what Trustist sent, and so go the way of every message."""
    rejected = [
        Rejected(id=item.id if clean(item.id) == item.id else "", reason=clean(item.reason))
        for item in listing.rejected
    ]
    return Listing(listing, rejected=rejected, fetched_at=listing.fetched_at)


def parse_merchant_keys(payload: Any) -> list[MerchantKey]:
    """Raises UnreadableError, which shows nothing of what came: any of it may be a secret."""
    items = payload.get("items") if isinstance(payload, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UnreadableError("the merchant's keys are not a list of objects named items")
    return [_merchant_key(item) for item in items]


def _merchant_key(item: dict[str, Any]) -> MerchantKey:
    api_key = item.get("apiKey")
    try:
        whole = Fields(item, "a merchant's key", identified=False).rest()
    except UnreadableError:
        whole = None
    if whole is None:
        raise UnreadableError("a merchant's key is nested too deeply")
    return MerchantKey(api_key=api_key if isinstance(api_key, str) else "", item=whole)


def take_text(fields: dict[str, Any], name: str) -> str | None:
    """Taken out where it is text; anything else is left, to be kept as it came."""
    if not isinstance(fields.get(name), str):
        return None
    text: str = fields.pop(name)
    return text


def _take_texts(fields: dict[str, Any], name: str) -> tuple[str, ...] | None:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    del fields[name]
    return tuple(value)
