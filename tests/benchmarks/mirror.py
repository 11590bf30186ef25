"""How fast the mirror writes, and what the upsert is worth against Django's bulk_update.

    python tests/benchmarks/mirror.py [--intents 10000]

Prints rates and ratios for TEST_DATABASE (sqlite by default). Nothing is asserted.
"""

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(count: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from tests import make
    from truss_portal import mirror
    from truss_portal.models import PaymentIntent

    company = make.company()
    payers = [make.contact_payload(name=f"Payer {number}") for number in range(200)]
    bodies = [make.payload(contact=payers[number % 200]) for number in range(count)]
    pages = [bodies[start : start + 100] for start in range(0, count, 100)]

    def write(minutes: int, **changes: str) -> float:
        read = [[make.listed(body | changes, minutes) for body in page] for page in pages]
        return timed(lambda: [mirror.write(company, page) for page in read])

    runs = {"new": write(0), "unchanged": write(1), "changed": write(2, status="PartiallyPaid", balance_paid="1.00")}
    for name, seconds in runs.items():
        print(f"{name:<10} {count / seconds:>8.0f} intents/s  {1000 * seconds / len(pages):>6.1f} ms per page of 100")
    with CaptureQueriesContext(connection) as captured:
        mirror.write(company, [make.listed(body | {"addenda": "again"}, 3) for body in pages[0]])
    print(f"statements for a page of 100 changed rows: {len(captured)}")

    rows = list(PaymentIntent.objects.all()[:1000])
    columns = ["total", "balance_paid", "addenda", "note", "memo", "status", "fetched_at", "due_date", "paid_at"]
    for row in rows:
        row.addenda = uuid.uuid4().hex
    names = {"unique_fields": ["pk"]} if connection.features.supports_update_conflicts_with_target else {}
    slow = timed(lambda: PaymentIntent.objects.bulk_update(rows, columns, batch_size=100))
    fast = timed(
        lambda: PaymentIntent.objects.bulk_create(
            rows, batch_size=100, update_conflicts=True, update_fields=columns, **names
        )
    )
    print(f"bulk_update / upsert, 1,000 rows of {len(columns)} columns: {slow / fast:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--intents", type=int, default=10_000)
    chosen = parser.parse_args()
    import django
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    django.setup()
    setup_test_environment()
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        main(chosen.intents)
    finally:
        runner.teardown_databases(databases)
