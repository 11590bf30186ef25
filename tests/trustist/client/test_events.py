"""Partner webhooks, read."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.generating import patient
from truss_portal.trustist.client import (
    InvitationStatusChanged,
    PaymentStatusChanged,
    UnknownEvent,
    UnreadableError,
    parse_event,
)

INVITATION = {
    "eventType": "InvitationStatusChanged",
    "invitationId": "0B7E51D4-92fa-4c36-8d1e-6a40f9c2b873",
    "updated": "2026-03-02T15:04:05.1234567Z",
    "status": "OPENED",
}
PAYMENT = {
    "eventType": "PaymentStatusChanged",
    "merchantId": "6e83f0b9-27d4-4a1c-95f6-c0b81d7e4a32",
    "paymentId": "f17c3d95-804e-4b62-a9d0-5e2b76c1f384",
    "created": "2026-03-09T09:12:44.0301275Z",
    "amount": 42.5,
    "status": "PENDING",
}


def parsed(payload: dict[str, Any], **changes: Any) -> Any:
    whole = {name: value for name, value in (payload | changes).items() if value is not ...}
    return parse_event(json.dumps(whole).encode())


def test_an_invitation_moved_on() -> None:
    event = parsed(INVITATION)
    assert event == InvitationStatusChanged(
        invitation_id="0B7E51D4-92fa-4c36-8d1e-6a40f9c2b873",
        status="OPENED",
        updated=datetime(2026, 3, 2, 15, 4, 5, 123456, tzinfo=UTC),
    )
    assert event.key == ("InvitationStatusChanged", "0b7e51d4-92fa-4c36-8d1e-6a40f9c2b873", "OPENED")
    done = parsed(INVITATION, status="Completed", merchantId="6e83f0b9")
    assert (done.merchant_id, done.key[2], done.status) == ("6e83f0b9", "COMPLETE", "Completed")


def test_a_payment() -> None:
    event = parsed(PAYMENT)
    assert event == PaymentStatusChanged(
        payment_id="f17c3d95-804e-4b62-a9d0-5e2b76c1f384",
        merchant_id="6e83f0b9-27d4-4a1c-95f6-c0b81d7e4a32",
        status="PENDING",
        created=datetime(2026, 3, 9, 9, 12, 44, 30127, tzinfo=UTC),
        amount=Decimal("42.50"),
    )
    assert str(event.amount) == "42.50"
    assert event.key == ("PaymentStatusChanged", "f17c3d95-804e-4b62-a9d0-5e2b76c1f384", "PENDING")


def test_another_kind() -> None:
    event = parsed({"eventType": "MerchantClosed", "merchantId": "m", "at": {"x": [0.1]}})
    assert event == UnknownEvent(event_type="MerchantClosed", extra={"merchantId": "m", "at": {"x": ["0.1"]}})


@pytest.mark.parametrize(
    ("written", "microsecond"),
    [
        ("2026-03-02T15:04:05.1234567Z", 123456),
        ("2026-03-02T15:04:05.9999999Z", 999999),
        ("2026-03-02t15:04:05.1z", 100000),
        ("2026-03-02T16:04:05.123456789+01:00", 123456),
        ("2026-03-02T15:04:05", 0),
        ("2026-03-02 15:04:05Z", 0),
    ],
)
def test_times(written: str, microsecond: int) -> None:
    event = parsed(INVITATION, updated=written)
    assert event.updated == datetime(2026, 3, 2, 15, 4, 5, microsecond, tzinfo=UTC)
    assert event.extra == {}


@pytest.mark.parametrize("written", ["yesterday", "", 1772463845, None, [], "0001-01-01T00:00:00+14:00", True])
def test_a_time_that_cannot_be_read_is_kept_as_it_came(written: Any) -> None:
    event = parsed(PAYMENT, created=written)
    assert (event.created, event.extra) == (None, {"created": written})


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("42.5", "42.50"),
        ('"42.5"', "42.50"),
        ("42", "42.00"),
        ("42.5000", "42.50"),
        ('" 42.50 "', "42.50"),
        ("1e2", "100.00"),
        ("4250E-2", "42.50"),
        ("999999999999.99", "999999999999.99"),
        ("0.1", "0.10"),
        ("-7.25", "-7.25"),
        ("-0", "0.00"),
        ("-0.0", "0.00"),
    ],
)
def test_amounts_are_exact(written: str, amount: str) -> None:
    body = json.dumps(PAYMENT).replace("42.5", written)
    event = parse_event(body.encode())
    assert isinstance(event, PaymentStatusChanged)
    assert str(event.amount) == amount
    assert event.extra == {}


@pytest.mark.parametrize(
    "written",
    [
        "42.505", '"42,50"', '"£42.50"', '""', "null", "true", "[]", "1e12", "1e-30", "1e999999999", "1" * 13, "NaN",
        "1" * 4000,
    ],
)  # fmt: skip
def test_an_amount_that_cannot_be_read_is_kept_as_it_came(written: str) -> None:
    event = parse_event(json.dumps(PAYMENT).replace("42.5", written).encode())
    assert isinstance(event, PaymentStatusChanged)
    assert event.amount is None
    assert "amount" in event.extra


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (INVITATION, "eventType"), (INVITATION, "invitationId"), (INVITATION, "status"), (PAYMENT, "paymentId"),
        (PAYMENT, "status"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [..., None, "", "  ", 7, []])
def test_an_event_that_does_not_say_what_it_is_about(payload: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(UnreadableError, match=f"^the event: {name} is not text, or empty"):
        parsed(payload, **{name: value})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_event(body: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^the event is not "):
        parse_event(body)


@pytest.mark.parametrize("payload", [INVITATION, PAYMENT])
def test_all_that_is_not_needed_may_be_missing(payload: dict[str, Any]) -> None:
    for name in ("updated", "merchantId", "created", "amount"):
        event = parsed(payload, **{name: ...})
        assert event.extra == {}


def test_what_came_with_it_is_not_shown() -> None:
    assert "mk_" not in repr(parsed(INVITATION, apiKey="mk_1")) + str(parsed(PAYMENT, apiKey="mk_1"))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@patient
@given(st.sampled_from([INVITATION, PAYMENT]), st.dictionaries(st.sampled_from([*INVITATION, *PAYMENT, "x"]), _json))
def test_whatever_comes_is_read_or_refused(payload: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        event = parsed(payload, **changes)
    except UnreadableError:
        return
    json.dumps(event.extra)
    assert event.event_type
