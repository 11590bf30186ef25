"""What breaks a published rule is refused before it is sent, in words."""

import copy
import json
import pickle
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.generating import TODAY, contact_updates, creates, emails, patient, totals, updates
from truss_portal.client import (
    UNSET,
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    InvalidRequestError,
    Outcome,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)

UID = uuid.UUID("8f0c2d54-6b1e-4c0a-9a57-2f6f1d0b7c31")
ACME = CreateOrUpdateContactRequest(name="Acme", email="ap@acme.test")
TOMORROW = TODAY + timedelta(days=1)


def create(**changes: Any) -> CreateInboundPaymentIntentRequest:
    return CreateInboundPaymentIntentRequest(**{"addenda": "INV-1001", "total": "120.00", "contact": ACME, **changes})


def problems(request: Any) -> list[str]:
    return [str(error) for error in request.errors(TODAY)]


# --- what is sent


def test_a_create_says_what_truss_has_no_published_default_for_and_leaves_out_what_is_empty() -> None:
    assert create().payload() == {
        "addenda": "INV-1001",
        "total": "120.00",
        "contact": {"name": "Acme", "email": "ap@acme.test"},
        "send_email": False,
        "send_sms": False,
    }


def test_a_full_create() -> None:
    contact = CreateOrUpdateContactRequest(
        uid=UID, name="Acme", email="ap@acme.test", secondary_email=None, phone="4155550132"
    )
    request = create(
        total=Decimal("1E+2"), contact=contact, due_date=TOMORROW, memo="m", note="a\nb", send_email=True, send_sms=True
    )
    request.validate(TODAY)
    assert request.payload() == {
        "addenda": "INV-1001",
        "total": "100.00",
        "due_date": "2026-03-03",
        "memo": "m",
        "note": "a\nb",
        "send_email": True,
        "send_sms": True,
        "contact": {
            "uid": str(UID),
            "name": "Acme",
            "email": "ap@acme.test",
            "secondary_email": None,
            "phone": "4155550132",
        },
    }


def test_an_update_sends_only_what_is_set_and_null_where_it_clears() -> None:
    request = UpdateInboundPaymentIntentRequest(memo=None, due_date=None, note="", resend_email=True)
    assert problems(request) == []
    assert request.payload() == {"memo": None, "due_date": None, "note": "", "resend_email": True}
    full = UpdateInboundPaymentIntentRequest(addenda="A", total="5", due_date=TOMORROW)
    assert full.payload() == {"addenda": "A", "total": "5.00", "due_date": "2026-03-03"}


def test_a_contact_update_sends_only_what_is_set() -> None:
    request = UpdateContactRequest(email="a@b.test", phone=None)
    assert problems(request) == []
    assert request.payload() == {"email": "a@b.test", "phone": None}


def test_unset_is_one_thing_and_says_so() -> None:
    assert repr(UNSET) == "UNSET"
    assert not UNSET
    assert copy.deepcopy(UNSET) is UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET  # noqa: S301


# --- the rules

AMOUNT = "must be an amount with at most 12 digits before the point and 2 after it, such as 120.00"


@pytest.mark.parametrize(
    ("total", "problem"),
    [
        ("0.99", "must be at least 1.00 (got '0.99')"),
        ("0", "must be at least 1.00 (got '0')"),
        (Decimal("0.99"), "must be at least 1.00 (got 0.99)"),
        ("-5", "must not be negative (got '-5')"),
        (Decimal(-5), "must not be negative (got -5)"),
        (Decimal("-Infinity"), "must not be negative (got -Infinity)"),
        ("-0", "must not be negative (got '-0')"),
        ("1.234", f"{AMOUNT} (got '1.234')"),
        ("1.000", f"{AMOUNT} (got '1.000')"),
        (Decimal("1.005"), f"{AMOUNT} (got 1.005)"),
        ("1e2", f"{AMOUNT} (got '1e2')"),
        ("1E+2", f"{AMOUNT} (got '1E+2')"),
        ("", f"{AMOUNT} (got '')"),
        (".50", f"{AMOUNT} (got '.50')"),
        (" 5", f"{AMOUNT} (got ' 5')"),
        ("5\n", f"{AMOUNT} (got '5\\n')"),
        ("1,000", f"{AMOUNT} (got '1,000')"),
        ("١٢", f"{AMOUNT} (got '١٢')"),
        ("NaN", f"{AMOUNT} (got 'NaN')"),
        (Decimal("NaN"), f"{AMOUNT} (got NaN)"),
        (Decimal("sNaN"), f"{AMOUNT} (got sNaN)"),
        (Decimal("Infinity"), f"{AMOUNT} (got Infinity)"),
        (Decimal("1E+999999"), f"{AMOUNT} (got 1E+999999)"),
        (Decimal("1E-999999"), f"{AMOUNT} (got 1E-999999)"),
        (Decimal(10**12), f"{AMOUNT} (got 1000000000000)"),
        ("1000000000000", f"{AMOUNT} (got '1000000000000')"),
        (120.0, "must be a Decimal or a string (got 120.0)"),
        (120, "must be a Decimal or a string (got int)"),
        (True, "must be a Decimal or a string (got True)"),
        (None, "must be a Decimal or a string (got None)"),
    ],
)
def test_totals_that_are_refused(total: Any, problem: str) -> None:
    assert problems(create(total=total)) == [f"total {problem}"]
    assert problems(UpdateInboundPaymentIntentRequest(total=total)) == [f"total {problem}"]


@pytest.mark.parametrize(
    ("total", "sent"),
    [
        ("1", "1.00"), ("1.", "1.00"), ("1.5", "1.50"), ("0001.50", "1.50"), ("999999999999.99", "999999999999.99"),
        (Decimal(1), "1.00"), (Decimal("1.5000"), "1.50"), (Decimal("1E+2"), "100.00"), (Decimal("100.000"), "100.00"),
    ],
)  # fmt: skip
def test_totals_that_are_sent(total: Any, sent: str) -> None:
    with localcontext(prec=3):
        assert problems(create(total=total)) == []
        assert create(total=total).payload()["total"] == sent


@pytest.mark.parametrize(
    ("addenda", "problem"),
    [
        ("", "must not be empty (got '')"),
        (" \u2003", "must not be empty (got ' \\u2003')"),
        ("x" * 81, f"must have at most 80 characters, not 81 (got '{'x' * 59}…)"),
        ("a\x00b", "must not have control characters (got 'a\\x00b')"),
        ("a\nb", "must not have control characters (got 'a\\nb')"),
        ("a\ud800", "must not have control characters (got 'a\\ud800')"),
        (None, "must be text (got None)"),
        (5, "must be text (got int)"),
        (b"x", "must be text (got bytes)"),
    ],
)
def test_addenda_that_are_refused(addenda: Any, problem: str) -> None:
    assert problems(create(addenda=addenda)) == [f"addenda {problem}"]
    assert problems(UpdateInboundPaymentIntentRequest(addenda=addenda)) == [f"addenda {problem}"]


@pytest.mark.parametrize("addenda", ["x", "x" * 80, "ü😀" * 40, " padded "])
def test_addenda_that_are_sent(addenda: str) -> None:
    assert problems(create(addenda=addenda)) == []


@pytest.mark.parametrize("name", ["memo", "note"])
def test_memo_and_note(name: str) -> None:
    for good in ("", "x" * 500, "one\r\n\ttwo"):
        assert problems(create(**{name: good})) == []
        assert problems(UpdateInboundPaymentIntentRequest(**{name: good})) == []
    for bad, rule in (("x" * 501, "at most 500 characters, not 501"), ("\x1b[31m", "control"), (0, "must be text")):
        for request in (create(**{name: bad}), UpdateInboundPaymentIntentRequest(**{name: bad})):  # type: ignore[arg-type]
            [problem] = problems(request)
            assert problem.startswith(name)
            assert rule in problem
    assert problems(create(**{name: None})) == [f"{name} must be text (got None)"]


@pytest.mark.parametrize(
    ("due_date", "problem"),
    [
        (TODAY, "due_date must be later than 2026-03-02 (got 2026-03-02)"),
        (date(2020, 1, 1), "due_date must be later than 2026-03-02 (got 2020-01-01)"),
        (datetime(2030, 1, 1), "due_date must be a date without a time (got 2030-01-01 00:00:00)"),  # noqa: DTZ001
        ("2030-01-01", "due_date must be a date without a time (got '2030-01-01')"),
    ],
)
def test_due_dates_that_are_refused(due_date: Any, problem: str) -> None:
    assert problems(create(due_date=due_date)) == [problem]
    assert problems(UpdateInboundPaymentIntentRequest(due_date=due_date)) == [problem]


@pytest.mark.parametrize("name", ["send_email", "send_sms"])
def test_flags(name: str) -> None:
    assert problems(create(**{name: None})) == [f"{name} must be true or false (got None)"]
    assert problems(UpdateInboundPaymentIntentRequest(resend_email=1)) == [  # type: ignore[arg-type]
        "resend_email must be true or false (got int)"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {},
            [
                "contact.name is required for a contact without a uid",
                "contact.email is required for a contact without a uid",
            ],
        ),
        ({"name": "Acme"}, ["contact.email is required for a contact without a uid"]),
        ({"email": "a@b.test"}, ["contact.name is required for a contact without a uid"]),
        ({"uid": UID}, []),
        ({"uid": UID, "name": ""}, ["contact.name must not be empty (got '')"]),
        ({"uid": str(UID)}, [f"contact.uid must be a UUID (got '{UID}')"]),
        ({"uid": UID, "email": "x"}, ["contact.email must be an email address (got 'x')"]),
        ({"uid": UID, "name": "x" * 200}, []),
        ({"uid": UID, "secondary_email": "x"}, ["contact.secondary_email must be an email address (got 'x')"]),
        ({"uid": UID, "secondary_email": None, "phone": None}, []),
    ],
)
def test_contacts_of_a_create(fields: dict[str, Any], expected: list[str]) -> None:
    assert problems(create(contact=CreateOrUpdateContactRequest(**fields))) == expected


def test_a_contact_of_the_wrong_kind() -> None:
    assert problems(create(contact={"name": "A"})) == ["contact must be a CreateOrUpdateContactRequest (got dict)"]


@pytest.mark.parametrize("phone", ["", "1" * 12, "+14155550132", "415 555 0132", "٤١٥", "4155550132\n", 4155550132])
def test_phones_that_are_refused(phone: Any) -> None:
    for request in (CreateOrUpdateContactRequest(uid=UID, phone=phone), UpdateContactRequest(phone=phone)):
        [problem] = problems(request)
        assert problem.startswith("phone must have 1 to 11 digits and nothing else (got ")


@pytest.mark.parametrize("phone", ["4155550132", "14155550132", None])
def test_phones_that_are_sent(phone: str | None) -> None:
    assert problems(UpdateContactRequest(phone=phone)) == []


@pytest.mark.parametrize(
    "email",
    [
        "",
        "x",
        "@",
        "a@",
        "@b.test",
        "a@b",
        "a b@c.test",
        "a@b..test",
        ".a@b.test",
        "a.@b.test",
        "a..b@c.test",
        "a@-b.test",
        "a@b-.test",
        "a@b.test\n",
        "a@b@c.test",
        "ä@b.test",
        "a@ü.test",
        "x" * 65 + "@b.test",
        "a@" + "b." * 130 + "test",
        "a@" + "b" * 64 + ".test",
        '"a"@b.test',
        "Acme <a@b.test>",
        5,
        None,
    ],
)
def test_emails_that_are_refused(email: Any) -> None:
    [problem] = problems(UpdateContactRequest(email=email))
    assert problem.startswith("email must be an email address (got ")


@pytest.mark.parametrize(
    "email", ["a@b.test", "first.last+tag@sub.example.co", "x" * 64 + "@b.test", "o'neil@b-c.test"]
)
def test_emails_that_are_sent(email: str) -> None:
    assert problems(UpdateContactRequest(email=email)) == []


def test_the_second_email_differs_whatever_its_case() -> None:
    expected = ["secondary_email must differ from email (got 'AP@acme.test')"]
    assert problems(UpdateContactRequest(email="ap@acme.test", secondary_email="AP@acme.test")) == expected
    contact = CreateOrUpdateContactRequest(name="A", email="ap@acme.test", secondary_email="AP@acme.test")
    assert problems(contact) == expected
    assert problems(UpdateContactRequest(secondary_email="ap@acme.test")) == []


def test_names_of_a_contact_update() -> None:
    assert problems(UpdateContactRequest(name="x" * 60)) == []
    assert "at most 60 characters, not 61" in problems(UpdateContactRequest(name="x" * 61))[0]
    assert problems(UpdateContactRequest(name="\t")) == [
        "name must not have control characters (got '\\t')",
        "name must not be empty (got '\\t')",
    ]


def test_a_change_of_nothing_is_refused() -> None:
    assert problems(UpdateInboundPaymentIntentRequest()) == ["request must change at least one field"]
    assert problems(UpdateContactRequest()) == ["request must change at least one field"]


def test_all_errors_come_at_once_each_with_field_rule_and_value() -> None:
    request = create(
        addenda="", total="0", memo="x" * 501, due_date=TODAY, contact=CreateOrUpdateContactRequest(phone="?")
    )
    with pytest.raises(InvalidRequestError) as caught:
        request.validate(TODAY)
    error = caught.value
    assert [item.field for item in error.errors] == [
        "addenda", "total", "contact.name", "contact.email", "contact.phone", "due_date", "memo",
    ]  # fmt: skip
    assert (error.errors[1].rule, error.errors[1].value) == ("must be at least 1.00", "'0'")
    assert str(error).startswith(
        "addenda must not be empty (got ''); total must be at least 1.00 (got '0'); contact.name"
    )
    assert isinstance(error, ValueError)
    assert (error.outcome, error.may_retry) == (Outcome.REFUSED, False)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.errors) == (str(error), error.errors)


# --- anything at all


@patient
@given(st.one_of(creates, updates, contact_updates()))
def test_valid_requests_are_json(request_: Any) -> None:
    assert problems(request_) == []
    json.dumps(request_.payload()).encode()


@patient
@given(totals)
def test_a_valid_total_is_sent_as_the_same_amount(total: Decimal | str) -> None:
    sent = create(total=total).payload()["total"]
    assert Decimal(sent) == Decimal(total)
    assert sent[-3] == "."


anything = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text() | st.binary() | st.dates()
)


@patient
@given(st.data())
def test_whatever_is_set_the_answer_is_a_list_of_sentences(data: st.DataObject) -> None:
    fields = {name: data.draw(anything) for name in ("addenda", "total", "due_date", "memo", "note", "send_email")}
    contact = {name: data.draw(anything) for name in ("uid", "name", "email", "secondary_email", "phone")}
    request = create(**fields, contact=CreateOrUpdateContactRequest(**contact))
    for problem in problems(request):
        assert " must " in problem or " is required " in problem
        assert len(problem) < 200
        problem.encode()


@patient
@given(emails)
def test_an_email_never_differs_from_itself(email: str) -> None:
    assert problems(UpdateContactRequest(email=email, secondary_email=email.swapcase()))
