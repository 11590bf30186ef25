"""What is kept of an answer, and what isn't an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.generating import patient
from tests.trustist.client.conftest import NOW
from tests.trustist.client.test_events import _json
from truss_portal.trustist.client import (
    Invitation,
    MerchantKey,
    UnreadableError,
    is_complete,
    is_opened,
    normalized,
)
from truss_portal.trustist.client.resources import parse_invitation, parse_listing, parse_merchant_keys


@pytest.mark.parametrize("status", ["COMPLETE", "complete", "Complete", "COMPLETED", "Completed", " completed "])
def test_complete_however_it_is_spelt(status: str) -> None:
    assert is_complete(status)
    assert not is_opened(status)
    assert normalized(status) == "COMPLETE"


@pytest.mark.parametrize("status", ["OPENED", "opened", "Opened"])
def test_opened_however_it_is_spelt(status: str) -> None:
    assert is_opened(status)
    assert not is_complete(status)


@pytest.mark.parametrize("status", ["", "sent", "pending", "COMPLETING", "INCOMPLETE", "COMPLETEDX", "Done", "expired"])
def test_what_is_unknown_is_not_done(status: str) -> None:
    assert not is_complete(status)
    assert not is_opened(status)
    assert normalized(status) == status.upper()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", None), ("name", 7), ("email", ["a@b.test"]), ("paymentTypes", "cards"), ("paymentTypes", [1]),
        ("paymentTypes", {"cards": True}), ("merchantId", 12), ("merchantId", {"id": "m"}),
    ],
)  # fmt: skip
def test_a_field_that_is_not_what_its_name_says_is_kept_as_it_came(name: str, value: Any) -> None:
    invitation = parse_invitation({"id": "1", "status": "sent", name: value}, fetched_at=NOW)
    assert invitation == Invitation(id="1", status="sent", fetched_at=NOW, extra={name: value})


def test_an_unknown_field_that_is_too_deep_is_refused() -> None:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(UnreadableError, match="nested deeper"):
        parse_invitation({"id": "1", "status": "sent", "x": deep}, fetched_at=NOW)
    with pytest.raises(UnreadableError, match="too deeply"):
        parse_merchant_keys({"items": [{"apiKey": "mk_1", "x": deep}]})


def test_reprs_show_neither_keys_nor_what_is_unknown() -> None:
    key = MerchantKey(api_key="mk_1", item={"apiKey": "mk_1", "secret": "mk_2"})
    invitation = Invitation(id="1", status="sent", fetched_at=NOW, extra={"link": "https://x.test/?t=mk_3"})
    assert f"{key!r} {key}" == "MerchantKey() MerchantKey()"
    assert "mk_" not in f"{invitation!r} {invitation}"
    assert hash(key)
    assert hash(invitation)


@pytest.mark.parametrize("payload", [None, [], {}, {"items": {}}, {"items": ["mk_1"]}, {"items": [None]}, "mk_1"])
def test_keys_that_cannot_be_read_are_not_shown(payload: Any) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_merchant_keys(payload)
    assert "mk_" not in str(caught.value)


@patient
@given(st.lists(_json | st.fixed_dictionaries({"id": _json, "status": _json}), max_size=4))
def test_no_item_keeps_the_others_from_being_read(items: list[Any]) -> None:
    good = {"id": "good", "status": "sent"}
    listing = parse_listing([*items, good], fetched_at=NOW)
    assert listing[-1].id == "good"
    assert len(listing) + len(listing.rejected) == len(items) + 1
    for invitation in listing:
        json.dumps(invitation.extra)
