"""One wish of each kind that Truss can be asked for, recorded and not yet carried out; and what came of it there.

Needs the `truss` fixture, a database with real transactions, and TASKS set to NOBODY_WAKES.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import django
from django.core.management import call_command
from django.utils import timezone

from tests import make
from truss_portal import actions, outbox
from truss_portal.client import pacing
from truss_portal.models import Contact, Operation, PaymentIntent, TimelineEntry
from truss_portal.testing.sandbox import Sandbox

State = Operation.State

# Django has Tasks since 6.0; on 5.2 they come from a package of their own.
_TASKS = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
NOBODY_WAKES: Final = {"default": {"BACKEND": f"{_TASKS}.backends.dummy.DummyBackend"}}
"""For TASKS: a wish is a row and nothing else, until a test carries it out."""


@dataclass(frozen=True)
class Wish:
    """A kind of wish, with the request that carries it and how to see at Truss how often it was done."""

    ask: Callable[[PaymentIntent], Operation | None]
    method: str
    path: str
    """A part of the address that no other request of these tests has."""
    done_at: Callable[[Sandbox], int]

    def record(self, **given: Any) -> tuple[PaymentIntent, Operation]:
        """An invoice, at Truss unless this is the wish to send it, and the wish for it, which waits."""
        intent = make.draft(**given)
        if self is not WISHES["create"]:
            sent = actions.send(intent)
            outbox.perform([sent.pk])
            intent.refresh_from_db()
            assert intent.delivery == intent.Delivery.SENT
        operation = self.ask(intent)
        assert operation is not None
        assert operation.state == State.QUEUED
        return intent, operation

    def times_asked(self, truss: Sandbox) -> int:
        """How many of these requests Truss has ended with, one way or another, since the sandbox was emptied."""
        return sum((seen["method"], self.path in seen["path"]) == (self.method, True) for seen in truss.requests())


def _payer_moves(intent: PaymentIntent) -> Operation | None:
    return actions.update_contact(Contact.objects.get(pk=intent.contact_id), email="moved@acme.test")


def _there(truss: Sandbox) -> dict[str, Any]:
    [there] = truss.payment_intents()
    return there


WISHES: Final[dict[str, Wish]] = {
    "create": Wish(actions.send, "POST", "inbound/", lambda truss: len(truss.payment_intents())),
    "amend": Wish(
        lambda intent: actions.amend(intent, total="130.00"),
        "PATCH",
        "inbound/",
        lambda truss: int(_there(truss)["total"] == "130.00"),
    ),
    "resend_email": Wish(actions.resend_email, "PATCH", "inbound/", lambda truss: len(truss.mailbox())),
    "cancel": Wish(actions.cancel, "POST", "/cancel/", lambda truss: int(_there(truss)["status"] == "Canceled")),
    "update_contact": Wish(
        _payer_moves, "PATCH", "contacts/", lambda truss: int(_there(truss)["contact"]["email"] == "moved@acme.test")
    ),
}


def time_passes(by: timedelta = timedelta(days=2)) -> None:
    """What waiting does: claims run out, lost answers are lost for good, what was put off or owed is due."""
    past = timezone.now() - by
    Operation.objects.filter(state=State.SENDING).update(claimed_until=past)
    Operation.objects.filter(state=State.UNCONFIRMED).update(unconfirmed_at=past)
    Operation.objects.filter(state=State.QUEUED).exclude(next_attempt_at=None).update(next_attempt_at=past)
    TimelineEntry.objects.filter(signal_due=True).update(signal_after=past)
    pacing.forget_rests()


def cron(times: int = 2) -> None:
    """Cron's commands, so many times, with long pauses in between."""
    for _time in range(times):
        time_passes()
        for command in ("truss_sync", "truss_push"):
            with suppress(SystemExit):
                call_command(command, stdout=io.StringIO(), stderr=io.StringIO())
