"""Truss asks to slow down: everybody in the process does, whichever push and company was told."""

import logging
import threading
import time
from typing import Any

import pytest
from django.db import connections

from tests import joined, make
from truss_portal import actions, outbox
from truss_portal.models import Company, Operation
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

RETRY_AFTER = 2


def push(company: Company) -> None:
    """As a worker's thread does."""
    try:
        list(outbox.push(company))
    finally:
        connections.close_all()


def test_after_a_429_every_push_of_every_company_rests(
    truss: Sandbox, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TRUSS_PORTAL = joined.settings_for(truss, CONCURRENCY=3)
    pushes = []
    for slug in ("acme", "ortega", "late"):
        company = make.company(slug=slug, name=slug)
        joined.connected(Sandbox.at(truss.url, company=slug), company)
        for number in range(9):
            payer = {"name": f"Payer {number}", "email": f"payer{number}@acme.test"}
            actions.send(make.draft(company=company, contact=payer, reference=f"INV-{number}"), wait=False)
        pushes.append(threading.Thread(target=push, args=[company]))
    truss.fault("latency", method="POST", path="inbound/$", count=None, seconds=0.1)
    truss.fault("rate_limit", method="POST", path="inbound/$", retry_after=RETRY_AFTER)

    caplog.set_level(logging.DEBUG, "truss_portal.client")
    *first, late = pushes
    for thread in first:
        thread.start()
    while first[0].is_alive() and not any(" 429 " in message for message in caplog.messages):
        time.sleep(0.01)
    late.start()
    for thread in pushes:
        thread.join(timeout=60)

    answers = [record for record in caplog.records if record.name == "truss_portal.client"]
    begun = []
    for answer in answers:
        request, _status, seconds = answer.args
        if request.startswith("POST "):
            begun.append(answer.created - seconds)
    [told] = [answer.created for answer in answers if " 429 " in answer.getMessage()]
    assert [at - told for at in begun if told + 0.5 < at < told + RETRY_AFTER - 0.1] == []
    assert len([at for at in begun if at > told + RETRY_AFTER - 0.1]) >= 2 * (9 - 3) + 9
    states = list(Operation.objects.values_list("state", flat=True))
    assert (states.count("done"), states.count("queued")) == (3 * 9 - 1, 1)
    assert len([seen for seen in truss.requests() if seen["path"].endswith("inbound/")]) == len(begun)
