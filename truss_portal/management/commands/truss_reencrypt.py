"""After a change of keys: bring every kept secret under the newest one."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from truss_portal import sealed_columns
from truss_portal.exceptions import EncryptionKeysError


class Command(BaseCommand):
    help = "Encrypt every kept secret again under the newest key, so that older keys can be thrown away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only count; change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        check: bool = options["check"]
        try:
            found = sealed_columns.look() if check else sealed_columns.reencrypt()
        except EncryptionKeysError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(found.as_dict()))
        else:
            moved = "under an older key" if check else "moved from an older key"
            self.stdout.write(
                f"Kept secrets: {found.newest} under the newest key, {found.old} {moved}, "
                f"{len(found.unreadable)} that no key opens."
            )
        for problem in found.unreadable:
            self.stderr.write(problem)
        if found.unreadable or (check and found.old):
            raise SystemExit(1)
