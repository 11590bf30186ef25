"""What Truss has told, as finance staff see it, and what they can do about what failed."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.admin.conftest import SignIn
from tests.admin.pages import act, see, text_of, told, url
from truss_portal.models import PaymentIntent, WebhookEvent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db
LIST = "webhookevent_changelist"


def event(**given: Any) -> WebhookEvent:
    columns = {"company": make.company(), "event_id": uuid.uuid4(), "event_name": "payment_intent.updated"}
    made: WebhookEvent = WebhookEvent.objects.create(**columns | given)
    return made


def again(client: Client, *events: WebhookEvent) -> Any:
    return act(client, "process_again", *events, name=LIST)  # type: ignore[arg-type]


class TestList:
    def test_an_empty_one_says_what_to_do(self, boss: Client) -> None:
        assert "Truss hasn't told anything yet. Give Truss the address" in see(boss, LIST)

    def test_it_tells_the_invoice_the_state_and_what_happened(self, boss: Client) -> None:
        intent = make.row(reference="INV-7")
        event(payment_intent_uid=intent.uid, state="given_up", attempts=10, error="Truss could not be reached: " * 9)
        event(payment_intent_uid=make.row(addenda="No number").uid, state="processed", attempts=1)
        event(payment_intent_uid=uuid.uuid4())
        page = see(boss, LIST)
        assert "payment_intent.updated INV-7 default Given up Truss could not be reached: Truss" in page
        assert "No number default Processed - 1" in page
        assert "payment_intent.updated - default Waiting - 0" in page
        content = boss.get(url(LIST)).content.decode()
        assert '<strong class="truss-badge truss-bad">Given up</strong>' in content
        assert url("paymentintent_change", intent.pk) in content

    def test_filters_by_state_event_company_and_time(self, boss: Client) -> None:
        bakers = make.company(slug="bakers")
        rows = {
            "state__exact=given_up": event(state="given_up"),
            "event_name=something.else": event(event_name="something.else"),
            f"company__id__exact={bakers.pk}": event(company=bakers),
            "received_at__lt=" + quote(f"{timezone.now() - timedelta(days=1)}"): event(
                received_at=timezone.now() - timedelta(days=9)
            ),
        }
        page = see(boss, LIST)
        for title in ("By state", "By event", "By company", "By received"):
            assert title in page
        for query, row in rows.items():
            answer = boss.get(f"{url(LIST)}?{query}")
            assert list(answer.context["cl"].result_list) == [row]

    def test_searches_by_event_id_uid_event_and_error(self, boss: Client) -> None:
        wanted = event(payment_intent_uid=uuid.uuid4(), event_name="something.else", error="It is raining.")
        event()
        for text in (str(wanted.event_id), wanted.event_id.hex, str(wanted.payment_intent_uid), "something", "raining"):
            assert list(boss.get(url(LIST), {"q": text}).context["cl"].result_list) == [wanted]
        assert "Nothing matches." in see(boss, LIST, q=str(uuid.uuid4()))

    def test_it_takes_as_many_queries_for_many_rows_and_reads_no_contents(self, boss: Client) -> None:
        def fill(count: int) -> None:
            for _ in range(count):
                event(payment_intent_uid=make.row().uid)

        def queries() -> list[str]:
            with CaptureQueriesContext(connection) as seen:
                see(boss, LIST)
            return [query["sql"] for query in seen.captured_queries]

        fill(2)
        few = queries()
        fill(8)
        many = queries()
        assert len(many) == len(few)
        assert not any("payload" in sql for sql in many)


class TestPage:
    def test_it_shows_what_truss_said_and_what_came_of_it(self, boss: Client) -> None:
        intent = make.row(reference="INV-7")
        row = event(
            payment_intent_uid=intent.uid,
            payload={"uid": str(intent.uid), "note": "<b>é</b>", "contact": {}},
            error="Truss failed.",
            attempts=3,
        )
        answer = boss.get(url("webhookevent_change", row.pk))
        page = text_of(answer)
        assert f"Event ID: {row.event_id} Invoice: INV-7 Truss UID: {intent.uid}" in page
        assert "What happened: Truss failed." in page
        assert "Attempts: 3" in page
        content = answer.content.decode()
        assert "<pre" in content
        assert "&quot;note&quot;: &quot;&lt;b&gt;é&lt;/b&gt;&quot;" in content
        assert "\n  &quot;contact&quot;: {}" in content

    def test_nobody_writes_or_deletes_one(self, boss: Client) -> None:
        row = event()
        assert boss.get(url("webhookevent_add")).status_code == 403
        assert boss.post(url("webhookevent_change", row.pk), {"state": "processed"}).status_code == 403
        assert boss.post(url("webhookevent_delete", row.pk), {"post": "yes"}).status_code == 403
        assert "delete_selected" not in boss.get(url(LIST)).content.decode()


@pytest.mark.django_db(transaction=True)
class TestProcessAgain:
    def given_up(self, truss: Sandbox, **columns: Any) -> WebhookEvent:
        """Told of an invoice that was paid, and given up."""
        intent = make.sent()
        truss.pay(str(intent.uid))
        return event(payment_intent_uid=intent.uid, **{"state": "given_up", "attempts": 10, "error": "503"} | columns)

    @pytest.mark.parametrize("atomic", [False, True])
    def test_it_is_looked_up_now(self, truss: Sandbox, signed_in: SignIn, atomic: bool) -> None:
        row = self.given_up(truss)
        person = signed_in("view_webhookevent", "retry_webhookevent")
        connections["default"].settings_dict["ATOMIC_REQUESTS"] = atomic
        try:
            answer = again(person, row)
        finally:
            connections["default"].settings_dict["ATOMIC_REQUESTS"] = False
        assert told(answer) == ["1 webhook is processed again."]
        row.refresh_from_db()
        assert (row.state, row.error, row.attempts) == ("processed", "", 11)
        assert PaymentIntent.objects.get().status == "Paid"
        entry = LogEntry.objects.get()
        assert (str(entry.user), entry.get_change_message()) == ("finance", "Asked to be processed again.")

    def test_one_that_is_processed_may_be_looked_up_once_more(self, truss: Sandbox, boss: Client) -> None:
        row = self.given_up(truss, state="processed", processed_at=timezone.now() - timedelta(days=1))
        again(boss, row)
        row.refresh_from_db()
        assert row.processed_at > timezone.now() - timedelta(minutes=1)
        assert PaymentIntent.objects.get().status == "Paid"

    def test_one_that_somebody_is_at_is_left_to_them(self, truss: Sandbox, boss: Client) -> None:
        row = self.given_up(truss, state="waiting", claimed_until=timezone.now() + timedelta(minutes=1))
        asked = len(truss.requests())
        assert told(again(boss, row)) == ["0 webhooks are processed again."]
        assert len(truss.requests()) == asked

    def test_each_company_is_woken(self, truss: Sandbox, boss: Client) -> None:
        row = self.given_up(truss)
        other = event(company=make.company(slug="bakers"), state="given_up", error="503")
        again(boss, row, other)
        row.refresh_from_db()
        other.refresh_from_db()
        assert (row.state, other.state) == ("processed", "waiting"), "the other one isn't connected"

    def test_who_may_only_look_can_not(self, truss: Sandbox, signed_in: SignIn) -> None:
        row = self.given_up(truss)
        viewer = signed_in("view_webhookevent")
        assert "Process again" not in viewer.get(url(LIST)).content.decode()
        again(viewer, row)
        row.refresh_from_db()
        assert row.state == "given_up"
        assert not LogEntry.objects.exists()

    def test_who_may_not_even_look_sees_nothing(self, signed_in: SignIn) -> None:
        assert signed_in("retry_webhookevent").get(url(LIST)).status_code == 403
