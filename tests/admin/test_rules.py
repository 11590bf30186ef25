"""Every published rule stands at its field before anything is saved, and what was typed stays."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.pages import url
from tests.admin.writing import errors, form, payer
from tests.contract import contract
from truss_portal import outbox
from truss_portal.models import Contact, PaymentIntent

pytestmark = pytest.mark.django_db

CREATE, PAYER = "CreateInboundPaymentIntentRequest", "CreateOrUpdateContactRequest"

# A published rule → what breaks it, the field where that is said, and how.
RULES_OF_AN_INVOICE: dict[str, tuple[dict[str, Any], str, str]] = {
    "addenda required": ({"addenda": ""}, "addenda", "This field is required."),
    "addenda minLength 1": ({"addenda": "   "}, "addenda", "This field is required."),
    "addenda maxLength 80": (
        {"addenda": "a" * 81},
        "addenda",
        "The description must have at most 80 characters, not 81.",
    ),
    "contact required": ({"contact": ""}, "contact", "This field is required."),
    "total required": ({"total": ""}, "total", "This field is required."),
    "total pattern": ({"total": "1.001"}, "total", "Write whole cents: at most two digits after the point."),
    "total format decimal": (
        {"total": "much"},
        "total",
        "Write an amount in US dollars, such as 1200.00.",
    ),
    "total x-minimum 1.00": ({"total": "0.99"}, "total", "The amount must be at least 1.00."),
    "due_date format date": ({"due_date": "31/31/2030"}, "due_date", "Write a date, such as 2030-01-31."),
    "memo maxLength 500": ({"memo": "m" * 485}, "memo", "The memo must have at most 484 characters."),
    "note maxLength 500": ({"note": "n" * 501}, "note", "The note must have at most 500 characters, not 501."),
}
# The same for the payer's own form.
RULES_OF_A_PAYER: dict[str, tuple[dict[str, Any], str, str]] = {
    "name required": ({"name": ""}, "name", "This field is required."),
    "name minLength 1": ({"name": "  "}, "name", "This field is required."),
    "email required": ({"email": ""}, "email", "This field is required."),
    "email format email": ({"email": "ap@acme"}, "email", "The email must be an email address."),
    "email minLength 1": ({"email": " "}, "email", "This field is required."),
    "secondary_email format email": (
        {"secondary_email": "b@"},
        "secondary_email",
        "The secondary email must be an email address.",
    ),
    "phone maxLength 11": ({"phone": "415555013200"}, "phone", "The phone must have 1 to 11 digits and nothing else."),
}
# What is published in words alone, or left open and read strictly; and what no form lets through.
MORE_OF_AN_INVOICE: list[tuple[dict[str, Any], str, str]] = [
    ({"due_date": "today"}, "due_date", "The due date must be later than"),
    ({"due_date": "2001-01-01"}, "due_date", "The due date must be later than"),
    ({"total": "-5"}, "total", "The amount must"),
    ({"total": "0"}, "total", "The amount must be at least 1.00."),
    ({"total": "1234567890123"}, "total", "This amount is too large: at most twelve digits before the point."),
    ({"total": "1,200.00"}, "total", "Write an amount in US dollars, such as 1200.00."),
    ({"total": "NaN"}, "total", "Write an amount in US dollars, such as 1200.00."),
    ({"addenda": "a\x07b"}, "addenda", "The description must not have control characters."),
    ({"note": "a\x07b"}, "note", "The note must not have control characters."),
    ({"reference": "r" * 101}, "reference", "at most 100 characters"),
]
MORE_OF_A_PAYER: list[tuple[dict[str, Any], str, str]] = [
    ({"secondary_email": "AP@acme.test"}, "secondary_email", "The secondary email must differ from email."),
    ({"name": "n" * 61}, "name", "The name must have at most 60 characters, not 61."),
    ({"phone": "+1 415 555"}, "phone", "The phone must have 1 to 11 digits and nothing else."),
    ({"email": "two@at@acme.test"}, "email", "The email must be an email address."),
]


def published(schema: str) -> Iterator[str]:
    """Each rule in truss.openapi.yaml about each field of a request, in a few words."""
    described = contract.truss.document()["components"]["schemas"][schema]
    required = described.get("required") or described["anyOf"][1]["required"]
    for name, described_there in described["properties"].items():
        rules = contract.truss.resolve(described_there)
        if name in required:
            yield f"{name} required"
        if "pattern" in rules:
            yield f"{name} pattern"
        for word in ("minLength", "maxLength", "format", "x-minimum"):
            if word in rules and (name, word) != ("uid", "format"):
                yield f"{name} {word} {rules[word]}"


def test_the_tables_below_have_every_published_rule() -> None:
    assert sorted(RULES_OF_AN_INVOICE) == sorted(published(CREATE))
    assert sorted(RULES_OF_A_PAYER) == sorted(published(PAYER))


@pytest.mark.parametrize(("wrong", "field", "sentence"), [*RULES_OF_AN_INVOICE.values(), *MORE_OF_AN_INVOICE])
def test_an_invoice_that_breaks_a_rule_is_not_saved_and_what_was_typed_stays(
    boss: Client, wrong: dict[str, Any], field: str, sentence: str
) -> None:
    wrong = {name: timezone.localdate().isoformat() if value == "today" else value for name, value in wrong.items()}
    typed = form(contact=payer(), note="Kept as typed", reference="INV-9") | wrong
    answer = boss.post(url("paymentintent_add"), typed)
    found = errors(answer)
    assert [*found] == [field]
    assert sentence in found[field][0]
    assert len(found[field]) == 1
    assert not PaymentIntent.objects.exists()
    shown = answer.context["adminform"].form
    for name, value in typed.items():
        assert str(shown[name].value() or "") == str(value)


@pytest.mark.parametrize(("wrong", "field", "sentence"), [*RULES_OF_A_PAYER.values(), *MORE_OF_A_PAYER])
def test_a_payer_who_breaks_a_rule_is_not_saved_and_what_was_typed_stays(
    boss: Client, wrong: dict[str, Any], field: str, sentence: str
) -> None:
    make.company()
    typed = {"name": "Acme", "email": "ap@acme.test", "secondary_email": "", "phone": ""} | wrong
    answer = boss.post(url("contact_add"), typed)
    assert errors(answer) == {field: [sentence]}
    assert not Contact.objects.exists()
    assert {name: answer.context["adminform"].form[name].value() for name in typed} == typed


def test_what_keeps_every_rule_to_the_letter_is_saved(boss: Client) -> None:
    tomorrow = (outbox.today() + timedelta(days=1)).isoformat()
    widest = {"total": "999999999999.99", "addenda": "a" * 80, "note": "n" * 500, "memo": "m" * 484}
    boss.post(url("paymentintent_add"), form(contact=payer(), due_date=tomorrow) | widest)
    boss.post(url("paymentintent_add"), form(contact=Contact.objects.get(), total="1", addenda="a"))
    assert sorted(PaymentIntent.objects.values_list("total", flat=True)) == [
        Decimal("1.00"),
        Decimal("999999999999.99"),
    ]
