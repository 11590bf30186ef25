"""What is exported can be imported again, and then nothing differs."""

import string
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import make
from tests.exchange.files import FORMATS
from truss_portal import actions
from truss_portal.client import InvalidRequestError
from truss_portal.exceptions import ActionRefusedError
from truss_portal.exchange import (
    Kind,
    Outcome,
    Planner,
    Writer,
    as_csv,
    as_xlsx,
    load_known,
    read_file,
    read_lines,
    template_csv,
    template_xlsx,
)
from truss_portal.models import Contact, PaymentIntent

pytestmark = pytest.mark.django_db(transaction=True)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
Write = Callable[[Any], Iterator[bytes]]
BOTH = pytest.mark.parametrize("write", [as_csv, as_xlsx])

# Whatever Truss's rules and the databases allow: no control characters, and no half of a pair.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=80)
AWKWARD = st.sampled_from(
    [
        "=1+1",
        "'=1",
        "''=x",
        "+1",
        "-",
        "@x",
        '="00042"',
        "'tis",
        " x ",
        "_x0041_",
        "\ufffe",
        "a\u2028b",
        '"',
        "0042",
        "1e5",
    ]
)
WORDS = AWKWARD | TEXT
LINES = st.lists(WORDS | st.sampled_from(["\n", "\r\n", "\t", "\n=2"]), max_size=4).map("".join)
EMAILS = st.tuples(
    st.text(string.ascii_letters + string.digits + "+-'=_", min_size=1, max_size=12),
    st.text(string.ascii_lowercase, min_size=1, max_size=8),
).map(lambda parts: f"{parts[0]}@{parts[1]}.test")
DRAFTS = st.fixed_dictionaries(
    {
        "reference": WORDS.filter(lambda text: bool(text.strip()) and text.strip() != "EXAMPLE-1"),
        "total": st.decimals(min_value=1, max_value=10**11, places=2),
        "addenda": WORDS.filter(lambda text: bool(text.strip())),
        "note": LINES,
        "memo": LINES,
        "due_date": st.none() | st.dates(date.today() + timedelta(days=3), date(2099, 12, 31)),  # noqa: DTZ011
        "send_email": st.booleans(),
        "send_sms": st.booleans(),
        "contact": st.fixed_dictionaries(
            {
                "name": WORDS.filter(lambda text: bool(text.strip())),
                "email": EMAILS,
                "secondary_email": st.just("") | EMAILS,
                "phone": st.just("") | st.text(string.digits, min_size=1, max_size=11),
            }
        ),
    }
)


def planned(data: bytes) -> list[Outcome]:
    reading = read_lines(read_file("file", data), FORMATS, ["default"])
    company = make.company()
    return Planner(company, load_known(company, reading.wanted), reading.headings).plan(reading.wanted)


def drafted(drafts: list[dict[str, Any]]) -> None:
    for draft in drafts:
        try:
            actions.draft(company=make.company(), **draft)
        except (InvalidRequestError, ActionRefusedError):
            continue


@BOTH
@QUICK
@given(drafts=st.lists(DRAFTS, max_size=4))
def test_drafts_exported_and_imported_differ_in_nothing(write: Write, drafts: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        drafted(drafts)
        count = PaymentIntent.objects.count()
        if count:
            outcomes = planned(b"".join(write(PaymentIntent.objects.all())))
            assert [(it.kind, it.why) for it in outcomes] == [(Kind.SKIPPED, "Nothing differs.")] * count
        transaction.set_rollback(True)


@BOTH
@QUICK
@given(
    columns=st.lists(
        st.fixed_dictionaries(
            {
                "reference": st.none(),
                "total": st.decimals(min_value=-(10**11), max_value=10**11, places=2),
                "balance_paid": st.decimals(min_value=0, max_value=10**11, places=2),
                "addenda": WORDS,
                "note": LINES,
                "memo": LINES,
                "due_date": st.none() | st.dates(),
                "status": st.sampled_from(["Pending", "PartiallyPaid", "Paid", "Canceled", "Whatever"]),
            }
        ),
        min_size=1,
        max_size=3,
    ),
    name=WORDS,
    email=st.just("") | EMAILS,
    phone=st.sampled_from(["", "+1 (555) 555-0100", "0044 20"]),
)
def test_what_truss_has_exported_and_imported_differs_in_nothing(
    write: Write, columns: list[dict[str, Any]], name: str, email: str, phone: str
) -> None:
    with transaction.atomic():
        contact = Contact.objects.create(
            company=make.company(), uid=uuid.uuid4(), name=name, email=email, phone=phone
        )  # fmt: skip
        for each in columns:
            make.row(contact=contact, discovered=True, **each)
        outcomes = planned(b"".join(write(PaymentIntent.objects.all())))
        assert [(it.kind, it.why) for it in outcomes] == [(Kind.SKIPPED, "Nothing differs.")] * len(columns)
        transaction.set_rollback(True)


@QUICK
@given(before=st.lists(DRAFTS, max_size=2), draft=DRAFTS, same=st.booleans())
def test_a_line_becomes_what_a_draft_from_code_becomes(
    before: list[dict[str, Any]], draft: dict[str, Any], same: bool
) -> None:
    """One exported, taken back and imported: the same columns, the same payer. Only space around a text is lost."""
    if before and same:
        draft = draft | {"contact": before[0]["contact"]}
    told = {column: draft[column] for column in ("total", "due_date", "send_email", "send_sms")}
    with transaction.atomic():
        drafted(before)
        with transaction.atomic():
            PaymentIntent.objects.filter(reference__in=[draft["reference"], draft["reference"].strip()]).delete()
            data, was_there = b"", False
            # A draft that is refused is no line either.
            with suppress(InvalidRequestError, ActionRefusedError):
                intent = actions.draft(company=make.company(), **draft)
                data = b"".join(as_xlsx(PaymentIntent.objects.filter(pk=intent.pk)))
                payer = intent.contact
                assert payer is not None
                theirs = Contact.objects.filter(pk=payer.pk, payment_intents__isnull=False)
                was_there = theirs.exclude(payment_intents=intent).exists()
            transaction.set_rollback(True)
        if not data:
            transaction.set_rollback(True)
            return
        PaymentIntent.objects.filter(reference__in=[draft["reference"], draft["reference"].strip()]).delete()
        [outcome] = planned(data)
        assert outcome.kind == Kind.NEW, outcome.why
        writer = Writer(make.company(), {}, at=timezone.now())
        [written] = writer.write([(outcome.wanted, outcome.fingerprint)])
        [made] = written.new
        made.refresh_from_db()
        assert {column: getattr(made, column) for column in told} == told
        assert (made.addenda, made.reference) == (draft["addenda"].strip(), draft["reference"].strip())
        assert made.contact is not None
        for column in ("name_key", "email", "secondary_email", "phone"):
            assert getattr(made.contact, column) == getattr(payer, column)
        if was_there:
            assert made.contact_id == payer.pk
        transaction.set_rollback(True)


@pytest.mark.parametrize("template", [template_csv, template_xlsx])
def test_the_template_imports_nothing_as_it_is(template: Callable[[date], bytes]) -> None:
    [outcome] = planned(template(timezone.localdate()))
    assert outcome.kind == Kind.SKIPPED
    assert outcome.reason == "The template's example: never imported."
    assert outcome.wanted.values["total"] == Decimal("1234.50")
    assert outcome.wanted.values["due_date"] > timezone.localdate()
