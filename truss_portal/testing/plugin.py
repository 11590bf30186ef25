"""pytest fixtures over a pretend Truss that runs as a process of its own.

    def test_an_order_is_paid(truss_sandbox, settings, transactional_db):  # sending waits for a commit
        settings.TRUSS_PORTAL = {
            "ENVIRONMENT": "local", "API_URL": truss_sandbox.url, "ACCESS_TOKEN": truss_sandbox.token,
        }
        ...                                            # the site sends an invoice
        [sent] = truss_sandbox.payment_intents()
        truss_sandbox.pay(sent["uid"])                 # its customer pays it
        ...                                            # the site syncs

pytest loads this module for every project that has truss_portal installed: nothing heavy may be imported up here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from truss_portal.testing.sandbox import Sandbox


@pytest.fixture(scope="session")
def truss_sandbox_process() -> Iterator[Sandbox]:
    """The running process, for the whole session. Its state carries over from test to test."""
    from truss_portal.testing.sandbox import Sandbox

    with Sandbox(time_zone=_time_zone()) as sandbox:
        yield sandbox


@pytest.fixture
def truss_sandbox(truss_sandbox_process: Sandbox) -> Sandbox:
    """The pretend Truss, empty at the beginning of each test."""
    from truss_portal.client import pacing

    pacing.forget_rests()  # of a 429 in an earlier test
    truss_sandbox_process.reset()
    return truss_sandbox_process


def _time_zone() -> str:
    """The site's, where there is one: a due date of tomorrow must be tomorrow on both sides."""
    from django.conf import settings

    return str(settings.TIME_ZONE) if settings.configured else "UTC"
