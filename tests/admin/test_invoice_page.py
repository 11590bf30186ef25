"""The page of one invoice."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, told, url
from truss_portal import mirror, timeline
from truss_portal.models import Operation, PaymentIntent, TimelineEntry

pytestmark = pytest.mark.django_db


class TestPage:
    def test_it_tells_facts_payments_timeline_and_requests(self, boss: Client) -> None:
        company = make.company()
        body = make.payload(
            status="PartiallyPaid",
            balance_paid="500.00",
            transactions=[make.transaction_payload(settled_at="2026-11-20T12:40:00Z")],
            surprise="kept",
        )
        mirror.write(company, [make.detailed(body)])
        intent = PaymentIntent.objects.get()
        Operation.objects.create(
            company=company,
            payment_intent=intent,
            kind="amend",
            state="refused",
            needs_person=True,
            error="Too late.",
            body={"total": "5"},
        )
        page = see(boss, "paymentintent_change", intent.pk)
        assert f"Checkout link: {intent.checkout_url()}" in page
        assert "Left: $750.00" in page
        assert "As of: Nov. 20, 2026, 7 a.m." in page, "in the site's time zone"
        assert "$500.00 ACH transfer Settled" in page
        assert "Payment received $500.00, ACH transfer" in page
        assert "Found at Truss Partially paid, $1,250.00" in page
        assert "Amend: refused . Too late." in page.replace("refused.", "refused .")
        assert "surprise" in page
        assert "Made at Truss" in page

    def test_it_says_why_there_is_no_link(self, boss: Client) -> None:
        intent = make.row(reference="INV-9", status="Paid")
        page = see(boss, "paymentintent_change", intent.pk)
        assert "Invoice INV-9 is already paid." in page
        assert "data-truss-copy=" not in boss.get(url("paymentintent_change", intent.pk)).content.decode()

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            ({"attention": "Truss has it twice."}, "Needs a person. Truss has it twice."),
            ({"missing_since": timezone.now()}, "No longer found at Truss. Truss no longer has this invoice"),
            (
                {"uid": None, "delivery": "failed", "delivery_error": "No such payer."},
                "Truss refused it. No such payer.",
            ),
            (
                {"uid": None, "delivery": "unconfirmed", "delivery_error": "Timeout."},
                "Truss's answer was lost. Timeout.",
            ),
        ],
    )
    def test_what_a_person_must_know_stands_at_the_top(self, boss: Client, columns: dict[str, Any], words: str) -> None:
        intent = make.row(addenda="The row", **columns)
        page = see(boss, "paymentintent_change", intent.pk)
        assert words in page
        assert page.index(words) < page.index("What is said with it")

    def test_a_request_that_waits_is_told(self, boss: Client) -> None:
        intent = make.row()
        Operation.objects.create(company=intent.company, payment_intent=intent, kind="cancel", error="Truss was away.")
        page = see(boss, "paymentintent_change", intent.pk)
        assert "Cancel: waiting. Truss was away. truss_push asks Truss by itself." in page

    def test_every_kind_of_entry_reads_as_a_sentence(self, boss: Client) -> None:
        intent = make.row()
        Kind = TimelineEntry.Kind  # noqa: N806
        told_as = {
            Kind.DRAFTED: ({"total": "120.00"}, "Written $120.00"),
            Kind.AMENDED: ({"field": "total", "was": "1.00", "now": "2.00"}, "Changed Amount: “1.00” became “2.00”"),
            Kind.STATUS_CHANGED: ({"was": "Paid", "now": "Odd"}, "Status changed “Paid” became “Odd”"),
            Kind.REFUSED: ({"reason": "No such payer."}, "Refused by Truss No such payer."),
            Kind.PAYER_RETURNED: ({"result": "success"}, "The address said “success”; that proves nothing."),
            Kind.PAYMENT_RETURNED: ({"amount": "odd", "payment_method": "pigeon"}, "Payment taken back odd, Pigeon"),
            Kind.FOUND_AGAIN: ({"why": "who knows"}, "Found at Truss again who knows"),
            Kind.LINK_COPIED: ({}, "Checkout link copied"),
        }
        timeline.write([timeline.entry(intent, kind, quiet=True, **data) for kind, (data, _words) in told_as.items()])
        timeline.write([timeline.entry(intent, Kind.AMENDED, field="invented", was="a", now="b")])
        timeline.write([timeline.entry(intent, Kind.PAYER_RETURNED, quiet=True)])
        page = see(boss, "paymentintent_change", intent.pk)
        for _data, words in told_as.values():
            assert words in page
        assert "invented: “a” became “b”" in page

    def test_sections_need_their_own_permissions(self, signed_in: SignIn) -> None:
        intent = make.row()
        page = see(signed_in("view_paymentintent"), "paymentintent_change", intent.pk)
        for heading in ("Payments", "What happened", "Requests to Truss", "Copy link", "Refresh from Truss"):
            assert heading not in page
        several = ("view_paymentintent", "view_transaction", "view_operation", "view_timelineentry")
        page = see(signed_in(*several, username="other"), "paymentintent_change", intent.pk)
        for sentence in ("No payments yet.", "Nothing yet.", "Nothing has been asked of Truss about this invoice yet."):
            assert sentence in page

    def test_whom_truss_writes_to_is_told(self, boss: Client) -> None:
        loud = make.row(send_email=True, send_sms=True)
        assert "Truss writes to: payer@example.test, no phone number" in see(boss, "paymentintent_change", loud.pk)
        assert "Truss writes to: Nobody" in see(boss, "paymentintent_change", make.row().pk)

    def test_an_invoice_that_is_not_there_is_no_error(self, boss: Client) -> None:
        answer = boss.get(url("paymentintent_change", 4711), follow=True)
        assert "Perhaps it was deleted?" in told(answer)[0]
        assert boss.get(url("paymentintent_change", "nonsense"), follow=True).status_code == 200
