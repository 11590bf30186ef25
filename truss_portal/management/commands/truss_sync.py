"""Keep the mirror true: for cron."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from truss_portal import outbox, sync, timeline
from truss_portal.exceptions import LeaseHeldError, TrussError, TrussPortalError
from truss_portal.management.companies import chosen_companies
from truss_portal.management.progress import ProgressBars
from truss_portal.models import Company, PaymentIntent, SyncRun

EXIT_FAILED = 1
EXIT_LEASE_HELD = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, come again


class Command(BaseCommand):
    help = "Bring what is known here up to date with Truss: everything, one invoice, or what can still change."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--company", metavar="SLUG", help="only this company")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--intent", metavar="UID", type=UUID, help="only this invoice, by its UID at Truss")
        which.add_argument(
            "--open", action="store_true", help="only what can still change, one by one, without a listing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar, also on a terminal")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = chosen_companies(options["company"])
        timeline.deliver_due()
        outbox.recover()
        if options["intent"]:
            self._one(chosen, options["intent"], as_json=options["json"])
            return
        run_company = sync.sync_open if options["open"] else sync.sync_all
        runs: list[SyncRun] = []
        held: list[str] = []
        failed: list[str] = []
        for company in chosen:
            with ProgressBars(self.stderr, wanted=not (options["no_progress"] or options["json"])) as bars:
                try:
                    run = run_company(company, progress=bars.show)
                except LeaseHeldError as error:
                    held.append(str(error))
                    continue
                except TrussPortalError as error:
                    failed.append(str(error))
                    continue
            outbox.settle(run)
            runs.append(run)
        self._report(runs, held, failed, as_json=options["json"])

    def _one(self, chosen: Iterable[Company], uid: UUID, *, as_json: bool) -> None:
        intent = PaymentIntent.objects.filter(company__in=chosen, uid=uid).select_related("company").first()
        if intent is None:
            raise CommandError(
                f"No invoice with the UID {uid} is known here. A full truss_sync finds what is new at Truss."
            )
        try:
            sync.refresh(intent)
        except (TrussError, TrussPortalError) as error:
            raise CommandError(f"Invoice {intent}: {error}") from error
        state = "missing" if intent.missing_since else intent.status
        if as_json:
            told = {"uid": str(uid), "status": intent.status, "balance_paid": str(intent.balance_paid)}
            self.stdout.write(json.dumps(told | {"missing": intent.missing_since is not None}))
        else:
            self.stdout.write(f"{intent}: {state}, {intent.balance_paid} of {intent.total} paid")

    def _report(self, runs: list[SyncRun], held: list[str], failed: list[str], *, as_json: bool) -> None:
        if as_json:
            told = {"runs": [run.as_dict() for run in runs], "held": held, "failed": failed}
            self.stdout.write(json.dumps(told))
        else:
            for run in runs:
                self.stdout.write(
                    f"{run.company}: {run.listed} listed, {run.created} new, {run.updated} changed, "
                    f"{run.unchanged} unchanged, {run.detailed} looked at one by one, {run.missing} missing"
                )
                for problem in run.problems:
                    self.stderr.write(f"{run.company}: {problem}")
        for line in [*held, *failed]:
            self.stderr.write(line)
        if failed or any(run.state != SyncRun.State.DONE for run in runs):
            raise SystemExit(EXIT_FAILED)
        if held:
            raise SystemExit(EXIT_LEASE_HELD)
