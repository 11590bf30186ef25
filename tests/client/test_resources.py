"""Answers are read tolerantly, and money and identities strictly."""

import copy
import json
import pickle
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.generating import patient
from tests.client.payloads import CONTACT_UID, INTENT_UID, TRANSACTION_UID, contact, intent, page, transaction, without
from truss_portal.client import json_fields, resources
from truss_portal.client.json_fields import UnreadableError

NOW = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)


def read(payload: Any, *, detailed: bool = True) -> resources.PaymentIntent:
    return resources.parse_payment_intent(payload, fetched_at=NOW, detailed=detailed)


def refusal(payload: Any) -> str:
    with pytest.raises(UnreadableError) as caught:
        read(payload)
    return str(caught.value)


def test_every_published_field_is_read() -> None:
    assert read(intent()) == resources.PaymentIntent(
        uid=uuid.UUID(INTENT_UID),
        total=Decimal("800.00"),
        balance_paid=Decimal("500.00"),
        addenda="Invoice 1039 - walk-in cooler service",
        direction=0,
        note=None,
        memo="Job 88",
        due_date=date(2035, 5, 15),
        contact=resources.Contact(
            uid=uuid.UUID(CONTACT_UID),
            name="Harbor Street Diner",
            email="owner@harborstreet.example",
            secondary_email="books@harborstreet.example",
            phone=None,
        ),
        status="PartiallyPaid",
        created_at=datetime(2026, 2, 24, 9, 2, 47, 880000, UTC),
        pending_at=datetime(2026, 2, 24, 9, 2, 47, 880000, UTC),
        paid_at=None,
        canceled_at=None,
        transactions=(
            resources.Transaction(
                uid=uuid.UUID(TRANSACTION_UID),
                amount=Decimal("500.00"),
                addenda="Invoice 1039 - walk-in cooler service",
                type="transaction",
                payment_method="ach",
                status="ProcessedCredit",
                direction=0,
                date=datetime(2026, 3, 2, 15, 4, 2, 118000, UTC),
                processed_at=datetime(2026, 3, 2, 15, 4, 3, tzinfo=UTC),
            ),
        ),
        fetched_at=NOW,
    )


def test_only_the_single_get_fills_transactions() -> None:
    listed = read(intent(), detailed=False)
    assert listed.transactions is None
    assert "transactions" not in listed.extra
    assert read(intent(transactions=[]), detailed=False).transactions is None
    assert read(intent(transactions="?"), detailed=False).transactions is None


@pytest.mark.parametrize("payload", [intent(transactions=None), without(intent(), "transactions")])
def test_transactions_that_were_left_out_are_not_an_empty_list(payload: dict[str, Any]) -> None:
    assert read(payload).transactions is None
    assert read(intent(transactions=[])).transactions == ()


def test_what_we_do_not_know_is_kept() -> None:
    got = read(
        intent(
            status="Disputed",
            direction=7,
            currency="USD",
            fee={"rate": Decimal("3.5"), "parts": [Decimal("0.10"), 1, None]},
            transactions=[transaction(status="Clawback", payment_method="pigeon", type="loan", direction=3, hue="red")],
            contact=contact(vip=True),
        )
    )
    assert got.status == "Disputed"
    assert got.direction == 7
    assert got.extra == {"currency": "USD", "fee": {"rate": "3.5", "parts": ["0.10", 1, None]}}
    assert json.dumps(got.extra)
    assert got.contact
    assert got.contact.extra == {"vip": True}
    assert got.transactions
    assert (got.transactions[0].status, got.transactions[0].payment_method) == ("Clawback", "pigeon")
    assert got.transactions[0].extra == {"hue": "red"}


def test_the_fewest_fields_that_an_intent_can_have() -> None:
    got = read({"uid": INTENT_UID, "total": "1", "status": "", "balance_paid": "0"})
    assert got.addenda == ""
    assert got.direction == 0
    assert (got.contact, got.due_date, got.created_at, got.note, got.memo) == (None, None, None, None, None)


@pytest.mark.parametrize(
    "name", ["addenda", "direction", "note", "memo", "due_date", "contact", "created_at", "paid_at", "transactions"]
)
def test_null_is_taken_for_absent(name: str) -> None:
    assert read(intent(**{name: None})) == read(without(intent(), name))


@pytest.mark.parametrize("empty", [None, {}])
def test_an_empty_contact_is_none(empty: Any) -> None:
    assert read(intent(contact=empty)).contact is None


def test_a_contact_without_a_name_is_still_a_contact() -> None:
    assert resources.parse_contact({"uid": CONTACT_UID}) == resources.Contact(uid=uuid.UUID(CONTACT_UID), name="")


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("0.00", "0.00"), ("-0.00", "0.00"), ("800", "800.00"), ("800.5", "800.50"), ("5.", "5.00"), (".5", "0.50"),
        ("-12.34", "-12.34"), ("999999999999.99", "999999999999.99"), ("007", "7.00"), (800, "800.00"), (0, "0.00"),
        (Decimal("500.5"), "500.50"), (Decimal("5E+2"), "500.00"), (Decimal("-1.10"), "-1.10"),
    ],
)  # fmt: skip
def test_amounts(value: Any, amount: str) -> None:
    got = read(intent(total=value)).total
    assert str(got) == amount


@pytest.mark.parametrize(
    "value",
    [
        None, "", "-", ".", "1.234", "1.000", "1e2", "1,000.00", "$5", " 5", "5\n", "NaN", "Infinity", "١٢", "1_000",
        "1000000000000.00", 10**12, -(10**12), pytest.param(10**5000, id="huge"), True, [], {}, 5.5, float("nan"),
        Decimal("1.234"), Decimal("1E+12"), Decimal("1E+999999"), Decimal("1E-999999"), Decimal("NaN"), Decimal("sNaN"),
        Decimal("Infinity"),
    ],
)  # fmt: skip
def test_what_is_no_amount(value: Any) -> None:
    text = refusal(intent(total=value))
    assert f"payment intent {INTENT_UID}: total" in text
    assert len(text) < 250


@patient
@given(st.decimals(min_value=-(10**12) + 1, max_value=10**12 - 1, places=2, allow_nan=False))
def test_an_amount_is_read_exactly_as_string_and_as_number(amount: Decimal) -> None:
    body = json.dumps(intent(total="TEXT", balance_paid="NUMBER")).replace("TEXT", f"{amount:f}")
    got = read(json_fields.parse_json(body.replace('"NUMBER"', f"{amount:f}").encode()))
    assert got.total == got.balance_paid == amount


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-03-02T14:20:11.204000Z", datetime(2026, 3, 2, 14, 20, 11, 204000, UTC)),
        ("2026-03-02t14:20:11z", datetime(2026, 3, 2, 14, 20, 11, tzinfo=UTC)),
        ("2026-03-02T14:20:11+02:00", datetime(2026, 3, 2, 12, 20, 11, tzinfo=UTC)),
        ("2026-03-02T14:20:11", datetime(2026, 3, 2, 14, 20, 11, tzinfo=UTC)),
        ("2026-03-02 14:20", datetime(2026, 3, 2, 14, 20, tzinfo=UTC)),
        ("2026-03-02T14:20:11.123456789Z", datetime(2026, 3, 2, 14, 20, 11, 123456, UTC)),
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_times(value: str, moment: datetime) -> None:
    got = read(intent(created_at=value)).created_at
    assert got == moment
    assert got
    assert got.utcoffset() == timedelta(0)


@pytest.mark.parametrize("name", ["created_at", "due_date"])
@pytest.mark.parametrize("value", ["", "soon", "2026-13-01", 20260302, [], True])
def test_what_is_no_time(name: str, value: Any) -> None:
    assert f"{INTENT_UID}: {name} is not a date" in refusal(intent(**{name: value}))


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_out_of_the_calendar(value: str) -> None:
    assert "created_at" in refusal(intent(created_at=value))


def test_a_due_date_with_a_time_is_the_day_as_written() -> None:
    assert read(intent(due_date="2035-05-15T23:00:00-08:00")).due_date == date(2035, 5, 15)


@pytest.mark.parametrize("value", [None, "", "5b1f", 7, [], {"uid": INTENT_UID}, True])
def test_what_is_no_uid(value: Any) -> None:
    assert "uid is not a UUID" in refusal(intent(uid=value))


def test_an_error_says_which_field_of_which_object() -> None:
    assert refusal(intent(status=None)) == f"payment intent {INTENT_UID}: status is missing"
    assert refusal(intent(status=5)) == f"payment intent {INTENT_UID}: status is not text: 5"
    assert (
        refusal(intent(transactions=[transaction(), transaction(amount="x")]))
        == f"payment intent {INTENT_UID}: transactions[1]: transaction {TRANSACTION_UID}: "
        "amount is not an amount with at most 12 digits and 2 decimals: 'x'"
    )
    assert refusal(intent(contact=contact(email=5))).startswith(
        f"payment intent {INTENT_UID}: contact: contact {CONTACT_UID}: email"
    )
    assert refusal(intent(contact="x")) == f"payment intent {INTENT_UID}: contact: contact is not a JSON object: 'x'"
    assert "transactions is not a list: 'x'" in refusal(intent(transactions="x"))
    assert refusal([]) == "payment intent is not a JSON object: (list)"


@pytest.mark.parametrize("name", ["uid", "amount", "date", "direction", "payment_method", "status", "type"])
def test_what_a_transaction_must_have(name: str) -> None:
    assert name in refusal(intent(transactions=[without(transaction(), name)]))
    assert name in refusal(intent(transactions=[transaction(**{name: None})]))


@pytest.mark.parametrize(("value", "direction"), [(1, 1), ("1", 1), ("-2", -2), (None, 0)])
def test_directions(value: Any, direction: int) -> None:
    assert read(intent(direction=value)).direction == direction


@pytest.mark.parametrize("value", ["in", True, 10**30, [], Decimal("0.5"), "99999", pytest.param(10**5000, id="huge")])
def test_what_is_no_direction(value: Any) -> None:
    assert f"{INTENT_UID}: direction" in refusal(intent(direction=value))


def test_characters_that_no_database_holds_are_replaced() -> None:
    body = json.dumps(intent(note="a\x00b\ud800c", **{"k\x00": ["\udfff", {"x": "\x00"}]})).encode()
    got = read(json_fields.parse_json(body))
    assert got.note == "a\ufffdb\ufffdc"
    assert got.extra == {"k\ufffd": ["\ufffd", {"x": "\ufffd"}]}
    assert read(json_fields.parse_json(json.dumps(intent(note="😀 ü")).encode())).note == "😀 ü"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"a": ', b"\xff", b'"\xed\xa0\x80"', b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(UnreadableError, match="not JSON"):
        json_fields.parse_json(body)


def test_json_numbers_never_become_binary_floats() -> None:
    assert json_fields.parse_json(b"\xef\xbb\xbf[0.1, 1e2, NaN, -Infinity, 3]") == [
        Decimal("0.1"),
        Decimal("1e2"),
        "NaN",
        "-Infinity",
        3,
    ]


# --- pages


def read_page(payload: Any) -> tuple[resources.Page, str | None]:
    return resources.parse_page(payload, fetched_at=NOW)


def test_a_bad_item_does_not_stop_a_page() -> None:
    other = "5b1f6c1e-0f5d-4f0e-8a55-7d2f3f0c9e10"
    got, following = read_page(
        page(intent(), intent(uid=other, total="?"), "junk", {"uid": 5}, intent(uid="x" * 500), following="/next")
    )
    assert following == "/next"
    assert [item.uid for item in got.payment_intents] == [uuid.UUID(INTENT_UID)]
    assert got.payment_intents[0].transactions is None
    assert [(item.uid, item.reason.split(":")[-2].strip()) for item in got.rejected[:2]] == [
        (other, "total is not an amount with at most 12 digits and 2 decimals"),
        ("", "payment intent is not a JSON object"),
    ]
    assert [item.uid for item in got.rejected[2:]] == ["", "x" * 60]
    assert (got.count, got.fetched_at) == (5, NOW)


def test_an_item_may_come_twice() -> None:
    assert len(read_page(page(intent(), intent()))[0].payment_intents) == 2


@pytest.mark.parametrize(
    "envelope",
    [
        None, [], "x", {}, page(results=None), page(results={}), page(count=None), page(count="3"), page(count=-1),
        page(count=True), without(page(), "next"), without(page(), "results"), page(following=""), page(next=5),
    ],
)  # fmt: skip
def test_a_page_that_can_not_be_read(envelope: Any) -> None:
    with pytest.raises(UnreadableError, match="the page"):
        read_page(envelope)


# --- company and token


@pytest.mark.parametrize(
    ("payload", "link", "name"),
    [
        ({"checkout_link_id": "k7m2p9qx"}, "k7m2p9qx", ""),
        ({"checkout_link_id": None, "name": "Acme"}, "", "Acme"),
        ({"checkout_link_id": "", "name": 5}, "", ""),
        ({}, "", ""),
    ],
)
def test_companies(payload: Any, link: str, name: str) -> None:
    got = resources.parse_company(payload | {"plan": "pro"})
    assert (got.checkout_link_id, got.name, got.extra) == (link, name, {"plan": "pro"})


def test_a_company_that_can_not_be_read() -> None:
    with pytest.raises(UnreadableError, match="company: checkout_link_id is not text: 5"):
        resources.parse_company({"checkout_link_id": 5})


@pytest.mark.parametrize(
    ("value", "seconds"), [(3600, 3600), ("3600", 3600), (None, None), ("soon", None), (True, None)]
)
def test_token_lifetimes(value: Any, seconds: int | None) -> None:
    got = resources.parse_token({"access_token": "at_secret", "expires_in": value})
    assert got.expires_in == seconds
    assert (got.refresh_token, got.scope, got.token_type) == (None, None, "bearer")


@pytest.mark.parametrize(
    "payload", [{}, {"access_token": ""}, {"access_token": 5}, [], {"access_token": "a", "scope": 5}]
)
def test_a_token_that_can_not_be_read(payload: Any) -> None:
    with pytest.raises(UnreadableError, match="the token"):
        resources.parse_token(payload)


def test_resources_are_frozen_and_can_be_hashed_copied_and_pickled() -> None:
    got = read(intent(extra_field=[1]))
    with pytest.raises(AttributeError):
        got.status = "Paid"  # type: ignore[misc]
    assert hash(got) == hash(read(intent(extra_field=[1])))
    assert pickle.loads(pickle.dumps(got)) == copy.deepcopy(got) == got  # noqa: S301


# --- anything at all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text() | st.just(INTENT_UID),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@patient
@given(st.dictionaries(st.sampled_from(sorted(intent())), json_values), st.booleans())
def test_whatever_stands_in_the_fields_the_answer_is_a_resource_or_a_reason(
    changes: dict[str, Any], detailed: bool
) -> None:
    try:
        got = read(intent() | changes, detailed=detailed)
    except UnreadableError as error:
        assert str(error).startswith("payment intent")  # noqa: PT017
        str(error).encode()
    else:
        assert got.total.is_finite()
        assert got.total == round(got.total, 2)
        json.dumps(got.extra)


@patient
@given(json_values)
def test_whatever_comes_a_page_is_a_page_or_a_reason(payload: Any) -> None:
    for envelope in (payload, page(payload), page(intent(), following=payload)):
        try:
            got, following = read_page(envelope)
        except UnreadableError as error:
            str(error).encode()
        else:
            assert following is None or isinstance(following, str)
            assert isinstance(got, resources.Page)


@patient
@given(st.binary(max_size=60))
def test_whatever_bytes_come_json_is_json_or_a_reason(body: bytes) -> None:
    try:
        json_fields.parse_json(body)
    except UnreadableError as error:
        assert "not JSON" in str(error)  # noqa: PT017


@pytest.mark.parametrize("levels", [101, 3000])
def test_an_item_nested_so_deeply_that_nobody_could_store_it(levels: int) -> None:
    """Not left to Python's own limits, which differ from version to version."""
    nested: list[Any] = []
    for _ in range(levels - 1):
        nested = [nested]
    items = page(intent(), intent(uid=TRANSACTION_UID, of_tomorrow=nested))
    got, _following = resources.parse_page(items, fetched_at=NOW)
    assert [str(item.uid) for item in got.payment_intents] == [INTENT_UID]
    assert [item.uid for item in got.rejected] == [TRANSACTION_UID]
    assert "'of_tomorrow': something is nested deeper than 100 levels" in got.rejected[0].reason
