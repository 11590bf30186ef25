"""Tell the whole story against the sandbox, then serve the site."""

from __future__ import annotations

import logging
import os
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from django.utils.crypto import salted_hmac
from tqdm import tqdm

from example_project.demo import seed, story
from example_project.demo.narrator import Narrator
from example_project.demo.payer import UnexpectedPageError
from example_project.demo.server import SiteServer
from example_project.demo.stage import Stage
from truss_portal.connection import default_company
from truss_portal.exceptions import TrussError, TrussPortalError
from truss_portal.testing.sandbox import Sandbox, SandboxError

USER = "demo"
INTERRUPTED = 130


class Command(BaseCommand):
    help = "Seed, send, pay, return, sync: the whole story against the sandbox, told step by step; then serve the site."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="end when the story is told")
        parser.add_argument("--port", type=int, default=8000, help="where to serve; a free one if it is taken")
        parser.add_argument("--orders", metavar="N", type=int, help="take only the first N orders of the file")

    def handle(self, *args: Any, no_serve: bool, port: int, orders: int | None, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo serves plain http on this machine: run it with DEBUG on.")
        # What this process asks of itself must not go through a proxy.
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
        for alias in settings.DATABASES:
            call_command("migrate", database=alias, interactive=False, verbosity=0)
        password = _demo_user()
        try:
            with SiteServer(port) as server:
                _point_to(server.url)
                if server.why_not_wanted:
                    self.stdout.write(
                        f"Port {port} can't be had ({server.why_not_wanted}): using {server.url} instead."
                    )
                proved = self._tell(server.url, orders)
                if not no_serve:
                    _let_truss_tell(server.url)
                    self._serve(server.url, password)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        if not proved:
            raise SystemExit(1)

    def _tell(self, site: str, orders: int | None) -> bool:
        """Whether all that was claimed was proved."""
        began = time.monotonic()
        samples = list(seed.read_orders())
        narrator = Narrator(self.stdout, self.style)
        stage = Stage(
            site=site,
            sandbox=Sandbox.at(f"{site}/sandbox"),
            narrator=narrator,
            samples=samples,
            wanted=len(samples) if orders is None else max(orders, 0),
            progress=self._progress,
        )
        self.stdout.write(
            f"The site and a pretend Truss are at {site}. No money moves, and nothing leaves this machine."
        )
        try:
            with _quiet():
                story.tell(stage)
        except (SandboxError, UnexpectedPageError, TrussError, TrussPortalError, requests.RequestException) as error:
            narrator.proof(f"The story could be told to its end: {error}", False, type(error).__name__)
        narrator.summary()
        self.stdout.write(f"Told in {time.monotonic() - began:.0f} seconds.")
        return not narrator.failed

    def _progress(self, things: Iterable[Any], title: str) -> Iterable[Any]:
        """A bar on a terminal, silence otherwise."""
        return tqdm(things, desc=f"   {title}", leave=False, file=self.stderr, disable=not self.stderr.isatty())

    def _serve(self, site: str, password: str) -> None:
        self.stdout.write("")
        self.stdout.write(self.style.MIGRATE_HEADING(f"Serving {site}/ until Ctrl-C"))
        self.stdout.write(f"   admin     {site}/admin/   user: {USER}   password: {password}")
        self.stdout.write(f"   mailbox   {site}/sandbox/mailbox/   the codes to sign in as a payer")
        self.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            self.stdout.write("\nGood bye.")


def _demo_user() -> str:
    """The superuser's password: the same each time, and unknown to whoever doesn't know this site's SECRET_KEY."""
    password = salted_hmac("example_project.demo", USER, algorithm="sha256").hexdigest()[:12]
    user, _new = get_user_model().objects.get_or_create(
        username=USER, defaults={"is_staff": True, "is_superuser": True, "email": "demo@harborstreet.example"}
    )
    if not user.check_password(password):
        user.set_password(password)
        user.save()
    return password


def _point_to(site: str) -> None:
    """Truss is at the site itself, at whichever port it has got; both apps read these settings live."""
    return_url = f"{site}/truss/return/"
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {
        "API_URL": f"{site}/sandbox",
        "RETURN_URL": return_url,
        "RETURN_URL_ALLOWLISTED": True,
    }
    if "API_URL" in settings.TRUSTIST:
        settings.TRUSTIST = settings.TRUSTIST | {"API_URL": f"{site}/sandbox/trustist"}
    settings.TRUSS_SANDBOX = settings.TRUSS_SANDBOX | {"ALLOWED_REDIRECTS": [return_url]}


def _let_truss_tell(site: str) -> None:
    """While the site is served its admin knows of each payment at once, by a webhook."""
    secret = Sandbox.webhook_secret
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [secret]}
    url = site + reverse("truss_portal:webhook", args=[default_company().slug])
    Sandbox.at(f"{site}/sandbox").webhooks(to=url, secret=secret)


@contextmanager
def _quiet() -> Iterator[None]:
    """The story lets things go wrong on purpose: the warnings in the log would only repeat it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
