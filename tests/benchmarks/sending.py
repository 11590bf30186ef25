"""How fast invoices are sent, against the ideal: N / CONCURRENCY times the time that Truss takes to answer.

    python tests/benchmarks/sending.py [--invoices 1000] [--latency 0.1] [--concurrency 8]

Prints the rate, the ratio to the ideal, and the SQL statements for each invoice, for TEST_DATABASE (sqlite by default);
then compares the two sides. Nothing is asserted.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def main(count: int, latency: float, concurrency: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext, override_settings

    from tests import make
    from truss_portal import actions, outbox
    from truss_portal.connection import default_company
    from truss_portal.models import PaymentIntent
    from truss_portal.testing.sandbox import Sandbox

    with Sandbox() as truss:
        site = {
            "ENVIRONMENT": "local",
            "API_URL": truss.url,
            "ACCESS_TOKEN": truss.token,
            "CONCURRENCY": concurrency,
        }
        with override_settings(TRUSS_PORTAL=site):
            for number in range(count):
                payer = {"name": f"Payer {number % 200}", "email": f"payer{number % 200}@acme.test"}
                actions.send(make.draft(contact=payer, reference=f"INV-{number}"), wait=False)
            truss.fault("latency", method="POST", count=None, seconds=latency)
            with CaptureQueriesContext(connection) as captured:
                started = time.perf_counter()
                done = sum(operation.state == "done" for operation in outbox.push(default_company()))
                seconds = time.perf_counter() - started
            truss.clear_faults()
            marks = [row["memo"] for row in truss.payment_intents()]
            here = PaymentIntent.objects.filter(delivery="sent").count()
    noise = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    statements = sum(not query["sql"].startswith(noise) for query in captured.captured_queries)
    ideal = count / concurrency * latency
    print(f"{connection.vendor}: {done} of {count} sent in {seconds:.1f} s, {count / seconds:.0f} invoices/s")
    print(f"time / ideal of {ideal:.1f} s: {seconds / ideal:.2f}")
    print(f"SQL statements for each invoice: {statements / count:.1f}")
    print(f"sent twice: {len(marks) - len(set(marks))}, never sent: {count - len(set(marks))}, known here: {here}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--invoices", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--concurrency", type=int, default=8)
    chosen = parser.parse_args()
    import django
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    django.setup()
    setup_test_environment()
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        main(chosen.invoices, chosen.latency, chosen.concurrency)
    finally:
        runner.teardown_databases(databases)
