"""How fast the console's pages are with very many invoices: the overview, and the list of invoices.

    python tests/benchmarks/console.py [--invoices 1000000] [--requests 50] [--only Overview]

Each page is asked for by somebody who may view everything, through Django's own handler: middleware, session,
permissions, statements, template. Only the socket is left out. The database is a scratch one, filled with what
`tests/benchmarks/million.py` describes, and dropped afterwards; TEST_DATABASE says of which kind (sqlite by default).

Prints the median and the 95th percentile of all requests to a page, and the SQL statements of one. Nothing is asserted.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

PERMISSIONS = ("view_paymentintent", "link_paymentintent", "view_transaction", "view_operation", "view_syncrun")
WARM_UP = 3


def pages() -> Iterator[tuple[str, str]]:
    from django.urls import reverse

    overview = reverse("admin:truss_portal_paymentintent_overview")
    invoices = reverse("admin:truss_portal_paymentintent_changelist")
    yield "Overview", overview
    yield "Overview, this year", f"{overview}?period=year"
    yield "Overview, one company of three", f"{overview}?company=company-2"
    yield "Invoices", invoices
    yield "Invoices, everything unpaid", f"{invoices}?due=owed"
    yield "Invoices, overdue", f"{invoices}?due=overdue"
    yield "Invoices, more than 90 days overdue", f"{invoices}?due=over-90"


def main(invoices: int, requests: int, only: str) -> None:
    from django.contrib.auth.models import Permission, User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from tests.benchmarks import million

    started = time.perf_counter()
    million.fill(invoices)
    print(f"{machine()}, {server()}")
    print(f"{invoices:,} invoices, filled in {time.perf_counter() - started:.0f} s; {requests} requests to each page")
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=PERMISSIONS))
    client = Client()
    client.force_login(clerk)
    print(f"\n{'page':<36} {'median':>9} {'p95':>9} {'statements':>11}")
    for name, url in pages():
        if not name.startswith(only):
            continue
        taken = [milliseconds(client, url) for _request in range(WARM_UP + requests)][WARM_UP:]
        with CaptureQueriesContext(connection) as captured:
            client.get(url)
        p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
        print(f"{name:<36} {statistics.median(taken):>6.0f} ms {p95:>6.0f} ms {len(captured):>11}", flush=True)
    print(f"\nLoad of the machine meanwhile: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def milliseconds(client: "object", url: str) -> float:
    started = time.perf_counter()
    response = client.get(url)  # type: ignore[attr-defined]
    if response.status_code != 200:
        raise SystemExit(f"{url}: {response.status_code}")
    return 1000 * (time.perf_counter() - started)


def server() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SELECT version()")
        return f"{connection.display_name} {' '.join(str(cursor.fetchone()[0]).split()[:2])}"


def machine() -> str:
    import django

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    return f"{cpu}, Python {platform.python_version()}, Django {django.get_version()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--invoices", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--only", default="", help="pages whose names begin so")
    chosen = parser.parse_args()
    import django
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    database = settings.DATABASES["default"]
    if "sqlite" in database["ENGINE"]:
        # As the example site runs it.
        init = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        database["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": init}
    else:
        # Not the one that the tests use: they may be running.
        database["NAME"] = "truss_portal_console"
    django.setup()
    setup_test_environment()
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        main(chosen.invoices, chosen.requests, chosen.only)
    finally:
        runner.teardown_databases(databases)
