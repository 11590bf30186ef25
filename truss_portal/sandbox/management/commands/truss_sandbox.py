import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from truss_portal.sandbox.server import print_address, serve


class Command(BaseCommand):
    help = "Serve the pretend Truss on its own, with this site's settings and database."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8001, help="0 takes a free one (default: %(default)s)")
        parser.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")

    def handle(self, *, host: str, port: int, with_parent: bool, **options: Any) -> None:
        try:
            serve(host, port, announce=print_address, parent=os.getppid() if with_parent else None)
        except OSError as error:
            raise CommandError(f"Can't serve at {host}:{port}: {error.strerror or error}") from error
