"""What truss_prune drops, and what it never does."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import make
from tests.test_commands import run
from truss_portal.management.commands import truss_prune
from truss_portal.models import Batch, Operation, PayerReturn, SyncRun, WebhookEvent

pytestmark = pytest.mark.django_db

NOW = timezone.now()
OLD = NOW - timedelta(days=31)
YOUNG = NOW - timedelta(days=29)


def event(**given: Any) -> WebhookEvent:
    columns = {
        "company": make.company(),
        "event_id": uuid.uuid4(),
        "received_at": OLD,
        "processed_at": OLD,
        "state": "processed",
    }
    made: WebhookEvent = WebhookEvent.objects.create(**columns | given)
    return made


def sync_run(**given: Any) -> SyncRun:
    columns = {"company": make.company(), "kind": "all", "state": "done", "started_at": OLD, "finished_at": OLD}
    made: SyncRun = SyncRun.objects.create(**columns | given)
    return made


def test_old_events_go_once_they_are_processed() -> None:
    event()
    young = event(processed_at=YOUNG)
    waiting = event(state="waiting", processed_at=None)
    given_up = event(state="given_up", processed_at=None)
    assert run("truss_prune", "--days", "30") == (0, "Dropped: 1 webhooks, 0 payers' returns, 0 sync runs.\n", "")
    assert set(WebhookEvent.objects.all()) == {young, waiting, given_up}


def test_old_returns_go_with_and_without_an_invoice() -> None:
    intent = make.row()
    PayerReturn.objects.create(at=OLD)
    PayerReturn.objects.create(at=OLD, payment_intent=intent)
    young = PayerReturn.objects.create(at=YOUNG, payment_intent=intent)
    assert json.loads(run("truss_prune", "--days", "30", "--json")[1]) == {
        "webhook_events": 0,
        "payer_returns": 2,
        "sync_runs": 0,
    }
    assert list(PayerReturn.objects.all()) == [young]
    intent.refresh_from_db()


def test_the_newest_run_of_each_kind_and_company_stays_however_old() -> None:
    bakers = make.company(slug="bakers")
    sync_run(), sync_run(kind="open"), sync_run(company=bakers)
    newest = {sync_run(state="failed"), sync_run(kind="open"), sync_run(company=bakers)}
    run("truss_prune", "--days", "30")
    assert set(SyncRun.objects.all()) == newest
    young = {sync_run(started_at=YOUNG), sync_run(started_at=YOUNG)}
    run("truss_prune", "--days", "30")
    assert set(SyncRun.objects.all()) == {*newest, *young} - {row for row in newest if row.state == "failed"}


def test_invoices_requests_and_batches_are_never_dropped() -> None:
    intent = make.row(known_since=OLD)
    batch = Batch.objects.create(kind="create", requested_at=OLD)
    Operation.objects.create(
        company=intent.company, payment_intent=intent, kind="create", state="done", batch=batch, requested_at=OLD
    )
    assert run("truss_prune", "--days", "1")[1] == "Dropped: 0 webhooks, 0 payers' returns, 0 sync runs.\n"
    assert (Operation.objects.count(), Batch.objects.count()) == (1, 1)


def test_many_are_dropped_in_chunks() -> None:
    count = 2 * truss_prune.CHUNK + 1
    company = make.company()
    PayerReturn.objects.bulk_create([PayerReturn(at=OLD) for _ in range(count)])
    WebhookEvent.objects.bulk_create(
        [
            WebhookEvent(company=company, event_id=uuid.uuid4(), state="processed", processed_at=OLD)
            for _ in range(count)
        ]
    )
    with CaptureQueriesContext(connection) as seen:
        assert json.loads(run("truss_prune", "--days", "30", "--json")[1])["webhook_events"] == count
    deletes = [query["sql"] for query in seen.captured_queries if query["sql"].startswith("DELETE")]
    assert len(deletes) == 6
    assert not PayerReturn.objects.exists()


@pytest.mark.parametrize("days", ["0", "-1", "a", "1.5", ""])
def test_fewer_than_one_day_is_refused(days: str) -> None:
    event(), sync_run()
    with pytest.raises(CommandError, match=r"--days: must be a whole number of days from 1 on"):
        run("truss_prune", f"--days={days}")
    assert WebhookEvent.objects.exists()


def test_days_must_be_said() -> None:
    with pytest.raises(CommandError, match="--days"):
        run("truss_prune")
