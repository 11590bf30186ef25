"""Send what is queued, settle what is unconfirmed: for cron."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from truss_portal import actions, outbox, sync, timeline
from truss_portal.exceptions import InvalidRequestError, LeaseHeldError, TrussPortalError
from truss_portal.management.companies import chosen_companies
from truss_portal.management.progress import ProgressBars
from truss_portal.models import Company, Operation, PaymentIntent

PROBLEMS_TOLD = 20


class Command(BaseCommand):
    help = "Carry out what was asked of Truss and is still waiting; find out about sends whose answer was lost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--company", metavar="SLUG", help="only this company")
        parser.add_argument("--limit", metavar="N", type=int, help="ask Truss for at most N of them")
        parser.add_argument("--retry-failed", action="store_true", help="also send again what Truss has refused")
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar, also on a terminal")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = chosen_companies(options["company"])
        timeline.deliver_due()
        outbox.recover()
        counts = dict.fromkeys(Operation.State.values, 0)
        problems: list[str] = []
        limit: int | None = options["limit"]
        with ProgressBars(self.stderr, wanted=not (options["no_progress"] or options["json"])) as bars:
            for company in chosen:
                try:
                    self._settle(company, bars)
                    if options["retry_failed"]:
                        self._retry_failed(company)
                    left = None if limit is None else limit - sum(counts.values())
                    for operation in outbox.push(company, limit=left, progress=bars.show):
                        counts[operation.state] += 1
                        if operation.state != Operation.State.DONE and len(problems) < PROBLEMS_TOLD:
                            problems.append(f"{operation}: {operation.error}")
                except TrussPortalError as error:
                    problems.append(f"{company}: {error}")
        self._report(chosen, counts, problems, as_json=options["json"])

    def _settle(self, company: Company, bars: ProgressBars) -> None:
        if not outbox.unconfirmed(company).exists():
            return
        try:
            outbox.settle(sync.sync_all(company, progress=bars.show))
        except LeaseHeldError as error:
            self.stderr.write(str(error))

    def _retry_failed(self, company: Company) -> None:
        for intent in PaymentIntent.objects.filter(company=company, delivery=PaymentIntent.Delivery.FAILED):
            try:
                actions.send(intent, wait=False)
            except (TrussPortalError, InvalidRequestError) as error:
                self.stderr.write(f"{intent}: {error}")

    def _report(self, chosen: list[Company], counts: dict[str, int], problems: list[str], *, as_json: bool) -> None:
        failed = PaymentIntent.objects.filter(company__in=chosen, delivery=PaymentIntent.Delivery.FAILED).count()
        unsettled = sum(outbox.unconfirmed(company).count() for company in chosen)
        if as_json:
            told = {"asked": counts, "failed": failed, "unconfirmed": unsettled, "problems": problems}
            self.stdout.write(json.dumps(told))
        else:
            asked = ", ".join(
                f"{count} {Operation.State(state).label.lower()}" for state, count in counts.items() if count
            )
            self.stdout.write(f"Asked of Truss: {asked or 'nothing was waiting'}. Unconfirmed: {unsettled}.")
        for problem in problems:
            self.stderr.write(problem)
        if problems or unsettled or any(count for state, count in counts.items() if state != Operation.State.DONE):
            raise SystemExit(1)
