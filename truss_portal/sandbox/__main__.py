"""`python -m truss_portal.sandbox`: the sandbox as a program of its own, with no Django project around it.

It prints one line, `Truss sandbox at http://...`, when it is ready.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m truss_portal.sandbox", description="Serve a pretend Truss.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--database", type=Path, help="SQLite file that keeps the data (default: none is kept)")
    parser.add_argument("--time-zone", default="UTC", help="where a due date's day begins (default: %(default)s)")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")
    options = parser.parse_args(arguments)
    # Asked now: the parent may die while the database is being made.
    parent = os.getppid() if options.with_parent else None
    with tempfile.TemporaryDirectory(prefix="truss-sandbox-", ignore_cleanup_errors=True) as directory:
        _set_up(options.database or Path(directory) / "sandbox.sqlite3", options.time_zone)
        from truss_portal.sandbox.server import print_address, serve

        serve(options.host, options.port, announce=print_address, parent=parent)


def _set_up(database: Path, time_zone: str) -> None:
    from truss_portal.sandbox.standalone import standalone_settings

    settings.configure(**standalone_settings(database, time_zone))
    django.setup()
    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    main()
