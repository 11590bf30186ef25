"""Import invoices: nothing is written that wasn't seen, and what is seen is what is written."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.importing import confirm, imported, previewed, rows, sums, upload
from tests.admin.pages import see, text_of, told, url
from tests.exchange.files import as_csv, csv_of, line, table, xlsx_of
from truss_portal.models import Contact, PaymentIntent, TimelineEntry
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)
PERMISSIONS = ("add_paymentintent", "change_paymentintent")


@pytest.fixture(autouse=True)
def company() -> None:
    make.company()


class TestUpload:
    def test_the_page_says_how_a_file_looks(self, boss: Client) -> None:
        page = see(boss, "paymentintent_import")
        assert "CSV or XLSX, at most 10,000 lines and 10 MB. Nothing is written yet." in page
        assert "Amount yes US dollars, at least 1.00: 1234.50, 1,234.50 or $1,234.50." in page
        assert "Download a template (XLSX)" in page

    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_the_template_can_be_downloaded_and_uploaded_again(self, boss: Client, kind: str) -> None:
        answer = boss.get(url("paymentintent_import_template", kind))
        assert answer["Content-Disposition"] == f'attachment; filename="invoices-template.{kind}"'
        page = upload(boss, answer.content, f"template.{kind}")
        assert "Skipped EXAMPLE-1 Example Company LLC" in rows(page)[0]
        assert "Nothing to import: all of it is here already." in text_of(page)
        assert boss.get(url("paymentintent_import_template", "pdf")).status_code == 404

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "This is an old Excel file (.xls), or one with a password."),
            (b"a\x00,b\nc,d\n", "This isn't a text file."),
            (b"a,b\n1,2\n", "among them there are no columns “Invoice number”, “Payer name”"),
            (b"", "The file is empty."),
            (b"x" * 10_000_001, "The file has 10.0 MB; at most 10 MB are read. Split it."),
        ],
    )
    def test_a_file_that_cannot_be_read_says_why(self, boss: Client, data: bytes, why: str) -> None:
        page = text_of(upload(boss, data))
        assert "Nothing was read. The reason stands below." in page
        assert why in page

    def test_no_file_at_all(self, boss: Client) -> None:
        assert "Choose a file first." in text_of(boss.post(url("paymentintent_import")))

    def test_where_no_company_is_connected_it_says_so(self, boss: Client, settings: Any) -> None:
        make.company().delete()
        settings.TRUSS_PORTAL = {}
        [message] = told(boss.get(url("paymentintent_import"), follow=True))
        assert message.startswith("No company is connected to Truss yet")

    def test_the_list_leads_there_also_while_it_is_empty(self, boss: Client) -> None:
        page = boss.get(url("paymentintent_changelist"))
        assert f'href="{url("paymentintent_import")}"' in page.content.decode()
        assert "bring in a file of them with “Import”" in text_of(page)


class TestPreview:
    def test_line_by_line_it_says_what_would_happen(self, boss: Client) -> None:
        make.draft(
            reference="INV-2",
            total="100.00",
            addenda="Old",
            contact={"name": "Payer 2", "email": "ap2@payer.example"},
        )
        make.draft(reference="INV-3", addenda="Order 3", contact={"name": "Payer 3", "email": "ap3@payer.example"})
        at_truss = make.row(reference="INV-4", addenda="Order 4")
        Contact.objects.filter(pk=at_truss.contact_id).update(name="Acme", name_key="acme", email="ap@acme.test")
        page = previewed(
            boss, line(1, Amount="$1,234.50"), line(2), line(3), line(4), line(5, Amount="0.50", Description="")
        )
        assert rows(page) == [
            "2 New INV-1 Payer 1 ap1@payer.example $1,234.50 - Order 1",
            "3 Changed INV-2 Payer 2 ap2@payer.example $120.00 - Amount: $100.00 → $120.00 Description: Old → Order 2",
            "4 Skipped INV-3 Payer 3 ap3@payer.example $120.00 - Nothing differs.",
            (
                "5 Skipped INV-4 Payer 4 ap4@payer.example $120.00 - At Truss already, so the file doesn't change it: "
                "change it on its own page. Payer's name: “Acme (ap@acme.test)” here, “Payer 4 (ap4@payer.example)” in "
                "the file."
            ),
            "6 Wrong INV-5 Payer 5 ap5@payer.example $0.50 - Description (column E) is empty.",
        ]
        assert sums(page) == {
            "New": ("1", "$1,234.50"),
            "Changed": ("1", "$120.00"),
            "Skipped": ("2", "$240.00"),
            "Wrong": ("1", "$0.50"),
        }
        text = text_of(page)
        assert "1 line is wrong. See why" in text
        assert "$1,354.50 in all. Nothing is sent to Truss." in text
        assert "Import the 2 good ones" in page.content.decode()

    def test_nothing_is_written_by_looking(self, boss: Client) -> None:
        page = previewed(boss, line(1), line(2))
        boss.get(page.redirect_chain[-1][0])
        assert not PaymentIntent.objects.exists()
        assert not Contact.objects.exists()
        assert not LogEntry.objects.exists()

    def test_wrong_cells_are_shown_as_they_stand_in_the_file(self, boss: Client) -> None:
        [row] = rows(previewed(boss, line(1, Amount="1.234,50", Due_date="03/04/2026")))
        assert row.startswith(
            "2 Wrong INV-1 Payer 1 ap1@payer.example 1.234,50 03/04/2026 Amount (column D) is unclear"
        )
        assert "Due date (column F) is ambiguous (“03/04/2026”): write 2026-03-04 or 2026-04-03." in row

    def test_columns_that_are_not_read_are_named_before_anything_is_confirmed(self, boss: Client) -> None:
        page = text_of(previewed(boss, line(Project="x", Zip="1", Status="Paid")))
        assert "Columns that aren't read, because nobody here knows what they mean: Project, Zip." in page
        assert "Columns that are Truss's or this site's own, and can't be imported: Status." in page

    def test_how_the_file_was_read_is_said(self, boss: Client) -> None:
        page = text_of(upload(boss, as_csv(table([line(Payer_name="Café")]), encoding="cp1252")))
        assert "it was read as Windows-1252" in page
        assert "Import 1 invoice" in str(upload(boss, xlsx_of(line()), "march.xlsx").content)

    def test_rows_of_a_spreadsheet_stand_beside_where_lines_differ(self, boss: Client) -> None:
        page = previewed(boss, line(1, Note="a\nb"), line(2))
        assert [row.split(" New")[0] for row in rows(page)] == ["2", "4 (3)"]
        assert "its row stands in brackets" in text_of(page)

    def test_one_looks_at_the_wrong_ones_alone(self, boss: Client) -> None:
        page = previewed(boss, line(1), line(2, Amount="0.10"), line(3))
        tabs = {tab["value"]: tab["count"] for tab in page.context["tabs"]}
        assert tabs == {"": "3", "new": "2", "wrong": "1"}
        [address] = re.findall(r'href="(\?show=wrong[^"#]*)#lines">See why', page.content.decode())
        wrong = boss.get(page.redirect_chain[-1][0].partition("?")[0] + address.replace("&amp;", "&"))
        assert [row[:13] for row in rows(wrong)] == ["3 Wrong INV-2"]
        assert "Import the 2 good ones" in wrong.content.decode(), "what is confirmed is the whole of it"

    def test_the_trap_of_one_name_for_two_payers_is_told(self, boss: Client) -> None:
        page = previewed(boss, line(1, Payer_name="Acme"), line(2, Payer_name="ACME"), line(3))
        assert "2 invoices can be imported, but not sent as they are. See why" in text_of(page)
        assert "another payer is named “Acme”, too (ap2@payer.example)" in rows(page)[0]
        shown = boss.get(page.redirect_chain[-1][0] + "&show=warned")
        assert len(rows(shown)) == 2

    def test_many_lines_have_pages(self, boss: Client) -> None:
        page = previewed(boss, *(line(number) for number in range(450)))
        assert len(rows(page)) == 200
        last = boss.get(page.redirect_chain[-1][0] + "&page=3")
        assert rows(last)[-1].startswith("451 New INV-449")
        assert "Import 450 invoices" in last.content.decode()

    def test_long_changes_are_cut_and_emptied_ones_named(self, boss: Client) -> None:
        make.draft(reference="INV-1", note="x" * 200, contact={"name": "Payer 1", "email": "ap1@payer.example"})
        [row] = rows(previewed(boss, line(1, Amount="120", Description="INV-1", Note="", Send_email="yes")))
        assert row.endswith(f"Note to the payer: {'x' * 80}… → nothing Truss emails the payer: no → yes")


class TestConfirm:
    def test_it_writes_drafts_with_their_payers_timeline_and_log(self, signed_in: SignIn) -> None:
        finance = signed_in(*PERMISSIONS)
        make.draft(reference="INV-2", addenda="Order 2", contact={"name": "Payer 2", "email": "ap2@payer.example"})
        page = imported(finance, line(1, Note="Hi"), line(2, Amount="99.00", Phone="5555550100"), line(3, Amount="0"))
        text = text_of(page)
        assert "march.csv : 2 invoices over $219.00 were written: 1 new, 1 changed. Nothing has been sent to" in text
        assert rows(page) == ["4 INV-3 Amount (column D) must be at least 1.00."]
        new, changed = PaymentIntent.objects.order_by("reference")
        assert (new.reference, new.total, new.note, new.delivery) == ("INV-1", Decimal("120.00"), "Hi", "unsent")
        assert (changed.total, changed.contact and changed.contact.phone) == (Decimal("99.00"), "5555550100")
        person = User.objects.get(username="finance")
        [entry] = new.timeline.all()
        assert (entry.kind, entry.actor, entry.data) == ("drafted", person, {"total": "120.00"})
        amended = changed.timeline.filter(kind="amended").order_by("pk")
        assert [each.data for each in amended] == [
            {"field": "total", "was": "120.00", "now": "99.00"},
            {"field": "contact", "was": "", "now": "5555550100"},
        ]
        assert {each.actor for each in amended} == {person}
        log = {entry.object_id: entry for entry in LogEntry.objects.all()}
        assert (log[str(new.pk)].action_flag, log[str(changed.pk)].action_flag) == (ADDITION, CHANGE)
        assert log[str(new.pk)].get_change_message() == "Imported from march.csv."
        assert log[str(changed.pk)].get_change_message() == "Changed by importing march.csv."
        assert log[str(new.pk)].user == person

    def test_one_payer_of_many_lines_is_one_row(self, boss: Client) -> None:
        imported(boss, *(line(number, Payer_name="Acme", Payer_email="ap@acme.test") for number in range(1200)))
        assert PaymentIntent.objects.count() == 1200
        assert Contact.objects.count() == 1

    def test_a_second_import_of_the_file_writes_nothing(self, boss: Client) -> None:
        imported(boss, line(1), line(2))
        page = previewed(boss, line(1), line(2))
        assert sums(page)["Skipped"] == ("2", "$240.00")
        assert "Nothing to import: all of it is here already." in text_of(page)

    def test_the_result_leads_to_the_drafts_and_can_be_come_back_to(self, boss: Client) -> None:
        make.draft(reference="OLD")
        make.draft(reference="INV-3", contact={"name": "Payer 3", "email": "ap3@payer.example"})
        page = imported(boss, line(1), line(2), line(3))
        assert text_of(boss.get(page.redirect_chain[-1][0])) == text_of(page)
        found = boss.get(page.context["new_url"]).context["cl"].queryset
        assert sorted(intent.reference for intent in found) == ["INV-1", "INV-2"]
        found = boss.get(page.context["changed_url"]).context["cl"].queryset
        assert [intent.reference for intent in found] == ["INV-3"]

    def test_from_the_result_all_can_be_sent(self, truss: Sandbox, boss: Client) -> None:
        page = imported(boss, line(1), line(2))
        body = page.content.decode()
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', body))
        assert 'value="Send these 2 to Truss …"' in body
        asked = boss.post(page.context["new_url"], hidden)
        assert "2 invoices over $240.00 are sent to Truss." in text_of(asked)
        assert truss.payment_intents() == []

    def test_who_may_not_send_is_not_offered_to(self, signed_in: SignIn) -> None:
        assert "to Truss …" not in imported(signed_in(*PERMISSIONS), line(1)).content.decode()

    def test_a_second_click_does_nothing_more(self, boss: Client) -> None:
        preview = previewed(boss, line(1))
        confirm(boss, preview)
        [message] = told(confirm(boss, preview))
        assert message.startswith("This import isn't kept any more: it is done already, or too old.")
        assert PaymentIntent.objects.count() == 1

    def test_what_changed_after_the_preview_is_told_line_by_line(self, boss: Client) -> None:
        def mine(number: int) -> PaymentIntent:
            payer = {"name": f"Payer {number}", "email": f"ap{number}@payer.example"}
            return make.draft(reference=f"INV-{number}", total="7.00", contact=payer)

        sent, edited, deleted, gone = mine(1), mine(2), mine(3), mine(6)
        preview = previewed(boss, *(line(number) for number in range(1, 8)))
        PaymentIntent.objects.filter(pk=sent.pk).update(delivery="sent", uid=uuid.uuid4())
        PaymentIntent.objects.filter(pk=edited.pk).update(total="8.00")
        PaymentIntent.objects.filter(pk=deleted.pk).delete()
        make.draft(reference="INV-4", total="9.00")
        Contact.objects.create(company=make.company(), uid=uuid.uuid4(), name="Payer 5", email="ap5@payer.example")
        PaymentIntent.objects.filter(pk=gone.pk).update(total="120.00", addenda="Order 6")
        page = confirm(boss, preview)
        assert sorted(intent.reference for intent in PaymentIntent.objects.filter(total="120.00")) == [
            "INV-5", "INV-6", "INV-7",
        ]  # fmt: skip
        again = "Not as it was previewed any more. Somebody has written or changed it meanwhile: import the file again"
        left = rows(page)
        assert left[0].startswith("2 INV-1 Not as it was previewed any more. At Truss already, so the file doesn't")
        assert [
            row.startswith(f"{number + 1} INV-{number} {again}")
            for row, number in zip(left[1:4], (2, 3, 4), strict=True)
        ]
        assert left[4] == "7 INV-6 Not as it was previewed any more. Nothing differs."
        assert len(left) == 5
        assert "5 lines were not written, because something changed after the preview" in text_of(page)

    def test_a_number_that_the_database_takes_for_another_stops_only_its_own_line(self, boss: Client) -> None:
        preview = previewed(boss, *(line(number) for number in range(1, 6)))
        with refused("INV-3"):
            page = confirm(boss, preview)
        assert PaymentIntent.objects.count() == 4
        assert rows(page) == [
            "4 INV-3 The database has another invoice with this number, or with one that it takes for the same."
        ]

    def test_what_was_written_stays_when_the_site_wraps_requests_in_transactions(self, boss: Client) -> None:
        for each in connections.all():
            each.settings_dict["ATOMIC_REQUESTS"] = True
        try:
            assert "were written" in text_of(imported(boss, line(1), line(2)))
        finally:
            for each in connections.all():
                each.settings_dict["ATOMIC_REQUESTS"] = False
        assert PaymentIntent.objects.count() == 2

    def test_statements_grow_by_hundreds_of_lines_and_not_by_lines(self, boss: Client) -> None:
        lines = [line(number, Payer_name="Acme", Payer_email="ap@acme.test") for number in range(2000)]
        with CaptureQueriesContext(connection) as looked:
            preview = previewed(boss, *lines)
        with CaptureQueriesContext(connection) as wrote:
            page = confirm(boss, preview)
        assert page.context["written"] == 2000
        assert len(looked) < 40
        assert len(wrote) / 2000 < 0.1

    def test_only_what_was_posted_from_the_preview_is_done(self, boss: Client) -> None:
        assert boss.get(url("paymentintent_import_confirm")).status_code == 405


@contextmanager
def refused(number: str) -> Iterator[None]:
    """As a database refuses a number that it takes for another one."""
    invoices = PaymentIntent._meta.db_table
    check = f"ALTER TABLE {invoices} ADD CONSTRAINT refused CHECK (reference <> '{number}')"
    make_it, take_it_back = check, f"ALTER TABLE {invoices} DROP CONSTRAINT refused"
    if connection.vendor == "sqlite":
        when = f"BEFORE INSERT ON {invoices} WHEN NEW.reference = '{number}'"
        make_it = f"CREATE TRIGGER refused {when} BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed'); END"
        take_it_back = "DROP TRIGGER refused"
    with connection.cursor() as cursor:
        cursor.execute(make_it)
        try:
            yield
        finally:
            cursor.execute(take_it_back)


class TestKept:
    def test_nobody_sees_or_confirms_another_persons_import(self, boss: Client, signed_in: SignIn) -> None:
        preview = previewed(boss, line(1))
        other = signed_in(*PERMISSIONS)
        [message] = told(other.get(preview.redirect_chain[-1][0], follow=True))
        assert message.startswith("This import isn't kept any more")
        confirm(other, preview)
        assert not PaymentIntent.objects.exists()

    @pytest.mark.parametrize("token", ["", "nonsense", "e30:1:x"])
    def test_a_made_up_token_opens_nothing(self, boss: Client, token: str) -> None:
        for name in ("import_preview", "import_result"):
            [message] = told(boss.get(url(f"paymentintent_{name}"), {"file": token}, follow=True))
            assert message.startswith("This import isn't kept any more")

    def test_a_preview_is_no_result(self, boss: Client) -> None:
        token = previewed(boss, line(1)).context["token"]
        [message] = told(boss.get(url("paymentintent_import_result"), {"file": token}, follow=True))
        assert message == "This address belongs to another page of the import."

    def test_what_nobody_confirms_does_not_pile_up(self, boss: Client) -> None:
        first = previewed(boss, line(1))
        for _ in range(6):
            last = previewed(boss, line(1))
        assert told(boss.get(first.redirect_chain[-1][0], follow=True))
        assert rows(boss.get(last.redirect_chain[-1][0]))

    @pytest.mark.parametrize("storage", ["CacheStorage", "MediaStorage"])
    def test_it_is_kept_where_the_site_says(self, boss: Client, settings: Any, tmp_path: Any, storage: str) -> None:
        settings.IMPORT_EXPORT_TMP_STORAGE_CLASS = f"import_export.tmp_storages.{storage}"
        files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
        settings.STORAGES = settings.STORAGES | {"import_export": files}
        assert "over $240.00 were written" in text_of(imported(boss, line(1), line(2)))
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(kept) == (1 if storage == "MediaStorage" else 0), "the result; the preview is gone"

    def test_a_kept_file_that_somebody_has_changed_is_not_trusted(
        self, boss: Client, settings: Any, tmp_path: Any
    ) -> None:
        settings.IMPORT_EXPORT_TMP_STORAGE_CLASS = "import_export.tmp_storages.MediaStorage"
        files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
        settings.STORAGES = settings.STORAGES | {"import_export": files}
        preview = previewed(boss, line(1))
        [kept] = [path for path in tmp_path.rglob("*") if path.is_file()]
        kept.write_bytes(kept.read_bytes() + b"x")
        assert told(confirm(boss, preview))
        assert not PaymentIntent.objects.exists()


class TestWho:
    @pytest.mark.parametrize("missing", PERMISSIONS)
    def test_both_permissions_are_needed_everywhere(self, signed_in: SignIn, missing: str) -> None:
        client = signed_in("view_paymentintent", *(name for name in PERMISSIONS if name != missing))
        assert url("paymentintent_import") not in client.get(url("paymentintent_changelist")).content.decode()
        for name, args in (
            ("import", ()),
            ("import_template", ("csv",)),
            ("import_preview", ()),
            ("import_confirm", ()),
            ("import_result", ()),
        ):
            for method in (client.get, client.post):
                assert method(url(f"paymentintent_{name}", *args)).status_code == 403


class TestCompanies:
    def test_with_several_companies_one_is_chosen(self, boss: Client) -> None:
        west = make.company(slug="west", name="West Ltd")
        make.draft(reference="INV-1")
        assert "This field is required." in text_of(previewed(boss, line(1)))
        page = upload(boss, csv_of(line(1)), company=west.pk)
        assert "For company West Ltd." in text_of(page)
        confirm(boss, page)
        assert PaymentIntent.objects.get(company=west).reference == "INV-1"
        assert PaymentIntent.objects.count() == 2

    def test_an_export_of_another_company_is_not_written_into_this_one(self, boss: Client) -> None:
        west = make.company(slug="west")
        page = upload(boss, csv_of(line(1, Truss_company="default"), line(2, Truss_company="WEST")), company=west.pk)
        assert "Truss company (column F) is “default”: this invoice belongs to another company." in rows(page)[0]
        assert rows(page)[1].startswith("3 New")


def test_new_drafts_are_known_since_the_import(boss: Client) -> None:
    before = timezone.now()
    imported(boss, line(1), line(2))
    [moment] = set(PaymentIntent.objects.values_list("known_since", flat=True))
    assert before < moment < timezone.now()
    assert set(TimelineEntry.objects.values_list("at", flat=True)) == {moment}
