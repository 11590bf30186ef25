"""Filters of the invoice list that one types into: amounts, due dates, a payer."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import make
from tests.admin.pages import see, text_of, url
from truss_portal.models import Contact, PaymentIntent

pytestmark = pytest.mark.django_db

LIST = "paymentintent_changelist"


def get(client: Client, **query: Any) -> Any:
    response = client.get(url(LIST), query)
    assert response.status_code == 200, response
    return response


def found(client: Client, **query: Any) -> set[str]:
    return {row.addenda for row in get(client, **query).context["cl"].queryset}


def fields(page: Any, title: str) -> dict[str, list[str]]:
    """What the form of one filter sends."""
    [form] = re.findall(rf'<form[^>]*aria-label="{title}".*?</form>', page.content.decode(), re.DOTALL)
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = (re.search(rf'{part}="([^"]*)"', tag) for part in ("name", "value"))
        assert name
        sent.setdefault(name[1], []).append(value[1] if value else "")
    return sent


def errors(page: Any) -> list[str]:
    return re.findall(r"<li>(.*?)</li>", page.content.decode().partition('role="alert"')[2].partition("</div>")[0])


def payer(name: str, email: str = "", **more: Any) -> Contact:
    made: Contact = Contact.objects.create(company=make.company(), name=name, email=email, **more)
    return made


class TestAmounts:
    @pytest.fixture(autouse=True)
    def amounts(self, db: None) -> None:
        for amount in ("99.99", "100.10", "1250.50", "1250.51"):
            make.row(total=amount, addenda=amount)

    @pytest.mark.parametrize(
        ("first", "last", "there"),
        [
            ("100.10", "1250.50", {"100.10", "1250.50"}),
            ("100.10", "", {"100.10", "1250.50", "1250.51"}),
            ("", "100.10", {"99.99", "100.10"}),
            (" $1,250.50 ", "1,250.50", {"1250.50"}),
            ("100.1", "100.1", {"100.10"}),
            ("0", "", {"99.99", "100.10", "1250.50", "1250.51"}),
            ("2000", "", set()),
        ],
    )
    def test_both_ends_belong_to_it(self, boss: Client, first: str, last: str, there: set[str]) -> None:
        assert found(boss, amount_from=first, amount_to=last) == there

    @pytest.mark.parametrize("text", ["a lot", "1.250,50", "-5", "€5", "1.005", "1e9", "9" * 30, "=1+1", "1,00"])
    def test_what_is_no_amount_is_told_and_shows_nothing(self, boss: Client, text: str) -> None:
        page = get(boss, amount_to=text, status="Pending", o="-7", q="1")
        assert errors(page) == [f"Amount, To: “{text}” is no amount. Write it like 1234.50."]
        assert "Nothing is shown until the filter is put right." in text_of(page)
        assert "Nothing matches" not in text_of(page)
        assert page.context["cl"].result_count == 0
        sent = fields(page, "Amount")
        assert sent == {"amount_from": [""], "amount_to": [text], "status": ["Pending"], "o": ["-7"], "q": ["1"]}
        assert 'aria-invalid="true"' in page.content.decode()

    def test_backwards_is_told(self, boss: Client) -> None:
        page = get(boss, amount_from="200", amount_to="100")
        assert errors(page) == ["Amount, To: This is less than what it begins with."]
        assert fields(page, "Amount") == {"amount_from": ["200"], "amount_to": ["100"]}

    def test_nothing_is_done_to_rows_that_werent_meant(self, boss: Client) -> None:
        row = PaymentIntent.objects.get(addenda="99.99")
        chosen = {"action": "export_csv", "select_across": "1", "index": "0", "_selected_action": [row.pk]}
        answer = boss.post(f"{url(LIST)}?amount_from=x", chosen)
        assert b"".join(answer.streaming_content).count(b"\r\n") == 1, "no more than the headings"  # type: ignore[attr-defined]
        assert "Nothing matches the list's filters" in see(boss, "paymentintent_export", amount_from="x")

    def test_it_can_be_taken_back_and_empty_fields_are_no_filter(self, boss: Client) -> None:
        page = get(boss, amount_from="100", status="Pending")
        assert 'href="?status=Pending">Clear' in page.content.decode()
        page = get(boss, amount_from="", amount_to="")
        assert len(page.context["cl"].queryset) == 4
        assert "Clear" not in text_of(page).replace("Clear selection", "")
        assert page.context["cl"].get_query_string() == "?"


class TestDueDates:
    @pytest.mark.parametrize(
        ("first", "last", "there"),
        [
            ("2030-01-31", "2030-02-01", {"end", "begin"}),
            ("2030-02-01", "", {"begin"}),
            ("", "2030-01-30", set()),
            ("01/31/2030", "01/31/2030", {"end"}),
        ],
    )
    def test_both_days_belong_to_it(self, boss: Client, first: str, last: str, there: set[str]) -> None:
        make.row(due_date=date(2030, 1, 31), addenda="end")
        make.row(due_date=date(2030, 2, 1), addenda="begin")
        make.row(addenda="undated")
        assert found(boss, dated_from=first, dated_to=last) == there

    def test_a_browser_offers_its_own_calendar_but_never_hides_what_is_wrong(self, boss: Client) -> None:
        def kinds(**query: str) -> list[str]:
            tags = re.findall(r'<input[^>]*name="dated_[^>]*id="[^>]*>', get(boss, **query).content.decode())
            return [str(re.search(r'type="(\w+)"', tag)[1]) for tag in tags]  # type: ignore[index]

        assert kinds() == ["date", "date"]
        assert kinds(dated_from="2030-01-31", dated_to="tomorrow") == ["date", "text"]

    @pytest.mark.parametrize("text", ["tomorrow", "2030-02-30", "31.01.2030", "20300131"])
    def test_what_is_no_date_is_told(self, boss: Client, text: str) -> None:
        make.row()
        page = get(boss, dated_from=text)
        assert errors(page) == [f"Due date, From: “{text}” is no date. Write it like 2026-11-30."]
        assert fields(page, "Due date") == {"dated_from": [text], "dated_to": [""]}

    def test_backwards_is_told_and_all_that_is_wrong_at_once(self, boss: Client) -> None:
        make.row()
        page = get(boss, dated_from="2030-02-01", dated_to="2030-01-31", amount_from="x")
        assert errors(page) == [
            "Amount, From: “x” is no amount. Write it like 1234.50.",
            "Due date, To: This is before the day it begins with.",
        ]


class TestPayers:
    @pytest.fixture(autouse=True)
    def payers(self, db: None) -> None:
        for name, email in (
            ("Ortega Bakery", "ap@ortega.test"),
            ("Ortega Bar", "bar@o.test"),
            ("Acme", "pay@acme.test"),
        ):
            make.row(contact=payer(name, email), addenda=name)
        PaymentIntent.objects.filter(pk=make.row(addenda="Nobody").pk).update(contact=None)

    @pytest.mark.parametrize(
        ("text", "there"),
        [
            ("ortega", {"Ortega Bakery", "Ortega Bar"}),
            ("ORTEGA  bak", {"Ortega Bakery"}),
            ("@acme", {"Acme"}),
            ("", {"Ortega Bakery", "Ortega Bar", "Acme", "Nobody"}),
        ],
    )
    def test_a_part_of_the_name_or_email_will_do(self, boss: Client, text: str, there: set[str]) -> None:
        assert found(boss, payer=text) == there

    def test_several_are_named_to_choose_from(self, boss: Client) -> None:
        page = get(boss, payer="ortega", status="Pending")
        links = dict(re.findall(r'<li><a href="([^"]*contact__id__exact[^"]*)">(.*?)</a>', page.content.decode()))
        assert [*links.values()] == ["Ortega Bakery (ap@ortega.test)", "Ortega Bar (bar@o.test)"]
        one = Contact.objects.get(name="Ortega Bar")
        assert f"?contact__id__exact={one.pk}&amp;status=Pending" in links

    def test_a_payers_own_page_of_the_list_says_whose_it_is(self, boss: Client) -> None:
        one = Contact.objects.get(name="Ortega Bar")
        page = get(boss, contact__id__exact=one.pk, status="Pending")
        assert [row.addenda for row in page.context["cl"].queryset] == ["Ortega Bar"]
        assert "By payer Ortega Bar (bar@o.test) Name or email:" in text_of(page)
        assert 'href="?status=Pending">Clear' in page.content.decode()
        assert fields(page, "Payer") == {"payer": [""], "status": ["Pending"]}, "another payer takes its place"
        assert fields(page, "Amount")["contact__id__exact"] == [str(one.pk)]

    def test_a_payers_own_page_leads_here(self, boss: Client) -> None:
        one = Contact.objects.get(name="Acme")
        page = boss.get(url("contact_changelist")).content.decode()
        assert f'href="{url(LIST)}?contact__id__exact={one.pk}"' in page

    @pytest.mark.parametrize("pk", ["0", "x", "9999999", "²"])
    def test_a_payer_that_isnt_there_is_told(self, boss: Client, pk: str) -> None:
        page = get(boss, contact__id__exact=pk)
        assert errors(page) == ["Payer: there is no such payer."]
        assert page.context["cl"].result_count == 0

    def test_a_name_that_nobody_has_is_told(self, boss: Client) -> None:
        page = get(boss, payer="<Zebra>")
        assert errors(page) == ["Payer: no name and no email has “&lt;Zebra&gt;” in it."]
        assert fields(page, "Payer") == {"payer": ["&lt;Zebra&gt;"]}

    def test_more_payers_than_anybody_looks_for_are_told(self, boss: Client) -> None:
        company = make.company()
        Contact.objects.bulk_create(Contact(company=company, name="Many", name_key="many") for _number in range(200))
        make.row(contact=Contact.objects.filter(name="Many").first(), addenda="One of them")
        assert found(boss, payer="many") == {"One of them"}
        assert "contact__id__exact" not in get(boss, payer="many").content.decode(), "too many to choose from"
        payer("Many more")
        page = get(boss, payer="many")
        text = "Payer: more than 200 payers have “many” in their name or email. Type more of it."
        assert errors(page) == [text]
        assert page.context["cl"].result_count == 0

    def test_no_page_lists_all_payers(self, boss: Client) -> None:
        assert "Ortega Bakery" not in get(boss, status="Canceled").content.decode()


class TestTogether:
    def test_all_of_them_and_what_was_there_before(self, boss: Client) -> None:
        today = timezone.localdate()
        ortega = payer("Ortega Bakery")
        wanted = {"total": "150.00", "due_date": today - timedelta(days=3), "contact": ortega, "reference": "INV-1"}
        others: Iterable[dict[str, Any]] = (
            {"total": "99.00"},
            {"due_date": today - timedelta(days=30)},
            {"contact": payer("Acme")},
            {"status": "Paid"},
        )
        make.row(**wanted, addenda="Wanted")
        for number, other in enumerate(others):
            make.row(**wanted | {"reference": f"INV-1{number}"} | other, addenda=f"Other {number}")
        query = {
            "amount_from": "100",
            "amount_to": "200",
            "dated_from": (today - timedelta(days=7)).isoformat(),
            "payer": "ortega",
            "due": "overdue",
            "q": "INV-1",
            "o": "5",
        }
        page = get(boss, **query)
        assert [row.addenda for row in page.context["cl"].result_list] == ["Wanted"]
        for title in ("Amount", "Due date", "Payer"):
            sent = {name: values[0] for name, values in fields(page, title).items() if values[0]}
            assert sent == query, title
        hidden = re.findall(r'<input type="hidden" name="(\w+)"', page.content.decode().partition('role="search"')[2])
        assert {"amount_from", "dated_from", "payer", "due", "o"} <= {*hidden}, "the search keeps the filters"
        link = page.context["cl"].get_query_string({"o": "1"})
        assert all(name in link for name in query)

    def test_values_given_twice_are_kept_and_the_page_is_not(self, boss: Client) -> None:
        make.row()
        page = boss.get(f"{url(LIST)}?delivery__exact=sent&p=3&amount_from=1&send_email__exact=0&totals=1")
        assert fields(page, "Due date") == {
            "delivery__exact": ["sent"],
            "amount_from": ["1"],
            "send_email__exact": ["0"],
            "dated_from": [""],
            "dated_to": [""],
        }

    def test_counting_the_choices_of_every_filter_isnt_offered(self, boss: Client) -> None:
        make.row()
        assert "Show counts" not in see(boss, LIST)


class TestWhatNeedsAPerson:
    def test_each_reason_is_found_by_itself(self, boss: Client) -> None:
        make.row(addenda="Fine")
        make.row(addenda="Noted", attention="Truss has it twice.")
        make.row(addenda="Missing", missing_since=timezone.now())
        make.row(addenda="Refused", uid=None, status="", delivery="failed")
        make.row(addenda="Unconfirmed", uid=None, status="", delivery="unconfirmed")
        for state in ({"state": "unconfirmed"}, {"state": "refused", "needs_person": True}, {"state": "done"}):
            row = make.row(addenda=f"Request {state['state']}")
            row.operations.create(company=row.company, kind="cancel", **state)
        there = {"Noted", "Missing", "Refused", "Unconfirmed", "Request unconfirmed", "Request refused"}
        assert found(boss, attention="yes") == there
        assert found(boss, attention="note") == {"Noted"}
        assert found(boss, attention="maybe") == there | {"Fine", "Request done"}
