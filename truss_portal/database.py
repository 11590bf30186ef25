"""Write transactions that mean the same on SQLite, PostgreSQL and MariaDB."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import IntegrityError, OperationalError, connections, router, transaction

from truss_portal.models import Company

T = TypeVar("T")
View = TypeVar("View", bound=Callable[..., Any])
ATTEMPTS = 5


def alias() -> str:
    """The database that holds the app's tables."""
    return router.db_for_write(Company)


def outside_transactions(view: View) -> View:
    """A view that asks Truss, which may take as long as its timeouts: never inside the request's transaction.

    ATOMIC_REQUESTS is a setting of each database, and which one holds the app's tables is the site's business.
    """
    for using in connections:
        view = transaction.non_atomic_requests(using=using)(view)
    return view


def new_claim_token() -> str:
    """What a process marks the rows with that it holds: nobody else has it, and it begins with the process's number."""
    return f"{os.getpid()}-{secrets.token_hex(10)}"


@contextmanager
def write_transaction() -> Iterator[None]:
    """An atomic block that may read before it writes.

    SQLite gives a transaction its write lock at the first write, and a transaction that has read before fails at once
    when somebody else wrote in between. A write that touches no row takes the lock first, and waits for it.
    """
    using = alias()
    with transaction.atomic(using=using):
        if connections[using].vendor == "sqlite":
            Company.objects.using(using).filter(pk=-1).update(name="")
        yield


def retried(work: Callable[[], T]) -> T:
    """Do `work` in a write transaction; again when another process got in the way (a row inserted by both, a deadlock).

    Inside an outer transaction there is no second try: what was rolled back there isn't ours to repeat.
    """
    for attempt in range(1, ATTEMPTS + 1):
        nested = connections[alias()].in_atomic_block
        try:
            with write_transaction():
                return work()
        except (IntegrityError, OperationalError):
            if nested or attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")
