"""Access tokens run out and are renewed: early, once, and without anything being lost or done twice."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from tests import make
from tests.client.loopback import Server, answer, serving
from tests.joined import connected, left, renewals, settings_for, tokens_of
from truss_portal import actions, outbox, sync
from truss_portal.client import NotAuthenticatedError
from truss_portal.connection import connect
from truss_portal.encryption import seal
from truss_portal.exceptions import NeedsReconnectError, NotConnectedError, NotRenewedError
from truss_portal.models import Connection, Operation, PaymentIntent, SyncRun
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

TOKENS = r"oauth2/token"
MINUTE = 60.0


@pytest.fixture
def oauth(truss: Sandbox, settings: Any) -> Iterator[Sandbox]:
    settings.TRUSS_PORTAL = settings_for(truss)
    return truss


@pytest.fixture
def row(oauth: Sandbox) -> Connection:
    """The connection of Acme, just made."""
    return connected(oauth)


def speak(row: Connection, **how: Any) -> None:
    """Ask Truss something, as the company."""
    with connect(row.company, **how) as client:
        client.fetch_company()


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """What each of so many got who did it at once, with the seconds that it took."""

    def timed() -> tuple[Any, float]:
        began = time.monotonic()
        try:
            return work(), time.monotonic() - began
        except NotConnectedError as error:
            return error, time.monotonic() - began
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(timed) for _ in range(count)]]


def wait_for_renewer() -> None:
    """Until somebody holds the lease and has surely asked Truss."""
    until = time.monotonic() + 20
    while not Connection.objects.exclude(renewing_token="").exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


class TestEarly:
    @pytest.mark.parametrize(
        ("seconds", "life", "due"),
        [
            (59 * MINUTE, 60 * MINUTE, False),
            (5.1 * MINUTE, 60 * MINUTE, False),
            (4.9 * MINUTE, 60 * MINUTE, True),
            (11, 100, False),
            (9, 100, True),
            (-5, 3600, True),
        ],
    )
    def test_a_token_is_renewed_before_it_runs_out(
        self, oauth: Sandbox, row: Connection, seconds: float, life: float, due: bool
    ) -> None:
        before = tokens_of(row)
        left(row, seconds, of=life)
        speak(row)
        assert renewals(oauth) == int(due)
        access, refresh = tokens_of(row)
        assert (access != before[0], refresh != before[1]) == (due, due)
        assert bool(row.renewed_at) == due
        assert (row.renewing_token, row.renewing_until) == ("", None)
        if due:
            assert row.expires_at is not None
            assert row.expires_at > timezone.now() + timedelta(minutes=59)
        speak(row)
        assert renewals(oauth) == int(due)

    def test_where_no_new_refresh_token_comes_the_old_one_stays(self, oauth: Sandbox, row: Connection) -> None:
        oauth.company(rotate_refresh=False)
        before = tokens_of(row)
        left(row, -1)
        speak(row)
        after = tokens_of(row)
        assert after[0] != before[0]
        assert after[1] == before[1]

    def test_a_page_that_somebody_waits_for_leaves_it_to_others_while_the_token_is_good(
        self, oauth: Sandbox, row: Connection
    ) -> None:
        left(row, MINUTE)
        speak(row, hurried=True)
        assert renewals(oauth) == 0
        left(row, -1)
        speak(row, hurried=True)
        assert renewals(oauth) == 1


class TestAnswersThatSayLittle:
    @pytest.fixture
    def server(self, settings: Any) -> Iterator[Server]:
        with serving() as server:
            settings.TRUSS_PORTAL = {
                "ENVIRONMENT": "local", "API_URL": server.url, "CLIENT_ID": "id", "CLIENT_SECRET": "fake",
            }  # fmt: skip
            server.otherwise = answer({"checkout_link_id": "k7"})
            yield server

    def row(self, **columns: Any) -> Connection:
        given = {"access_token": seal("old"), "refresh_token": seal("rt-old"), "scope": "a b"} | columns
        made: Connection = Connection.objects.create(company=make.company(slug="acme"), **given)
        return made

    @pytest.mark.parametrize("lifetime", [{}, {"expires_in": 0}, {"expires_in": -5}])
    def test_a_token_without_a_lifetime_is_good_until_truss_refuses_it(
        self, server: Server, lifetime: dict[str, int]
    ) -> None:
        row = self.row(expires_at=timezone.now())
        server.will(answer({"access_token": "new", "token_type": "bearer"} | lifetime), answer({}), answer({}, 401))
        server.will(answer({"access_token": "newer"}), answer({}))
        speak(row)
        assert tokens_of(row) == ("new", "rt-old")
        assert (row.expires_at, row.scope) == (None, "a b")
        Connection.objects.update(renewed_at=timezone.now() - timedelta(minutes=1))
        speak(row)
        assert tokens_of(row) == ("newer", "rt-old")

    def test_a_lifetime_beyond_all_measure_is_taken_for_long(self, server: Server) -> None:
        row = self.row(expires_at=timezone.now())
        server.will(answer({"access_token": "new", "expires_in": 10**15}))
        speak(row)
        row.refresh_from_db()
        assert row.expires_at is not None
        assert row.expires_at > timezone.now() + timedelta(days=3000)

    def test_what_was_granted_is_written_when_truss_tells_it(self, server: Server) -> None:
        row = self.row(expires_at=timezone.now())
        server.will(answer({"access_token": "new", "scope": "b"}))
        speak(row)
        row.refresh_from_db()
        assert row.scope == "b"

    def test_without_a_refresh_token_the_access_ends_when_truss_refuses_it(
        self, server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        row = self.row(refresh_token="", expires_at=timezone.now())
        speak(row)
        server.otherwise = answer({}, 401)
        run = sync.sync_all(row.company)
        assert run.state == SyncRun.State.FAILED
        assert all("token" not in received.target for received in server.received)
        with pytest.raises(NeedsReconnectError, match="Truss gave no refresh token"):
            connect(row.company)
        assert len(errors(caplog)) == 1

    @pytest.mark.parametrize("code", [200, 400, 401, 403])
    def test_a_refusal_in_any_form_needs_a_person(self, server: Server, code: int) -> None:
        row = self.row(expires_at=timezone.now())
        server.will(answer({"error": "invalid_grant"}, code))
        with pytest.raises(NeedsReconnectError, match="invalid_grant"):
            connect(row.company)
        row.refresh_from_db()
        assert row.refused_at is not None

    @pytest.mark.parametrize(
        "behaviour", [answer({}, 500), answer({}, 429, Retry_After="0"), answer([]), answer({}, 302, Location="/")]
    )
    def test_anything_else_is_tried_again_later(self, server: Server, behaviour: Any) -> None:
        row = self.row(expires_at=timezone.now())
        server.will(behaviour)
        with pytest.raises(NotRenewedError, match="couldn't be renewed just now"):
            connect(row.company)
        row.refresh_from_db()
        assert (row.refused_at, row.renewing_until) == (None, None)
        server.will(answer({"access_token": "new"}))
        connect(row.company).close()
        assert tokens_of(row)[0] == "new"

    def test_a_missing_client_secret_loses_nothing(self, server: Server, settings: Any) -> None:
        row = self.row(expires_at=timezone.now())
        del settings.TRUSS_PORTAL["CLIENT_SECRET"]
        with pytest.raises(NotRenewedError, match="client_secret is missing"):
            connect(row.company)
        assert server.received == []

    def test_a_refresh_token_that_no_key_opens_is_named(self, server: Server) -> None:
        row = self.row(expires_at=timezone.now(), refresh_token="changed by somebody")
        with pytest.raises(NotConnectedError, match="The refresh token of acme can't be decrypted"):
            connect(row.company)
        row.refresh_from_db()
        assert row.renewing_until is None


class TestOnlyOneRenews:
    @pytest.mark.slow
    def test_of_many_at_once_one_asks_and_the_others_go_on_with_the_good_token(
        self, oauth: Sandbox, row: Connection
    ) -> None:
        left(row, MINUTE)
        oauth.fault("latency", path=TOKENS, seconds=3)
        took = sorted(seconds for _client, seconds in in_threads(8, lambda: connect(row.company).close()))
        assert renewals(oauth) == 1
        assert took[-1] >= 3
        assert took[-2] < 2.5

    def test_those_whose_token_has_run_out_wait_for_the_one_who_renews(self, oauth: Sandbox, row: Connection) -> None:
        left(row, -1)
        oauth.fault("latency", path=TOKENS, seconds=0.5)
        results = in_threads(8, lambda: speak(row))
        assert [error for error, _seconds in results if error] == []
        assert renewals(oauth) == 1

    def test_they_do_not_wait_for_ever(self, oauth: Sandbox, row: Connection) -> None:
        left(row, -1)
        Connection.objects.update(renewing_token="somebody", renewing_until=timezone.now() + timedelta(minutes=1))
        [(error, seconds)] = in_threads(1, lambda: connect(row.company, hurried=True))
        assert isinstance(error, NotRenewedError)
        assert "another process is still renewing it" in str(error)
        assert 1.5 < seconds < 15
        assert renewals(oauth) == 0

    def test_a_renewer_that_died_is_replaced_when_its_lease_is_over(self, oauth: Sandbox, row: Connection) -> None:
        left(row, -1)
        Connection.objects.update(renewing_token="dead", renewing_until=timezone.now() - timedelta(seconds=1))
        speak(row)
        assert renewals(oauth) == 1

    def test_an_answer_that_comes_after_a_reconnect_changes_nothing(self, oauth: Sandbox, row: Connection) -> None:
        left(row, -1)
        oauth.fault("latency", path=TOKENS, seconds=2)
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(lambda: in_threads(1, lambda: speak(row)))
            wait_for_renewer()
            again = connected(oauth, row.company)
            newest = tokens_of(again)
            [(error, _seconds)] = late.result()
        assert error is None
        assert tokens_of(row) == newest

    def test_a_refusal_that_comes_after_a_reconnect_changes_nothing(self, oauth: Sandbox, row: Connection) -> None:
        left(row, -1)
        oauth.revoke_tokens()
        oauth.fault("latency", path=TOKENS, seconds=2)
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(lambda: in_threads(1, lambda: speak(row)))
            wait_for_renewer()
            connected(oauth, row.company)
            [(error, _seconds)] = late.result()
        assert error is None
        row.refresh_from_db()
        assert row.refused_at is None


class TestTrussCannotBeAsked:
    @pytest.mark.parametrize("kind", ["drop_before", "error_before", "rate_limit", "garbage"])
    def test_one_goes_on_with_the_token_that_is_still_good(
        self, oauth: Sandbox, row: Connection, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        left(row, MINUTE)
        oauth.fault(kind, path=TOKENS, retry_after=None)
        with connect(row.company) as client:
            client.fetch_company()
            client.fetch_company()
        assert renewals(oauth) == 1, "and isn't tried again at once"
        assert "could not be renewed yet" in caplog.text
        assert errors(caplog) == []

    def test_when_it_has_run_out_the_queue_is_kept_and_goes_on_by_itself(self, oauth: Sandbox, row: Connection) -> None:
        left(row, -1)
        oauth.fault("error_before", path=TOKENS)
        operation = actions.send(make.draft(company=row.company))
        assert (operation.state, operation.attempts) == (Operation.State.QUEUED, 0)
        assert "couldn't be renewed just now" in operation.error
        out = StringIO()
        call_command("truss_push", stdout=out, stderr=out)
        assert "1 done" in out.getvalue()
        assert len(oauth.payment_intents()) == 1

    def test_when_it_runs_out_under_way_the_run_ends_and_the_queue_is_kept(
        self, oauth: Sandbox, row: Connection
    ) -> None:
        left(row, 1)
        oauth.fault("error_before", path=TOKENS, count=None)
        with connect(row.company) as client:
            client.fetch_company()
            time.sleep(1.1)
            for _ in range(3):
                with pytest.raises(NotAuthenticatedError, match="couldn't be renewed just now"):
                    client.fetch_company()
        assert renewals(oauth) == 1, "who was told no isn't asked again at once"

    def test_a_refusal_by_truss_then_brings_no_storm_of_renewals(self, oauth: Sandbox, row: Connection) -> None:
        oauth.fault("unauthorized", path="company", count=None)
        oauth.fault("error_before", path=TOKENS, count=None)
        with connect(row.company) as client:
            for _ in range(5):
                with pytest.raises(NotAuthenticatedError):
                    client.fetch_company()
        assert renewals(oauth) == 1


class TestNeedsAPerson:
    def test_a_refused_renewal_stops_everything_says_so_once_and_loses_nothing(
        self, oauth: Sandbox, row: Connection, caplog: pytest.LogCaptureFixture
    ) -> None:
        left(row, MINUTE)
        oauth.revoke_tokens()
        operation = actions.send(make.draft(company=row.company))
        assert (operation.state, operation.attempts) == (Operation.State.QUEUED, 0)
        assert "choose “Reconnect”" in operation.error
        row.refresh_from_db()
        assert row.refused_at is not None
        assert "invalid_grant" in row.refusal
        for command in ("truss_sync", "truss_push"):
            told = StringIO()
            with pytest.raises(SystemExit):
                call_command(command, stdout=told, stderr=told)
            assert "Truss doesn't renew the access of Acme any more" in told.getvalue()
        assert renewals(oauth) == 1, "Truss isn't asked again what it has refused"
        [error] = errors(caplog)
        assert "Truss doesn't renew the access of Acme any more" in error
        connected(oauth, row.company)
        call_command("truss_push", stdout=StringIO())
        assert len(oauth.payment_intents()) == 1

    def test_a_run_under_way_ends_and_its_queue_stays(self, oauth: Sandbox, row: Connection) -> None:
        oauth.revoke_tokens()
        for _ in range(5):
            actions.send(make.draft(company=row.company), wait=False)
        list(outbox.push(row.company))
        assert {operation.state for operation in Operation.objects.all()} == {Operation.State.QUEUED}
        row.refresh_from_db()
        assert row.refused_at is not None


class TestInTheMiddle:
    """Truss's 401, though the token should be good."""

    def test_reading_goes_on_after_one_renewal(self, oauth: Sandbox, row: Connection) -> None:
        oauth.create_many(3)
        oauth.fault("unauthorized", method="GET", path=r"inbound/$")
        run = sync.sync_all(row.company)
        assert (run.state, run.listed) == (SyncRun.State.DONE, 3)
        assert renewals(oauth) == 1

    def test_a_create_is_asked_for_once_more_and_is_there_once(self, oauth: Sandbox, row: Connection) -> None:
        oauth.fault("unauthorized", method="POST", path=r"inbound/$")
        operation = actions.send(make.draft(company=row.company))
        assert operation.state == Operation.State.DONE
        assert len(oauth.payment_intents()) == 1
        assert renewals(oauth) == 1

    def test_one_who_is_refused_with_a_fresh_token_renews_it_no_further(self, oauth: Sandbox, row: Connection) -> None:
        oauth.fault("unauthorized", path="inbound", count=None)
        operations = [actions.send(make.draft(company=row.company), wait=False) for _ in range(3)]
        list(outbox.push(row.company))
        for operation in operations:
            operation.refresh_from_db()
        assert {operation.state for operation in operations} == {Operation.State.QUEUED}
        assert renewals(oauth) == 1
        row.refresh_from_db()
        assert row.refused_at is None

    def test_a_token_that_another_process_has_renewed_is_taken_over(self, oauth: Sandbox, row: Connection) -> None:
        with connect(row.company) as client:
            old = tokens_of(row)[0]
            left(row, -1)
            speak(row)
            assert tokens_of(row)[0] != old
            oauth.fault("unauthorized", path="company")
            client.fetch_company()
        assert renewals(oauth) == 1

    def test_when_truss_cannot_be_asked_for_a_new_one_it_is_the_401_that_is_told(
        self, oauth: Sandbox, row: Connection
    ) -> None:
        oauth.fault("unauthorized", path="inbound")
        oauth.fault("drop_before", path=TOKENS)
        operation = actions.send(make.draft(company=row.company))
        assert (operation.state, operation.response_status) == (Operation.State.QUEUED, 401)
        assert operation.next_attempt_at is not None
        speak(row)
        oauth.fault("unauthorized", path="company")
        speak(row)
        operation.refresh_from_db()
        assert operation.next_attempt_at is None, "with the renewed token it goes on at once"

    def test_a_company_that_is_disconnected_meanwhile_is_left_alone(self, oauth: Sandbox, row: Connection) -> None:
        with connect(row.company) as client:
            row.delete()
            oauth.revoke_tokens()
            list(outbox.push(row.company))
            with pytest.raises(Exception, match="doesn't accept the access token"):
                client.fetch_company()


class TestALongRun:
    @pytest.mark.slow
    def test_a_push_that_outlives_its_token_sends_each_once_and_leaves_no_connection_behind(
        self, oauth: Sandbox, row: Connection, settings: Any
    ) -> None:
        """The token lives two seconds: it is renewed in the threads that ask, several times over."""
        settings.TRUSS_PORTAL |= {"CONCURRENCY": 4}
        oauth.company(token_lifetime=2)
        left(row, -1)
        oauth.fault("latency", path="inbound", count=None, seconds=0.4)
        for _ in range(30):
            actions.send(make.draft(company=row.company), wait=False)
        began, before = time.monotonic(), open_databases()
        done = [operation.state for operation in outbox.push(row.company)]
        lasted = time.monotonic() - began
        assert done == [Operation.State.DONE] * 30
        assert len(oauth.payment_intents()) == 30
        assert PaymentIntent.objects.filter(delivery=PaymentIntent.Delivery.SENT).count() == 30
        assert 2 <= renewals(oauth) <= lasted / 1.5 + 1
        assert open_databases() <= before

    def test_threads_whose_token_runs_out_together_renew_once(self, oauth: Sandbox, row: Connection) -> None:
        left(row, 1)
        oauth.fault("latency", path=TOKENS, seconds=1)
        with connect(row.company, hurried=True) as client, ThreadPoolExecutor(4) as pool:
            time.sleep(1.1)
            list(pool.map(lambda _number: client.fetch_company(), range(4)))
        assert renewals(oauth) == 1

    def test_threads_that_are_refused_together_renew_once(self, oauth: Sandbox, row: Connection) -> None:
        oauth.fault("unauthorized", path="company", count=4)
        oauth.fault("latency", path=TOKENS, seconds=1)
        with connect(row.company) as client, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _number: client.fetch_company(), range(4)))
        assert renewals(oauth) == 1


def open_databases() -> int:
    """How often this process has the database open: files of SQLite, or sessions on a server."""
    connection = connections["default"]
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        return sum(os.path.realpath(link) == name for link in Path("/proc/self/fd").iterdir())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        else:
            cursor.execute("SELECT count(*) FROM information_schema.processlist WHERE db = database()")
        return int(cursor.fetchone()[0])
