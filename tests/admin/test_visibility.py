"""“Why can't my payer see it?”, a company's portal link to hand out, and the payer's view from an invoice's page."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, told, url
from truss_portal import actions
from truss_portal.admin import ContactAdmin
from truss_portal.models import Company, Contact, Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db

PAGE = "paymentintent_visibility"
EMAIL = "ap@acme.test"
TITLE = "Why can't my payer see it?"
LOOK = ("view_contact", "view_paymentintent")


def payer(**given: Any) -> Contact:
    columns = {"company": given.pop("company", None) or make.company(), "uid": uuid.uuid4(), "name": "Acme"}
    made: Contact = Contact.objects.create(**columns | {"email": EMAIL} | given)
    return made


def invoice(**given: Any) -> PaymentIntent:
    owner = given.pop("contact", None) or payer()
    return make.row(contact=owner, company=owner.company, **given)


def ask(client: Client, email: str, **given: Any) -> Any:
    return client.post(url(PAGE), {"email": email} | given)


def answer(client: Client, email: str, **given: Any) -> str:
    response = ask(client, email, **given)
    assert response.status_code == 200
    return text_of(response)


class TestAsking:
    def test_an_empty_page_says_what_to_do_and_what_truss_advises(self, signed_in: SignIn) -> None:
        text = see(signed_in(*LOOK), PAGE)
        assert "Email that the payer signs in with" in text
        assert "What Truss advises" in text
        for advice in ("Verify the email.", "Don't preview as the customer.", "Check for test invoices."):
            assert advice in text
        assert "Who this is here" not in text

    def test_a_link_that_leads_back_here_may_be_why_it_is_invalid(self, boss: Client, settings: Any) -> None:
        back = {"RETURN_URL": "https://shop.example/truss/return/", "RETURN_URL_ALLOWLISTED": True}
        assert "This link is invalid" not in see(boss, PAGE)
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | back
        assert "payers are sent back to, https://shop.example/truss/return/." in see(boss, PAGE)

    @pytest.mark.parametrize(
        "typed",
        [
            "ap@acme.test",
            "  AP@Acme.test\n",
            "Acme Payables <ap@acme.test>",
            "<mailto:ap@acme.test>",
            "mailto:ap@acme.test",
            "\u200bap@acme.test\ufeff",
            "\xa0ap@acme.test\xa0",
        ],
    )
    def test_an_email_is_taken_as_it_comes(self, boss: Client, typed: str) -> None:
        invoice(addenda="Catering")
        text = answer(boss, typed)
        assert re.search(r"The portal shows 1 invoice to ap@acme.test, with \$120.00 left", text, re.IGNORECASE)

    @pytest.mark.parametrize(
        ("typed", "error"),
        [
            ("", "Type the email that the payer signs in with at Truss."),
            ("acme", "That isn't a whole email address, such as ap@acme.example."),
            ("ap @acme.test", "That isn't a whole email address"),
            ("ap@acme.test, bob@acme.test", "That isn't a whole email address"),
        ],
    )
    def test_what_is_no_email_is_said_at_the_field(self, boss: Client, typed: str, error: str) -> None:
        text = answer(boss, typed)
        assert error in text
        assert "Who this is here" not in text

    def test_the_email_is_in_no_address(self, boss: Client) -> None:
        """An address ends up in logs: the email is posted, and one that comes in the address is not looked at."""
        row = invoice()
        assert "Who this is here" not in see(boss, PAGE, email=EMAIL)
        page = ask(boss, EMAIL).content.decode() + boss.get(url(PAGE), {"invoice": row.pk}).content.decode()
        assert re.findall(r'(?:href|action|src)="[^"]*(?:ap|acme)[^"]*"', page) == []

    def test_who_may_not_see_payers_and_invoices_may_not_ask(self, signed_in: SignIn) -> None:
        for number, permission in enumerate(LOOK):
            person = signed_in(permission, username=f"half{number}")
            assert person.get(url(PAGE)).status_code == 403
            assert ask(person, EMAIL).status_code == 403
        assert Client().get(url(PAGE)).status_code == 302

    def test_one_comes_from_the_lists_the_payer_and_the_invoice(self, boss: Client, signed_in: SignIn) -> None:
        row = invoice()
        assert row.contact
        for name in ("paymentintent_changelist", "contact_changelist", "company_changelist"):
            assert f'href="{url(PAGE)}"' in boss.get(url(name)).content.decode()
        of_invoice = f"{url(PAGE)}?invoice={row.pk}"
        of_payer = f"{url(PAGE)}?payer={row.contact.pk}"
        assert f'href="{of_invoice}"' in boss.get(url("paymentintent_change", row.pk)).content.decode()
        assert f'href="{of_payer}"' in boss.get(url("contact_change", row.contact.pk)).content.decode()
        for address in (of_invoice, of_payer):
            page = boss.get(address)
            assert f'value="{EMAIL}"' in page.content.decode()
            assert "What the portal shows: 1 invoice" in text_of(page)
        for person, name in (
            (signed_in("view_contact", username="one"), url("contact_change", row.contact.pk)),
            (signed_in("view_paymentintent", username="two"), url("paymentintent_change", row.pk)),
        ):
            assert TITLE not in text_of(person.get(name))
            assert TITLE not in text_of(person.get(name.partition(str(row.pk))[0]))

    @pytest.mark.parametrize("query", [{"invoice": "0"}, {"payer": "99999"}, {"invoice": "x"}, {"payer": "9" * 30}])
    def test_a_row_that_is_not_there_any_more_asks_nothing(self, boss: Client, query: dict[str, str]) -> None:
        assert "Who this is here" not in see(boss, PAGE, **query)

    def test_where_there_is_no_email_to_look_at_that_is_the_reason(self, boss: Client) -> None:
        row = invoice(reference="INV-7", contact=payer(email="", secondary_email=""))
        text = see(boss, PAGE, invoice=row.pk)
        assert "The portal shows INV-7 to nobody. Acme has no email, so nobody can sign in to see it." in text
        assert "Change the payer" in text
        assert "Acme has no email: nobody can sign in to see their invoices." in see(boss, PAGE, payer=row.contact_id)
        PaymentIntent.objects.update(contact=None)
        text = see(boss, PAGE, invoice=row.pk)
        assert "The portal shows INV-7 to nobody. It names no payer who could sign in to see it." in text
        assert "It names no payer" in answer(boss, EMAIL, invoice=row.pk)

    def test_payers_that_a_site_keeps_from_a_person_stay_so(
        self, boss: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Narrow(ContactAdmin):
            def get_queryset(self, request: Any) -> Any:
                return super().get_queryset(request).exclude(name="Secret")

        from django.contrib import admin

        monkeypatch.setitem(admin.site._registry, Contact, Narrow(Contact, admin.site))
        invoice(contact=payer(name="Secret"))
        assert "No payer here has the email" in answer(boss, EMAIL)


class TestTheAnswer:
    def test_what_is_shown_with_what_is_left_and_the_portal(self, boss: Client) -> None:
        acme = payer(secondary_email="cfo@acme.test")
        invoice(contact=acme, reference="INV-1", addenda="Catering")
        invoice(contact=acme, reference="INV-2", status="PartiallyPaid", balance_paid="100.00")
        invoice(contact=acme, reference="INV-3", status="Paid", balance_paid="120.00")
        text = answer(boss, "cfo@acme.test")
        assert "The portal shows 3 invoices to cfo@acme.test, with $140.00 left to pay on them." in text
        assert "Signs in with this email, their secondary one" in text
        assert "INV-1 Catering $120.00 $120.00 Unpaid Acme" in text
        assert "INV-2 Row $120.00 $20.00 Partially paid Acme" in text
        assert "INV-3 Row $120.00 - Paid Acme" in text
        assert "Left to pay on all of them: $140.00." in text
        assert "http://127.0.0.1:1/pay/k7m2p9qx Copy link" in text
        assert "the portal shows every invoice of this payer that is known here" in text

    def test_why_the_rest_is_not_there_and_where_to_go(self, boss: Client) -> None:
        acme = payer()
        draft = invoice(contact=acme, reference="D-1", uid=None, status="", delivery="unsent")
        gone = invoice(contact=acme, reference="G-1", missing_since=timezone.now())
        canceled = invoice(contact=acme, reference="C-1", status="Canceled")
        page = ask(boss, EMAIL)
        text, body = text_of(page), page.content.decode()
        assert "The portal shows no invoice to ap@acme.test." in text
        assert "What it doesn't show: 3 invoices" in text
        assert "It hasn't been sent to Truss yet. Send it to Truss." in text
        assert "Truss no longer has it, since" in text
        assert "It was canceled. That can't be undone. If it is still owed, write a new invoice." in text
        assert f'href="{url("paymentintent_send")}?ids={draft.pk}"' in body
        assert f'href="{url("paymentintent_add")}?contact={acme.pk}"' in body
        for row in (draft, gone, canceled):
            assert f'href="{url("paymentintent_change", row.pk)}"' in body

    def test_a_remedy_is_a_button_for_who_may(self, signed_in: SignIn) -> None:
        stuck = invoice(reference="D-1", uid=None, status="", delivery="failed", delivery_error="Truss refused it.")
        canceled = invoice(contact=stuck.contact, status="Canceled")
        operation = Operation.objects.create(
            company=stuck.company, payment_intent=stuck, kind="create", state="refused", needs_person=True
        )
        assert stuck.contact
        payer(name="Acme", email="other@acme.test")
        looks = ask(signed_in(*LOOK, username="looks"), "other@acme.test").content.decode()
        for part in ("?ids=", "operation/", "Change the payer", "Write a new invoice", "portal-link"):
            assert part not in looks
        allowed = (
            *LOOK, "send_paymentintent", "view_operation", "change_contact", "add_paymentintent", "view_company",
        )  # fmt: skip
        does = ask(signed_in(*allowed, username="does"), "other@acme.test").content.decode()
        assert f'href="{url("paymentintent_send")}?ids={stuck.pk}"' in does
        assert f'href="{url("operation_change", operation.pk)}"' in does
        assert f'href="{url("contact_change", stuck.contact.pk)}" aria-label="Change the payer: D-1"' in does
        assert f'href="{url("paymentintent_add")}?contact={canceled.contact_id}"' in does
        assert f'href="{url("company_portal_link", stuck.company.pk)}"' in does

    def test_the_invoice_in_question_is_answered_first(self, boss: Client) -> None:
        row = invoice(reference="INV-7")
        shown = answer(boss, EMAIL, invoice=row.pk)
        assert "The portal shows INV-7 to ap@acme.test, with $120.00 left to pay." in shown
        hidden = answer(boss, "bob@elsewhere.test", invoice=row.pk)
        assert "The portal doesn't show INV-7 to bob@elsewhere.test." in hidden
        assert "It is for Acme, who must sign in with ap@acme.test. Tell the payer to sign in with" in hidden
        assert "Has another email: this one doesn't let them in" in hidden
        PaymentIntent.objects.update(uid=None, delivery="unconfirmed")
        unsure = answer(boss, EMAIL, invoice=row.pk)
        assert "Whether the portal shows INV-7 to ap@acme.test isn't known yet." in unsure

    def test_nobody_is_known_and_who_may_be_meant(self, boss: Client) -> None:
        row = invoice()
        text = answer(boss, "app@acme.test")
        assert "No payer here has the email app@acme.test: the portal shows none of these invoices to it." in text
        assert "Ask the payer which email the invoice was sent to." in text
        assert "Is one of these meant?" in text
        assert "Acme ap@acme.test differs in one place" in text
        assert "No invoices. Whoever signs in with this email finds an empty list." in text
        page = ask(boss, "app@acme.test", invoice=row.pk).content.decode()
        assert "Is one of these meant?" not in page  # the invoice's payer is known
        body = ask(boss, "app@acme.test").content.decode()
        assert f'name="email" value="{EMAIL}" class="truss-copy" aria-label="Look at {EMAIL}"' in body

    def test_without_any_payer_the_page_says_so(self, boss: Client) -> None:
        text = answer(boss, "somebody@else.test")
        assert "No invoices of anybody with this email are known here." in text
        assert "Is one of these meant?" not in text

    def test_only_capital_letters_differ(self, boss: Client) -> None:
        invoice(contact=payer(email="Ap@Acme.test"))
        text = answer(boss, "ap@acme.test")
        assert "It is written here as Ap@Acme.test. Whether capital letters matter to Truss isn't published" in text
        assert "It is written here as" not in answer(boss, "Ap@Acme.test")

    def test_a_change_of_the_email_that_is_not_at_truss_yet(self, boss: Client, signed_in: SignIn) -> None:
        row = invoice()
        operation = Operation.objects.create(
            company=row.company, contact=row.contact, kind="update_contact", body={"email": "new@acme.test"}
        )
        page = ask(boss, "new@acme.test")
        text = text_of(page)
        assert "A change of Acme's email isn't at Truss yet (Waiting). Until it is, their old email counts." in text
        assert url("operation_change", operation.pk) in page.content.decode()
        assert url("operation_change", operation.pk) not in ask(signed_in(*LOOK), "new@acme.test").content.decode()

    def test_several_companies_have_portals_of_their_own(self, boss: Client) -> None:
        Company.objects.filter(pk=make.company(name="Harbor").pk).update(name="Harbor")
        invoice(reference="H-1")
        bakers = make.company(slug="bakers", name="Bakers", checkout_link_id="")
        invoice(contact=payer(company=bakers), reference="B-1")
        text = answer(boss, EMAIL)
        assert "The portal of Harbor: http://127.0.0.1:1/pay/k7m2p9qx" in text
        assert "The portal of Bakers: Bakers has no payment portal link yet." in text
        assert "H-1 Row $120.00 $120.00 Unpaid Harbor Acme" in text
        assert "See the company" in text
        assert f'href="{url("company_change", bakers.pk)}"' in ask(boss, EMAIL).content.decode()

    def test_test_invoices_are_told(self, boss: Client, settings: Any) -> None:
        row = invoice(contact=payer(company=make.company(environment="sandbox")), reference="T-1")
        assert "Test invoices. This site speaks to “Local sandbox”" in see(boss, PAGE)
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "production", "API_URL": "https://api.truss.example"}
        text = answer(boss, EMAIL, invoice=row.pk)
        assert "Test invoices. This site" not in text
        assert "It is a test invoice: it belongs to “Truss sandbox”." in text
        assert "Signs in with this email default Truss sandbox" in text

    def test_a_payer_whom_truss_does_not_know_yet(self, boss: Client) -> None:
        make.draft()
        assert "Truss doesn't know this payer yet: nothing has been sent to them." in answer(boss, EMAIL)

    def test_very_many_are_counted(self, boss: Client) -> None:
        acme = payer()
        columns: dict[str, Any] = {"company": acme.company, "contact": acme, "total": 1, "addenda": "x"}
        rows = [
            PaymentIntent(uid=uuid.uuid4(), status=status, delivery="sent", **columns)
            for status in ("Pending", "Canceled")
            for _ in range(1201)
        ]
        PaymentIntent.objects.bulk_create(rows)
        text = answer(boss, EMAIL)
        assert "The portal shows 1,201 invoices to ap@acme.test, with $1,201.00 left to pay on them." in text
        assert text.count("… and 1,001 more") == 2

    def test_few_statements_however_many_there_are(self, boss: Client) -> None:
        acme = payer()
        for n in range(40):
            stuck = n % 2
            row = invoice(contact=acme, uid=None if stuck else uuid.uuid4(), delivery="failed" if stuck else "sent")
            Operation.objects.create(company=acme.company, payment_intent=row, kind="create", state="refused")
        with CaptureQueriesContext(connection) as taken:
            ask(boss, EMAIL)
        assert len(taken) <= 10  # two of them are the session and the person


class TestFreshness:
    def test_a_copy_that_is_old_says_so(self, boss: Client) -> None:
        long_ago = timezone.now() - timedelta(days=3)
        invoice(fetched_at=long_ago)
        text = answer(boss, EMAIL)
        assert "Truss wasn't asked yet. There has been no complete sync of default" in text
        assert "Not lately" in text
        Company.objects.update(listed_at=long_ago)
        assert "Truss wasn't asked lately. The last complete sync of default was on" in answer(boss, EMAIL)
        Company.objects.update(listed_at=timezone.now())
        text = answer(boss, EMAIL)
        assert "Truss wasn't asked" not in text
        assert "Not lately" not in text

    def test_only_who_may_refreshes(self, signed_in: SignIn) -> None:
        invoice()
        person = signed_in(*LOOK)
        assert "Refresh from Truss" not in answer(person, EMAIL)
        assert ask(person, EMAIL, refresh="1").status_code == 403

    @pytest.mark.django_db(transaction=True)
    def test_refreshing_asks_truss_and_answers_anew(self, truss: Sandbox, boss: Client) -> None:
        row = make.sent(reference="INV-7")
        draft = make.draft(reference="INV-8")
        assert row.uid
        truss.alter(row.uid, status="Canceled")
        assert "The portal shows INV-7 to ap@acme.test" in answer(boss, EMAIL, invoice=row.pk)
        response = ask(boss, EMAIL, invoice=row.pk, refresh="1")
        assert told(response) == ["1 invoice is up to date."]
        assert "The portal doesn't show INV-7 to ap@acme.test." in text_of(response)
        draft.refresh_from_db()
        assert draft.delivery == "unsent"

    @pytest.mark.django_db(transaction=True)
    def test_an_email_changed_at_truss_shows_after_refreshing(self, truss: Sandbox, boss: Client) -> None:
        row = make.sent(reference="INV-7")
        assert row.contact
        actions.update_contact(row.contact, email="new@acme.test")
        Contact.objects.update(email=EMAIL, fetched_at=timezone.now() - timedelta(days=2))  # as if nobody had told us
        page = ask(boss, "new@acme.test", invoice=row.pk, refresh="1")
        assert "The portal shows INV-7 to new@acme.test, with $120.00 left to pay." in text_of(page)


class TestPortalLink:
    def see(self, client: Client, company: Company) -> str:
        return see(client, "company_portal_link", company.pk)

    def test_the_company_page_leads_to_what_can_be_handed_out(self, boss: Client) -> None:
        company = make.company(name="Harbor Street Supply")
        page = boss.get(url("company_change", company.pk)).content.decode()
        assert f'href="{url("company_portal_link", company.pk)}"' in page
        text = self.see(boss, company)
        link = "http://127.0.0.1:1/pay/k7m2p9qx"
        assert f"{link} Copy link" in text
        assert "you can see and pay all your invoices from Harbor Street Supply here:" in text
        assert "sign in with the email address that your invoices were sent to" in text
        assert f"Harbor Street Supply: see and pay your invoices at {link}" in text
        assert "Scan to see and pay your invoices" in text
        assert "Don't hand this one out. It belongs to “Local sandbox”" in text
        assert "Give the company a name first." not in text

    def test_texts_are_copied_whole_and_begin_an_email(self, boss: Client) -> None:
        company = make.company(name='Smith & "Sons"')
        body = boss.get(url("company_portal_link", company.pk)).content.decode()
        assert (
            'data-truss-copy="Hello,\n\nyou can see and pay all your invoices from Smith &amp; &quot;Sons&quot;' in body
        )
        assert 'href="mailto:?subject=Your%20invoices%20from%20Smith%20%26%20%22Sons%22' in body

    def test_a_company_without_a_name_or_a_portal_is_told_what_to_do(self, boss: Client) -> None:
        company = make.company()
        assert "Give the company a name first. The texts below call it “default”" in self.see(boss, company)
        Company.objects.update(checkout_link_id="")
        text = self.see(boss, company)
        assert "There is no link to hand out yet. default has no payment portal link yet. Set it up in Truss" in text
        assert "QR code" not in text
        assert boss.get(url("company_portal_link_qr", company.pk, "svg")).status_code == 404

    def test_a_company_in_production_is_handed_out(self, boss: Client) -> None:
        company = make.company(environment="production", name="Harbor")
        text = self.see(boss, company)
        assert "https://app.trusspayments.com/pay/k7m2p9qx" in text
        assert "Don't hand this one out" not in text

    def test_the_code_is_downloaded_as_a_picture(self, boss: Client) -> None:
        company = make.company()
        for kind, begins, mime in (("svg", b"<?xml", "image/svg+xml"), ("png", b"\x89PNG", "image/png")):
            answer = boss.get(url("company_portal_link_qr", company.pk, kind))
            assert answer.content.startswith(begins)
            assert answer["Content-Type"] == mime
            assert answer["Content-Disposition"] == f'attachment; filename="default-portal.{kind}"'
        assert boss.get(url("company_portal_link_qr", company.pk, "exe")).status_code == 404

    def test_who_may_not_see_companies_gets_none_of_it(self, signed_in: SignIn) -> None:
        company = make.company()
        nobody = signed_in(*LOOK, username="nobody")
        for kind in ("svg", "png"):
            assert nobody.get(url("company_portal_link_qr", company.pk, kind)).status_code == 403
        assert nobody.get(url("company_portal_link", company.pk)).status_code == 403
        viewer = signed_in("view_company", username="viewer")
        assert viewer.get(url("company_portal_link", company.pk)).status_code == 200
        assert viewer.get(url("company_portal_link", 999)).status_code == 404


class TestOnTheInvoice:
    def test_the_link_is_opened_and_scanned_by_who_may_have_links(self, boss: Client, signed_in: SignIn) -> None:
        row = invoice(reference="INV-7")
        body = boss.get(url("paymentintent_change", row.pk)).content.decode()
        assert f'<a href="{row.checkout_url()}" target="_blank" rel="noopener noreferrer">' in body
        assert "you can't sign in as them" in text_of(boss.get(url("paymentintent_change", row.pk)))
        assert 'role="img" aria-label="QR code of the checkout link of INV-7"><svg' in body
        viewer = signed_in("view_paymentintent")
        text = text_of(viewer.get(url("paymentintent_change", row.pk)))
        assert "Open as the payer would see it" not in text
        assert "QR code" not in text

    @pytest.mark.parametrize("columns", [{"status": "Paid"}, {"uid": None, "status": "", "delivery": "queued"}])
    def test_what_cannot_be_paid_has_none(self, boss: Client, columns: dict[str, Any]) -> None:
        row = invoice(**columns)
        text = see(boss, "paymentintent_change", row.pk)
        assert "Open as the payer would see it" not in text
        assert TITLE in text


def test_a_person_s_name_is_written_nowhere_by_looking(boss: Client) -> None:
    """To look changes nothing: no log entry, no row."""
    invoice()
    before = User.objects.get().last_login
    with CaptureQueriesContext(connection) as taken:
        ask(boss, EMAIL)
    assert not [query["sql"] for query in taken if not query["sql"].startswith("SELECT")]
    assert User.objects.get().last_login == before
