"""Process the webhooks that are left over: for cron."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from truss_portal import timeline, webhooks
from truss_portal.exceptions import TrussPortalError
from truss_portal.management.companies import chosen_companies
from truss_portal.models import Company, WebhookEvent

State = WebhookEvent.State


class Command(BaseCommand):
    help = "Look at Truss for the webhooks that wait: those whose wake-up was lost, and those that failed before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--company", metavar="SLUG", help="only this company")
        parser.add_argument(
            "--retry", action="store_true", help="also those that were given up, and those whose next try is later"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = chosen_companies(options["company"])
        timeline.deliver_due()
        told = webhooks.Processed()
        for company in chosen:
            if options["retry"]:
                unprocessed = WebhookEvent.objects.filter(company=company).exclude(state=State.PROCESSED)
                webhooks.make_due(unprocessed)
            try:
                told += webhooks.process(company)
            except TrussPortalError as error:
                told.problems.append(f"{company}: {error}")
        self._report(chosen, told, as_json=options["json"])

    def _report(self, chosen: list[Company], told: webhooks.Processed, *, as_json: bool) -> None:
        events = WebhookEvent.objects.filter(company__in=chosen)
        waiting = events.filter(state=State.WAITING).count()
        given_up = events.filter(state=State.GIVEN_UP).count()
        if as_json:
            counts = {"processed": told.processed, "failed": told.failed, "waiting": waiting, "given_up": given_up}
            self.stdout.write(json.dumps(counts | {"problems": told.problems}))
        else:
            self.stdout.write(f"Webhooks: {told.processed} processed, {waiting} waiting, {given_up} given up.")
        for problem in told.problems:
            self.stderr.write(problem)
        if given_up:
            self.stderr.write(
                f"{given_up} webhooks were given up: see why in the admin, and run truss_webhooks --retry afterwards."
            )
        if told.problems or given_up:
            raise SystemExit(1)
