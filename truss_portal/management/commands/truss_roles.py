"""Groups for the people who work with the app: safe to run with every deployment."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from truss_portal import roles
from truss_portal.exceptions import UnknownPermissionError


class Command(BaseCommand):
    help = (
        "Make the groups “Truss viewer”, “Truss clerk” and “Truss manager”, and give each what its role is allowed to. "
        "What somebody has added by hand stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only tell what would be changed; change nothing")
        parser.add_argument("--reset", action="store_true", help="take away what was added by hand")
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        check: bool = options["check"]
        try:
            changes = roles.set_up(reset=options["reset"], check=check)
        except UnknownPermissionError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(
                f"The database can't be used as it is ({error}). Run manage.py migrate first."
            ) from error
        changed = any(change.is_one for change in changes)
        if options["json"]:
            told = {"changed": changed, "check": check, "groups": [change.as_dict() for change in changes]}
            self.stdout.write(json.dumps(told))
        else:
            for change in changes:
                self._tell(change, check=check)
        if check and changed:
            raise SystemExit(1)

    def _tell(self, change: roles.Change, *, check: bool) -> None:
        made = ("would be created" if check else "created") if change.created else "exists"
        added, removed = ("to add", "to remove") if check else ("added", "removed")
        self.stdout.write(
            f"{change.group}: {made}; permissions {added}: {len(change.added)}, {removed}: {len(change.removed)}."
        )
        for sign, names in (("+", change.added), ("-", change.removed), ("=", change.kept)):
            for name in names:
                self.stdout.write(f"  {sign} {name}{' (given by hand, kept)' if sign == '=' else ''}")
