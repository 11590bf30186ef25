"""A task backend that can't be reached when the button is pressed: the wish survives, and cron's command does it."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django_tasks_db.models import DBTaskResult

from tests import make
from tests.tasks.backends import OutOfOrder, out_of_order
from tests.tasks.conftest import Site
from truss_portal import actions, tasks
from truss_portal.models import Company, Contact, Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["a backend that raises", "a queue without its table"])
def down(request: pytest.FixtureRequest, settings: Any, transactional_db: None) -> Iterator[None]:
    if request.param == "a backend that raises":
        settings.TASKS = out_of_order()
        yield
        return
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    table = DBTaskResult._meta.db_table
    with connection.schema_editor() as editor:
        editor.alter_db_table(DBTaskResult, table, "elsewhere")
    yield
    with connection.schema_editor() as editor:
        editor.alter_db_table(DBTaskResult, "elsewhere", table)


def test_the_wish_is_kept_and_the_log_says_who_does_it(
    down: None, truss: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    intent = make.draft()
    operation = actions.send(intent)
    assert (operation.state, intent.delivery) == ("queued", "queued")
    [told] = [record for record in caplog.records if record.name == "truss_portal.tasks"]
    assert "Nothing is lost" in told.getMessage()
    assert "left to the next truss_push" in told.getMessage()
    assert told.exc_info
    assert truss.requests() == []
    call_command("truss_push", no_progress=True)
    intent.refresh_from_db()
    assert intent.delivery == "sent"


def test_a_transaction_around_it_and_what_else_waits_for_its_commit_go_on(down: None, truss: Sandbox) -> None:
    happened: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: happened.append("before"))
        first = actions.send(make.draft())
        transaction.on_commit(lambda: happened.append("between"))
        actions.cancel(make.row())
        batch = actions.ask_for_many(Operation.Kind.CREATE, [make.draft().pk, make.draft().pk])
        transaction.on_commit(lambda: happened.append(f"{Operation.objects.count()} wishes"))
    assert happened == ["before", "between", "4 wishes"]
    assert (first.state, batch.operations.count()) == ("queued", 2)
    Contact.objects.create(company=make.company(), name="Afterwards", email="a@acme.test")


def test_a_request_in_a_transaction_is_answered_and_kept(down: None, truss: Sandbox, shop: Client) -> None:
    assert shop.get("/sell/").content == b"queued"
    assert PaymentIntent.objects.get().delivery == "queued"
    call_command("truss_push", no_progress=True)
    assert PaymentIntent.objects.get().delivery == "sent"


def test_a_transaction_of_another_database_goes_on(down: None) -> None:
    """With the app's tables in a database of their own, its commit comes inside the other one's transaction."""
    with transaction.atomic():
        make.company()
        assert not tasks.wake_outbox([1])
        make.company(slug="other")
    assert Company.objects.count() == 2


def test_one_that_is_slow_to_say_so_is_left_alone_for_a_while(
    truss: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TASKS = out_of_order(seconds=1)
    OutOfOrder.tries = 0
    for _ in range(20):
        actions.send(make.draft())
    assert OutOfOrder.tries <= 2
    told = [record for record in caplog.records if record.name == "truss_portal.tasks"]
    assert len(told) == 20
    assert re.search(r"isn't tried for another \d+ seconds: perform is left to the next truss_push", caplog.text)
    call_command("truss_push", no_progress=True)
    assert len(truss.payment_intents()) == 20


SEND = """
import json, time, django
django.setup()
from truss_portal import actions
from truss_portal.models import PaymentIntent
intent = PaymentIntent.objects.get()
started = time.monotonic()
actions.send(intent)
print(json.dumps({"delivery": intent.delivery, "seconds": time.monotonic() - started}))
"""


def send_with_celery(site: Site, broker: str) -> float:
    """How many seconds the button takes with Celery and this broker, when the wish is kept."""
    make.draft()
    site.environment |= {"DJANGO_SETTINGS_MODULE": "tests.tasks.site_with_celery", "SITE_BROKER": broker}
    site.environment |= {"SITE_RUN": "nobody"}
    *log, told = site.run("-c", SEND).strip().split("\n")
    assert "left to the next truss_push" in "\n".join(log)
    sent = json.loads(told)
    assert sent["delivery"] == "queued"
    call_command("truss_push", no_progress=True)
    assert PaymentIntent.objects.get().delivery == "sent"
    return float(sent["seconds"])


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"])
def test_where_nobody_listens_for_celery_the_button_returns(truss: Sandbox, site: Site, broker: str) -> None:
    assert send_with_celery(site, broker) < 20


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_where_celery_s_broker_says_nothing_the_button_returns(truss: Sandbox, site: Site, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert send_with_celery(site, f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/") < 20
