"""The same verbs as Django Tasks: a wake-up, for whatever backend. What is lost waits in rows for `trustist_sync`."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import django

from truss_portal.exceptions import TrussPortalError
from truss_portal.tasks import SOMEBODY_WAITS, in_background, wake
from truss_portal.trustist import outbox, webhooks

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task

logger = logging.getLogger("truss_portal.trustist.tasks")


@task()
def send_invitations(ids: list[int]) -> None:
    """Send these, as far as they still wait."""
    try:
        outbox.perform(ids, seconds=None if in_background() else SOMEBODY_WAITS)
    except Exception:
        logger.exception("Inviting at Trustist failed on our side. What isn't done waits for the next trustist_sync.")
        raise


@task()
def process_partner_webhooks() -> None:
    """Look at Trustist for what we have been told of and nobody has looked at yet."""
    try:
        webhooks.process(hurried=not in_background())
    except TrussPortalError as error:
        logger.warning("Trustist's webhooks wait: %s", error)
    except Exception:
        logger.exception("Processing Trustist's webhooks failed on our side. They wait for trustist_sync.")
        raise


def wake_outbox(ids: Sequence[int]) -> bool:
    """False when they are left to cron."""
    return wake(send_invitations, list(ids))


def wake_webhooks() -> bool:
    return wake(process_partner_webhooks)
