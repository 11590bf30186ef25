"""A task backend that is down."""

import time
from typing import TYPE_CHECKING, Any, NoReturn

import django

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks.backends.base import BaseTaskBackend
else:
    from django_tasks.backends.base import BaseTaskBackend


class OutOfOrder(BaseTaskBackend):
    """Takes nothing, and lets one wait for that: OPTIONS["seconds"]."""

    tries = 0

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> NoReturn:
        OutOfOrder.tries += 1
        time.sleep(self.options.get("seconds", 0))
        raise ConnectionError("The broker is down.")


def out_of_order(seconds: float = 0) -> dict[str, Any]:
    """For TASKS."""
    return {"default": {"BACKEND": "tests.tasks.backends.OutOfOrder", "OPTIONS": {"seconds": seconds}}}
