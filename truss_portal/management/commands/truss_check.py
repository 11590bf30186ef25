"""The go-live checklist, by asking Truss: for people, and for whatever watches the site."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

from truss_portal import checklist, timeline
from truss_portal.connection import companies
from truss_portal.management.companies import chosen_companies


class Command(BaseCommand):
    help = "Go through the go-live checklist: configuration, connection, return address, webhooks, and how all goes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--company", metavar="SLUG", help="only this company")
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        timeline.deliver_due()
        found = {"": checklist.site_points()}
        if options["company"] or companies():
            for company in chosen_companies(options["company"]):
                found[company.slug] = checklist.company_points(company)
        else:
            found[""].append(checklist.no_company())
        further = list(_points_of_apps())
        well = all(
            point.verdict == checklist.Verdict.OK
            for points in [*found.values(), *(points for _title, points in further)]
            for point in points
        )
        if options["json"]:
            told = [{"company": slug or None, **asdict(point)} for slug, points in found.items() for point in points]
            told += [{"company": None, **asdict(point)} for _title, points in further for point in points]
            self.stdout.write(json.dumps({"ok": well, "points": told}))
        else:
            for slug, points in found.items():
                self._tell(f"\nCompany {slug}" if slug else "This site", points)
            for title, points in further:
                self._tell(f"\n{title}", points)
        if not well:
            raise SystemExit(1)

    def _tell(self, title: str, points: list[checklist.Point]) -> None:
        self.stdout.write(title)
        for point in points:
            style = self.style.SUCCESS if point.verdict == checklist.Verdict.OK else self.style.WARNING
            self.stdout.write(f"  {style(f'{point.verdict.label:<7}')} {point.title}: {point.text}")
            if point.verdict != checklist.Verdict.OK and point.next_step:
                self.stdout.write(f"          → {point.next_step}")


def _points_of_apps() -> Iterator[tuple[str, list[checklist.Point]]]:
    """What other apps have to say: `truss_points` in an AppConfig names a function that returns points."""
    for config in apps.get_app_configs():
        if name := getattr(config, "truss_points", ""):
            yield str(config.verbose_name), import_string(name)()
