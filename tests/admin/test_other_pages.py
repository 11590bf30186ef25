"""Payers, companies, payments, requests, returns and sync runs."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import act, see, text_of, told, url
from truss_portal.models import Batch, Company, Contact, Operation, PayerReturn, PaymentIntent, SyncRun, Transaction
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db


def contact(**given: Any) -> Contact:
    columns = {"company": make.company(), "name": "Acme", "email": "ap@acme.test"} | given
    made: Contact = Contact.objects.create(**columns)
    return made


def filled(**given: Any) -> dict[str, Any]:
    return {"name": "Acme", "email": "ap@acme.test", "secondary_email": "", "phone": ""} | given


def errors(answer: Any) -> dict[str, list[str]]:
    return {name: [*found] for name, found in answer.context["adminform"].form.errors.items()}


def payment(**given: Any) -> Transaction:
    intent = given.pop("payment_intent", None) or make.row(reference="INV-1")
    columns = {
        "company": intent.company,
        "payment_intent": intent,
        "uid": uuid.uuid4(),
        "amount": "50.00",
        "type": "transaction",
        "payment_method": "ach",
        "status": "PendingCredit",
        "direction": 0,
        "date": timezone.now(),
        "fetched_at": timezone.now(),
    }
    made: Transaction = Transaction.objects.create(**columns | given)
    return made


class TestPayers:
    def test_a_payer_of_ours_is_written_and_rewritten(self, boss: Client) -> None:
        make.company()
        boss.post(url("contact_add"), filled(secondary_email="b@acme.test", phone="5551234567"))
        row = Contact.objects.get()
        assert (row.company.slug, row.email, row.uid) == ("default", "ap@acme.test", None)
        answer = boss.post(url("contact_change", row.pk), filled(name="Acme Ltd"), follow=True)
        assert "was changed successfully" in told(answer)[-1]
        row.refresh_from_db()
        assert (row.name, row.phone) == ("Acme Ltd", "")

    def test_broken_rules_stand_at_their_fields(self, boss: Client) -> None:
        make.company()
        wrong = filled(name="n" * 61, email="nonsense", secondary_email="b@acme", phone="+1 555")
        found = errors(boss.post(url("contact_add"), wrong))
        assert "The name must have at most 60 characters" in found["name"][0]
        assert found["email"] == ["The email must be an email address."]
        assert found["secondary_email"] == ["The secondary email must be an email address."]
        assert "The phone must have 1 to 11 digits" in found["phone"][0]
        assert errors(boss.post(url("contact_add"), filled(email=""))) == {"email": ["This field is required."]}

    def test_the_two_emails_differ_whichever_is_changed(self, boss: Client) -> None:
        row = contact(secondary_email="b@acme.test")
        same = filled(email="b@acme.test", secondary_email="b@acme.test")
        found = errors(boss.post(url("contact_change", row.pk), same))
        assert found == {"secondary_email": ["The secondary email must differ from email."]}

    def test_a_second_payer_of_one_name_is_refused(self, boss: Client) -> None:
        contact()
        found = errors(boss.post(url("contact_add"), filled(name="ACME", email="other@acme.test")))
        assert "There is a payer of this name already: Acme (ap@acme.test)." in found["name"][0]

    def test_without_any_company_one_is_chosen_or_the_page_says_so(self, boss: Client, settings: Any) -> None:
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        assert b'name="company"' in boss.get(url("contact_add")).content
        assert "company" in errors(boss.post(url("contact_add"), filled()))

    def test_several_companies_are_chosen_between(self, boss: Client) -> None:
        make.company()
        bakers = make.company(slug="bakers")
        boss.post(url("contact_add"), filled(company=bakers.pk))
        assert Contact.objects.get().company == bakers

    def test_a_customer_at_truss_is_not_deleted(self, boss: Client) -> None:
        ours, theirs = contact(), contact(name="Ortega", uid=uuid.uuid4())
        assert "Ortega (ap@acme.test) (a customer at Truss)" in text_of(
            act(boss, "delete_selected", ours, theirs, name="contact_changelist")  # type: ignore[arg-type]
        )
        assert boss.post(url("contact_delete", theirs.pk), {"post": "yes"}).status_code == 403
        boss.post(url("contact_delete", ours.pk), {"post": "yes"})
        assert list(Contact.objects.all()) == [theirs]

    def test_the_list_searches_and_leads_to_invoices(self, boss: Client) -> None:
        assert "No payers yet." in see(boss, "contact_changelist")
        row = contact(uid=uuid.uuid4(), email="")
        assert "Acme" in see(boss, "contact_changelist", q=str(row.uid))
        answer = boss.get(url("contact_changelist"))
        assert f"?contact__id__exact={row.pk}" in answer.content.decode()
        make.row(contact=row, addenda="Of Acme")
        assert "Of Acme" in see(boss, "paymentintent_changelist", contact__id__exact=row.pk)
        assert "Payer: Acme Amount" in see(boss, "paymentintent_change", PaymentIntent.objects.get().pk)


@pytest.mark.django_db(transaction=True)
class TestPayersAtTruss:
    def sent(self) -> Contact:
        intent = make.sent()
        assert intent.contact
        return intent.contact

    def test_saving_asks_truss_and_tells_the_answer(self, truss: Sandbox, signed_in: SignIn) -> None:
        row = self.sent()
        person = signed_in("view_contact", "change_contact")
        page = url("contact_change", row.pk)
        assert "saving asks Truss to change them" in text_of(person.get(page))
        answer = person.post(page, filled(email="new@acme.test", phone="5551234567"), follow=True)
        assert told(answer) == ["Truss has changed Acme."]
        assert truss.payment_intents()[0]["contact"]["email"] == "new@acme.test"
        row.refresh_from_db()
        assert (row.email, row.phone) == ("new@acme.test", "5551234567")
        assert str(Operation.objects.get(kind="update_contact").requested_by) == "finance"
        assert LogEntry.objects.get().get_change_message() == "Changed Email and Phone."

    def test_a_refusal_is_told_and_nothing_changes_here(self, truss: Sandbox, boss: Client) -> None:
        row = self.sent()
        truss.fault("error_before", method="PATCH", status=400)
        answer = boss.post(url("contact_change", row.pk), filled(name="Other") | {"_continue": "1"}, follow=True)
        assert told(answer)[0].startswith("Truss refused to change Acme: Truss refused the request.")
        assert answer.redirect_chain[-1][0] == url("contact_change", row.pk)
        row.refresh_from_db()
        assert row.name == "Acme"

    def test_what_could_not_be_asked_waits(self, truss: Sandbox, boss: Client) -> None:
        row = self.sent()
        truss.fault("rate_limit", method="PATCH")
        answer = boss.post(url("contact_change", row.pk), filled(name="Other") | {"_addanother": "1"}, follow=True)
        assert told(answer)[0].startswith("The change of Acme waits; truss_push asks Truss by itself.")
        assert answer.redirect_chain[-1][0] == url("contact_add")

    def test_nothing_changed_asks_nobody(self, truss: Sandbox, boss: Client) -> None:
        row = self.sent()
        asked = len(truss.requests())
        answer = boss.post(url("contact_change", row.pk), filled(), follow=True)
        assert told(answer) == ["Nothing was changed, so Truss was not asked."]
        assert len(truss.requests()) == asked

    def test_in_a_popup_the_window_closes(self, truss: Sandbox, boss: Client) -> None:
        row = self.sent()
        answer = boss.post(url("contact_change", row.pk), filled(name="Other", _popup="1"))
        assert b"popup_response" in answer.content

    def test_who_may_only_look_can_not_change(self, truss: Sandbox, signed_in: SignIn) -> None:
        row = self.sent()
        viewer = signed_in("view_contact")
        assert b'name="email"' not in viewer.get(url("contact_change", row.pk)).content
        assert viewer.post(url("contact_change", row.pk), filled(name="Other")).status_code == 403


class TestCompanies:
    def test_it_shows_the_portal_link_to_copy(self, boss: Client) -> None:
        row = make.company()
        page = boss.get(url("company_change", row.pk)).content.decode()
        assert f'data-truss-copy="{row.portal_url()}"' in page
        Company.objects.update(checkout_link_id="")
        assert "has no payment portal link yet" in see(boss, "company_change", row.pk)

    def test_a_link_that_truss_does_not_give_is_entered_by_hand(self, boss: Client) -> None:
        row = make.company(checkout_link_id="")
        entered = {"slug": row.slug, "name": "Bakers", "environment": "local", "checkout_link_id": "by-hand"}
        boss.post(url("company_change", row.pk), entered)
        row.refresh_from_db()
        assert row.portal_url().endswith("/pay/by-hand")

    def test_one_can_be_added_for_this_environment(self, boss: Client) -> None:
        assert "No company yet." in see(boss, "company_changelist")
        assert 'value="local" selected' in boss.get(url("company_add")).content.decode()
        boss.post(url("company_add"), {"slug": "bakers", "name": "Bakers", "environment": "local"})
        assert Company.objects.get().slug == "bakers"

    def test_its_environment_stands_once_it_is_used(self, boss: Client) -> None:
        row = make.row().company
        assert 'name="environment"' not in boss.get(url("company_change", row.pk)).content.decode()
        boss.post(url("company_change", row.pk), {"slug": "default", "name": "New", "environment": "production"})
        row.refresh_from_db()
        assert (row.name, row.environment) == ("New", "local")


class TestPayments:
    def test_list_and_page_tell_invoice_payer_amount_and_stage(self, boss: Client) -> None:
        assert "No payments yet." in see(boss, "transaction_changelist")
        row = payment(direction=1, payment_method="carrier_pigeon")
        page = see(boss, "transaction_changelist")
        assert "INV-1" in page
        assert "-$50.00 Paid back Payer" in page
        assert "INV-1 Carrier pigeon" in page
        assert "Stage: Paid back" in see(boss, "transaction_change", row.pk)
        Transaction.objects.update(missing_since=timezone.now())
        assert "-$50.00 Not found at Truss" in see(boss, "transaction_changelist")

    def test_methods_are_found_by_their_words(self, boss: Client) -> None:
        intent = make.row(reference="INV-1")
        for amount, name in (("11.00", "ach"), ("22.00", "credit_card"), ("33.00", "carrier_pigeon")):
            payment(payment_intent=intent, amount=amount, payment_method=name)
        assert "ACH transfer" in see(boss, "transaction_changelist")
        for chosen, amount in (("ach", "$11.00"), ("credit_card", "$22.00"), ("unknown", "$33.00")):
            page = see(boss, "transaction_changelist", method=chosen)
            assert [each in page for each in ("$11.00", "$22.00", "$33.00")].count(True) == 1
            assert amount in page

    def test_stages_and_search(self, boss: Client) -> None:
        intent = make.row(reference="INV-1")
        now = timezone.now()
        rows = {
            "moving": payment(payment_intent=intent, amount="11.00"),
            "settled": payment(payment_intent=intent, amount="22.00", settled_at=now),
            "returned": payment(payment_intent=intent, amount="33.00", settled_at=now, returned_at=now),
        }
        for stage, row in rows.items():
            page = see(boss, "transaction_changelist", stage=stage)
            assert [f"${other.amount}" in page for other in rows.values()] == [other is row for other in rows.values()]
        assert "$11.00" in see(boss, "transaction_changelist", q=str(rows["moving"].uid))
        assert "$22.00" in see(boss, "transaction_changelist", q="INV-1", stage="nonsense")


class TestTheRest:
    def test_returns(self, boss: Client) -> None:
        assert "Nobody has come back yet." in see(boss, "payerreturn_changelist")
        PayerReturn.objects.create(
            payment_intent=make.row(reference="INV-1"), claimed_result="success", status="Pending"
        )
        PayerReturn.objects.create()
        page = see(boss, "payerreturn_changelist")
        assert "INV-1 success Unpaid" in page
        assert " - - - " in page

    def test_sync_runs(self, boss: Client) -> None:
        assert "No sync has run yet." in see(boss, "syncrun_changelist")
        now = timezone.now()
        columns = {"company": make.company(), "kind": "all", "started_at": now - timedelta(seconds=75)}
        failed = SyncRun.objects.create(**columns, state="failed", finished_at=now, problems=["Truss was away."])
        running = SyncRun.objects.create(**columns)
        assert "Everything Failed 75 s" in see(boss, "syncrun_changelist")
        assert "Problems: Truss was away." in see(boss, "syncrun_change", failed.pk)
        assert "Problems: -" in see(boss, "syncrun_change", running.pk)

    @pytest.mark.parametrize("model", ["transaction", "operation", "batch", "payerreturn", "syncrun"])
    def test_what_the_app_writes_nobody_else_does(self, boss: Client, model: str) -> None:
        assert boss.get(url(f"{model}_add")).status_code == 403
        assert b'name="action"' not in boss.get(url(f"{model}_changelist")).content

    @pytest.mark.parametrize(
        "model", ["contact", "transaction", "operation", "batch", "payerreturn", "syncrun", "company"]
    )
    def test_lists_take_as_many_queries_for_many_rows(self, boss: Client, model: str) -> None:
        def fill(count: int) -> None:
            for _ in range(count):
                intent = make.row()
                payment(payment_intent=intent)
                batch = Batch.objects.create(kind="cancel", chosen=1)
                Operation.objects.create(company=intent.company, payment_intent=intent, kind="cancel", batch=batch)
                Operation.objects.create(company=intent.company, contact=intent.contact, kind="update_contact")
                PayerReturn.objects.create(payment_intent=intent)
                SyncRun.objects.create(company=intent.company, kind="all")

        def queries() -> int:
            with CaptureQueriesContext(connection) as seen:
                see(boss, f"{model}_changelist")
            return len(seen)

        fill(2)
        few = queries()
        fill(8)
        assert queries() == few
