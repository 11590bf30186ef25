"""Send, refresh and cancel from the admin, with the pretend Truss behind."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.test import Client
from django.urls import path

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import act, do, see, text_of, told, url
from truss_portal.admin import PaymentIntentAdmin
from truss_portal.client import InvalidRequestError
from truss_portal.models import Contact, Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


class HastyAdmin(PaymentIntentAdmin):
    """As a site would write it whose pages may not wait long."""

    wait_for = 2


class HurriedAdmin(PaymentIntentAdmin):
    wait_seconds = 0.0


def site_of(model_admin: type[PaymentIntentAdmin]) -> list[Any]:
    """The addresses of a site whose admin has this class in it: the value of a ROOT_URLCONF is anything with them."""
    site = admin.AdminSite()
    for model, registered in admin.site._registry.items():
        site.register(model, type(registered) if model is not PaymentIntent else model_admin)
    return [path("admin/", site.urls)]


@pytest.fixture
def atomic_requests() -> Iterator[None]:
    """A site that wraps each request in a transaction."""
    for connection in connections.all():
        connection.settings_dict["ATOMIC_REQUESTS"] = True
    yield
    for connection in connections.all():
        connection.settings_dict["ATOMIC_REQUESTS"] = False


class TestSend:
    def test_the_page_before_sums_up_and_says_what_is_left_out_and_why(self, truss: Sandbox, boss: Client) -> None:
        loud = make.draft(reference="INV-1", total="1200.00", send_email=True, send_sms=True)
        quiet = make.draft(reference="INV-2", total="34.50", contact={"name": "Ortega", "email": "ap@ortega.test"})
        wrong = make.draft(reference="INV-3")
        PaymentIntent.objects.filter(pk=wrong.pk).update(due_date="2020-01-01")
        lost = make.row(reference="INV-4", uid=None, delivery="unconfirmed")
        others = [make.row(reference="INV-5"), make.row(reference="INV-6", uid=None, delivery="sending")]
        page = text_of(act(boss, "send_selected", loud, quiet, wrong, lost, *others))
        assert "2 invoices over $1,234.50 are sent to Truss." in page
        assert "Truss emails the payer of 1 invoice at once. It texts the payer of 1 invoice." in page
        assert "INV-1 Acme $1,200.00 - ap@acme.test, no phone number" in page
        assert "INV-2 Ortega $34.50 - Nobody" in page
        assert "4 invoices are left out" in page
        assert "INV-3 The due date must be later than" in page
        assert "INV-4 Sent already, and Truss's answer was lost" in page
        assert "INV-5 Sent already." in page
        assert "INV-6 Being sent already." in page
        assert truss.requests() == [], "nobody is asked yet"

    def test_it_sends_logs_and_tells(self, truss: Sandbox, boss: Client) -> None:
        first, second = make.draft(), make.draft()
        answer = do(boss, "send", first, second, next=url("paymentintent_changelist") + "?status=none")
        assert answer.redirect_chain[-1][0].endswith("?status=none")
        assert told(answer)[0] == "2 invoices were sent to Truss."
        assert len(truss.payment_intents()) == 2
        assert {entry.get_change_message() for entry in LogEntry.objects.all()} == {"Sent to Truss."}
        assert [str(entry.actor) for entry in first.timeline.filter(kind__in=["queued", "sent"])] == ["boss", "boss"]

    def test_a_second_press_sends_nothing_twice(self, truss: Sandbox, boss: Client) -> None:
        intent = make.draft(reference="INV-1")
        do(boss, "send", intent)
        answer = do(boss, "send", intent)
        assert told(answer) == ["1 invoice was left out: / INV-1: Sent already."]
        assert len(truss.payment_intents()) == 1

    def test_what_truss_refuses_is_named_with_the_reason(self, truss: Sandbox, boss: Client) -> None:
        intents = [make.draft(reference=f"INV-{number}") for number in range(12)]
        truss.fault("error_before", method="POST", status=422, count=11)
        sent, failed, _kept = told(do(boss, "send", *intents))
        assert sent == "1 invoice was sent to Truss."
        assert failed.startswith("11 invoices were left out: / INV-0: Truss refused the request.")
        assert failed.endswith(" / … and 1 more.")
        page = see(boss, "paymentintent_change", intents[0].pk)
        assert "Truss refused it. Truss refused the request." in page

    def test_when_truss_is_not_well_the_rest_waits_in_the_outbox(self, truss: Sandbox, boss: Client) -> None:
        intents = [make.draft() for _ in range(3)]
        truss.fault("rate_limit", method="POST", count=None)
        page = text_of(do(boss, "send", *intents))
        assert "0 of 3 are done. 3 wait: truss_push asks Truss by itself." in page
        assert len([request for request in truss.requests() if request["method"] == "POST"]) == 1
        assert set(PaymentIntent.objects.values_list("delivery", flat=True)) == {"queued"}
        assert {entry.get_change_message() for entry in LogEntry.objects.all()} == {
            "Send to Truss: asked, not done yet."
        }

    def test_a_waiting_one_may_be_tried_again_at_once(self, truss: Sandbox, boss: Client) -> None:
        intent = make.draft()
        truss.fault("rate_limit", method="POST")
        do(boss, "send", intent)
        assert told(do(boss, "send", intent)) == ["1 invoice was sent to Truss."]

    def test_a_lost_answer_is_said_to_be_lost(self, truss: Sandbox, boss: Client) -> None:
        intent = make.draft(reference="INV-1")
        truss.fault("drop_after", method="POST")
        [message] = told(do(boss, "send", intent))
        assert (
            "INV-1: Truss's answer was lost. A later sync shows whether it is there; it is not sent twice." in message
        )

    @pytest.mark.parametrize(("hasty", "asked"), [(HastyAdmin, 2), (HurriedAdmin, 0)])
    def test_past_the_bound_invoices_are_queued(
        self, truss: Sandbox, boss: Client, settings: Any, hasty: type[PaymentIntentAdmin], asked: int
    ) -> None:
        intents = [make.draft() for _ in range(4)]
        settings.ROOT_URLCONF = tuple(site_of(hasty))
        page = text_of(act(boss, "send_selected", *intents))
        if asked:
            assert "The first 2 are sent while this page waits. The rest are queued" in page
        page = text_of(do(boss, "send", *intents))
        assert f"{asked} of 4 are done. {4 - asked} wait: truss_push asks Truss by itself." in page
        assert len(truss.payment_intents()) == asked
        assert PaymentIntent.objects.filter(delivery="queued").count() == 4 - asked

    def test_payers_of_one_name_are_refused_in_words(self, boss: Client) -> None:
        make.company()
        first = make.draft(reference="INV-1")
        make.draft(reference="INV-2", contact={"name": "Acme", "email": "other@acme.test"})
        page = text_of(boss.get(url("paymentintent_send"), {"ids": first.pk}))
        assert "None of the chosen invoices can take part:" in page
        assert "Two payers are named “Acme”" in page
        assert 'name="ids"' not in page


class TestCancel:
    def test_it_asks_first_and_then_cancels(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1")
        others = [make.draft(reference="INV-2"), make.row(reference="INV-3", status="Paid")]
        page = text_of(act(boss, "cancel_selected", intent, *others))
        assert "1 invoice over $120.00 is canceled at Truss. Canceling can't be undone" in page
        assert "INV-2 Not sent to Truss: nothing to cancel there. Delete it here instead." in page
        assert "INV-3 has a payment, or isn't unpaid" in page
        assert told(do(boss, "cancel", intent)) == ["1 invoice was canceled."]
        intent.refresh_from_db()
        assert intent.status == "Canceled"
        assert LogEntry.objects.get().get_change_message() == "Canceled at Truss."
        assert str(intent.timeline.get(kind="canceled").actor) == "boss"

    def test_what_changed_since_the_page_was_shown_is_told(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1")
        do(boss, "cancel", intent)
        [message] = told(do(boss, "cancel", intent))
        assert message == "1 invoice was left out: / INV-1: Invoice INV-1 is canceled already."

    def test_several_are_canceled(self, truss: Sandbox, boss: Client) -> None:
        intents = [make.sent() for _ in range(3)]
        assert told(do(boss, "cancel", *intents))[0] == "3 invoices were canceled."
        assert {shown["status"] for shown in truss.payment_intents()} == {"Canceled"}
        assert LogEntry.objects.filter(change_message="Canceled at Truss.").count() == 3

    def test_what_could_not_be_asked_waits(self, truss: Sandbox, boss: Client) -> None:
        intents = [make.sent() for _ in range(3)]
        truss.fault("rate_limit", method="POST", path="cancel", count=None)
        page = text_of(do(boss, "cancel", *intents))
        assert "0 of 3 are done. 3 wait: truss_push asks Truss by itself." in page
        assert Operation.objects.filter(kind="cancel", state="queued").count() == 3

    def test_the_page_before_says_how_many_are_done(self, truss: Sandbox, boss: Client, settings: Any) -> None:
        intents = [make.row() for _ in range(3)]
        settings.ROOT_URLCONF = tuple(site_of(HastyAdmin))
        assert "The first 2 are canceled while this page waits. The rest are queued" in text_of(
            act(boss, "cancel_selected", *intents)
        )


class TestRefreshOne:
    """Many are in test_resend_and_refresh."""

    def test_it_looks_and_tells(self, truss: Sandbox, boss: Client) -> None:
        paid = make.sent(reference="INV-1")
        assert paid.uid
        truss.pay(paid.uid, "20.00")
        assert told(do(boss, "refresh", paid)) == ["1 invoice is up to date."]
        paid.refresh_from_db()
        assert paid.balance_paid == 20
        assert not LogEntry.objects.exists(), "looking changes nothing"
        assert not Operation.objects.filter(kind="refresh").exists(), "one is looked at at once"

    def test_one_that_is_gone_is_told(self, truss: Sandbox, boss: Client) -> None:
        gone = make.sent(reference="INV-2")
        assert gone.uid
        truss.vanish(gone.uid)
        assert told(do(boss, "refresh", gone)) == ["1 invoice was left out: / INV-2: No longer found at Truss."]

    def test_a_draft_has_nothing_to_look_at(self, boss: Client) -> None:
        [message] = told(do(boss, "refresh", make.draft(reference="INV-3")))
        assert message.endswith("INV-3: Not sent to Truss yet: there is nothing to look at.")

    def test_when_truss_does_not_answer_it_says_so(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-0")
        truss.fault("garbage", method="GET", count=None)
        [failed] = told(do(boss, "refresh", intent))
        assert failed.startswith("1 invoice was left out: / INV-0: Truss's answer ")

    def test_without_a_connection_it_says_what_is_missing(self, boss: Client) -> None:
        intent = make.row(reference="INV-1", company=make.company(slug="other"))
        [message] = told(do(boss, "refresh", intent))
        assert "INV-1: other isn't connected to Truss" in message

    def test_the_button_on_the_page_comes_back_to_it(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent()
        page = url("paymentintent_change", intent.pk)
        assert b"Refresh from Truss" in boss.get(page).content
        assert do(boss, "refresh", intent, next=page).redirect_chain[-1][0] == page


class TestRequests:
    def test_nothing_chosen_is_said(self, boss: Client) -> None:
        for ids in ("", "nonsense", "99999999999999999999999"):
            for verb in ("refresh", "send", "resend", "cancel"):
                answer = boss.post(url(f"paymentintent_{verb}"), {"ids": ids}, follow=True)
                assert told(answer) == ["No invoice was chosen."]

    def test_it_goes_on_to_this_site_only(self, boss: Client) -> None:
        intent = make.row()
        answer = do(boss, "send", intent, next="https://evil.test/")
        assert answer.redirect_chain[-1][0] == url("paymentintent_change", intent.pk)

    def test_what_changes_something_is_posted_with_a_token(self, boss: Client) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = boss.cookies
        for verb in ("send", "cancel", "refresh", "resend", "links_csv", "links_copied"):
            assert strict.post(url(f"paymentintent_{verb}"), {"ids": "1"}).status_code == 403
        for verb in ("links_csv", "links_copied"):
            assert boss.get(url(f"paymentintent_{verb}"), {"ids": "1"}).status_code == 405

    @pytest.mark.usefixtures("atomic_requests")
    def test_a_site_with_a_transaction_around_each_request_works(self, truss: Sandbox, boss: Client) -> None:
        intent = make.draft()
        assert told(do(boss, "send", intent)) == ["1 invoice was sent to Truss."]
        assert told(do(boss, "refresh", intent)) == ["1 invoice is up to date."]
        assert told(do(boss, "resend", intent)) == ["1 invoice was emailed again."]
        change = {"name": "Acme Ltd", "email": "ap@acme.test", "secondary_email": "", "phone": ""}
        contact = Contact.objects.get()
        answer = boss.post(url("contact_change", contact.pk), change, follow=True)
        assert told(answer) == ["Truss has changed Acme Ltd."]
        assert told(do(boss, "cancel", intent)) == ["1 invoice was canceled."]


class TestPermissions:
    VERBS = ("send", "cancel", "refresh", "resend")

    def test_who_may_only_look_sees_no_buttons_and_is_refused_everywhere(self, signed_in: SignIn) -> None:
        viewer = signed_in("view_paymentintent")
        intent = make.row()
        for page in (viewer.get(url("paymentintent_changelist")), viewer.get(url("paymentintent_change", intent.pk))):
            for words in (b"Copy link", b"Send to Truss", b"Refresh from Truss", b"Cancel at Truss", b'name="action"'):
                assert words not in page.content
        for name in ("send", "cancel", "refresh", "resend", "links_csv", "links_copied"):
            address = url(f"paymentintent_{name}")
            assert viewer.get(address, {"ids": intent.pk}).status_code == 403
            assert viewer.post(address, {"ids": intent.pk}).status_code == 403
        for action in ("send_selected", "cancel_selected", "refresh_selected", "resend_selected", "copy_links"):
            assert b"Confirm" not in act(viewer, action, intent).content
        for name in ("paymentintent_add", "contact_add", "company_add"):
            assert viewer.get(url(name)).status_code == 403
        assert not Operation.objects.exists()

    @pytest.mark.parametrize("verb", VERBS)
    def test_each_verb_works_with_its_own_permission_and_no_other(
        self, truss: Sandbox, signed_in: SignIn, verb: str
    ) -> None:
        intent = make.draft() if verb == "send" else make.sent()
        person = signed_in("view_paymentintent", f"{verb}_paymentintent")
        assert told(do(person, verb, intent))[0].startswith("1 invoice ")
        for other in {*self.VERBS, "links_csv"} - {verb}:
            assert person.post(url(f"paymentintent_{other}"), {"ids": intent.pk}).status_code == 403

    def test_the_verb_alone_is_not_enough(self, signed_in: SignIn) -> None:
        person = signed_in("send_paymentintent", "link_paymentintent")
        intent = make.row()
        for name in ("send", "links_csv"):
            assert person.post(url(f"paymentintent_{name}"), {"ids": intent.pk}).status_code == 403

    def test_who_is_not_staff_is_sent_to_the_login(self) -> None:
        answer = Client().post(url("paymentintent_send"), {"ids": "1"})
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]


def test_a_rule_that_is_about_no_field_has_a_sentence(truss: Sandbox) -> None:
    from truss_portal.admin.wording import why
    from truss_portal.client import FieldError

    assert why(InvalidRequestError([FieldError("odd", "is odd")])) == "odd is odd."
