"""The sandbox as a process of its own, over real sockets."""

import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from truss_portal.testing import sandbox as sandbox_module
from truss_portal.testing.sandbox import Sandbox, SandboxError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
INTENTS = "/v1/payment-intents/inbound/"


def call(truss: Sandbox, method: str, path: str, body: object = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {truss.token}"}
    return requests.request(method, truss.url + path, json=body, headers=headers, timeout=30)


def create(truss: Sandbox, **changes: Any) -> requests.Response:
    contact = {"name": "Ortega Bakery", "email": "ap@ortega.example"}
    return call(truss, "POST", INTENTS, {"addenda": "Invoice 1", "total": "100.00", "contact": contact} | changes)


def test_a_site_can_play_everybody_else(truss_sandbox: Sandbox) -> None:
    truss = truss_sandbox
    uid = create(truss, send_email=True).json()["uid"]

    part = truss.pay(uid, Decimal("40.00"))
    assert truss.settle(part["uid"])["status"] == "ProcessedCredit"
    rest = truss.pay(uid, payment_method="credit_card")
    assert truss.payment_intents()[0]["status"] == "Paid"
    assert truss.return_transaction(rest["uid"])["direction"] == 1
    assert truss.payment_intents()[0]["balance_paid"] == "40.00"
    assert truss.alter(uid, status="Errored", extra={"currency": "USD"})["currency"] == "USD"
    assert truss.mailbox()[0]["link"] == f"{truss.url}/pay/sandbox/paymentIntent/{uid}"
    assert truss.requests() == [{"method": "POST", "path": INTENTS, "query": "", "status": 201}]
    truss.vanish(uid)
    assert truss.payment_intents() == []

    assert len(truss.create_many(3, total="5.00")) == 3
    truss.allow_redirects(["https://site.example/return"])
    assert truss.company(checkout_link_id="abc")["allowed_redirects"] == ["https://site.example/return"]
    assert truss.company()["checkout_link_id"] == "abc"
    assert truss.company(checkout_link_id=None)["checkout_link_id"] == "sandbox"

    form = {
        "grant_type": "authorization_code",
        "client_id": truss.client_id,
        "client_secret": truss.client_secret,
        "code": truss.authorization_code("https://site.example/cb"),
        "redirect_uri": "https://site.example/cb",
    }
    assert requests.post(f"{truss.url}/v1/oauth2/token", data=form, timeout=30).status_code == 200
    truss.fault("latency", seconds=0)
    assert truss.faults()[0]["kind"] == "latency"
    truss.clear_faults()
    assert truss.faults() == []
    with pytest.raises(SandboxError, match="404"):
        truss.vanish(uid)


@pytest.mark.parametrize(("kind", "done"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_brings_no_answer_at_all(truss_sandbox: Sandbox, kind: str, done: int) -> None:
    truss_sandbox.fault(kind, method="POST")
    with pytest.raises(requests.ConnectionError):
        create(truss_sandbox)
    assert len(truss_sandbox.payment_intents()) == done
    assert create(truss_sandbox).status_code == 201
    assert [each["status"] for each in truss_sandbox.requests()] == [None, 201]


def test_a_dropped_connection_sends_not_one_byte(truss_sandbox: Sandbox) -> None:
    truss_sandbox.fault("drop_before")
    host, port = truss_sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /v1/company/ HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        assert connection.recv(1000) == b""


def test_one_that_runs_already_is_spoken_to_at_its_address(truss_sandbox: Sandbox) -> None:
    assert len(Sandbox.at(f"{truss_sandbox.url}/").create_many(2)) == len(truss_sandbox.payment_intents()) == 2


def test_a_connection_is_kept_for_the_next_request(truss_sandbox: Sandbox) -> None:
    with requests.Session() as session:
        for _ in range(3):
            answer = session.get(f"{truss_sandbox.url}/", timeout=30)
            assert answer.status_code == 200
            assert "Connection" not in answer.headers


def test_many_threads_at_once_lose_nothing(truss_sandbox: Sandbox) -> None:
    truss = truss_sandbox
    [uid] = truss.create_many(1, total="1000.00")
    wrong = []

    def work(number: int) -> None:
        answer = create(truss, contact={"name": f"Customer {number % 3}", "email": "a@example.test"})
        if answer.status_code != 201:
            wrong.append(answer.text)
        truss.pay(uid, "5.00")
        changed = call(truss, "PATCH", f"{INTENTS}{uid}/", {"memo": str(number)})
        if changed.status_code != 200:
            wrong.append(changed.text)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))

    assert wrong == []
    intents = truss.payment_intents()
    assert len(intents) == 41
    assert len({intent["contact"]["uid"] for intent in intents[1:]}) == 3
    paid = next(intent for intent in intents if intent["uid"] == uid)
    assert paid["balance_paid"] == "200.00"
    assert len(paid["transactions"]) == 40


def test_a_fault_with_a_count_hits_that_often_among_threads(truss_sandbox: Sandbox) -> None:
    truss_sandbox.fault("error_before", count=7)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call(truss_sandbox, "GET", "/v1/company/").status_code, range(30)))
    assert sorted(answers) == [200] * 23 + [503] * 7


def test_a_thousand_intents_are_made_quickly(truss_sandbox: Sandbox) -> None:
    started = time.monotonic()
    assert len(set(truss_sandbox.create_many(1000, paid="1.00"))) == 1000
    assert time.monotonic() - started < 5


def test_the_data_is_kept_where_a_database_is_named(tmp_path: Path) -> None:
    database = tmp_path / "truss.sqlite3"
    with Sandbox(database=database, time_zone="America/New_York") as truss:
        uids = truss.create_many(2)
        first_url = truss.url
    with Sandbox(database=database) as truss:
        assert [intent["uid"] for intent in truss.payment_intents()] == uids
    with pytest.raises(requests.ConnectionError):
        requests.get(first_url, timeout=5)


def test_a_sandbox_that_does_not_run_says_so() -> None:
    truss = Sandbox()
    with pytest.raises(SandboxError, match="hasn't been started"):
        truss.reset()
    truss.stop()
    truss.start()
    truss.stop()
    with pytest.raises(SandboxError, match="doesn't answer"):
        truss.reset()


def test_a_sandbox_that_cannot_start_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SandboxError, match="didn't start"):
        Sandbox(database=tmp_path / "no" / "such" / "folder.sqlite3").start()
    assert "unable to open database file" in capfd.readouterr().err
    with pytest.raises(SandboxError, match="didn't start"):
        Sandbox(start_timeout=0.01).start()


def started(*command: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    found = re.fullmatch(r"Truss sandbox at (http://(127\.0\.0\.1|\[::1\]):\d+)\n", process.stdout.readline())
    assert found is not None
    return process, found[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_ends_cleanly(number: signal.Signals) -> None:
    process, url = started("-m", "truss_portal.sandbox", "--port", "0")
    assert requests.get(url, timeout=10).status_code == 200
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


def test_it_ends_when_its_parent_dies() -> None:
    parent = """
        import os, subprocess, sys
        child = subprocess.Popen([sys.executable, "-m", "truss_portal.sandbox", "--port", "0", "--with-parent"],
                                 stdout=subprocess.PIPE, text=True)
        print(child.stdout.readline(), end="", flush=True)
        sys.stdin.read()
        os._exit(1)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(parent)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("Truss sandbox at ").strip()
        assert requests.get(url, timeout=10).status_code == 200
        process.communicate("", timeout=20)
    assert waited_until(lambda: not answers(url))


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def waited_until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_the_command_serves_the_sandbox_alone_within_a_sites_settings(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this very process, whose main thread serves until another one sends the signal."""
    settings.ALLOWED_HOSTS = ["site.example"]
    settings.MIDDLEWARE = ["tests.no.such.Middleware"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    seen: list[object] = []

    def visit_and_stop() -> None:
        try:
            assert waited_until(lambda: answers(url))
            bearer = {"Authorization": "Bearer sandbox-token"}
            seen.append("A pretend Truss" in requests.get(url, timeout=10).text)
            seen.append(requests.get(f"{url}{INTENTS}", headers=bearer, timeout=10).status_code)
            seen.append(requests.get(f"{url}/admin/", timeout=10).status_code)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    visitor = threading.Thread(target=visit_and_stop)
    # Until the server has put its own, a signal must not end the tests.
    signal.signal(signal.SIGTERM, lambda *_: None)
    visitor.start()
    try:
        call_command("truss_sandbox", port=port, with_parent=True)
    finally:
        visitor.join(30)
        for number, handler in handlers.items():
            signal.signal(number, handler)

    assert seen == [True, 200, 404]
    assert capsys.readouterr().out == f"Truss sandbox at {url}\n"
    assert settings.MIDDLEWARE == ["tests.no.such.Middleware"]


def test_the_command_says_when_a_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Can't serve at 127.0.0.1:{port}: "):
            call_command("truss_sandbox", port=port)


def test_it_serves_on_an_ipv6_address() -> None:
    process, url = started("-m", "truss_portal.sandbox", "--port", "0", "--host", "::1")
    try:
        assert url.startswith("http://[::1]:")
        assert requests.get(f"{url}/control/company", timeout=10).status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_payers_at_once_cannot_pay_more_than_is_left(truss_sandbox: Sandbox) -> None:
    truss = truss_sandbox
    [uid] = truss.create_many(1, contact={"name": "Acme", "email": "ap@acme.example"})
    address = f"{truss.url}/pay/sandbox/paymentIntent/{uid}"
    with requests.Session() as payer:
        token = payer.get(address, timeout=10).text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        payer.post(address, {"csrfmiddlewaretoken": token, "step": "email", "email": "ap@acme.example"}, timeout=10)
        code = truss.mailbox()[0]["code"]
        page = payer.post(address, {"csrfmiddlewaretoken": token, "step": "code", "code": code}, timeout=10)
        assert "Pay now" in page.text
        form = {"csrfmiddlewaretoken": token, "step": "pay", "amount": "60.00", "payment_method": "ach"}
        cookies = payer.cookies.copy()

    def pay(_: int) -> requests.Response:
        return requests.post(address, form, cookies=cookies, allow_redirects=False, timeout=30)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = [each.status_code for each in pool.map(pay, range(16))]

    assert sorted(statuses) == [302] + [400] * 15
    assert truss.payment_intents()[0]["balance_paid"] == "60.00"


def test_the_process_is_found_wherever_the_package_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert Path(sandbox_module.__file__).is_relative_to(ROOT)
    with Sandbox() as truss:
        assert truss.payment_intents() == []
