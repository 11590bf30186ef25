"""What the portal shows to whoever signs in with an email, and why not the rest: decided from rows alone."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import make
from truss_portal import visibility
from truss_portal.models import Company, Contact, Operation, PaymentIntent
from truss_portal.visibility import Answer, Reason, same_address, signs_in_with
from truss_portal.visibility.look_alikes import Likeness, is_one_typo

pytestmark = pytest.mark.django_db

EMAIL = "ap@acme.test"
NOW = timezone.now()


@pytest.fixture(autouse=True)
def site(settings: Any) -> Any:
    settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
    return settings


def payer(**given: Any) -> Contact:
    columns = {"company": given.pop("company", None) or make.company(), "uid": uuid.uuid4(), "name": "Acme"}
    made: Contact = Contact.objects.create(**columns | {"email": EMAIL} | given)
    return made


def invoice(**given: Any) -> PaymentIntent:
    owner = given.get("contact") or payer()
    return make.row(**{"contact": owner, "company": owner.company} | given)


def look(email: str = EMAIL, **given: Any) -> Answer:
    return visibility.look(email, contacts=Contact.objects.all(), intents=PaymentIntent.objects.all(), **given)


def why(answer: Answer) -> dict[str, list[Reason]]:
    """Of each hidden invoice the reasons, by its description."""
    return {each.intent.addenda: [obstacle.reason for obstacle in each.obstacles] for each in answer.hidden}


# --- one invoice


class TestOneInvoice:
    @pytest.mark.parametrize("status", ["Pending", "PartiallyPaid", "Paid"])
    def test_unpaid_partially_paid_and_paid_ones_are_shown(self, status: str) -> None:
        assert visibility.obstacles(invoice(status=status), EMAIL) == []

    @pytest.mark.parametrize(
        ("columns", "reason", "text", "remedy"),
        [
            ({"uid": None, "delivery": "unsent"}, Reason.NOT_SENT, "hasn't been sent", "Send it to Truss."),
            ({"uid": None, "delivery": "queued"}, Reason.QUEUED, "waits to be sent", "the request to Truss says"),
            ({"uid": None, "delivery": "sending"}, Reason.SENDING, "is being sent", "again in a minute"),
            ({"uid": None, "delivery": "unconfirmed"}, Reason.UNCONFIRMED, "may show it, or not", "a second time"),
            (
                {"uid": None, "delivery": "failed", "delivery_error": "Two payers are named Acme."},
                Reason.REFUSED,
                "sending it failed. Two payers are named Acme.",
                "send it again",
            ),
            ({"missing_since": NOW}, Reason.MISSING, "no longer has it, since", "whether it was removed"),
            ({"status": "Canceled"}, Reason.CANCELED, "It was canceled.", "write a new invoice"),
            ({"status": "Canceled", "canceled_at": NOW}, Reason.CANCELED, "It was canceled on", "new invoice"),
            ({"status": "Errored"}, Reason.STATUS, "“Accounting error at Truss”", "in Truss"),
            ({"status": "Draft"}, Reason.STATUS, "“Draft at Truss”", "in Truss"),
            ({"status": "Disputed"}, Reason.STATUS, "“Disputed”", "in Truss"),
            ({"direction": 1}, Reason.OUTBOUND, "isn't an invoice to a payer", ""),
        ],
    )
    def test_what_keeps_it_back_and_the_remedy(
        self, columns: dict[str, Any], reason: Reason, text: str, remedy: str
    ) -> None:
        [found] = visibility.obstacles(invoice(**columns), EMAIL)
        assert found.reason == reason
        assert text in found.text
        assert remedy in found.remedy
        assert bool(found.remedy) == bool(remedy)

    def test_another_email_on_it(self) -> None:
        [found] = visibility.obstacles(invoice(), "bob@acme.test")
        assert found.reason == Reason.OTHER_EMAIL
        assert found.text == "It is for Acme, who must sign in with ap@acme.test."
        assert found.remedy.startswith("Tell the payer to sign in with ap@acme.test. If bob@acme.test is right, change")

    def test_both_emails_are_named_where_there_are_two(self) -> None:
        [found] = visibility.obstacles(invoice(contact=payer(secondary_email="cfo@acme.test")), "bob@acme.test")
        assert "who must sign in with ap@acme.test or cfo@acme.test." in found.text

    def test_a_payer_without_any_email_and_an_invoice_without_payer(self) -> None:
        [found] = visibility.obstacles(invoice(contact=payer(email="")), EMAIL)
        assert (found.reason, found.text) == (Reason.NO_EMAIL, "Acme has no email, so nobody can sign in to see it.")
        alone = make.row()
        alone.contact = None
        assert [each.reason for each in visibility.obstacles(alone, EMAIL)] == [Reason.NO_PAYER]

    def test_no_portal_has_been_set_up(self) -> None:
        owner = payer(company=make.company(name="Harbor", checkout_link_id=""))
        [found] = visibility.obstacles(invoice(contact=owner), EMAIL)
        assert found.reason == Reason.NO_PORTAL
        assert found.text.startswith("Harbor has no payment portal link yet")

    def test_a_test_invoice_on_a_site_in_production(self, site: Any) -> None:
        site.TRUSS_PORTAL = {"ENVIRONMENT": "production"}
        [found] = visibility.obstacles(invoice(contact=payer(company=make.company(environment="sandbox"))), EMAIL)
        assert found.reason == Reason.OTHER_ENVIRONMENT
        assert found.text.startswith("It is a test invoice: it belongs to “Truss sandbox”.")
        assert found.remedy == "Write it again for the company in “Production”, and send it from there."

    def test_a_real_invoice_on_a_test_site(self) -> None:
        owner = payer(company=make.company(environment="production"))
        [found] = visibility.obstacles(invoice(contact=owner), EMAIL)
        assert found.text.startswith("It belongs to “Production”, and this site now speaks to “Local sandbox”")
        assert found.remedy == "Look in its own portal, at https://app.trusspayments.com."

    def test_all_that_is_in_the_way_is_told_the_gravest_first(self) -> None:
        owner = payer(company=make.company(environment="sandbox", checkout_link_id=""))
        found = visibility.obstacles(invoice(contact=owner, status="Canceled"), "bob@acme.test")
        assert [each.reason for each in found] == [
            Reason.OTHER_ENVIRONMENT,
            Reason.CANCELED,
            Reason.OTHER_EMAIL,
            Reason.NO_PORTAL,
        ]

    @pytest.mark.parametrize(
        ("typed", "lets_in"),
        [
            ("ap@acme.test", "email"),
            ("AP@Acme.TEST", "email"),
            ("CFO@acme.test", "secondary_email"),
            ("bob@acme.test", None),
            ("", None),
            ("ap@acme.tes", None),
        ],
    )
    def test_who_is_let_in(self, typed: str, lets_in: str | None) -> None:
        assert signs_in_with(payer(secondary_email="cfo@acme.test"), typed) == lets_in

    def test_an_empty_email_lets_nobody_in(self) -> None:
        assert signs_in_with(Contact(email="", secondary_email=""), "") is None

    def test_only_a_to_z_are_folded(self) -> None:
        assert same_address("İ@acme.test", "İ@ACME.test")
        assert not same_address("É@acme.test", "é@acme.test")


# --- one payer


class TestOnePayer:
    def test_all_of_their_invoices_are_told_apart_and_counted(self) -> None:
        acme = payer(secondary_email="cfo@acme.test")
        unpaid = invoice(contact=acme, addenda="Unpaid", total="100.00")
        paid = invoice(contact=acme, addenda="Paid", status="Paid", balance_paid="120.00")
        part = invoice(contact=acme, addenda="Part", status="PartiallyPaid", total="50.00", balance_paid="20.00")
        over = invoice(contact=acme, addenda="Too much", status="PartiallyPaid", total="10.00", balance_paid="15.00")
        invoice(contact=acme, addenda="Gone", missing_since=NOW)
        invoice(contact=acme, addenda="Draft", uid=None, delivery="unsent")
        invoice(contact=payer(name="Ortega", email="ap@ortega.test"), addenda="Of Ortega")
        for typed in ("ap@acme.test", "CFO@ACME.TEST"):
            answer = look(typed)
            assert answer.payers == [acme]
            assert answer.shown == [part, unpaid, over, paid]  # what can be paid first, the latest of it first
            assert (answer.shown_count, answer.left) == (4, Decimal("130.00"))
            assert why(answer) == {"Draft": [Reason.NOT_SENT], "Gone": [Reason.MISSING]}
            assert answer.hidden_count == 2
            assert (answer.others, answer.look_alikes, answer.changes) == ([], [], [])

    def test_nobody_has_that_email(self) -> None:
        invoice(addenda="Of Acme")
        answer = look("nobody@elsewhere.test")
        assert (answer.payers, answer.others, answer.shown, answer.hidden) == ([], [], [], [])
        assert (answer.shown_count, answer.hidden_count, answer.left) == (0, 0, Decimal(0))
        assert answer.companies == [make.company()]

    def test_a_payer_of_the_same_name_with_another_email_is_told_with_their_invoices(self) -> None:
        invoice(contact=payer(), addenda="To ap")
        billing = payer(name="ACME ", email="billing@acme.test")
        invoice(contact=billing, addenda="To billing")
        invoice(contact=payer(company=make.company(slug="bakers"), email="x@acme.test"), addenda="Elsewhere")
        answer = look()
        assert answer.others == [billing]
        assert [intent.addenda for intent in answer.shown] == ["To ap"]
        assert why(answer) == {"To billing": [Reason.OTHER_EMAIL]}

    def test_the_invoice_asked_about_brings_its_payer(self) -> None:
        asked = invoice(addenda="To ap")
        answer = look("bob@elsewhere.test", about=asked)
        assert answer.payers == []
        assert answer.others == [asked.contact]
        assert answer.about
        assert [each.reason for each in answer.about.obstacles] == [Reason.OTHER_EMAIL]
        assert why(answer) == {"To ap": [Reason.OTHER_EMAIL]}
        assert list(answer.invoices()) == [asked]
        assert look(about=asked).about == visibility.Hidden(asked, [])

    def test_so_does_the_payer_asked_about(self) -> None:
        acme = payer()
        assert look("bob@elsewhere.test", payer=acme).others == [acme]
        assert look(payer=acme).payers == [acme]

    def test_an_email_that_is_to_become_theirs_leads_to_the_payer(self) -> None:
        acme = payer()
        waiting = Operation.objects.create(
            company=acme.company, contact=acme, kind="update_contact", body={"email": "New@acme.test", "name": "Acme"}
        )
        answer = look("new@acme.test")
        assert (answer.payers, answer.others, answer.changes) == ([], [acme], [waiting])
        assert look().changes == [waiting]
        Operation.objects.update(state="refused", needs_person=True)
        assert look("new@acme.test").others == [acme]
        for done in ({"state": "done"}, {"state": "refused"}, {"state": "queued", "body": {"phone": None}}):
            Operation.objects.update(needs_person=False, **done)
            assert (look("new@acme.test").others, look().changes) == ([], [])

    def test_an_email_that_is_to_be_dropped_is_told(self) -> None:
        acme = payer(secondary_email="cfo@acme.test")
        body = {"secondary_email": None}
        Operation.objects.create(company=acme.company, contact=acme, kind="update_contact", body=body)
        assert len(look("cfo@acme.test").changes) == 1

    def test_one_email_in_several_companies(self) -> None:
        here = invoice(addenda="Here")
        there = invoice(contact=payer(company=make.company(slug="bakers"), name="Acme Inc"), addenda="There")
        answer = look()
        assert len(answer.payers) == 2
        assert answer.shown == [there, here]
        assert {company.slug for company in answer.companies} == {"default", "bakers"}

    def test_only_portals_of_this_environment_count(self) -> None:
        """Of a payer in another environment alone, those that they may have opened instead."""
        invoice(contact=payer(company=make.company(slug="tests", environment="sandbox")))
        assert look().companies == []
        here = make.company()
        assert look().companies == [here]
        payer(company=here)
        assert look().companies == [here]

    def test_very_many_are_counted_and_the_first_are_named(self) -> None:
        acme = payer()
        rows = [
            PaymentIntent(
                company=acme.company,
                contact=acme,
                uid=uuid.uuid4(),
                total=1,
                status=status,
                delivery="sent",
                addenda=str(n),
            )
            for n in range(205)
            for status in ("Pending", "Canceled")
        ]
        PaymentIntent.objects.bulk_create(rows)
        answer = look()
        assert (len(answer.shown), answer.shown_count) == (visibility.MOST, 205)
        assert (len(answer.hidden), answer.hidden_count) == (visibility.MOST, 205)
        assert answer.left == Decimal(205)
        assert answer.shown[0].addenda == "204"

    def test_it_takes_few_statements_however_many_there_are(self) -> None:
        acme = payer()
        for n in range(30):
            invoice(contact=acme, status="Canceled" if n % 2 else "Pending")
        with CaptureQueriesContext(connection) as taken:
            answer = look(about=PaymentIntent.objects.select_related("company", "contact").first())
            [obstacle.text for each in answer.hidden for obstacle in each.obstacles]
        assert len(taken) <= 8


class TestFreshness:
    def test_what_was_asked_long_ago_may_have_changed(self) -> None:
        old, new = NOW - timedelta(days=2), NOW - timedelta(hours=2)
        acme = payer()
        stale = invoice(contact=acme, fetched_at=old)
        fresh = invoice(contact=acme, fetched_at=new)
        draft = invoice(contact=acme, uid=None, delivery="unsent", fetched_at=None)
        answer = look()
        assert [answer.is_old(intent, NOW) for intent in (stale, fresh, draft)] == [True, False, False]
        assert answer.not_listed_lately(NOW) == [acme.company]
        Company.objects.update(listed_at=new)
        answer = look()
        assert not any(answer.is_old(intent, NOW) for intent in answer.shown)
        assert answer.not_listed_lately(NOW) == []


# --- the same by any road


EMAILS = st.sampled_from(["", "ap@acme.test", "AP@Acme.test", "cfo@acme.test", "bob@elsewhere.test", "é@acme.test"])
COMPANIES = st.tuples(st.sampled_from(["local", "sandbox", "production"]), st.sampled_from(["", "k7m2p9qx"]))
CONTACTS = st.tuples(st.integers(0, 2), st.sampled_from(["Acme", "acme ", "Ortega"]), EMAILS, EMAILS)
CENTS = st.integers(100, 100_000).map(lambda cents: Decimal(cents) / 100)
INTENTS = st.fixed_dictionaries(
    {
        "owner": st.integers(0, 4),
        "at_truss": st.booleans(),
        "delivery": st.sampled_from(PaymentIntent.Delivery.values),
        "status": st.sampled_from(["", "Pending", "PartiallyPaid", "Paid", "Canceled", "Draft", "Errored", "New one"]),
        "direction": st.sampled_from([0, 0, 0, 1]),
        "missing": st.booleans(),
        "total": CENTS,
        "balance_paid": CENTS,
    }
)


WORLDS = st.fixed_dictionaries(
    {
        "environment": st.sampled_from(["local", "production"]),
        "companies": st.lists(COMPANIES, min_size=3, max_size=3),
        "contacts": st.lists(CONTACTS, min_size=5, max_size=5),
        "intents": st.lists(INTENTS, max_size=12),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=WORLDS, typed=EMAILS.filter(bool))
def test_database_and_reasons_agree_on_what_is_shown(site: Any, world: dict[str, Any], typed: str) -> None:
    """And both with the published rule, written down once more."""
    environment = world["environment"]
    site.TRUSS_PORTAL = {"ENVIRONMENT": environment}
    with transaction.atomic():
        owners = [
            make.company(slug=f"c{n}", environment=its, checkout_link_id=link)
            for n, (its, link) in enumerate(world["companies"])
        ]
        rows = [
            payer(company=owners[at], name=name, email=a, secondary_email=b) for at, name, a, b in world["contacts"]
        ]
        made = [write(rows, columns) for columns in world["intents"]]
        answer = look(typed)
        expected = {
            intent.pk
            for intent in made
            if intent.uid
            and not intent.missing_since
            and intent.direction == 0
            and intent.status in {"Pending", "PartiallyPaid", "Paid"}
            and intent.company.environment == environment
            and intent.company.checkout_link_id
            and intent.contact
            and typed.lower() in {intent.contact.email.lower(), intent.contact.secondary_email.lower()}
        }
        assert {intent.pk for intent in answer.shown} == expected
        assert {intent.pk for intent in made if not visibility.obstacles(intent, typed)} == expected
        assert answer.shown_count == len(expected)
        known = {contact.pk for contact in (*answer.payers, *answer.others)}
        theirs = {intent.pk for intent in made if intent.contact_id in known}
        assert {each.intent.pk for each in answer.hidden} == theirs - expected
        assert answer.hidden_count == len(theirs - expected)
        assert all(each.obstacles for each in answer.hidden)
        payable = [i for i in made if i.pk in expected and i.status != "Paid" and i.balance_due > 0]
        assert answer.left == sum((intent.balance_due for intent in payable), Decimal(0))
        transaction.set_rollback(True)


def write(payers: list[Contact], columns: dict[str, Any]) -> PaymentIntent:
    given = dict(columns)
    return invoice(
        contact=payers[given.pop("owner")],
        uid=uuid.uuid4() if given.pop("at_truss") else None,
        missing_since=NOW if given.pop("missing") else None,
        **given,
    )


# --- who may be meant


class TestLookAlikes:
    def alike(self, typed: str) -> list[tuple[str, Likeness]]:
        return [(each.email, each.likeness) for each in look(typed).look_alikes]

    @pytest.mark.parametrize(
        "typed",
        ["ap@acm.test", "app@acme.test", "pa@acme.test", "a@acme.test", "xp@acme.test", "ap@acme.tes", "ap@acem.test"],
    )
    def test_one_typo_away(self, typed: str) -> None:
        payer(name="Ortega")
        assert self.alike(typed) == [(EMAIL, Likeness.ONE_TYPO)]

    def test_one_typo_away_where_everybody_has_an_address(self) -> None:
        payer(name="Jane", email="jane.doe.1970@gmail.com")
        payer(name="Other", email="somebody@gmail.com")
        for typed in (
            "jane.doe.197@gmail.com",
            "janedoe.1970@gmail.com",
            "Ajne.doe.1970@gmail.com",
            "jane.doe.1970@gmial.com",
        ):
            assert self.alike(typed) == [("jane.doe.1970@gmail.com", Likeness.ONE_TYPO)]
        assert self.alike("nobody@gmail.com") == []

    def test_of_the_same_domain_or_a_name_that_fits(self) -> None:
        payer(name="Ortega Bakery LLC", email="maria@post.test", secondary_email="boss@ortegabakery.test")
        payer(name="Jane Doe", email="jd@gmail.com")
        payer(name="Supplies", email="joe@acme.test")
        assert self.alike("ap@acme.test") == [("joe@acme.test", Likeness.SAME_DOMAIN)]
        assert self.alike("jane.doe@post.example") == [("jd@gmail.com", Likeness.SAME_NAME)]
        assert self.alike("billing@ortegabakery.example") == [("maria@post.test", Likeness.SAME_NAME)]
        assert self.alike("x@y.z") == []

    def test_the_closest_come_first_and_few(self) -> None:
        for n in range(15):
            payer(name=f"Payer {n:02}", email=f"p{n}x@acme.test")
        payer(name="Zorn", email="app@acme.test")
        found = self.alike("ap@acme.test")
        assert len(found) == 10
        assert found[0] == ("app@acme.test", Likeness.ONE_TYPO)
        assert found[1] == ("p0x@acme.test", Likeness.SAME_DOMAIN)
        assert [likeness.label for likeness in Likeness] == ["differs in one place", "the name fits", "same domain"]

    def test_signs_that_mean_something_to_a_database_mean_nothing_here(self) -> None:
        payer(name="Percent", email="100%_off@acme.test")
        assert self.alike("100%_of@acme.test") == [("100%_off@acme.test", Likeness.ONE_TYPO)]
        assert self.alike("%@gmail.com") == []

    def test_what_is_no_email_is_like_nothing(self) -> None:
        payer()
        assert visibility.look_alikes("acme", Contact.objects.all()) == []
        assert visibility.look_alikes("@acme.test", Contact.objects.all()) == []


LETTERS = st.text("ab.@", max_size=7)


@given(LETTERS, LETTERS)
def test_one_typo_is_what_one_edit_makes(one: str, other: str) -> None:
    removed = {one[:i] + one[i + 1 :] for i in range(len(one))}
    added = {one[:i] + letter + one[i:] for i in range(len(one) + 1) for letter in "ab.@"}
    replaced = {one[:i] + letter + one[i + 1 :] for i in range(len(one)) for letter in "ab.@"}
    swapped = {one[:i] + one[i + 1] + one[i] + one[i + 2 :] for i in range(len(one) - 1)}
    assert is_one_typo(one, other) == (other in removed | added | replaced | swapped | {one})


@given(st.text("abc.1", min_size=4, max_size=9), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_typo_is_found_through_the_database(local: str, data: Any) -> None:
    domain = data.draw(st.sampled_from(["gmail.com", "acme.test"]))
    address = f"{local}@{domain}"
    at = data.draw(st.integers(0, len(address) - 1))
    edits: list[Callable[[], str]] = [
        lambda: address[:at] + "x" + address[at:],
        lambda: address[:at] + address[at + 1 :],
        lambda: address[:at] + "x" + address[at + 1 :],
        lambda: address[:at] + address[at + 1 : at + 2] + address[at] + address[at + 2 :],
    ]
    typed = data.draw(st.sampled_from(edits))()
    if "@" not in address[max(at - 1, 0) : at + 2]:  # a typo around the @ itself makes another kind of address
        with transaction.atomic():
            payer(name="Somebody", email=address)
            found = visibility.look_alikes(typed, Contact.objects.all())
            assert [each.likeness for each in found] == [Likeness.ONE_TYPO]
            transaction.set_rollback(True)
