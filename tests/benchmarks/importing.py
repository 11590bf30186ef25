"""How fast a file of invoices is previewed, imported, imported again, and exported.

    python tests/benchmarks/importing.py [--lines 10000] [--payers 2000]

Prints seconds, lines per second and statements per line for TEST_DATABASE (sqlite by default). Nothing is asserted.
"""

import argparse
import csv
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

HEADINGS = ["Invoice number", "Payer name", "Payer email", "Phone", "Amount", "Description", "Due date", "Note", "Memo"]


def rows(lines: int, payers: int, *, dearer: bool = False) -> Iterator[list[str]]:
    for number in range(lines):
        payer = number % payers
        yield [
            f"INV-{number:06}",
            f"Payer {payer}",
            f"ap{payer}@payer.example",
            f"555{payer:07}",
            f"{100 + number % 900 + dearer}.50",
            f"Order {number}, as agreed",
            "2035-05-15",
            "Thank you for your business.",
            f"Job {number}",
        ]


def as_csv(lines: int, payers: int, **how: bool) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([HEADINGS, *rows(lines, payers, **how)])
    return out.getvalue().encode()


def as_xlsx(lines: int, payers: int) -> bytes:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(HEADINGS)
    for row in rows(lines, payers):
        sheet.append([float(cell) if place == HEADINGS.index("Amount") else cell for place, cell in enumerate(row)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def main(lines: int, payers: int) -> None:
    from django.contrib.auth.models import User
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.db import connection
    from django.test import Client
    from django.urls import reverse

    from tests import make
    from truss_portal.models import PaymentIntent

    make.company()
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))

    @contextmanager
    def measured(what: str) -> Iterator[None]:
        statements = [0]

        def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            statements[0] += 1
            return execute(sql, params, many, context)

        started = time.perf_counter()
        with connection.execute_wrapper(count):
            yield
        seconds = time.perf_counter() - started
        rates = f"{lines / seconds:>8.0f} lines/s {statements[0] / lines:>8.4f} statements/line"
        print(f"{what:<32} {seconds:>7.2f} s {rates}")

    def page(name: str) -> str:
        return reverse(f"admin:truss_portal_paymentintent_{name}")

    def preview(name: str, data: bytes) -> str:
        with measured(f"preview of {name}"):
            answer = client.post(page("import"), {"file": SimpleUploadedFile(name, data)}, follow=True)
        return str(answer.context["token"])

    def confirm(what: str, token: str) -> None:
        with measured(what):
            answer = client.post(page("import_confirm"), {"file": token}, follow=True)
        assert answer.context["written"] == lines, answer.context["result"].left[:3]

    print(f"{connection.vendor}, {lines} lines, {payers} payers")
    xlsx = as_xlsx(lines, payers)
    token = preview("invoices.xlsx", xlsx)
    token = preview("invoices.csv", as_csv(lines, payers))
    confirm("import of all, new", token)
    assert PaymentIntent.objects.count() == lines
    preview("again.csv, nothing differs", as_csv(lines, payers))
    confirm("import of all, changed", preview("dearer.csv, all changed", as_csv(lines, payers, dearer=True)))
    for kind in ("csv", "xlsx"):
        with measured(f"export as {kind}"):
            size = sum(len(part) for part in client.get(f"{page('export')}{kind}/").streaming_content)
        assert size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--payers", type=int, default=2_000)
    chosen = parser.parse_args()
    import django
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    django.setup()
    setup_test_environment()
    settings.ALLOWED_HOSTS = ["*"]
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        main(chosen.lines, chosen.payers)
    finally:
        runner.teardown_databases(databases)
