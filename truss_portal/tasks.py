"""The same verbs as Django Tasks, for any backend: in this process, a worker on this machine, or Celery on many.

A task is only a wake-up. What there is to do stands in rows, and nobody reads a task's result: a task that is lost,
doubled or late changes nothing but when, and cron's `truss_push` gets everything done without any.

Django has Tasks since 6.0; on 5.2 they come from the package django-tasks, with the same setting, `TASKS`.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import django
from django.core.signals import setting_changed
from django.db import connections, transaction
from django.dispatch import receiver

from truss_portal import outbox, timeline, webhooks
from truss_portal.exceptions import TrussPortalError
from truss_portal.models import Company

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import Task, task, task_backends
    from django.tasks.backends.immediate import ImmediateBackend
else:
    from django_tasks import task, task_backends
    from django_tasks.backends.immediate import ImmediateBackend
    from django_tasks.base import Task

logger = logging.getLogger("truss_portal.tasks")

# So many operations to a task: several workers share a large batch, and each still asks for many at a time.
SHARE: Final = 100
# Seconds after which the immediate backend begins no further request, nor waits for its turn after a 429: a page, or
# whoever has called an action, is waiting.
SOMEBODY_WAITS: Final = 20.0
# A broker that is down may take seconds to show it, and somebody may be sending a thousand invoices one by one. So the
# backend is then left alone for so many times as long as that took, and for so many seconds at the most.
REST: Final = 10
LONGEST_REST: Final = 60.0
# Which of cron's commands does a task's work where nobody was woken.
LEFT_TO: Final = {"perform": "truss_push", "process_webhooks": "truss_webhooks"}

_resting_until: dict[str, float] = {}
"""By the backend's name, on the monotonic clock. Two threads that disagree cost one try more or less."""


@receiver(setting_changed)
def _forget_rests(*, setting: str, **_given: Any) -> None:
    """Another backend, in a test."""
    if setting == "TASKS":
        _resting_until.clear()


@task()
def perform(operation_ids: list[int]) -> None:
    """Carry out these operations, as far as they still wait."""
    timeline.deliver_due()
    try:
        outbox.perform(operation_ids, seconds=None if in_background() else SOMEBODY_WAITS)
    except Exception:
        # The immediate backend keeps it to itself; the rows are left for the next push either way.
        logger.exception(
            "Carrying out requests to Truss (%d) failed on our side. What isn't done waits for the next truss_push.",
            len(operation_ids),
        )
        raise


@task()
def process_webhooks(company_id: int) -> None:
    """Look at Truss for what this company has been told of and nobody has looked at yet."""
    timeline.deliver_due()
    company = Company.objects.filter(pk=company_id).first()
    if company is None:
        return
    try:
        # Where tasks run in the request, Truss waits for our answer: what takes its time is left to truss_webhooks.
        webhooks.process(company, hurried=not in_background())
    except TrussPortalError as error:
        logger.warning("The webhooks of %s wait: %s", company, error)
    except Exception:
        logger.exception("Processing the webhooks of %s failed on our side. They wait for truss_webhooks.", company)
        raise


def wake(what: "Task[Any, Any]", *arguments: Any) -> bool:
    """Hand it to the task backend. False when the backend can't be reached: then the rows wait for cron.

    Call it after the commit: a worker may begin at once, and must see the rows.
    """
    command = LEFT_TO.get(what.name, "run of cron's commands")
    resting = _resting_until.get(what.backend, 0.0) - time.monotonic()
    if resting > 0:
        logger.warning(
            "The task backend was down just now and isn't tried for another %.0f seconds: %s is left to the next %s.",
            resting, what.name, command,
        )  # fmt: skip
        return False
    started = time.monotonic()
    try:
        with _apart():
            what.enqueue(*arguments)
    except Exception:
        # Whatever a backend raises when its broker, its database or its network is down.
        took = time.monotonic() - started
        _resting_until[what.backend] = time.monotonic() + min(REST * took, LONGEST_REST)
        logger.exception(
            'The task backend (TASKS["%s"]) took no wake-up. Nothing is lost: %s is left to the next %s.',
            what.backend, what.name, command,
        )  # fmt: skip
        return False
    return True


@contextmanager
def _apart() -> Iterator[None]:
    """A failure in here undoes nothing of what surrounds it.

    After the commit on our database another one may still be in a transaction, where a backend that keeps its tasks
    there fails: PostgreSQL then refuses whatever comes next, unless there is a savepoint to go back to. The immediate
    backend is left without: it asks Truss in here.
    """
    with ExitStack() as stack:
        if in_background():
            for connection in connections.all(initialized_only=True):
                if connection.in_atomic_block:
                    stack.enter_context(transaction.atomic(using=connection.alias))
        yield


def wake_outbox(operation_ids: Sequence[int]) -> bool:
    """Wake whoever carries out these operations; False when they are left to cron."""
    shares = [list(operation_ids[start : start + SHARE]) for start in range(0, len(operation_ids), SHARE)]
    # Where one wake-up isn't taken the next wouldn't be either, and somebody may be waiting for this.
    return all(wake(perform, share) for share in shares)


def in_background() -> bool:
    """Whether tasks run elsewhere: with the immediate backend they run here, before `wake` returns."""
    return not isinstance(task_backends[perform.backend], ImmediateBackend)
