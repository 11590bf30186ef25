"""Webhooks that a network holds back, doubles, mixes up and loses, and that a swindler sends."""

import concurrent.futures
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.client.loopback import Server, answer, serving, stall
from tests.sandbox.conftest import INTENTS, Api
from tests.sandbox.hearing import ADDED, SECRET, UPDATED, all_delivered, ids, is_signed, keeps_the_contract, names
from truss_portal.sandbox import signatures
from truss_portal.testing.sandbox import Sandbox, SandboxError


@pytest.fixture
def heard() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def site(transactional_db: None, api: Api, heard: Server) -> Iterator[Server]:
    """One that the sandbox in this very process tells."""
    api.control("PATCH", "company", {"webhook_url": f"{heard.url}/hook", "webhook_secret": SECRET})
    yield heard
    api.control("POST", "reset")


@pytest.fixture
def told(truss_sandbox: Sandbox, heard: Server) -> Iterator[Sandbox]:
    """One in a process of its own, that tells `heard`."""
    truss_sandbox.webhooks(heard.url)
    yield truss_sandbox
    truss_sandbox.reset()


def change(api: Api, *notes: str) -> None:
    for note in notes:
        uid = api.control("POST", "payment-intents", {"addenda": note})["uids"][0]
        api.control("PATCH", f"payment-intents/{uid}", {"note": note})


def notes(site: Server) -> str:
    return "".join(received.json["event_payload"]["note"] for received in site.received)


def test_what_is_held_goes_out_when_it_is_released(api: Api, site: Server) -> None:
    api.control("POST", "webhooks/hold")
    change(api, *"ABC")
    all_delivered(api)
    assert site.received == []
    assert {event["fate"] for event in api.control("GET", "webhooks")} == {"held"}

    released = api.control("POST", "webhooks/release")["event_ids"]
    change(api, "D")
    all_delivered(api)
    assert notes(site) == "ABCD"
    assert released == ids(site.received[:3]) == ids(api.control("GET", "webhooks"))[:3]
    assert {event["fate"] for event in api.control("GET", "webhooks")} == {"sent"}


def test_the_order_of_a_release_can_be_chosen(api: Api, site: Server) -> None:
    orders = []
    for order in ({"order": "reversed"}, {"order": "random", "seed": 7}, {"order": "random", "seed": 7}):
        api.control("POST", "webhooks/hold")
        change(api, *"ABCDEFGH")
        api.control("POST", "webhooks/release", order)
        all_delivered(api)
        orders.append(notes(site))
        site.received.clear()
    assert orders[0] == "HGFEDCBA"
    assert orders[1] == orders[2] != "ABCDEFGH"
    assert sorted(orders[1]) == list("ABCDEFGH")


def test_named_events_are_sent_as_often_as_they_are_named(api: Api, site: Server) -> None:
    api.control("POST", "webhooks/hold")
    change(api, *"ABC")
    a, b, c = ids(api.control("GET", "webhooks"))
    api.control("POST", "webhooks/release", {"order": [c, a, c]})
    change(api, "D")
    all_delivered(api)
    assert notes(site) == "CAC"
    assert [event["fate"] for event in api.control("GET", "webhooks")] == ["sent", "held", "sent", "held"]

    api.control("POST", "webhooks/release", {"order": [a]})
    api.control("POST", "webhooks/release")
    all_delivered(api)
    assert notes(site) == "CACABD"
    assert b in ids(site.received)


def test_doubled_events_arrive_as_often_as_said(api: Api, site: Server) -> None:
    api.control("POST", "webhooks/double", {"times": 3})
    change(api, "A")
    api.control("POST", "webhooks/hold")
    change(api, "B", "C")
    api.control("POST", "webhooks/release")
    api.control("POST", "webhooks/double", {"times": 1})
    change(api, "D")
    all_delivered(api)
    assert notes(site) == "AAABBBCCCD"
    assert len(set(ids(site.received))) == 4
    assert all(is_signed(received) for received in site.received)


def test_lost_events_never_arrive_unless_they_are_named(api: Api, site: Server) -> None:
    api.control("POST", "webhooks/lose", {"count": 2})
    change(api, *"ABC")
    all_delivered(api)
    assert notes(site) == "C"
    events = api.control("GET", "webhooks")
    assert [(event["fate"], len(event["deliveries"])) for event in events] == [("lost", 0), ("lost", 0), ("sent", 1)]

    api.control("POST", "webhooks/release", {"order": ids(events)[1:]})
    all_delivered(api)
    assert notes(site) == "CBC"


def test_losing_can_be_called_off(api: Api, site: Server) -> None:
    api.control("POST", "webhooks/lose", {"count": 5})
    change(api, "A")
    api.control("POST", "webhooks/lose", {"count": 0})
    change(api, "B")
    all_delivered(api)
    assert notes(site) == "B"


@pytest.mark.parametrize("kind", signatures.FORGERIES)
def test_no_forgery_passes_for_true_and_each_is_tried_once(api: Api, site: Server, kind: str) -> None:
    site.otherwise = answer(status=400)
    api.control("POST", "webhooks/hold")
    api.control("POST", "webhooks/double", {"times": 3})
    uid = api.created(total="75.00")["uid"]
    api.control("POST", "webhooks/forge", {"kind": kind})
    all_delivered(api)
    [forged] = site.received
    keeps_the_contract(forged)
    assert not is_signed(forged)
    claim = forged.json["event_payload"]
    assert (claim["uid"], claim["status"], claim["balance_paid"]) == (uid, "Paid", "75.00")
    assert api.fetched(uid)["status"] == "Pending"
    [event] = api.control("GET", "webhooks")
    assert event["forgery"] == kind
    [delivery] = event["deliveries"]
    assert (delivery["attempts"], delivery["last_status"], delivery["is_waiting"]) == (1, 400, False)


def test_a_forgery_may_be_of_a_certain_intent_or_of_none_that_exists(api: Api, site: Server) -> None:
    api.control("POST", "webhooks/forge", {"kind": "old"})
    first = api.created()["uid"]
    api.created()
    api.control("POST", "webhooks/forge", {"kind": "future", "uid": first})
    all_delivered(api)
    unheard_of, of_first = site.received
    keeps_the_contract(unheard_of)
    assert unheard_of.json["event_payload"]["uid"] != first
    assert of_first.json["event_payload"]["uid"] == first
    missing = {"kind": "old", "uid": unheard_of.json["event_payload"]["uid"]}
    assert api.control("POST", "webhooks/forge", missing).status_code == 404


def test_any_event_can_be_made_up_and_is_signed_rightly(api: Api, site: Server) -> None:
    api.control("POST", "webhooks", {"event_name": "payout.failed", "payload": {"amount": "1.00"}})
    api.control("POST", "webhooks", {"event_name": UPDATED, "payload": ["a", "list"]})
    api.control("POST", "webhooks", {"event_name": UPDATED})
    api.control("POST", "webhooks", {"event_name": UPDATED, "body": "no JSON, but a greeting: grüß Gott"})
    all_delivered(api)
    *made_up, text = site.received
    assert names(made_up) == ["payout.failed", UPDATED, UPDATED]
    assert [each.json["event_payload"] for each in made_up] == [{"amount": "1.00"}, ["a", "list"], {}]
    assert text.body == "no JSON, but a greeting: grüß Gott".encode()
    assert all(is_signed(received) for received in site.received)


# ---- from a site's tests: the process, by its methods


def test_a_site_arranges_it_by_methods(told: Sandbox, heard: Server) -> None:
    [uid] = told.create_many(1, total="10.00")
    told.hold_webhooks()
    told.double_webhooks()
    told.lose_webhooks()
    told.pay(uid, "4.00")
    assert [event["fate"] for event in told.webhook_events()] == ["lost", "held"]
    released = told.release_webhooks("random", seed=1)
    told.wait_for_webhooks()
    assert ids(heard.received) == released
    assert names(heard.received) == [UPDATED, UPDATED]
    told.double_webhooks(1)
    told.release_webhooks(released[:1])
    told.send_webhook("payout.failed", {"uid": uid})
    told.forge_webhook("unsigned", uid=uid)
    told.wait_for_webhooks()
    assert names(heard.received[2:]) == [UPDATED, "payout.failed", UPDATED]
    signed = [is_signed(received, told.webhook_secret) for received in heard.received]
    assert signed == [True, True, True, True, False]
    told.webhooks(None)
    told.pay(uid, "1.00")
    assert len(told.webhook_events()) == 4


def test_waiting_for_webhooks_has_an_end(told: Sandbox, heard: Server) -> None:
    heard.otherwise = stall
    told.alter(told.create_many(1)[0], note="x")
    with pytest.raises(SandboxError, match="1 webhooks are still on their way"):
        told.wait_for_webhooks(0.2)
    heard.stopped.set()


def test_each_company_has_its_own_webhooks(told: Sandbox, heard: Server) -> None:
    other = Sandbox.at(told.url, company="other")
    assert other.company()["slug"] == "other"
    other.webhooks(f"{heard.url}/other", secret=SECRET, encoding="hex")
    other.alter(other.create_many(1)[0], note="theirs")
    told.alter(told.create_many(1)[0], note="ours")
    other.wait_for_webhooks()
    told.wait_for_webhooks()
    targets = {received.target: received.json["event_payload"]["note"] for received in heard.received}
    assert targets == {"/other": "theirs", "/": "ours"}
    assert len(told.webhook_events()) == len(other.webhook_events()) == 1


def test_changes_at_once_are_each_told_of_once_and_in_their_order(told: Sandbox, heard: Server) -> None:
    uids = told.create_many(4, total="1000.00")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: told.pay(uids[number % 4], "5.00"), range(40)))
    told.wait_for_webhooks()
    assert ids(heard.received) == ids(told.webhook_events())
    assert Counter(names(heard.received)) == {ADDED: 40, UPDATED: 40}
    for uid in uids:
        told_of = [event.json["event_payload"] for event in heard.received if event.json["event_name"] == UPDATED]
        balances = [payload["balance_paid"] for payload in told_of if payload["uid"] == uid]
        assert balances == [f"{5 * n}.00" for n in range(1, 11)]


def test_the_api_does_not_wait_for_the_receiver(told: Sandbox, heard: Server) -> None:
    heard.otherwise = stall
    [uid] = told.create_many(1)
    for _ in range(3):
        bearer = {"Authorization": f"Bearer {told.token}"}
        answered = requests.patch(f"{told.url}{INTENTS}{uid}/", json={"note": "x"}, headers=bearer, timeout=30)
        assert answered.elapsed.total_seconds() < 1
    heard.stopped.set()


def test_what_waits_when_the_process_ends_is_delivered_by_the_next(tmp_path: Path, heard: Server) -> None:
    heard.otherwise = answer(status=503)
    database = tmp_path / "truss.sqlite3"
    with Sandbox(database=database) as truss:
        truss.webhooks(heard.url)
        truss.company(webhook_pauses=[1.5])
        truss.alter(truss.create_many(1)[0], note="x")
        while not heard.received:
            time.sleep(0.01)
    heard.otherwise = answer({})
    with Sandbox(database=database) as truss:
        truss.wait_for_webhooks()
        [event] = truss.webhook_events()
    assert event["deliveries"][0]["last_status"] == 200
    assert ids(heard.received) == [event["event_id"]] * 2


def test_two_processes_over_one_database_tell_once_and_in_order(tmp_path: Path, heard: Server) -> None:
    database = tmp_path / "truss.sqlite3"
    with Sandbox(database=database) as one, Sandbox(database=database) as two:
        one.webhooks(heard.url)
        uids = one.create_many(2, total="1000.00")

        def pay(number: int) -> None:
            (one, two)[number % 2].pay(uids[number % 2], "5.00")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(pay, range(30)))
        two.wait_for_webhooks()
        one.wait_for_webhooks()
        assert ids(heard.received) == ids(one.webhook_events())
    assert len(heard.received) == 60
