"""Resources → rows."""

import threading
import uuid
from decimal import Decimal
from typing import Any

import django
import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests import make
from truss_portal import mirror, signals
from truss_portal.models import Contact, Operation, PaymentIntent, Transaction

pytestmark = pytest.mark.django_db

# Django 5.2 gives SQLite at most 999 parameters in a statement, and splits an INSERT of a hundred wide rows into four.
SPLIT = 3 if connection.vendor == "sqlite" and django.VERSION < (6,) else 0


def test_a_listed_intent_becomes_a_row_with_truss_s_fields() -> None:
    body = make.payload(total="1250.50", surprise={"kept": True})
    written = mirror.write(make.company(), [make.listed(body)])
    assert (written.created, written.updated, written.unchanged, written.stale) == (1, 0, 0, 0)
    row = PaymentIntent.objects.get()
    assert str(row.uid) == body["uid"]
    assert row.total == Decimal("1250.50")
    assert (row.addenda, row.note, row.memo) == (body["addenda"], body["note"], body["memo"])
    assert (row.status, row.delivery, row.discovered) == ("Pending", "sent", True)
    assert str(row.due_date) == "2035-05-15"
    assert row.created_at == row.pending_at == make.at(0)
    assert row.extra == {"surprise": {"kept": True}}
    assert row.fetched_at == make.at(0)
    assert row.contact is not None
    assert (row.contact.name, row.contact.email, row.contact.secondary_email) == (
        "Ortega Bakery LLC",
        "accounts@ortegabakery.example",
        "",
    )
    assert make.kinds(row) == ["discovered"]


def test_unknown_statuses_methods_and_types_are_kept() -> None:
    odd = make.transaction_payload(payment_method="carrier_pigeon", status="Perching", type="feathered", direction=0)
    mirror.write(make.company(), [make.detailed(make.payload(status="Pondering", transactions=[odd]))])
    row = PaymentIntent.objects.get()
    assert row.status == row.status_label == "Pondering"
    payment = row.transactions.get()
    assert (payment.payment_method, payment.status, payment.type) == ("carrier_pigeon", "Perching", "feathered")


def test_a_page_takes_a_handful_of_statements_and_an_unchanged_page_writes_nothing() -> None:
    company = make.company()
    bodies = [make.payload(contact=make.contact_payload(name=f"Payer {number}")) for number in range(100)]
    with CaptureQueriesContext(connection) as first:
        mirror.write(company, [make.listed(body, 0) for body in bodies])
    with CaptureQueriesContext(connection) as second:
        written = mirror.write(company, [make.listed(body, 1) for body in bodies])
    for body in bodies:
        body |= {"status": "PartiallyPaid", "balance_paid": "10.00"}
    with CaptureQueriesContext(connection) as third:
        mirror.write(company, [make.listed(body, 2) for body in bodies])
    assert _count(first) <= 6 + SPLIT
    assert written.unchanged == 100
    assert _verbs(second) == {"SELECT"}
    assert _count(second) <= 4
    assert _count(third) <= 4 + SPLIT
    assert PaymentIntent.objects.filter(status="PartiallyPaid", details_due=True).count() == 100


def test_a_page_of_details_takes_a_handful_of_statements() -> None:
    company = make.company()
    bodies = [make.payload(transactions=[make.transaction_payload()]) for _number in range(100)]
    with CaptureQueriesContext(connection) as first:
        mirror.write(company, [make.detailed(body, 0) for body in bodies])
    assert _count(first) <= 9 + 2 * SPLIT
    assert Transaction.objects.count() == 100


def _statements(captured: CaptureQueriesContext) -> list[str]:
    sql = [query["sql"] for query in captured.captured_queries]
    noise = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", 'UPDATE "truss_portal_company"')
    return [statement for statement in sql if not statement.startswith(noise)]


def _count(captured: CaptureQueriesContext) -> int:
    return len(_statements(captured))


def _verbs(captured: CaptureQueriesContext) -> set[str]:
    return {statement.split()[0] for statement in _statements(captured)}


def test_an_older_answer_never_overwrites_a_newer_one() -> None:
    company = make.company()
    body = make.payload()
    mirror.write(company, [make.listed(body | {"status": "Paid", "balance_paid": "1250.00"}, 5)])
    written = mirror.write(company, [make.listed(body, 3)])
    assert written.stale == 1
    assert PaymentIntent.objects.get().status == "Paid"


def test_an_older_answer_loses_also_to_a_newer_one_that_changed_nothing_while_a_look_was_under_way() -> None:
    company = make.company()
    body = make.payload()
    mirror.write(company, [make.listed(body, 1)])
    PaymentIntent.objects.update(asked_at=make.at(2))  # a look began, and its answer is on its way
    mirror.write(company, [make.listed(body, 3)])
    written = mirror.write(company, [make.detailed(body | {"status": "Canceled"}, 2)])
    assert written.stale == 1
    assert PaymentIntent.objects.get().status == "Pending"


def test_the_same_intent_twice_on_a_page_is_one_row_with_the_newer_answer() -> None:
    body = make.payload()
    newer = body | {"addenda": "newer"}
    mirror.write(make.company(), [make.listed(newer, 2), make.listed(body, 1)])
    assert PaymentIntent.objects.get().addenda == "newer"


def test_only_the_single_get_touches_transactions() -> None:
    company = make.company()
    payment = make.transaction_payload()
    body = make.payload(status="PartiallyPaid", balance_paid="500.00", transactions=[payment])
    mirror.write(company, [make.detailed(body, 1)])
    for empty in ({"transactions": []}, {"transactions": None}, {}):
        without = {key: value for key, value in body.items() if key != "transactions"} | empty
        mirror.write(company, [make.listed(without, 2)])
    assert Transaction.objects.get().missing_since is None
    mirror.write(company, [make.detailed(body | {"transactions": []}, 3)])
    assert Transaction.objects.get().missing_since == make.at(3)
    mirror.write(company, [make.detailed(body, 4)])
    assert Transaction.objects.get().missing_since is None


def test_a_transaction_that_truss_matched_to_another_invoice_moves_there() -> None:
    company = make.company()
    payment = make.transaction_payload()
    first, second = make.payload(transactions=[payment]), make.payload(transactions=[])
    mirror.write(company, [make.detailed(first, 1), make.detailed(second, 1)])
    mirror.write(company, [make.detailed(second | {"transactions": [payment]}, 2)])
    mirror.write(company, [make.detailed(first | {"transactions": []}, 3)])
    moved = Transaction.objects.get()
    assert str(moved.payment_intent.uid) == second["uid"]
    assert moved.missing_since is None


def test_one_bad_item_never_stops_a_page() -> None:
    company = make.company()
    good, long, nul = make.payload(), make.payload(addenda="x" * 256), make.payload(note="a\x00b")
    written = mirror.write(company, [make.detailed(body) for body in (long, good, nul)])
    assert str(PaymentIntent.objects.get().uid) == good["uid"]
    assert {item.uid for item in written.rejected} == {long["uid"], nul["uid"]}
    reasons = {item.uid: item.reason for item in written.rejected}
    assert reasons[long["uid"]] == "addenda has 256 characters, and 255 fit here"
    assert "NUL" in reasons[nul["uid"]]


def test_a_contact_is_one_row_however_many_invoices_name_it() -> None:
    company = make.company()
    payer = make.contact_payload()
    mirror.write(company, [make.listed(make.payload(contact=payer), 1) for _ in range(3)])
    mirror.write(company, [make.listed(make.payload(contact=payer | {"email": "new@ortegabakery.example"}), 2)])
    mirror.write(company, [make.listed(make.payload(contact=payer | {"email": "old@ortegabakery.example"}), 1)])
    assert Contact.objects.get().email == "new@ortegabakery.example"


def test_a_contact_that_existed_only_here_is_recognised_by_name_and_email() -> None:
    company = make.company()
    local = Contact.objects.create(company=company, name="Acme", email="ap@acme.test")
    payer = make.contact_payload(name="Acme", email="ap@acme.test")
    mirror.write(company, [make.listed(make.payload(contact=payer))])
    local.refresh_from_db()
    assert str(local.uid) == payer["uid"]
    assert Contact.objects.count() == 1


def test_an_intent_without_a_contact_is_taken_and_keeps_the_contact_that_was_known() -> None:
    company = make.company()
    body = make.payload()
    mirror.write(company, [make.listed(body | {"contact": {}}, 1)])
    assert PaymentIntent.objects.get().contact is None
    mirror.write(company, [make.listed(body, 2)])
    mirror.write(company, [make.listed(body | {"contact": {}}, 3)])
    assert PaymentIntent.objects.get().contact is not None


def test_an_intent_with_our_mark_is_adopted_by_its_row_and_settles_its_create() -> None:
    intent = make.draft(company=make.company(), memo="Job 88")
    operation = Operation.objects.create(
        company=intent.company,
        payment_intent=intent,
        kind=Operation.Kind.CREATE,
        state=Operation.State.UNCONFIRMED,
        open_create_of=intent,
    )
    body = make.payload(memo=f"[TP-{intent.memo_reference}] Job 88, edited at Truss", total="120.00")
    written = mirror.write(intent.company, [make.listed(body)])
    assert (written.created, written.updated) == (0, 1)
    intent.refresh_from_db()
    operation.refresh_from_db()
    assert str(intent.uid) == body["uid"]
    assert (intent.delivery, intent.memo, intent.discovered) == ("sent", " Job 88, edited at Truss", False)
    assert (operation.state, operation.open_create_of) == ("done", None)
    assert make.kinds(intent) == ["drafted", "sent"]


def test_an_invoice_that_truss_has_twice_is_kept_twice_and_marked_for_a_person() -> None:
    intent = make.draft(company=make.company())
    bodies = [make.payload(memo=f"[TP-{intent.memo_reference}]", total="120.00") for _ in range(2)]
    mirror.write(intent.company, [make.listed(body) for body in bodies])
    mirror.write(intent.company, [make.listed(body, 1) for body in bodies])
    intent.refresh_from_db()
    assert PaymentIntent.objects.count() == 2
    assert all(body["uid"] in intent.attention for body in bodies)
    assert make.kinds(intent).count("attention") == 1


def test_a_double_is_noted_also_when_it_comes_later() -> None:
    intent = make.draft(company=make.company())
    first, second = (make.payload(memo=f"[TP-{intent.memo_reference}]", total="120.00") for _ in range(2))
    mirror.write(intent.company, [make.listed(first)])
    mirror.write(intent.company, [make.listed(second, 1)])
    intent.refresh_from_db()
    assert str(intent.uid) == first["uid"]
    assert first["uid"] in intent.attention
    assert second["uid"] in intent.attention


def test_an_answer_to_a_create_without_our_mark_takes_over_what_a_listing_brought_in_first() -> None:
    intent = make.draft(company=make.company())
    body = make.payload(memo=None, transactions=[make.transaction_payload()])
    mirror.write(intent.company, [make.detailed(body, 1)])
    mirror.write(intent.company, [make.listed(body, 0)], adopt={uuid.UUID(body["uid"]): intent.pk})
    intent.refresh_from_db()
    assert PaymentIntent.objects.get() == intent
    assert str(intent.uid) == body["uid"]
    assert intent.transactions.count() == 1


def test_another_site_s_mark_stays_in_the_memo() -> None:
    mirror.write(make.company(), [make.listed(make.payload(memo="Job 88 [TP-0123456789]"))])
    assert PaymentIntent.objects.get().memo == "Job 88 [TP-0123456789]"


def test_the_timeline_tells_the_life_of_an_invoice_in_order() -> None:
    company = make.company()
    body = make.payload()
    mirror.write(company, [make.detailed(body, 0)])
    payment = make.transaction_payload(amount="1250.00", date="2035-01-01T00:00:00Z")
    body |= {"status": "Paid", "balance_paid": "1250.00", "paid_at": "2035-01-01T00:00:00Z", "transactions": [payment]}
    mirror.write(company, [make.detailed(body, 1)])
    payment["settled_at"] = "2035-01-03T00:00:00Z"
    mirror.write(company, [make.detailed(body, 2)])
    payment |= {"returned_at": "2035-01-05T00:00:00Z", "status": "ReturnedTransaction"}
    body |= {"status": "Pending", "balance_paid": "0.00", "paid_at": None}
    mirror.write(company, [make.detailed(body, 3)])
    reversing = make.transaction_payload(amount="1250.00", direction=1, date="2035-01-05T00:00:00Z")
    body["transactions"] = [payment, reversing]
    mirror.write(company, [make.detailed(body, 4)])
    body["status"] = "Canceled"
    mirror.write(company, [make.detailed(body, 5)])
    row = PaymentIntent.objects.get()
    assert make.kinds(row) == [
        "discovered",
        "payment_received",
        "paid",
        "payment_settled",
        "payment_returned",
        "status_changed",
        "canceled",
    ]
    assert row.timeline.get(kind="payment_received").data["amount"] == "1250.00"


@pytest.mark.parametrize("evidence", ["returned_at", "reversing entry", "both"])
def test_a_return_is_told_once_however_truss_shows_it(evidence: str) -> None:
    company = make.company()
    payment = make.transaction_payload(amount="500.00")
    body = make.payload(transactions=[payment])
    mirror.write(company, [make.detailed(body, 1)])
    if evidence in {"returned_at", "both"}:
        payment["returned_at"] = "2026-11-21T12:00:00Z"
    if evidence in {"reversing entry", "both"}:
        body["transactions"] = [payment, make.transaction_payload(amount="500.00", direction=1)]
    mirror.write(company, [make.detailed(body, 2)])
    mirror.write(company, [make.detailed(body, 3)])
    assert make.kinds(PaymentIntent.objects.get()).count("payment_returned") == 1


def test_a_payment_that_never_came_is_not_told_as_one() -> None:
    company = make.company()
    failed = make.transaction_payload(status="CanceledTransaction")
    good = make.transaction_payload(status="PendingCredit")
    body = make.payload(transactions=[failed, good])
    mirror.write(company, [make.detailed(body, 1)])
    row = PaymentIntent.objects.get()
    assert make.kinds(row) == ["discovered", "payment_received"]
    good["status"] = "Error"
    mirror.write(company, [make.detailed(body, 2)])
    mirror.write(company, [make.detailed(body, 3)])
    assert make.kinds(row) == ["discovered", "payment_received", "payment_returned"]


def test_what_truss_no_longer_shows_is_marked_and_found_again() -> None:
    company = make.company()
    body = make.payload()
    mirror.write(company, [make.listed(body, 1)])
    uid = uuid.UUID(body["uid"])
    assert mirror.mark_missing(company, [uid], asked_at=make.at(0)) == 0, "an older 404 says nothing"
    assert mirror.mark_missing(company, [uid], asked_at=make.at(2)) == 1
    assert mirror.mark_missing(company, [uid], asked_at=make.at(3)) == 0
    assert PaymentIntent.objects.get().missing_since == make.at(2)
    mirror.write(company, [make.listed(body, 4)])
    row = PaymentIntent.objects.get()
    assert row.missing_since is None
    assert make.kinds(row) == ["discovered", "missing", "found_again"]


@pytest.mark.django_db(transaction=True)
def test_history_of_an_invoice_made_at_truss_is_told_without_signals() -> None:
    heard: list[str] = []

    def hear(entry: Any, **_rest: Any) -> None:
        heard.append(entry.kind)

    signals.payment_received.connect(hear)
    signals.payment_returned.connect(hear)
    try:
        past = make.transaction_payload(date="2020-01-01T00:00:00Z", returned_at="2020-01-05T00:00:00Z")
        body = make.payload(transactions=[past])
        mirror.write(make.company(), [make.detailed(body, 0)])
        new = make.transaction_payload(date="2035-01-01T00:00:00Z")
        mirror.write(make.company(), [make.detailed(body | {"transactions": [past, new]}, 1)])
    finally:
        signals.payment_received.disconnect(hear)
        signals.payment_returned.disconnect(hear)
    assert heard == ["payment_received"]
    assert make.kinds(PaymentIntent.objects.get()).count("payment_received") == 2


@pytest.mark.django_db(transaction=True)
def test_two_writers_of_the_same_new_page_make_one_row_each() -> None:
    company = make.company()
    payer = make.contact_payload()
    bodies = [make.payload(contact=payer) for _ in range(50)]
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def work(minutes: int) -> None:
        try:
            start.wait(timeout=10)
            mirror.write(company, [make.listed(body, minutes) for body in bodies])
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(minutes,)) for minutes in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not errors
    assert PaymentIntent.objects.count() == 50
    assert Contact.objects.count() == 1


class TestAnyOrder(TestCase):
    """Whatever the order in which answers arrive, the newest question wins."""

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(min_value=0, max_value=9), min_size=1, max_size=8, unique=True))
    def test_the_newest_answer_stands(self, order: list[int]) -> None:
        company = make.company()
        body = make.payload()
        for minutes in order:
            mirror.write(company, [make.detailed(body | {"addenda": f"as of {minutes}"}, minutes)])
        assert PaymentIntent.objects.get(uid=body["uid"]).addenda == f"as of {max(order)}"
