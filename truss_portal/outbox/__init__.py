"""Do what was asked: claim operations, ask Truss once for each, write the answers.

Three steps, each with a transaction of its own, and the network between them:

    claims.claim    queued → sending, by one compare-and-set: of two who try, one asks
    asking.ask      the network and nothing else, several at a time
    writing.write   the answers: see `writing.write_failure` for what each kind of answer means

A process that dies in between leaves the row `sending`; when its claim has run out, `recover` takes it up again.
"""

from .claims import invoices_locked, recover
from .pushing import perform, push
from .requests import create_request, today, update_request
from .settling import queue_again, settle, unconfirmed

__all__ = [
    "create_request",
    "invoices_locked",
    "perform",
    "push",
    "queue_again",
    "recover",
    "settle",
    "today",
    "unconfirmed",
    "update_request",
]
