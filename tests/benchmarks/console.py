"""How fast the console's pages are with very many invoices: the overview, and the list of invoices.

    python tests/benchmarks/console.py [--invoices 1000000] [--requests 50] [--only Overview] [--filled]

Each page is asked for by somebody who may view everything, through Django's own handler: middleware, session,
permissions, statements, template. Only the socket is left out. The database is a scratch one, filled with what
`tests/benchmarks/million.py` describes, and dropped afterwards; TEST_DATABASE says of which kind (sqlite by default).
With `--filled` it is the database of DJANGO_SETTINGS_MODULE as it is: migrated, filled before, and left so.

Prints the median and the 95th percentile of all requests to a page, the SQL statements of one, and the load of the
machine in the minute before. Nothing is asserted.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

PERMISSIONS = (
    "view_paymentintent",
    "link_paymentintent",
    "send_paymentintent",
    "export_paymentintent",
    "view_transaction",
    "view_operation",
    "view_syncrun",
)
WARM_UP = 3


def pages(client: "object") -> Iterator[tuple[str, str]]:
    from django.urls import reverse

    def step(url: str, number: int) -> str:
        """Where a step from that page leads: to the page before it (1), to the next one (2)."""
        return invoices + client.get(url).context["cl"].steps[number][1]  # type: ignore[attr-defined]

    overview = reverse("admin:truss_portal_paymentintent_overview")
    invoices = reverse("admin:truss_portal_paymentintent_changelist")
    yield "Overview", overview
    yield "Overview, this year", f"{overview}?period=year"
    yield "Overview, one company of three", f"{overview}?company=company-2"
    last_year = date.today().year - 1  # noqa: DTZ011 - any year will do
    last, by_due = f"{invoices}?p=last", f"{invoices}?o=5&p=last"
    yield "Invoices", invoices
    yield "Invoices, the next page", step(invoices, 2)
    yield "Invoices, the last page", last
    yield "Invoices, the page before the last", step(last, 1)
    for name, query in {
        "Invoices, everything unpaid": "due=owed",
        "Invoices, overdue": "due=overdue",
        "Invoices, more than 90 days overdue": "due=over-90",
        "Invoices, paid": "status=Paid",
        "Invoices, partially paid": "status=PartiallyPaid",
        "Invoices, not at Truss yet": "status=none",
        "Invoices, any other status": "status=other",
        "Invoices, needs a person": "attention=yes",
        "Invoices, sent": "delivery__exact=sent",
        "Invoices, refused": "delivery__exact=failed",
        "Invoices, made at Truss": "discovered__exact=1",
        "Invoices, one company of three": "company__id__exact=3",
        "Invoices, of one payer": "contact__id__exact=777",
        "Invoices, of payers by name": "payer=payer+777",
        "Invoices, $9,000 to $9,100": "amount_from=9000&amount_to=9100",
        "Invoices, $100 to $500": "amount_from=100&amount_to=500",
        "Invoices, due within a year": f"dated_from={last_year}-01-01&dated_to={last_year}-12-31",
        "Invoices, due in a month": f"due_date__year={last_year}&due_date__month=5",
        "Invoices, paid, $100 to $500, a year": f"status=Paid&amount_from=100&amount_to=500&due_date__year={last_year}",
        "Invoices, search: a number": "q=INV-0777777",
        "Invoices, search: how numbers begin": "q=inv-07777",
        "Invoices, search: a payer's email": "q=accounts-777@payer.example",
        "Invoices, search: nothing begins so": "q=777777",
        "Invoices, search inside": "q=*77777",
        "Invoices, search: nothing is found": "q=zebra",
        "Invoices by number": "o=1",
        "Invoices by payer": "o=3",
        "Invoices by what is left": "o=-4",
        "Invoices by due date": "o=5",
        "Invoices by status": "o=6",
        "Invoices by amount": "o=-7",
        "Invoices by what is paid": "o=-8",
    }.items():
        yield name, f"{invoices}?{query}"
    yield "Invoices by due date, near the end", step(by_due, 1)
    yield "Invoices, all added up", f"{invoices}?totals=1"
    yield "Invoices, all paid added up", f"{invoices}?status=Paid&totals=1"


def main(invoices: int, requests: int, only: str, *, filled: bool) -> None:
    from django.contrib.auth.models import Permission, User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from tests.benchmarks import million
    from truss_portal.models import PaymentIntent

    if not filled:
        million.fill(invoices)
    print(f"{machine()}, {server()}")
    print(f"{PaymentIntent.objects.count():,} invoices; {requests} requests to each page")
    clerk, _made = User.objects.get_or_create(username="clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=PERMISSIONS))
    client = Client()
    client.force_login(clerk)
    print(f"\n{'page':<37} {'median':>8} {'p95':>8} {'statements':>11} {'load':>5}")
    for name, url in pages(client):
        if not name.startswith(only):
            continue
        taken = [milliseconds(client, url) for _request in range(WARM_UP + requests)][WARM_UP:]
        with CaptureQueriesContext(connection) as captured:
            client.get(url)
        p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
        load = os.getloadavg()[0]
        numbers = f"{statistics.median(taken):>5.0f} ms {p95:>5.0f} ms {len(captured):>11} {load:>5.1f}"
        print(f"{name:<37} {numbers}", flush=True)
    print(f"\nThe load is that of all programs on {os.cpu_count()} cores.")


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
    parser.add_argument("--filled", action="store_true", help="the settings' own database, filled before")
    parser.add_argument("--only", default="", help="pages whose names begin so")
    chosen = parser.parse_args()
    import django
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    database = settings.DATABASES["default"]
    if chosen.filled:
        django.setup()
        setup_test_environment()
        main(chosen.invoices, chosen.requests, chosen.only, filled=True)
        sys.exit()
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
        main(chosen.invoices, chosen.requests, chosen.only, filled=False)
    finally:
        runner.teardown_databases(databases)
