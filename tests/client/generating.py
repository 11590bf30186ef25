"""Valid requests of every kind, for property tests."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from truss_portal.client import (
    UNSET,
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)

TODAY = date(2026, 3, 2)

# The first text that hypothesis draws takes a second, and a busy machine takes longer: neither is a finding.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
patient_on_the_wire = settings(patient, max_examples=40)

_characters = st.characters(exclude_categories=["Cc", "Cs"])


def lines(maximum: int) -> st.SearchStrategy[str]:
    return st.text(_characters, min_size=1, max_size=maximum).filter(str.strip)


def paragraphs(minimum: int = 0) -> st.SearchStrategy[str]:
    return st.text(_characters | st.sampled_from("\t\r\n"), min_size=minimum, max_size=500)


def absent_or(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.just(UNSET) | strategy


totals = st.one_of(
    st.decimals(min_value=1, max_value=Decimal("999999999999.99"), places=2),
    st.decimals(min_value=1, max_value=Decimal("999999999999.99"), places=2).map(lambda amount: f"{amount:f}"),
    st.integers(1, 10**12 - 1).map(str),
    st.integers(1, 10**11).map(lambda amount: f"{amount}."),
    st.sampled_from([Decimal("1E+2"), Decimal("1.5000"), "007.5", "1"]),
)
due_dates = st.dates(min_value=TODAY + timedelta(days=1))
phones = st.text("0123456789", min_size=1, max_size=11)
_labels = st.text("abcXYZ019", min_size=1, max_size=10)
emails = st.builds(
    "{}@{}.{}".format,
    st.lists(st.text("azAZ09!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=12), min_size=1, max_size=3).map(".".join),
    _labels,
    _labels,
)
two_emails = st.tuples(emails, emails).filter(lambda pair: pair[0].lower() != pair[1].lower())


@st.composite
def contacts(draw: st.DrawFn) -> CreateOrUpdateContactRequest:
    uid = draw(st.none() | st.uuids())
    email, secondary_email = draw(two_emails)
    by_name = uid is None
    return CreateOrUpdateContactRequest(
        uid=uid,
        name=draw(lines(100) if by_name else st.none() | lines(100)),
        email=email if by_name else draw(st.sampled_from([None, email])),
        secondary_email=draw(st.sampled_from([UNSET, None, secondary_email])),
        phone=draw(st.sampled_from([UNSET, None]) | phones),
    )


creates = st.builds(
    CreateInboundPaymentIntentRequest,
    addenda=lines(80),
    total=totals,
    contact=contacts(),
    due_date=st.none() | due_dates,
    memo=paragraphs(),
    note=paragraphs(),
    send_email=st.booleans(),
    send_sms=st.booleans(),
)

updates = st.builds(
    UpdateInboundPaymentIntentRequest,
    addenda=absent_or(lines(80)),
    total=absent_or(totals),
    due_date=absent_or(st.none() | due_dates),
    memo=absent_or(st.none() | paragraphs()),
    note=absent_or(st.none() | paragraphs()),
    resend_email=absent_or(st.booleans()),
).filter(lambda request: request != UpdateInboundPaymentIntentRequest())


@st.composite
def contact_updates(draw: st.DrawFn) -> UpdateContactRequest:
    email, secondary_email = draw(two_emails)
    request = UpdateContactRequest(
        email=draw(st.sampled_from([UNSET, email])),
        name=draw(absent_or(lines(60))),
        phone=draw(st.sampled_from([UNSET, None]) | phones),
        secondary_email=draw(st.sampled_from([UNSET, None, secondary_email])),
    )
    return request if request != UpdateContactRequest() else UpdateContactRequest(email=email)
