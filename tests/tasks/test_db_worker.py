"""The database as the queue: `django-tasks-db` and its `db_worker`, as processes of their own."""

import os
import signal
import time
from contextlib import suppress
from typing import Any

import pytest
from django.core.management import call_command
from django_tasks_db.models import DBTaskResult

from tests import make
from tests.tasks.conftest import Site
from tests.wishes import cron
from truss_portal import actions, tasks
from truss_portal.models import Batch, Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = ("manage.py", "db_worker", "--no-startup-delay", "--interval=0.1")


@pytest.fixture(autouse=True)
def _queue_in_the_database(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


def test_the_button_returns_at_once_and_the_worker_sends(truss: Sandbox, site: Site) -> None:
    intent = make.draft()
    operation = actions.send(intent)
    assert (operation.state, intent.delivery) == ("queued", "queued")
    assert truss.requests() == []
    site.run(*WORKER, "--batch")
    intent.refresh_from_db()
    assert intent.delivery == "sent"
    assert [there["uid"] for there in truss.payment_intents()] == [str(intent.uid)]
    assert make.kinds(intent) == ["drafted", "queued", "sent"]


@pytest.mark.parametrize("arrives", [True, False], ids=["Truss did it", "Truss did nothing"])
@pytest.mark.slow
def test_a_worker_killed_while_it_waits_for_truss_sends_nothing_twice(
    truss: Sandbox, site: Site, arrives: bool
) -> None:
    truss.fault("latency", method="POST", seconds=3)
    if not arrives:
        truss.fault("drop_before", method="POST")
    intent = make.draft()
    operation = actions.send(intent)
    worker = site.start(*WORKER)
    site.until(lambda: truss.faults()[0]["count"] == 0)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    # Somebody presses the button again, and another worker is there.
    assert actions.send(intent) == operation
    site.run(*WORKER, "--batch")
    operation.refresh_from_db()
    assert operation.state == "sending"
    site.until(lambda: [seen for seen in truss.requests() if seen["method"] == "POST"])
    assert len(truss.payment_intents()) == arrives

    cron(times=2)
    intent.refresh_from_db()
    assert intent.delivery == "sent"
    assert [there["uid"] for there in truss.payment_intents()] == [str(intent.uid)]
    assert ("absent" in make.kinds(intent)) is not arrives


@pytest.fixture
def batch(truss: Sandbox) -> Batch:
    """Three shares of a hundred, that wait, to payers whom Truss doesn't know."""
    payers = [{"name": f"Payer {number}", "email": f"payer{number}@acme.test"} for number in range(40)]
    intents = [make.draft(contact=payers[number % 40], reference=f"INV-{number}") for number in range(300)]
    asked = actions.ask_for_many(Operation.Kind.CREATE, [intent.pk for intent in intents])
    assert asked.operations.count() == 300
    return asked


def each_is_there_once(truss: Sandbox) -> None:
    marks = [there["memo"] for there in truss.payment_intents()]
    assert len(marks) == len(set(marks)) == 300
    assert PaymentIntent.objects.filter(delivery="sent").count() == 300


@pytest.mark.slow
def test_several_workers_and_cron_share_a_batch_and_send_each_once(truss: Sandbox, site: Site, batch: Batch) -> None:
    truss.fault("latency", method="POST", count=None, seconds=0.05)
    # Wake-ups may come twice.
    assert tasks.wake_outbox(list(batch.operations.values_list("pk", flat=True)))
    workers = [site.start(*WORKER, "--batch") for _ in range(3)]
    site.until(truss.payment_intents)
    with suppress(SystemExit):
        call_command("truss_push", no_progress=True)
    for worker in workers:
        site.finish(worker)
    assert len({name for names in DBTaskResult.objects.values_list("worker_ids", flat=True) for name in names}) > 1
    each_is_there_once(truss)
    assert set(Operation.objects.values_list("state", "attempts")) == {("done", 1)}


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_a_worker_that_is_asked_to_stop_ends_its_share_and_asked_again_ends_at_once(
    truss: Sandbox, site: Site, batch: Batch, times: int
) -> None:
    truss.fault("latency", method="POST", count=None, seconds=0.2)
    worker = site.start(*WORKER)
    site.until(lambda: Operation.objects.filter(state="done").count() > 5)
    for _ in range(times):
        worker.terminate()
        time.sleep(0.1)
    site.finish(worker)
    truss.clear_faults()
    if times == 1:
        states = list(Operation.objects.values_list("state", flat=True))
        assert set(states) == {"done", "queued"}
        assert states.count("done") % 100 == 0
    # Like a death, the second signal may come between any two statements.
    cron(times=2)
    each_is_there_once(truss)
