"""Drop what nobody needs any more: for cron."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import models
from django.db.models import Max
from django.utils import timezone

from truss_portal import timeline
from truss_portal.models import PayerReturn, SyncRun, WebhookEvent

# Rows of one DELETE: few enough that nobody waits for its locks.
CHUNK = 500


def days(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"must be a whole number of days from 1 on, not {text!r}")
    return number


class Command(BaseCommand):
    help = (
        "Drop processed webhooks, payers' returns and sync runs that are older than N days. What isn't processed, "
        "and each company's newest sync run of each kind, stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", metavar="N", type=days, required=True, help="what is older than N days")
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        timeline.deliver_due()
        before = timezone.now() - timedelta(days=options["days"])
        dropped = {
            "webhook_events": _drop(_webhook_events(before)),
            "payer_returns": _drop(PayerReturn.objects.filter(at__lt=before)),
            "sync_runs": _drop(_sync_runs(before)),
        }
        if options["json"]:
            self.stdout.write(json.dumps(dropped))
        else:
            self.stdout.write(
                f"Dropped: {dropped['webhook_events']} webhooks, {dropped['payer_returns']} payers' returns, "
                f"{dropped['sync_runs']} sync runs."
            )


def _webhook_events(before: datetime) -> models.QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(state=WebhookEvent.State.PROCESSED, processed_at__lt=before)


def _sync_runs(before: datetime) -> models.QuerySet[SyncRun]:
    newest = SyncRun.objects.order_by().values("company", "kind").annotate(newest=Max("pk")).values("newest")
    return SyncRun.objects.filter(started_at__lt=before).exclude(pk__in=list(newest.values_list("newest", flat=True)))


def _drop(rows: models.QuerySet[Any]) -> int:
    """Delete them chunk by chunk, each committed by itself; how many. Nothing else hangs on any of these rows."""
    dropped = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        dropped += rows.model._default_manager.filter(pk__in=chunk).delete()[0]
    return dropped
