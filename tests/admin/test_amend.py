"""Amending an invoice at Truss on its own page: looked over, asked of Truss, told; and what others do meanwhile."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import see, text_of, told, url
from tests.wishes import NOBODY_WAKES
from truss_portal import actions, outbox, sync
from truss_portal.models import Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db
FIELDS = ("total", "due_date", "addenda", "note", "memo")


def typed(client: Client, intent: PaymentIntent, **changes: Any) -> dict[str, Any]:
    """The form as a browser has it, with what somebody has typed."""
    answer = client.get(url("paymentintent_amend", intent.pk))
    form = answer.context["adminform"].form
    filled = {name: form[name].value() or "" for name in form.fields}
    return {**{name: str(value) for name, value in filled.items()}, **dict(answer.context["seen"]), **changes}


def look(client: Client, intent: PaymentIntent, data: dict[str, Any], **more: Any) -> Any:
    return client.post(url("paymentintent_amend", intent.pk), data | more, follow=True)


def confirm(client: Client, intent: PaymentIntent, looked_over: Any) -> Any:
    """Press the button of the page that shows what would change."""
    return look(client, intent, dict(looked_over.context["hidden"]), _confirmed="1")


def differences(answer: Any) -> list[tuple[str, str, str]]:
    return [(each["name"], each["was"], each["now"]) for each in answer.context["changes"]]


def errors(answer: Any) -> dict[str, list[str]]:
    return {name: [*found] for name, found in answer.context["adminform"].form.errors.items()}


@pytest.mark.django_db(transaction=True)
class TestAsked:
    def test_what_differs_is_looked_over_asked_told_and_logged(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1", note="Thanks", total="120.00")
        data = typed(boss, intent, total="130", note="Thanks\r\na lot")
        looked_over = look(boss, intent, data)
        assert differences(looked_over) == [
            ("Amount", "$120.00", "$130.00"),
            ("Note to the payer", "“Thanks”", "“Thanks\na lot”"),
        ]
        assert "Then $130.00 is left to pay." in text_of(looked_over)
        assert not Operation.objects.filter(kind="amend").exists()
        answer = confirm(boss, intent, looked_over)
        changes = "Amount: $120.00 → $130.00; Note to the payer: “Thanks” → “Thanks\na lot”"
        assert told(answer) == [f"Truss has amended INV-1. {changes}"]
        intent.refresh_from_db()
        assert (intent.total, intent.note) == (Decimal("130.00"), "Thanks\na lot")
        assert Operation.objects.get(kind="amend").body == {"total": "130.00", "note": "Thanks\na lot"}
        assert str(LogEntry.objects.get().get_change_message()) == f"Amended at Truss. {changes}"
        amended = intent.timeline.filter(kind="amended")
        assert {(str(entry.actor), entry.data["field"]) for entry in amended} == {("boss", "total"), ("boss", "note")}

    def test_each_field_can_be_amended(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(memo="Flat 3", due_date=outbox.today() + timedelta(days=3))
        due = outbox.today() + timedelta(days=9)
        wanted = {"total": "99.50", "due_date": str(due), "addenda": "New", "note": "N", "memo": "Flat 4"}
        confirm(boss, intent, look(boss, intent, typed(boss, intent, **wanted)))
        [there] = truss.payment_intents()
        assert (there["total"], there["due_date"], there["addenda"], there["note"]) == ("99.50", str(due), "New", "N")
        assert there["memo"] == f"Flat 4 [TP-{intent.memo_reference}]", "our mark stays in it"
        confirm(boss, intent, look(boss, intent, typed(boss, intent, due_date="", note="", memo="")))
        [there] = truss.payment_intents()
        assert (there["due_date"], there["note"]) == (None, None)

    def test_a_site_with_a_transaction_around_each_request_works(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent()
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        try:
            answer = confirm(boss, intent, look(boss, intent, typed(boss, intent, total="130")))
        finally:
            connection.settings_dict["ATOMIC_REQUESTS"] = False
        assert "Truss has amended" in told(answer)[0]

    def test_a_refusal_is_told_and_changes_nothing_here(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1")
        truss.fault("error_before", method="PATCH", status=422)
        answer = confirm(boss, intent, look(boss, intent, typed(boss, intent, total="130")))
        assert told(answer)[0].startswith("Truss refused to amend INV-1: ")
        assert "Amount: $120.00 → $130.00" in told(answer)[0]
        intent.refresh_from_db()
        assert intent.total == Decimal("120.00")
        assert not LogEntry.objects.exists()
        assert "Amend: refused" in text_of(answer)

    @pytest.mark.slow
    def test_what_truss_took_and_does_not_show_yet_is_told(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1")
        looked_over = look(boss, intent, typed(boss, intent, total="130"))
        truss.fault("error_before", method="GET", path=str(intent.uid), status=503, count=None)
        answer = confirm(boss, intent, looked_over)
        assert told(answer)[-1].startswith("Truss took the change of INV-1, but doesn't show it yet.")

    def test_when_truss_is_away_it_waits_and_the_page_says_so(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1", memo="Flat 3")
        truss.fault("rate_limit", method="PATCH", count=None, retry_after=600)
        answer = confirm(boss, intent, look(boss, intent, typed(boss, intent, total="130", memo="Flat 4", note="")))
        assert told(answer)[0].startswith("The change of INV-1 waits; Truss is asked by itself.")
        waiting = "Asked already, not done yet. Amount becomes $130.00; Private memo becomes “Flat 4”"
        assert waiting in text_of(answer).replace("yet .", "yet.")
        assert waiting in see(boss, "paymentintent_amend", intent.pk)
        assert "Amend: asked, not done yet." in LogEntry.objects.get().get_change_message()

    def test_a_second_change_comes_after_the_first_that_waits(
        self, truss: Sandbox, boss: Client, settings: Any
    ) -> None:
        intent = make.sent(reference="INV-1")
        settings.TASKS = NOBODY_WAKES
        confirm(boss, intent, look(boss, intent, typed(boss, intent, total="130")))
        looked_over = look(boss, intent, typed(boss, intent, due_date=str(outbox.today() + timedelta(days=5))))
        assert "Asked already, and done before this: Amount becomes $130.00." in text_of(looked_over)
        confirm(boss, intent, looked_over)
        assert [
            sorted(body)
            for body in Operation.objects.filter(kind="amend").order_by("pk").values_list("body", flat=True)
        ] == [
            ["total"],
            ["due_date"],
        ]

    def test_going_on_editing_keeps_what_was_typed(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent()
        looked_over = look(boss, intent, typed(boss, intent, total="130"))
        answer = look(boss, intent, dict(looked_over.context["hidden"]), _edit="1")
        assert answer.context["adminform"].form["total"].value() == "130"
        assert errors(answer) == {}


class TestRefusedHere:
    """Before the network: there is no Truss behind these."""

    def test_nothing_changed_asks_nothing(self, boss: Client) -> None:
        intent = make.row(note="  Two\r\nlines ", due_date=timezone.localdate() - timedelta(days=9))
        answer = look(boss, intent, typed(boss, intent, note="Two\r\nlines"))
        assert told(answer) == ["Nothing was changed, so Truss was not asked."]
        assert not Operation.objects.exists()

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            (
                {"total": "50.99"},
                "$50.00 is paid already, and Truss wants at least $1.00 left to pay: at least $51.00.",
            ),
            ({"total": "much"}, "Write an amount in US dollars, such as 1200.00."),
            ({"total": ""}, "This field is required."),
            ({"total": "130.001"}, "Write whole cents: at most two digits after the point."),
            ({"addenda": "a" * 81}, "The description must have at most 80 characters, not 81."),
            ({"addenda": " "}, "This field is required."),
            ({"note": "n" * 501}, "The note must have at most 500 characters, not 501."),
            ({"memo": "m" * 485}, "The memo must have at most 484 characters."),
            ({"due_date": "today"}, "The due date must be later than"),
            ({"due_date": "someday"}, "Write a date, such as 2030-01-31."),
        ],
    )
    def test_each_rule_stands_at_its_field_and_what_was_typed_stays(
        self, boss: Client, wrong: dict[str, Any], sentence: str
    ) -> None:
        intent = make.row(status="PartiallyPaid", balance_paid="50.00")
        wrong = {name: str(timezone.localdate()) if value == "today" else value for name, value in wrong.items()}
        answer = look(boss, intent, typed(boss, intent, **wrong))
        [(field, [said])] = errors(answer).items()
        assert field in wrong
        assert sentence in said
        assert answer.context["adminform"].form[field].value() == wrong[field]
        assert not Operation.objects.exists()
        intent.refresh_from_db()
        assert intent.total == Decimal("120.00")

    def test_an_amount_under_the_least_is_refused_where_nothing_is_paid(self, boss: Client) -> None:
        intent = make.row()
        assert errors(look(boss, intent, typed(boss, intent, total="0.99"))) == {
            "total": ["The amount must be at least $1.00."]
        }

    def test_what_was_there_already_is_not_judged(self, boss: Client) -> None:
        """Truss may keep what it wouldn't take from us."""
        intent = make.row(addenda="a" * 90, due_date=timezone.localdate() - timedelta(days=30))
        answer = look(boss, intent, typed(boss, intent, total="130"))
        assert differences(answer) == [("Amount", "$120.00", "$130.00")]

    def test_truss_s_rules_stand_beside_the_fields(self, boss: Client) -> None:
        intent = make.row(status="PartiallyPaid", balance_paid="50.00", discovered=True)
        page = see(boss, "paymentintent_amend", intent.pk)
        for words in (
            "at least $51.00, since $50.00 is paid and Truss wants at least $1.00 left to pay.",
            "From tomorrow on, or empty for none.",
            "1 to 80 characters; also stands on the payments made on it.",
            "Up to 500 characters. The payer sees it.",
            "Up to 500 characters. The payer never sees it.",
            "Truss isn't asked to email the payer about it.",
        ):
            assert words in page

    @pytest.mark.parametrize("status", ["Paid", "Canceled"])
    def test_of_a_closed_one_only_due_date_and_memo_can_be_changed(self, boss: Client, status: str) -> None:
        intent = make.row(status=status)
        answer = boss.get(url("paymentintent_amend", intent.pk))
        assert [*answer.context["adminform"].form.fields] == ["due_date", "memo"]
        assert f"This invoice is {status.lower()}: Truss doesn't change its amount" in text_of(answer)
        looked_over = look(boss, intent, typed(boss, intent, memo="Later"))
        assert differences(looked_over) == [("Private memo", "-", "“Later”")]

    @pytest.mark.parametrize(
        ("columns", "reason"),
        [
            ({"uid": None, "delivery": "unsent"}, "It isn't at Truss yet: rewrite it below."),
            ({"uid": None, "delivery": "unconfirmed"}, "It is on its way: Truss hasn't confirmed it yet."),
            ({"missing_since": timezone.now()}, "No longer found at Truss."),
        ],
    )
    def test_what_is_not_at_truss_cannot_be_amended(self, boss: Client, columns: dict[str, Any], reason: str) -> None:
        intent = make.row(**columns)
        answer = boss.get(url("paymentintent_amend", intent.pk), follow=True)
        assert answer.redirect_chain == [(url("paymentintent_change", intent.pk), 302)]
        assert told(answer) == [reason]
        assert told(look(boss, intent, {"total": "1"}, _confirmed="1")) == [reason]
        assert reason in text_of(answer)

    def test_an_invoice_that_is_not_there_is_no_error(self, boss: Client) -> None:
        assert "Perhaps it was deleted?" in told(boss.get(url("paymentintent_amend", 4711), follow=True))[0]


@pytest.mark.django_db(transaction=True)
class TestMeanwhile:
    def test_what_somebody_else_changed_stays_and_is_told(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1", note="Old")
        mine = typed(boss, intent, total="130")
        actions.amend(intent, note="Theirs")
        looked_over = look(boss, intent, mine)
        assert told(looked_over) == ["Meanwhile changed: Note to the payer, from “Old” to “Theirs”. It stays so."]
        assert differences(looked_over) == [("Amount", "$120.00", "$130.00")]
        confirm(boss, intent, looked_over)
        [there] = truss.payment_intents()
        assert (there["total"], there["note"]) == ("130.00", "Theirs")

    def test_two_who_change_one_field_are_told_and_the_second_decides(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent()
        mine = typed(boss, intent, total="130")
        actions.amend(intent, total="140")
        answer = look(boss, intent, mine)
        assert errors(answer) == {
            "total": ["Meanwhile this became $140.00. To have yours all the same, go on; else write $140.00 here."]
        }
        assert answer.context["adminform"].form["total"].value() == "130"
        again = dict(answer.context["adminform"].form.data) | dict(answer.context["seen"])
        looked_over = look(boss, intent, again)
        assert differences(looked_over) == [("Amount", "$140.00", "$130.00")]
        confirm(boss, intent, looked_over)
        assert truss.payment_intents()[0]["total"] == "130.00"

    def test_two_who_want_the_same_ask_once(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent()
        mine = typed(boss, intent, total="130")
        actions.amend(intent, total="130")
        assert told(look(boss, intent, mine)) == ["Nothing was changed, so Truss was not asked."]
        assert Operation.objects.filter(kind="amend").count() == 1

    def test_a_change_after_the_look_is_not_overwritten_but_looked_over_anew(
        self, truss: Sandbox, boss: Client
    ) -> None:
        intent = make.sent()
        looked_over = look(boss, intent, typed(boss, intent, total="130"))
        actions.amend(intent, total="140")
        answer = confirm(boss, intent, looked_over)
        assert "Meanwhile this became $140.00." in errors(answer)["total"][0]
        assert truss.payment_intents()[0]["total"] == "140.00"

    def test_a_payment_after_the_look_is_told_before_truss_is_asked(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(total="120.00")
        looked_over = look(boss, intent, typed(boss, intent, total="100"))
        truss.pay(str(intent.uid), "30.00")
        sync.refresh(intent)
        answer = confirm(boss, intent, looked_over)
        assert told(answer) == [
            "Meanwhile a payment changed what is paid, from $0.00 to $30.00. Look at the amount once more."
        ]
        assert "Then $70.00 is left to pay." in text_of(answer)
        assert not Operation.objects.filter(kind="amend").exists()
        assert "Truss has amended" in told(confirm(boss, intent, answer))[0]

    def test_a_payment_that_leaves_too_little_is_refused_at_the_field(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(total="120.00")
        looked_over = look(boss, intent, typed(boss, intent, total="100"))
        truss.pay(str(intent.uid), "99.50")
        sync.refresh(intent)
        answer = confirm(boss, intent, looked_over)
        assert "at least $100.50" in errors(answer)["total"][0]

    def test_one_that_was_paid_meanwhile_is_told(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent(reference="INV-1")
        looked_over = look(boss, intent, typed(boss, intent, total="130", memo="Mine"))
        truss.pay(str(intent.uid))
        sync.refresh(intent)
        answer = confirm(boss, intent, looked_over)
        assert any(
            text == "Meanwhile the invoice became paid: Truss doesn't change this any more: Amount, Description, "
            "Note to the payer."
            for text in told(answer)
        )
        assert differences(answer) == [("Private memo", "-", "“Mine”")]

    def test_one_that_vanished_meanwhile_is_not_asked_about(self, truss: Sandbox, boss: Client) -> None:
        intent = make.sent()
        looked_over = look(boss, intent, typed(boss, intent, total="130"))
        truss.vanish(str(intent.uid))
        sync.refresh(intent)
        assert told(confirm(boss, intent, looked_over)) == ["No longer found at Truss."]

    def test_hidden_fields_that_make_no_sense_overwrite_nothing(self, truss: Sandbox, boss: Client) -> None:
        """Somebody has typed them: then what the row is counts as seen."""
        intent = make.sent(total="120.00")
        forged = {f"seen-{name}": "nonsense" for name in ("total", "due_date", "balance_paid")}
        answer = look(boss, intent, typed(boss, intent, total="130") | forged)
        assert differences(answer) == [("Amount", "$120.00", "$130.00")]


class TestPermissions:
    def test_it_needs_its_own_permission_and_to_see_invoices(self, signed_in: SignIn) -> None:
        intent = make.row()
        page = url("paymentintent_amend", intent.pk)
        for number, permissions in enumerate(
            (["view_paymentintent"], ["amend_paymentintent"], ["view_paymentintent", "change_paymentintent"])
        ):
            person = signed_in(*permissions, username=f"person-{number}")
            assert person.get(page).status_code == 403
            assert person.post(page, {"total": "1", "_confirmed": "1"}).status_code == 403
        clerk = signed_in("view_paymentintent", "amend_paymentintent", username="clerk")
        assert clerk.get(page).status_code == 200
        assert "Amend" in see(clerk, "paymentintent_change", intent.pk)
        assert not Operation.objects.exists()

    def test_mirrored_columns_are_never_written_by_a_form(self, boss: Client) -> None:
        intent = make.row()
        assert boss.post(url("paymentintent_change", intent.pk), {"total": "1"}).status_code == 403
        look(boss, intent, typed(boss, intent, total="130"))
        intent.refresh_from_db()
        assert intent.total == Decimal("120.00")
