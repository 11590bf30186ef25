"""Celery, through `django-tasks-fennel`, with workers as processes of their own."""

import os
import signal
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests import make
from tests.tasks.conftest import Site
from tests.wishes import cron
from truss_portal.models import Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

BROKERS = {
    "Redis": ("redis://127.0.0.1:6379/0", "redis-server"),
    "RabbitMQ": ("amqp://guest:guest@127.0.0.1:5672//", "rabbitmq-server"),
}
WORKER = (
    *("-m", "celery", "-A", "django_tasks_fennel.app", "worker"),
    *("--pool=prefork", "--concurrency=2", "--without-gossip", "--without-mingle"),
)
ASK_FOR_ALL = """
import django
django.setup()
from truss_portal import actions, tasks
from truss_portal.models import PaymentIntent
batch = actions.ask_for_many("create", PaymentIntent.objects.values_list("pk", flat=True))
# Wake-ups may come twice.
assert tasks.wake_outbox(list(batch.operations.values_list("pk", flat=True)))
"""


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, site: Site) -> Iterator[str]:
    """A broker that runs, and on it a place of the test's own that is gone again afterwards."""
    url, package = BROKERS[request.param]
    address = urlsplit(url)
    try:
        socket.create_connection((str(address.hostname), address.port or 0), timeout=5).close()
    except OSError as error:
        where = f"{address.hostname}:{address.port}"
        pytest.fail(f"{request.param} doesn't answer at {where} ({error}). Start it; in Debian it is {package}.")
    run = f"truss-portal-{uuid4().hex}"
    site.environment |= {"DJANGO_SETTINGS_MODULE": "tests.tasks.site_with_celery", "SITE_BROKER": url, "SITE_RUN": run}
    yield url
    site.stop()
    clear(url, run)


def clear(url: str, run: str) -> None:
    if url.startswith("redis:"):
        import redis

        with redis.Redis.from_url(url) as connection:
            for key in connection.scan_iter(f"{run}*"):
                connection.delete(key)
    else:
        import kombu

        with kombu.Connection(url) as connection, connection.channel() as channel:
            channel.queue_delete(run)
            for exchange in (run, f"{run}.events", f"{run}.control.pidbox", f"reply.{run}.control.pidbox"):
                channel.exchange_delete(exchange)


def ask_for(count: int, site: Site) -> None:
    """Have the site ask for so many invoices at once, and wake its workers, twice."""
    payers = [{"name": f"Payer {number}", "email": f"payer{number}@acme.test"} for number in range(40)]
    for number in range(count):
        make.draft(contact=payers[number % 40], reference=f"INV-{number}")
    press_the_button(site)


def press_the_button(site: Site) -> None:
    site.run("-c", ASK_FOR_ALL)


def each_is_there_once(truss: Sandbox, count: int) -> None:
    marks = [there["memo"] for there in truss.payment_intents()]
    assert len(marks) == len(set(marks)) == count
    assert PaymentIntent.objects.filter(delivery="sent").count() == count


def test_workers_share_a_batch_and_send_each_once(truss: Sandbox, site: Site, broker: str) -> None:
    workers = [site.start(*WORKER, f"--hostname=worker{number}@%h") for number in range(2)]
    ask_for(300, site)
    site.until(lambda: not Operation.objects.exclude(state="done").exists())
    each_is_there_once(truss, 300)
    assert set(Operation.objects.values_list("attempts", flat=True)) == {1}
    for worker in workers:
        worker.terminate()
    for worker in workers:
        assert "Warm shutdown" in site.finish(worker)


def test_a_worker_killed_in_the_middle_of_a_batch_costs_nothing_but_time(
    truss: Sandbox, site: Site, broker: str
) -> None:
    truss.fault("latency", method="POST", count=None, seconds=0.5)
    worker = site.start(*WORKER)
    ask_for(100, site)
    site.until(lambda: Operation.objects.filter(state="done").count() > 20)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    truss.clear_faults()
    left = Operation.objects.filter(state="sending").count()
    assert left

    another = site.start(*WORKER)
    press_the_button(site)
    site.until(lambda: not Operation.objects.filter(state="queued").exists())
    another.terminate()
    site.finish(another)
    assert Operation.objects.filter(state="sending").count() == left
    cron(times=2)
    each_is_there_once(truss, 100)
