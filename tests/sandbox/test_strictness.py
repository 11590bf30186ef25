"""What is sent is taken by the letter: a client's mistake comes to light, and nothing makes the sandbox fall over."""

from typing import Any

import pytest

from tests.sandbox.conftest import INTENTS, Api

CONTACT = {"name": "Ortega Bakery", "email": "ap@ortega.example"}


@pytest.mark.parametrize(
    "spoilt",
    [
        {"addenda": ...},
        {"addenda": ""},
        {"addenda": "x" * 81},
        {"addenda": 7},
        {"addenda": None},
        {"addenda": "nul\x00"},
        {"addenda": "\ud800"},
        {"total": ...},
        {"total": 120},
        {"total": 120.5},
        {"total": True},
        {"total": ""},
        {"total": "."},
        {"total": "0.99"},
        {"total": "-5.00"},
        {"total": "1.001"},
        {"total": "1e3"},
        {"total": " 5.00"},
        {"total": "5.00\n"},
        {"total": "\u0665.00"},
        {"total": "NaN"},
        {"total": "1234567890123"},
        {"contact": ...},
        {"contact": None},
        {"contact": []},
        {"contact": "Ortega"},
        {"contact": {}},
        {"contact": {"name": "A"}},
        {"contact": {"email": "a@example.test"}},
        {"contact": {"uid": None}},
        {"contact": {"uid": 7}},
        {"contact": {"uid": "not-a-uid"}},
        {"contact": {"uid": "{8f0c2d54-6b1e-4c0a-9a57-2f6f1d0b7c31}"}},
        {"contact": CONTACT | {"name": ""}},
        {"contact": CONTACT | {"name": 5}},
        {"contact": CONTACT | {"email": "nobody"}},
        {"contact": CONTACT | {"email": ""}},
        {"contact": CONTACT | {"email": None}},
        {"contact": CONTACT | {"email": {}}},
        {"contact": CONTACT | {"email": "a" * 250 + "@example.test"}},
        {"contact": CONTACT | {"secondary_email": "nobody"}},
        {"contact": CONTACT | {"secondary_email": ""}},
        {"contact": CONTACT | {"phone": "141555501321"}},
        {"contact": CONTACT | {"phone": 4155550132}},
        {"contact": CONTACT | {"fax": "1"}},
        {"due_date": "2035-5-15"},
        {"due_date": "20350515"},
        {"due_date": "2035-02-30"},
        {"due_date": "2035-05-15T00:00:00Z"},
        {"due_date": ""},
        {"due_date": 2035},
        {"memo": None},
        {"memo": "x" * 501},
        {"note": None},
        {"note": []},
        {"send_email": "true"},
        {"send_email": 1},
        {"send_email": None},
        {"send_sms": "no"},
        {"currency": "USD"},
        {"\ud800": 1},
    ],
)
def test_a_create_with_a_fault_is_refused(api: Api, spoilt: dict[str, Any]) -> None:
    answer = api.create(**spoilt)
    assert answer.status_code == 400
    assert answer.json()
    assert api.get(INTENTS).json()["count"] == 0


@pytest.mark.parametrize(
    "good",
    [
        {"total": "1"},
        {"total": "1."},
        {"total": "001.50"},
        {"total": "999999999999.99"},
        {"addenda": " "},
        {"addenda": "ü" * 80},
        {"memo": "", "note": ""},
        {"due_date": None},
        {"contact": CONTACT | {"secondary_email": None, "phone": None}},
        {"contact": CONTACT | {"name": "n" * 5000}},
        {"contact": CONTACT | {"phone": ""}},
        {"memo": "🍞" * 500},
    ],
)
def test_what_the_reference_allows_is_taken(api: Api, good: dict[str, Any]) -> None:
    intent = api.created(**good)
    assert api.fetched(intent["uid"]) == intent


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"NaN",
        b'{"total": NaN}',
        b"\xff\xfe",
        b'{"addenda": "\\ud800"}',
        b'{"\\u0000": 1}',
        b"[" * 100_000,
        b'{"total": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_object_is_refused(api: Api, body: bytes) -> None:
    answer = api.post(INTENTS, body)
    assert answer.status_code == 400
    assert answer.json()


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"status": "Paid"}', b'{"contact": {}}', b'{"total": null}'])
def test_a_change_with_a_fault_is_refused(api: Api, body: bytes) -> None:
    uid = api.created()["uid"]
    assert api.patch(f"{INTENTS}{uid}/", body).status_code == 400


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"name": "x" * 61}, {"name": None}, {"email": None}, {"uid": "x"}, {"phone": "1" * 12}]
)
def test_a_contacts_change_with_a_fault_is_refused(api: Api, change: dict[str, Any]) -> None:
    uid = api.created()["contact"]["uid"]
    assert api.patch(f"/v1/contacts/{uid}/", change).status_code == 400


def test_only_json_is_read_and_only_json_is_answered(api: Api) -> None:
    assert api.send("POST", INTENTS, b"total=5", content_type="application/x-www-form-urlencoded").status_code == 415
    answer = api.send("GET", INTENTS, headers=api.headers | {"Accept": "text/html"})
    assert answer["Content-Type"] == "application/json"
