"""What the pretend Trustist tells a partner of, over real HTTP; and invitations that move on by themselves."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError

from tests.client.loopback import Received, Server, answer, serving
from tests.contract.contract import trustist as contract
from tests.sandbox.conftest import Api
from tests.sandbox.test_trustist import Partnership
from truss_portal.sandbox.models import WebhookEvent
from truss_portal.sandbox.trustist import progress, rules
from truss_portal.sandbox.trustist.models import Invitation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trustist(api: Api) -> Iterator[Partnership]:
    trustist = Partnership(api).sign_in()
    yield trustist
    api.control("POST", "reset")


@pytest.fixture
def site(trustist: Partnership) -> Iterator[Server]:
    """A partner who has told Trustist an address."""
    with serving() as server:
        trustist.control("PATCH", "partner", {"webhook_url": f"{server.url}/trustist/t0ken/", "webhook_pauses": [0.05]})
        yield server


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def all_delivered(trustist: Partnership) -> None:
    wait_until(lambda: not trustist.control("GET", "webhooks/waiting")["waiting"])


def keeps_the_contract(received: Received) -> None:
    event = received.json
    operation = contract.document()["webhooks"][event["eventType"]]["post"]
    schema = operation["requestBody"]["content"][received.headers["Content-Type"]]["schema"]
    contract.validator(schema).validate(event)
    assert set(contract.resolve(schema)["x-sandbox-required"]) <= set(event)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", event.get("updated", event.get("created", "")))


def test_opening_and_completing_are_told_of_unsigned(trustist: Partnership, site: Server) -> None:
    uid = trustist.invited()
    trustist.control("POST", f"invitations/{uid}/send")
    trustist.control("POST", f"invitations/{uid}/complete")
    all_delivered(trustist)
    for received in site.received:
        keeps_the_contract(received)
        assert (received.method, received.target) == ("POST", "/trustist/t0ken/")
        assert not [name for name in received.headers if "signature" in name.lower()]
    opened, complete = (received.json for received in site.received)
    assert opened == {
        "eventType": "InvitationStatusChanged", "invitationId": uid, "updated": opened["updated"], "status": "OPENED",
    }  # fmt: skip
    assert complete["status"] == "COMPLETE"
    assert complete["merchantId"] == trustist.fetch(uid)["merchantId"]


def test_nobody_is_told_of_what_is_not_published(trustist: Partnership, site: Server) -> None:
    uid = trustist.invited()
    trustist.control("POST", f"invitations/{uid}/send")
    trustist.control("PATCH", f"invitations/{uid}", {"status": "Expired"})
    trustist.control("POST", "invitations", {"count": 2, "status": "OPENED"})
    trustist.control("DELETE", f"invitations/{uid}")
    assert trustist.control("GET", "webhooks") == []
    assert WebhookEvent.objects.count() == 0


def test_payments_are_told_of_where_the_partner_has_asked_for_it(trustist: Partnership, site: Server) -> None:
    uid = trustist.invited()
    pay = f"invitations/{uid}/pay"
    assert trustist.control("POST", pay, {"amount": "42.50"}).status_code == 409
    trustist.control("POST", f"invitations/{uid}/complete")
    all_delivered(trustist)
    site.received.clear()
    trustist.control("POST", pay, {"amount": "1.00"})
    trustist.control("PATCH", "partner", {"payment_events": True})
    ids = [
        trustist.control("POST", pay, {"amount": "42.50"} | more)["payment_id"]
        for more in ({}, {"status": "FAILED"}, {"status": "PENDING"})
    ]
    all_delivered(trustist)
    for received in site.received:
        keeps_the_contract(received)
    assert [(received.json["paymentId"], received.json["status"]) for received in site.received] == [
        (ids[0], "PENDING"), (ids[0], "COMPLETE"), (ids[1], "PENDING"), (ids[1], "FAILED"), (ids[2], "PENDING"),
    ]  # fmt: skip
    assert {received.json["amount"] for received in site.received} == {42.5}
    assert {received.json["merchantId"] for received in site.received} == {trustist.fetch(uid)["merchantId"]}
    for wrong in ({"amount": "0"}, {"amount": "x"}, {"amount": "1.00", "status": "Paid"}, {}):
        assert trustist.control("POST", pay, wrong).status_code == 400


def test_they_are_held_reordered_doubled_and_lost(trustist: Partnership, site: Server) -> None:
    first, second, third = (trustist.invited() for _ in range(3))
    trustist.control("POST", "webhooks/hold")
    trustist.control("POST", "webhooks/double", {"times": 2})
    trustist.control("POST", f"invitations/{first}/complete")
    trustist.control("POST", "webhooks/lose", {"count": 1})
    trustist.control("POST", f"invitations/{second}/open")
    assert site.received == []
    trustist.control("POST", "webhooks/release", {"order": "reversed"})
    all_delivered(trustist)
    assert [received.json["status"] for received in site.received] == ["COMPLETE"] * 2 + ["OPENED"] * 2
    assert {received.json["invitationId"] for received in site.received} == {first}
    assert [event["fate"] for event in trustist.control("GET", "webhooks")] == ["sent", "sent", "lost"]
    # Truss's own events have nothing to do with it.
    assert trustist.api.control("GET", "webhooks") == []
    trustist.control("POST", "webhooks/double", {"times": 1})
    site.will(answer({}, 500))
    trustist.control("POST", f"invitations/{third}/open")
    all_delivered(trustist)
    assert [received.json["invitationId"] for received in site.received[4:]] == [third, third]


def test_anybody_may_send_anything(trustist: Partnership, site: Server) -> None:
    sent = trustist.control("POST", "webhooks", {"payload": {"eventType": "MerchantClosed", "merchantId": "m"}})
    trustist.control("POST", "webhooks", {"body": "{not JSON"})
    trustist.control("POST", "webhooks", {"payload": [1]})
    trustist.control("POST", "webhooks")
    all_delivered(trustist)
    assert [received.body.decode() for received in site.received] == [sent["body"], "{not JSON", "[1]", "{}"]
    names = [event["event_name"] for event in trustist.control("GET", "webhooks")]
    assert names == ["MerchantClosed", "", "", ""]


def test_without_an_address_there_is_nothing_to_send(trustist: Partnership) -> None:
    trustist.control("POST", f"invitations/{trustist.invited()}/complete")
    assert trustist.control("GET", "webhooks") == []
    assert trustist.control("POST", "webhooks", {"payload": {}}).status_code == 409


# --- by themselves


def test_invitations_move_on_by_themselves(trustist: Partnership, site: Server) -> None:
    trustist.control("PATCH", "partner", {"moves_after": 0.02})
    uid = trustist.invited()
    wait_until(lambda: trustist.fetch(uid)["status"] == "COMPLETE")
    all_delivered(trustist)
    assert [received.json["status"] for received in site.received] == ["OPENED", "COMPLETE"]


def test_one_that_somebody_moves_is_not_moved_twice(trustist: Partnership, site: Server) -> None:
    trustist.control("PATCH", "partner", {"moves_after": 0.3})
    uid = trustist.invited()
    trustist.control("POST", f"invitations/{uid}/complete")
    progress.cancel_all()
    invitation = Invitation.objects.get()
    for expected in ("pending", "COMPLETE", "Expired"):
        rules.take_next_step(invitation.pk, expected)
    rules.take_next_step(invitation.pk + 1, "pending")
    assert trustist.fetch(uid)["status"] == "COMPLETE"


def test_a_reset_stops_them(trustist: Partnership) -> None:
    trustist.control("PATCH", "partner", {"moves_after": 600})
    trustist.invited()
    assert len(progress._timers) == 1
    trustist.api.control("POST", "reset")
    assert progress._timers == set()


def test_a_step_that_is_being_taken_brings_no_further_one() -> None:
    begun, go_on, taken = threading.Event(), threading.Event(), []

    def second() -> None:
        taken.append("second")

    def first() -> None:
        begun.set()
        assert go_on.wait(20)
        taken.append("first")
        progress.schedule(600, second)

    progress.schedule(0, first)
    assert begun.wait(20)
    threading.Timer(0.05, go_on.set).start()
    progress.cancel_all()
    assert taken == ["first"]
    assert progress._timers == set()


def test_a_database_that_fails_stops_one_step_only(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[Any] = []

    def step(*args: Any) -> None:
        taken.append(args)
        raise DatabaseError("gone")

    progress.schedule(0, step, 7, "pending")
    wait_until(lambda: not progress._timers)
    assert taken == [(7, "pending")]
    assert "can't move an invitation on" in caplog.text
