"""How fast webhooks are verified, stored and acknowledged, on an SQLite file.

    python tests/benchmarks/webhooks.py [--events 1000] [--rounds 5]

Each request goes through Django's WSGI handler (its middleware, URLs and our view) with a signed body of its own, and
is answered before the next one comes; only the socket is left out. Signing is not part of the time. The connection to
the database is persistent (CONN_MAX_AGE), the secret is the company's own, encrypted, and tasks go to the dummy
backend: waking a worker costs what its backend costs, and no HTTP is made in the request.

Prints the rate for new events and for repeats of processed ones, the best of some rounds, under three ways to run
SQLite, and the ratio to the 139/s of dj-stripe: measured once, on another machine. Nothing is asserted.
"""

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

DJ_STRIPE = 139
PRAGMAS = {
    "journal_mode=WAL, synchronous=NORMAL": "survives a crash of the process; a power cut may take the last few, "
    "which truss_sync makes up for",
    "journal_mode=WAL, synchronous=FULL": "survives a power cut: each event waits for the disk",
    "journal_mode=DELETE, synchronous=FULL": "Django's default; survives a power cut: each waits for the disk twice",
}


def statements(pragmas: str) -> str:
    return "".join(f"PRAGMA {pragma.strip()};" for pragma in pragmas.split(","))


class Rate(NamedTuple):
    """Of many requests, one after the other."""

    per_second: float
    processor: float
    """Seconds of this process for each: what is left when others use the machine as well."""

    def __str__(self) -> str:
        ratio, busy = self.per_second / DJ_STRIPE, 1000 * self.processor
        return f"{self.per_second:>6.0f}/s  {ratio:>5.1f} times {DJ_STRIPE}/s  {busy:>5.2f} ms of processor"


def main(count: int, rounds: int) -> None:
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connection
    from django.test import RequestFactory
    from django.test.utils import CaptureQueriesContext

    from tests import make, webhooks
    from truss_portal import encryption
    from truss_portal.models import WebhookEvent, WebhookSecret

    WebhookSecret.objects.create(company=make.company(), secret=encryption.seal(webhooks.SECRET))
    handler, factory = WSGIHandler(), RequestFactory()

    def posts(bodies: list[bytes]) -> list[dict[str, Any]]:
        return [
            factory.post(
                webhooks.URL,
                body,
                content_type="application/json",
                headers={"X-Webhook-Signature": webhooks.sign(body)},
            ).environ
            for body in bodies
        ]

    def answered(environs: list[dict[str, Any]]) -> Rate:
        statuses: set[str] = set()
        started, busy = time.perf_counter(), time.process_time()
        for environ in environs:
            handler(environ, lambda status, _headers, _error=None: statuses.add(status)).close()
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        if statuses != {"200 OK"}:
            raise SystemExit(f"Not acknowledged: {statuses}")
        return Rate(len(environs) / seconds, busy / len(environs))

    for pragmas, meaning in PRAGMAS.items():
        connection.close()
        connection.settings_dict["OPTIONS"]["init_command"] = statements(pragmas)
        WebhookEvent.objects.all().delete()
        answered(posts([webhooks.body()]))
        new, repeats = [], []
        for _ in range(rounds):
            bodies = [webhooks.body(uuid.uuid4()) for _ in range(count)]
            new.append(answered(posts(bodies)))
            WebhookEvent.objects.update(state="processed")
            repeats.append(answered(posts(bodies)))
        stored = WebhookEvent.objects.count() - 1
        print(f"{pragmas}: {meaning}")
        print(f"  new      {max(new)}")
        print(f"  repeats  {max(repeats)}")
        print(
            f"  stored {stored} of {count * rounds}; bare INSERTs under the same pragmas: {bare_inserts(pragmas):.0f}/s"
        )
    for name, body in (("new", webhooks.body()), ("repeated", bodies[0])):
        [environ] = posts([body])
        with CaptureQueriesContext(connection) as captured:
            handler(environ, lambda *_answer: None)
        print(
            f"statements of a {name} one: {', '.join(query['sql'].split()[0] for query in captured.captured_queries)}"
        )


def bare_inserts(pragmas: str, count: int = 500) -> float:
    """The most that this disk allows: one INSERT after the other, each committed by itself."""
    with tempfile.TemporaryDirectory() as folder:
        bare = sqlite3.connect(Path(folder) / "bare.sqlite3", isolation_level=None)
        bare.executescript(statements(pragmas))
        bare.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, event_id TEXT UNIQUE, payload TEXT)")
        started = time.perf_counter()
        for number in range(count):
            bare.execute("INSERT INTO event (event_id, payload) VALUES (?, ?)", (str(number), "x" * 200))
        seconds = time.perf_counter() - started
        bare.close()
    return count / seconds


def machine() -> str:
    import django

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return (
        f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, Django {django.get_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    import django
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    os.environ["TEST_DATABASE"] = "sqlite"
    settings.DATABASES["default"] |= {"CONN_MAX_AGE": None, "OPTIONS": {"transaction_mode": "IMMEDIATE"}}
    tasks = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    settings.TASKS = {"default": {"BACKEND": f"{tasks}.backends.dummy.DummyBackend"}}
    django.setup()
    setup_test_environment()
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    print(machine())
    try:
        main(chosen.events, chosen.rounds)
    finally:
        runner.teardown_databases(databases)
