"""A campaign of faults: are invoices sent exactly once by processes that are killed, to a Truss that lies?

    python tests/benchmarks/campaign.py [--invoices 2000] [--workers 4] [--database postgresql] [--seed 1]
        [--storm 60] [--trouble 1] [--grace 12] [--seconds-limit 900]

It makes a database of its own (a file, or on PostgreSQL a database that is dropped at the end), and a pretend Truss as
a process. Thousands of invoices are asked to be sent, fifty at a time and some of them twice, and in between others are
amended, canceled and emailed again, and payers move. Worker processes do what cron would, `truss_push` and
`truss_sync`, one after the other; in the storm they are killed with SIGKILL at random and replaced, while Truss drops
requests before and after doing them, answers 500 and 503 before and after, 429, garbage, late, and later than anybody
waits. Then Truss is well again, nobody is killed, and the workers go on until nothing is under way. At last both sides
are compared.

Everything runs in real time but two things, which `campaign_crew.pass_time` shortens: nobody waits ten minutes until
the claim of a killed process runs out, nor minutes until what failed is due. The grace period is `--grace` seconds,
three times as long as Truss takes at the most (but for what a loaded machine adds).

Prints what went wrong on the way, the rate, and what is wrong in the end: exit status 1 unless all of that is 0.
"""

import argparse
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))

from truss_portal.testing.sandbox import Sandbox

PLENTY: Final = 10**6
# Seconds between two kills, on average; and between two looks at how far the workers are.
KILL_EVERY: Final = 3.0
TICK: Final = 0.25
# With so many operations under way no more is asked for: what is asked for is tried in the storm, not after it.
BACKLOG: Final = 300
# Wishes between two looks.
TOGETHER: Final = 5


@contextmanager
def scratch_database(vendor: str, folder: Path) -> Iterator[str]:
    """Its name, or its path."""
    if vendor == "sqlite":
        yield str(folder / "site.sqlite3")
        return
    import psycopg
    from psycopg import sql

    name = sql.Identifier(f"truss_campaign_{os.getpid()}")
    user = os.environ.get("TEST_DATABASE_USER", "postgres")
    password = os.environ.get("TEST_DATABASE_PASSWORD", "")
    where = {"host": "127.0.0.1", "user": user, "password": password, "dbname": "postgres", "autocommit": True}
    with psycopg.connect(**where) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
    try:
        yield f"truss_campaign_{os.getpid()}"
    finally:
        with psycopg.connect(**where) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@contextmanager
def said_elsewhere(log: Path) -> Iterator[None]:
    """Processes that are started here say on standard error what nobody needs to read: each 500 that is asked for."""
    ours = os.dup(2)
    with log.open("wb") as elsewhere:
        os.dup2(elsewhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)


def set_up(database: str, vendor: str, truss: Sandbox, grace: float) -> None:
    """This process and, by the environment, its workers: one site."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.campaign_settings"
    os.environ["TEST_DATABASE"] = vendor
    os.environ["TEST_DATABASE_NAME"] = database
    site = {
        "API_URL": truss.url,
        "ACCESS_TOKEN": truss.token,
        "UNCONFIRMED_GRACE": grace,
        "TIMEOUT": [5, slowest(grace) / 2],
    }
    os.environ["TEST_TRUSS"] = json.dumps(site)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def slowest(grace: float) -> float:
    """Seconds that Truss takes at the most: twice as long as anybody waits."""
    return grace / 3


def let_it_lie(truss: Sandbox, grace: float, trouble: float) -> None:
    """About one request in ten goes wrong, `trouble` times as many."""
    for kind, probability, more in (
        ("drop_before", 0.02, {}),
        ("drop_after", 0.02, {}),
        ("error_before", 0.01, {"status": 500}),
        ("error_before", 0.01, {"status": 503}),
        ("error_after", 0.01, {"status": 500}),
        ("error_after", 0.01, {"status": 503}),
        ("rate_limit", 0.002, {"retry_after": 1}),
        ("garbage", 0.01, {"method": "POST"}),
        ("garbage", 0.01, {"method": "PATCH"}),
        ("latency", 0.05, {"seconds": 0.2}),
        ("latency", 0.005, {"seconds": slowest(grace)}),
    ):
        truss.fault(kind, probability=probability * trouble, count=PLENTY, **more)


def faults_of(truss: Sandbox) -> Counter[str]:
    """How often each kind has happened so far."""
    happened: Counter[str] = Counter()
    for fault in truss.faults():
        late = fault["kind"] == "latency" and fault["seconds"] > 1
        happened["too late" if late else fault["kind"]] += PLENTY - fault["count"]
    return happened


def campaign(truss: Sandbox, folder: Path, options: argparse.Namespace) -> int:
    from tests.benchmarks.campaign_crew import Crew, pass_time
    from tests.benchmarks.campaign_wishes import CHANGES, Wishes
    from truss_portal import actions, sync
    from truss_portal.connection import default_company
    from truss_portal.models import Operation

    wishes = Wishes()
    changed = max(8, options.invoices // 10)
    known = wishes.draft(changed, payers=PLENTY)
    actions.ask_for_many(Operation.Kind.CREATE, known, wait=False)
    pushed(until=time.monotonic() + options.seconds_limit)
    asked = wishes.of(wishes.draft(options.invoices, payers=changed), known)

    let_it_lie(truss, options.grace, options.trouble)
    crew = Crew(options.workers, folder)
    started = time.monotonic()
    try:
        storm(crew, asked, options)
        happened = faults_of(truss)
        truss.clear_faults()
        stormy = time.monotonic() - started
        calm(crew, until=started + options.seconds_limit)
    finally:
        crew.stop()
    seconds = time.monotonic() - started
    pass_time(crew.dead)
    sync.sync_all(default_company())
    wrong = wishes.compare(truss)

    changes = len(wishes.totals) * CHANGES + len(wishes.emails) * CHANGES + len(wishes.canceled) + len(wishes.resent)
    tried = sum(Operation.objects.values_list("attempts", flat=True))
    to_a_person = Operation.objects.filter(kind=Operation.Kind.RESEND_EMAIL, state=Operation.State.UNCONFIRMED).count()
    broken_off = crew.broken_off()
    print(f"{options.database}, {options.workers} workers, seed {options.seed}")
    print(f"asked for: {options.invoices} invoices, {changes} changes of {changed} others; tries: {tried}")
    print(f"workers killed: {crew.killed}; commands that broke off on our side: {len(broken_off)}")
    print(f"faults: {', '.join(f'{kind} {count}' for kind, count in happened.items())}")
    rate = (options.invoices + changes) / seconds
    print(f"time: {seconds:.0f} s, of which storm {stormy:.0f} s; rate: {rate:.1f} wishes/s")
    print(f"emails left to a person, as nobody can tell whether they went out: {to_a_person}")
    for what, count in wrong.items():
        print(f"{what}: {count}")
    for line in sorted(set(broken_off)):
        print(line)
    return int(any(wrong.values()) or bool(broken_off))


def pushed(until: float) -> None:
    """Everything that waits, by this process, before the workers come. A busy machine may need more than one push."""
    from django.core.management import call_command

    from tests.benchmarks.campaign_crew import pass_time
    from truss_portal.models import Operation

    while Operation.objects.filter(finished_at=None).exists() and time.monotonic() < until:
        pass_time(())
        with suppress(SystemExit):
            call_command("truss_push", "--no-progress", stdout=io.StringIO(), stderr=io.StringIO())


def storm(crew: Any, asked: list[Any], options: argparse.Namespace) -> None:
    """Wishes, and kills in between, until everything is asked for and most of it has been tried."""
    from tests.benchmarks.campaign_crew import pass_time
    from truss_portal.models import Operation

    started = time.monotonic()
    next_kill = started + random.expovariate(1 / KILL_EVERY)
    left = iter(asked)
    finished = False
    while True:
        if time.monotonic() >= next_kill:
            crew.kill_one()
            next_kill = time.monotonic() + random.expovariate(1 / KILL_EVERY)
        pass_time(crew.dead)
        under_way = Operation.objects.under_way().count()
        if finished and under_way < min(BACKLOG, options.invoices) / 5 and time.monotonic() > started + options.storm:
            return
        if time.monotonic() > started + options.seconds_limit:
            return
        if under_way >= BACKLOG or finished:
            time.sleep(TICK)
            continue
        for _wish in range(TOGETHER):
            ask = next(left, None)
            finished = ask is None
            if ask is not None:
                ask()


def calm(crew: Any, until: float) -> None:
    """Until nothing is under way any more."""
    from tests.benchmarks.campaign_crew import pass_time
    from truss_portal import outbox
    from truss_portal.connection import default_company
    from truss_portal.models import Operation

    company = default_company()
    while Operation.objects.under_way().exists() or outbox.unconfirmed(company).exists():
        if time.monotonic() > until:
            return
        pass_time(crew.dead)
        time.sleep(TICK)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--invoices", type=int, default=2000)
    parser.add_argument("--workers", type=int, help="processes (default: 4, on SQLite 2)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument(
        "--seed", type=int, default=1, help="of this process's own dice; Truss and the workers have theirs"
    )
    parser.add_argument("--storm", type=float, default=60, help="seconds, at least")
    parser.add_argument("--trouble", type=float, default=1, help="1: about one request in ten goes wrong")
    parser.add_argument("--grace", type=float, default=12, help="UNCONFIRMED_GRACE, in seconds")
    parser.add_argument("--seconds-limit", type=float, default=900)
    options = parser.parse_args()
    options.workers = options.workers or (2 if options.database == "sqlite" else 4)
    random.seed(options.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was made is taken away all the same
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="truss-campaign-")))
        database = stack.enter_context(scratch_database(options.database, folder))
        with said_elsewhere(folder / "sandbox.log"):
            truss = stack.enter_context(Sandbox(time_zone="America/New_York"))
        set_up(database, options.database, truss, options.grace)
        stack.callback(close_connections)
        return campaign(truss, folder, options)


def close_connections() -> None:
    from django.db import connections

    connections.close_all()


if __name__ == "__main__":
    sys.exit(main())
