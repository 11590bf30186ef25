"""Without a worker: the immediate backend, which is the default, and the dummy one of tests."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from tests import make
from tests.wishes import NOBODY_WAKES
from truss_portal import actions
from truss_portal.models import Operation, PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_view_that_sends_is_carried_out_after_its_transaction(truss: Sandbox, shop: Client) -> None:
    assert shop.get("/sell/").content == b"queued"
    assert PaymentIntent.objects.get().delivery == "sent"
    assert len(truss.payment_intents()) == 1


def test_a_view_that_fails_sends_nothing(truss: Sandbox, shop: Client) -> None:
    assert shop.get("/sell/", {"fail": "yes"}).status_code == 500
    assert truss.requests() == []
    assert not Operation.objects.exists()


def test_several_in_one_transaction_are_carried_out_after_it(truss: Sandbox) -> None:
    with transaction.atomic():
        for _ in range(3):
            actions.send(make.draft())
        with transaction.atomic():
            actions.send(make.draft(reference="taken back"))
            transaction.set_rollback(True)
        assert truss.requests() == []
    assert len(truss.payment_intents()) == PaymentIntent.objects.filter(delivery="sent").count() == 3


@pytest.mark.parametrize("wrong", [{"CONCURRENCY": "many"}, {"TIMEOUT": None}, {"API_URL": "nowhere"}], ids=str)
def test_a_mistake_in_the_settings_keeps_the_wish_and_is_logged(
    truss: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    intent = make.draft()
    right = settings.TRUSS_PORTAL
    settings.TRUSS_PORTAL = right | wrong
    operation = actions.send(intent)
    assert (operation.state, intent.delivery) == ("queued", "queued")
    [told] = [record for record in caplog.records if record.name == "truss_portal.tasks"]
    assert "waits for the next truss_push" in told.getMessage()
    assert told.exc_info
    settings.TRUSS_PORTAL = right
    call_command("truss_push", no_progress=True)
    intent.refresh_from_db()
    assert intent.delivery == "sent"


def test_with_the_dummy_backend_nobody_is_asked(truss: Sandbox, settings: Any) -> None:
    settings.TASKS = NOBODY_WAKES
    intents = [make.draft() for _ in range(3)]
    actions.send(intents[0])
    batch = actions.ask_for_many(Operation.Kind.CREATE, [intent.pk for intent in intents])
    assert batch.operations.count() == 3
    assert truss.requests() == []
    assert set(PaymentIntent.objects.values_list("delivery", flat=True)) == {"queued"}
    call_command("truss_push", no_progress=True)
    assert len(truss.payment_intents()) == 3
