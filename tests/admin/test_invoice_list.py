"""The list of invoices."""

import re
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.pages import act, see, text_of, told, url
from truss_portal.models import Contact, PaymentIntent, Transaction

pytestmark = pytest.mark.django_db

LIST = "paymentintent_changelist"


def contact(name: str = "Ortega Bakery", **more: Any) -> Contact:
    made: Contact = Contact.objects.create(company=make.company(), uid=uuid.uuid4(), name=name, **more)
    return made


def rows(page: str) -> int:
    """How many invoices the list says it shows."""
    return int(re.findall(r"(\d+) invoices?\b", page)[-1])


def test_a_row_tells_number_payer_amounts_due_and_status_in_words(boss: Client) -> None:
    make.row(
        reference="INV-7",
        addenda="Oven repair",
        contact=contact(email="ap@ortega.test"),
        total=Decimal("1250.50"),
        balance_paid=Decimal("300.25"),
        status="PartiallyPaid",
        due_date="2035-01-31",
    )
    page = see(boss, LIST)
    assert "INV-7 Oven repair Copy link Ortega Bakery ap@ortega.test $950.25 Jan. 31, 2035 Partially paid" in page
    assert "$1,250.50 $300.25" in page


def test_overdue_is_said_in_a_word(boss: Client) -> None:
    yesterday = timezone.localdate() - timedelta(days=1)
    make.row(due_date=yesterday, addenda="Late")
    make.row(due_date=yesterday, addenda="Late but paid", status="Paid", balance_paid="120.00")
    assert see(boss, LIST).split("Change invoice", 1)[-1].count("Overdue") == 2, "one row, and the filter's own label"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"status": "Canceled"}, "Canceled"),
        ({"status": "Paid"}, "Paid"),
        ({"status": "Errored"}, "Not payable now"),
        ({"status": "Pondering"}, "Pondering"),
        ({"missing_since": timezone.now()}, "Not found at Truss"),
        ({"attention": "It is there twice."}, "Needs a person"),
        ({"uid": None, "status": "", "delivery": "queued"}, "Waiting to be sent"),
        ({"uid": None, "status": "", "delivery": "failed"}, "Couldn't be sent"),
        ({"uid": None, "status": "", "delivery": "unconfirmed"}, "Not confirmed"),
        ({"uid": None, "status": "", "delivery": "unsent"}, "Not sent yet"),
    ],
)
def test_what_is_in_the_way_stands_in_the_row(boss: Client, columns: dict[str, Any], words: str) -> None:
    make.row(addenda="The row", **columns)
    row = see(boss, LIST).split("The row", 1)[1].split("1 invoice")[0]
    assert words in row


def test_a_company_without_a_portal_has_no_links(boss: Client) -> None:
    make.row(company=make.company(checkout_link_id=""))
    assert "No portal link" in see(boss, LIST)


def test_an_invoice_without_payer_or_number_is_shown(boss: Client) -> None:
    row = make.row(addenda="Only a description")
    PaymentIntent.objects.filter(pk=row.pk).update(contact=None)
    assert "Only a description Copy link - $120.00" in see(boss, LIST)


def test_a_company_is_named_where_there_are_several(boss: Client) -> None:
    make.row()
    assert "Bakers Inc" not in see(boss, LIST)
    make.company(slug="bakers", name="Bakers Inc")
    page = see(boss, LIST)
    assert "By company" in page
    assert "Bakers Inc" in page


def test_the_number_of_queries_does_not_grow_with_the_rows(boss: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            see(boss, LIST)
        return len(seen)

    make.row()
    few = queries()
    for number in range(20):
        make.row(addenda=f"Row {number}")
    assert queries() == few


def test_an_empty_list_says_what_to_do_first(boss: Client) -> None:
    assert "No invoices yet. Write the first one" in see(boss, LIST)
    make.row()
    assert "Nothing matches. Show all" in see(boss, LIST, q="nobody")


@pytest.mark.parametrize("how", ["dashes", "no dashes", "capitals", "in a link", "a payment's"])
def test_a_pasted_uid_is_found_however_it_is_written(boss: Client, how: str) -> None:
    wanted = make.row(addenda="Wanted")
    make.row(addenda="Another")
    paid = Transaction.objects.create(
        company=wanted.company, payment_intent=wanted, uid=uuid.uuid4(), amount=5, direction=0, date=timezone.now(),
        fetched_at=timezone.now(),
    )  # fmt: skip
    assert wanted.uid
    search = {
        "dashes": str(wanted.uid),
        "no dashes": wanted.uid.hex,
        "capitals": str(wanted.uid).upper(),
        "in a link": wanted.checkout_url(),
        "a payment's": str(paid.uid),
    }[how]
    page = see(boss, LIST, q=search)
    assert "Wanted" in page
    assert rows(page) == 1


def test_search_finds_number_payer_emails_description_and_our_mark(boss: Client) -> None:
    payer = contact("Ortega Bakery", email="ap@ortega.test", secondary_email="boss@ortega.test")
    wanted = make.row(addenda="Oven repair", reference="INV-77", contact=payer)
    make.row(addenda="Another")
    for search in ("INV-77", "Oven", "Ortega", "ap@ortega", "boss@ortega.test", f"[TP-{wanted.memo_reference}]"):
        assert rows(see(boss, LIST, q=search)) == 1, search


def test_filters_answer_what_finance_staff_ask(boss: Client) -> None:
    today = timezone.localdate()
    make.row(due_date=today - timedelta(days=1))
    make.row(due_date=today + timedelta(days=2), status="PartiallyPaid")
    make.row(due_date=today + timedelta(days=30))
    make.row(due_date=today + timedelta(days=30), status="Pondering")
    make.row()
    make.row(due_date=today - timedelta(days=1), status="Paid")
    make.row(uid=None, status="", delivery="failed")
    expected = [
        ({"due": "overdue"}, 1),
        ({"due": "soon"}, 1),
        ({"due": "later"}, 1),
        ({"due": "undated"}, 1),
        ({"status": "Paid"}, 1),
        ({"status": "none"}, 1),
        ({"status": "other"}, 1),
        ({"attention": "yes"}, 1),
        ({"delivery": "sent"}, 6),
        ({"due": "nonsense"}, 7),
    ]
    assert [rows(see(boss, LIST, **query)) for query, _count in expected] == [count for _query, count in expected]


def test_columns_can_be_sorted_by_what_is_left(boss: Client) -> None:
    make.row(addenda="Little left", total="500.00", balance_paid="499.00")
    make.row(addenda="Much left", total="120.00")
    page = see(boss, LIST, o="4")
    assert page.index("Little left") < page.index("Much left")


def test_only_drafts_are_deleted_and_of_a_selection_all_or_none(boss: Client) -> None:
    make.company()
    draft, other, sent = make.draft(), make.draft(), make.row(addenda="At Truss")
    page = text_of(act(boss, "delete_selected", draft, sent))
    assert "At Truss (not a draft: sent)" in page
    delete = {"action": "delete_selected", "post": "yes"}
    boss.post(url(LIST), delete | {"_selected_action": [draft.pk, sent.pk]})
    assert PaymentIntent.objects.count() == 3
    answer = boss.post(url(LIST), delete | {"_selected_action": [draft.pk, other.pk]}, follow=True)
    assert told(answer) == ["Successfully deleted 2 invoices."]
    assert list(PaymentIntent.objects.all()) == [sent]


@pytest.mark.parametrize(
    ("count", "limit", "actions"),
    [(10_001, 10_000, ["send_selected", "refresh_selected", "resend_selected", "cancel_selected", "copy_links"])],
)
def test_too_many_rows_are_refused_in_words(boss: Client, count: int, limit: int, actions: list[str]) -> None:
    company = make.company()
    payer = contact()
    PaymentIntent.objects.bulk_create(
        PaymentIntent(company=company, contact=payer, uid=uuid.uuid4(), total=5, addenda="Many", delivery="sent")
        for _ in range(count)
    )
    for action in actions:
        chosen = {"action": action, "select_across": "1", "_selected_action": [PaymentIntent.objects.first().pk]}  # type: ignore[union-attr]
        answer = boss.post(url(LIST), chosen, follow=True)
        assert told(answer) == [
            f"{count} invoices are chosen, and at most {limit} fit. Choose fewer: filters and the search help."
        ]
