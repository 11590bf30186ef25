"""Checkout links: the page with many, the download, what a copy leaves behind."""

import csv
import io
import re
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import act, text_of, url
from truss_portal.models import Contact, PaymentIntent, TimelineEntry

pytestmark = pytest.mark.django_db


def named(name: str, email: str = "ap@acme.test") -> Contact:
    made: Contact = Contact.objects.create(company=make.company(), name=name, email=email)
    return made


def test_the_page_lists_links_and_says_what_is_left_out(boss: Client) -> None:
    payable = make.row(reference="INV-1", contact=named("Acme"), total="1120.00", balance_paid="20.00")
    paid = make.row(reference="INV-2", status="Paid")
    answer = act(boss, "copy_links", payable, paid)
    page = text_of(answer)
    assert f"INV-1 Acme ap@acme.test $1,100.00 {payable.checkout_url()} Copy link" in page
    assert "1 invoice is left out" in page
    assert "Invoice INV-2 is already paid." in page
    tab_separated = f"INV-1\tAcme\tap@acme.test\t1100.00\t{payable.checkout_url()}"
    assert f'data-truss-copy="{tab_separated}"' in answer.content.decode()


def test_none_payable_is_said(boss: Client) -> None:
    page = text_of(act(boss, "copy_links", make.row(status="Paid")))
    assert "None of the chosen invoices has a checkout link:" in page
    assert "Copy all" not in page


def test_the_download_opens_in_excel_and_runs_nothing(boss: Client) -> None:
    evil = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", " =1", "Ünïcode, “quoted”"]
    rows = [make.row(reference=f"INV-{number}", contact=named(name)) for number, name in enumerate(evil)]
    rows.append(make.row(reference="INV-9"))
    PaymentIntent.objects.filter(reference="INV-9").update(contact=None)
    answer = boss.post(url("paymentintent_links_csv"), {"ids": ",".join(str(row.pk) for row in rows)})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="checkout-links-{timezone.localdate()}.csv"'
    content = answer.getvalue()  # type: ignore[attr-defined]
    assert content.startswith(b"\xef\xbb\xbf")
    head, *lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert head == ["Invoice", "Payer", "Email", "Amount left, USD", "Checkout link"]
    assert [line[1] for line in lines] == [*(f"'{name}" for name in evil[:6]), evil[6], ""]
    assert lines[0][3:] == ["120.00", rows[0].checkout_url()]
    assert make.kinds(rows[0]) == ["link_copied"]


def test_a_copy_is_written_in_the_timeline(signed_in: SignIn) -> None:
    person = signed_in("view_paymentintent", "link_paymentintent")
    payable, paid = make.row(), make.row(status="Paid")
    answer = person.post(url("paymentintent_links_copied"), {"ids": f"{payable.pk},{paid.pk}"})
    assert answer.status_code == 204
    assert [(entry.kind, str(entry.actor)) for entry in payable.timeline.all()] == [("link_copied", "finance")]
    assert make.kinds(paid) == []


def test_a_person_who_may_copy_gets_button_and_page(signed_in: SignIn) -> None:
    person = signed_in("view_paymentintent", "link_paymentintent")
    intent = make.row()
    for page in (person.get(url("paymentintent_changelist")), person.get(url("paymentintent_change", intent.pk))):
        assert f'data-truss-copy="{intent.checkout_url()}"' in page.content.decode()
    assert "Copy all" in text_of(act(person, "copy_links", intent))


def many(count: int) -> None:
    company, payer = make.company(), named("Acme")
    PaymentIntent.objects.bulk_create(
        PaymentIntent(company=company, contact=payer, uid=uuid.uuid4(), total="5.00", addenda=f"N-{number}",
                      delivery="sent", status="Paid" if number % 10 == 0 else "Pending")
        for number in range(count)
    )  # fmt: skip


def all_of_them() -> dict[str, object]:
    first = PaymentIntent.objects.order_by("pk").first()
    assert first
    return {"action": "copy_links", "select_across": "1", "_selected_action": [first.pk]}


def test_more_than_a_page_shows_are_offered_as_a_file(boss: Client) -> None:
    many(620)
    confirmation = boss.post(url("paymentintent_changelist"), all_of_them(), follow=True)
    page = text_of(confirmation)
    assert "558 checkout links over $2,790.00: too many for one page, which shows up to 500." in page
    assert "62 invoices are left out" in page
    assert "Copy all" not in page
    assert confirmation.content.count(b"/checkout") == 0, "no link for each"
    [ids] = re.findall(r'name="ids" value="([\d,]+)"', confirmation.content.decode())
    with CaptureQueriesContext(connection) as seen:
        answer = boss.post(url("paymentintent_links_csv"), {"ids": ids})
        lines = answer.getvalue().decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 559
    assert len(seen) < 20
    assert TimelineEntry.objects.filter(kind="link_copied").count() == 558


def test_what_is_paid_meanwhile_is_not_in_the_file(boss: Client) -> None:
    rows = [make.row(reference="INV-1"), make.row(reference="INV-2")]
    PaymentIntent.objects.filter(pk=rows[0].pk).update(status="Paid")
    answer = boss.post(url("paymentintent_links_csv"), {"ids": f"{rows[0].pk},{rows[1].pk}"})
    content = answer.getvalue().decode("utf-8-sig")  # type: ignore[attr-defined]
    assert "INV-1" not in content
    assert "INV-2" in content
    assert make.kinds(rows[0]) == []
