"""Keep what is known of invitations and keys true, and send what waits: for cron."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from truss_portal.exceptions import LeaseHeldError, TrussPortalError
from truss_portal.management.progress import ProgressBars
from truss_portal.trustist import outbox, webhooks
from truss_portal.trustist.models import Invitation, SyncRun
from truss_portal.trustist.sync import sync

EXIT_FAILED = 1
EXIT_LEASE_HELD = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, come again


class Command(BaseCommand):
    help = (
        "Bring invitations up to date with Trustist, invite who waits for it, settle what is unconfirmed, process "
        "webhooks that are left over, and ask for merchants' keys."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar, also on a terminal")

    def handle(self, *args: Any, **options: Any) -> None:
        run: SyncRun | None = None
        held, problems = "", []
        told = webhooks.Processed()
        wanted = not (options["no_progress"] or options["json"])
        try:
            told = webhooks.process()
            with ProgressBars(self.stderr, wanted=wanted, unit="invitation") as bars:
                run = sync(progress=bars.show)
        except LeaseHeldError as error:
            held = str(error)
        except TrussPortalError as error:
            problems.append(str(error))
        problems += [*told.problems, *(run.problems if run else [])]
        waiting = Invitation.objects.of_this_environment()
        counts = {
            "webhooks": told.processed,
            "unconfirmed": outbox.unconfirmed().count(),
            "needs_person": waiting.for_a_person().count(),
        }
        if options["json"]:
            shown = {"run": run.as_dict() if run else None, "held": bool(held), **counts, "problems": problems}
            self.stdout.write(json.dumps(shown))
        elif run is not None:
            self.stdout.write(
                f"Trustist: {run.listed} listed, {run.created} new, {run.updated} changed, {run.missing} missing, "
                f"{run.sent} invited, {run.keys} new keys. Unconfirmed: {counts['unconfirmed']}."
            )
        for line in [*filter(None, [held]), *problems]:
            self.stderr.write(line)
        if problems or told.given_up:
            raise SystemExit(EXIT_FAILED)
        if held:
            raise SystemExit(EXIT_LEASE_HELD)
