"""What the sandbox tells a site of, over real HTTP: the events, their signatures, and how often they are tried."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections, router
from django.test.utils import CaptureQueriesContext

from tests.client.loopback import Server, answer, hang_up, reset, serving, stall
from tests.sandbox.conftest import INTENTS, Api
from tests.sandbox.hearing import (
    ADDED,
    SECRET,
    UPDATED,
    all_delivered,
    ids,
    is_signed,
    keeps_the_contract,
    names,
    time_of,
)
from truss_portal.sandbox import signatures
from truss_portal.sandbox.checks import check_settings
from truss_portal.sandbox.models import WebhookDelivery, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(api: Api) -> Iterator[Server]:
    """A site that has given Truss its address."""
    with serving() as server:
        company = {"webhook_url": f"{server.url}/truss/webhook/default/", "webhook_secret": SECRET}
        api.control("PATCH", "company", company | {"webhook_pauses": [0.05, 0.05]})
        yield server
    api.control("POST", "reset")


def test_a_payment_is_told_of_by_two_events(api: Api, site: Server) -> None:
    uid = api.created(total="100.00", memo="Für uns", send_email=True)["uid"]
    payment = api.control("POST", f"payment-intents/{uid}/pay", {"amount": "40.00"})
    all_delivered(api)

    added, updated = site.received
    assert (added.method, added.target) == ("POST", "/truss/webhook/default/")
    assert names([added, updated]) == [ADDED, UPDATED]
    intent = api.fetched(uid)
    assert added.json["event_payload"].pop("transaction") == payment
    assert updated.json["event_payload"] == intent | {"transactions": []}
    assert updated.json["event_payload"]["balance_paid"] == "40.00"
    assert "Für uns".encode() in updated.body
    for received in site.received:
        keeps_the_contract(received)
        assert is_signed(received)
    assert [event["payment_intent_uid"] for event in api.control("GET", "webhooks")] == [uid, uid]


def test_changes_are_told_of(api: Api, site: Server) -> None:
    uid = api.created(total="100.00")["uid"]
    path = f"{INTENTS}{uid}/"

    def told() -> list[str]:
        all_delivered(api)
        received, site.received = site.received, []
        for each in received:
            keeps_the_contract(each)
            assert each.json["event_payload"]["uid"] == uid
        return names(received)

    assert told() == []
    api.patch(path, {"note": "Thank you", "resend_email": True})
    assert told() == [UPDATED]
    api.control("PATCH", f"payment-intents/{uid}", {"status": "Errored"})
    assert told() == [UPDATED]
    api.control("PATCH", f"payment-intents/{uid}", {"status": "Pending"})
    api.control("POST", f"payment-intents/{uid}/pay", {"amount": "1.00"})
    assert told() == [UPDATED, ADDED, UPDATED]
    payment = api.fetched(uid)["transactions"][0]["uid"]
    api.control("POST", f"transactions/{payment}/settle")
    assert told() == []
    api.control("POST", f"transactions/{payment}/return")
    assert told() == [ADDED, UPDATED]
    api.control("DELETE", f"payment-intents/{uid}")
    assert told() == []


def test_a_cancel_is_told_of_and_a_refused_change_is_not(api: Api, site: Server) -> None:
    uid = api.created()["uid"]
    assert api.patch(f"{INTENTS}{uid}/", {"total": "0.50"}).status_code == 400
    assert api.patch(f"{INTENTS}{uid}/", {}).status_code == 200
    assert api.patch(f"{INTENTS}{uid}/", {"resend_email": True}).status_code == 200
    api.patch(f"/v1/contacts/{api.fetched(uid)['contact']['uid']}/", {"name": "Ortega & Sons"})
    api.post(f"{INTENTS}{uid}/cancel/")
    assert api.post(f"{INTENTS}{uid}/cancel/").status_code == 400
    all_delivered(api)
    [canceled] = site.received
    assert canceled.json["event_payload"]["status"] == "Canceled"


def test_payments_made_in_the_dashboard_are_told_of_and_outbound_intents_are_not(api: Api, site: Server) -> None:
    uids = api.control("POST", "payment-intents", {"count": 3, "paid": "5.00"})["uids"]
    outbound = {"count": 1, "direction": 1, "paid": "5.00"}
    [bill] = api.control("POST", "payment-intents", outbound)["uids"]
    api.control("PATCH", f"payment-intents/{bill}", {"memo": "A bill of ours"})
    all_delivered(api)
    assert names(site.received) == [ADDED] * 3
    assert [each.json["event_payload"]["uid"] for each in site.received] == uids


def test_only_the_published_fields_are_sent_when_so_told(api: Api, site: Server) -> None:
    api.control("PATCH", "company", {"webhook_payload": "as_published"})
    uid = api.created()["uid"]
    payment = api.control("POST", f"payment-intents/{uid}/pay", {})
    all_delivered(api)
    added, updated = site.received
    shown = {"direction": 0, "contact": {}, "balance_paid": "120.00"}
    assert added.json["event_payload"] == shown | {"transaction": payment}
    assert updated.json["event_payload"] == shown | {"transactions": []}
    for received in site.received:
        keeps_the_contract(received)


def test_what_is_laid_over_the_answers_is_laid_over_the_events(api: Api, site: Server) -> None:
    uid = api.created()["uid"]
    api.control("PATCH", f"payment-intents/{uid}", {"extra": {"currency": "USD", "status": "Refunded"}})
    all_delivered(api)
    payload = site.received[0].json["event_payload"]
    assert (payload["currency"], payload["status"]) == ("USD", "Refunded")


def test_both_keys_of_the_signature(api: Api, site: Server) -> None:
    uid = api.created()["uid"]
    api.control("PATCH", "company", {"webhook_encoding": "hex"})
    api.control("PATCH", f"payment-intents/{uid}", {"note": "x"})
    all_delivered(api)
    assert is_signed(site.received[0], key=bytes.fromhex(SECRET))
    assert not is_signed(site.received[0])


def test_signatures_are_those_of_the_published_rule() -> None:
    """A vector that was worked out apart from this code."""
    secret = "3f9a1c7e5b20d4866e81f0a29c35d7b4187be2604fad93c5d01e7a6842bf5c9d"
    body = (
        b'{"event_id": "e6b7d0f3-52c9-4a8e-93d1-4f20b7a85c69", "event_name": "payment_intent.updated", '
        b'"event_created_at": "2026-03-02T15:04:05.512000Z", '
        b'"event_payload": {"direction": 0, "contact": {}, "balance_paid": "500.00", "transactions": []}}'
    )
    text = "9b8f1f8d1c4f7d4b3bd2715b104bb8ddffedc34aceafe72833014be8f334a623"
    decoded = "b6cf9a9c9c11a86663e46ca5da813956e0335ae6fc8333495abe9625742faad5"
    assert signatures.sign(secret, "text", 1772463846, body) == f"t=1772463846,v1={text}"
    assert signatures.sign(secret, "hex", 1772463846, body) == f"t=1772463846,v1={decoded}"


def test_without_a_secret_the_header_is_left_out(api: Api, site: Server) -> None:
    uid = api.created()["uid"]
    api.control("PATCH", "company", {"webhook_secret": ""})
    api.control("PATCH", f"payment-intents/{uid}", {"note": "x"})
    all_delivered(api)
    assert "X-Webhook-Signature" not in site.received[0].headers
    assert api.control("POST", "webhooks/forge", {"kind": "unsigned"}).status_code == 409


def test_a_company_without_an_address_pays_nothing_for_webhooks(api: Api) -> None:
    uid = api.created()["uid"]
    with CaptureQueriesContext(connections[router.db_for_write(WebhookEvent)]) as captured:
        api.patch(f"{INTENTS}{uid}/", {"note": "x"})
        api.control("POST", f"payment-intents/{uid}/pay", {})
    statements = [query["sql"] for query in captured.captured_queries]
    assert statements
    assert [each for each in statements if "truss_sandbox_webhook" in each] == []
    assert api.control("GET", "webhooks") == []
    for what in ("webhooks/forge", "webhooks"):
        refused = api.control("POST", what, {"kind": "old"} if what.endswith("forge") else {"event_name": "x"})
        assert refused.status_code == 409
        assert "no webhook address" in refused.json()["detail"]


def test_the_address_and_the_secret_are_settings(api: Api, settings: Any) -> None:
    with serving() as site:
        settings.TRUSS_SANDBOX = {"WEBHOOK_URL": f"{site.url}/hook?from=settings", "WEBHOOK_SECRET": "c3" * 32}
        uid = api.created()["uid"]
        api.control("POST", f"payment-intents/{uid}/pay", {})
        all_delivered(api)
        assert {received.target for received in site.received} == {"/hook?from=settings"}
        assert all(is_signed(received, "c3" * 32) for received in site.received)
        # The address is the default company's: how an event names its company isn't published.
        other = api.control("GET", "company?company=other")
        assert (other["webhook_url"], other["webhook_secret"]) == ("", "c3" * 32)
    assert check_settings() == []
    settings.TRUSS_SANDBOX = {"WEBHOOK_SECRET": "not hex"}
    assert [warning.id for warning in check_settings()] == ["truss_sandbox.W004"]


@pytest.mark.parametrize("trouble", [answer(status=500), answer(status=302, Location="/elsewhere"), hang_up, reset])
def test_what_was_not_taken_is_sent_again(api: Api, site: Server, trouble: Any) -> None:
    uid = api.created()["uid"]
    site.will(trouble, trouble)
    api.control("POST", f"payment-intents/{uid}/pay", {})
    all_delivered(api)
    assert names(site.received) == [ADDED, ADDED, ADDED, UPDATED]
    assert len({received.body for received in site.received[:3]}) == 1
    deliveries = [event["deliveries"] for event in api.control("GET", "webhooks")]
    assert [[delivery["attempts"] for delivery in each] for each in deliveries] == [[3], [1]]
    assert all(delivery["delivered_at"] and delivery["last_status"] == 200 for [delivery] in deliveries)


def test_a_second_try_is_signed_anew(api: Api, site: Server) -> None:
    api.control("PATCH", "company", {"webhook_pauses": [1.1]})
    uid = api.created()["uid"]
    site.will(answer(status=503))
    api.control("PATCH", f"payment-intents/{uid}", {"note": "x"})
    all_delivered(api)
    first, second = site.received
    assert time_of(second) > time_of(first)
    assert is_signed(first)
    assert is_signed(second)


def test_after_the_last_try_it_is_given_up_and_the_next_event_follows(api: Api, site: Server) -> None:
    site.will(*[answer(status=404)] * 3)
    uid = api.created()["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {})
    all_delivered(api)
    assert names(site.received) == [ADDED, ADDED, ADDED, UPDATED]
    [given_up], [taken] = (event["deliveries"] for event in api.control("GET", "webhooks"))
    assert (given_up["attempts"], given_up["last_status"], given_up["delivered_at"]) == (3, 404, None)
    assert taken["last_status"] == 200


def test_it_is_told_why_nobody_answered(api: Api, site: Server) -> None:
    uid = api.created()["uid"]
    # Port 9 discards, where anything listens there at all.
    for address, reason in (("http://127.0.0.1:9/", "ConnectionRefused"), ("http://127.0.0.1:999999/", "Port out of")):
        api.control("PATCH", "company", {"webhook_url": address, "webhook_pauses": []})
        api.control("PATCH", f"payment-intents/{uid}", {"note": address})
        all_delivered(api)
        [delivery] = api.control("GET", "webhooks")[-1]["deliveries"]
        assert delivery["last_status"] is None
        assert reason in delivery["error"]


def test_an_address_taken_away_ends_the_tries(api: Api, site: Server) -> None:
    api.control("PATCH", "company", {"webhook_pauses": [0.3]})
    site.will(answer(status=500))
    uid = api.created()["uid"]
    api.control("PATCH", f"payment-intents/{uid}", {"note": "x"})
    while not site.received:
        time.sleep(0.01)
    api.control("PATCH", "company", {"webhook_url": ""})
    all_delivered(api)
    assert len(site.received) == 1
    assert "no webhook address" in api.control("GET", "webhooks")[0]["deliveries"][0]["error"]


def test_a_receiver_that_does_not_answer_delays_nobody_but_itself(api: Api, site: Server) -> None:
    [mine] = api.control("POST", "payment-intents", {})["uids"]
    [theirs] = api.control("POST", "payment-intents?company=other", {})["uids"]
    api.control("PATCH", "company?company=other", {"webhook_url": f"{site.url}/other/"})
    site.will(stall)
    started = time.monotonic()
    api.control("PATCH", f"payment-intents/{mine}", {"note": "x"})
    while not site.received:
        time.sleep(0.01)
    api.control("PATCH", f"payment-intents/{theirs}?company=other", {"note": "x"})
    while len(site.received) < 2:
        time.sleep(0.01)
    assert time.monotonic() - started < 3
    assert [received.target for received in site.received] == ["/truss/webhook/default/", "/other/"]
    assert api.control("GET", "webhooks/waiting") == {"waiting": 1}
    site.stopped.set()
    all_delivered(api)
    assert api.control("GET", "webhooks")[0]["deliveries"][0]["attempts"] == 2


def test_after_a_reset_nothing_arrives_any_more(api: Api, site: Server) -> None:
    api.control("PATCH", "company", {"webhook_pauses": [0.2] * 50})
    site.otherwise = answer(status=500)
    uid = api.created()["uid"]
    api.control("POST", f"payment-intents/{uid}/pay", {})
    while not site.received:
        time.sleep(0.01)
    api.control("POST", "reset")
    heard = len(site.received)
    time.sleep(0.5)
    assert len(site.received) == heard
    assert WebhookDelivery.objects.count() == WebhookEvent.objects.count() == 0


def test_trouble_with_the_database_loses_no_event(api: Api, site: Server, caplog: pytest.LogCaptureFixture) -> None:
    table = WebhookDelivery._meta.db_table
    uid = api.created()["uid"]

    def rename(old: str, new: str) -> None:
        connection = connections[router.db_for_write(WebhookDelivery)]
        with connection.schema_editor() as editor:
            editor.alter_db_table(WebhookDelivery, old, new)

    def answer_without_a_table(handler: Any) -> None:
        rename(table, f"{table}_away")
        connections.close_all()
        answer({})(handler)

    site.will(answer_without_a_table)
    api.control("PATCH", f"payment-intents/{uid}", {"note": "x"})
    while "can't deliver its webhooks" not in caplog.text:
        time.sleep(0.01)
    rename(f"{table}_away", table)
    WebhookDelivery.objects.update(due_at="2026-01-01T00:00:00Z")  # half a minute later
    api.control("GET", "webhooks/waiting")
    all_delivered(api)
    assert ids(site.received) == [api.control("GET", "webhooks")[0]["event_id"]] * 2


def test_rows_have_readable_names(api: Api, site: Server) -> None:
    uid = api.created()["uid"]
    api.control("PATCH", f"payment-intents/{uid}", {"note": "x"})
    all_delivered(api)
    event, delivery = WebhookEvent.objects.get(), WebhookDelivery.objects.get()
    assert str(event) == f"payment_intent.updated ({event.event_id})"
    assert str(delivery).startswith("delivery ")
