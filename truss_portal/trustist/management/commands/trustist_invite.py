"""Invite a merchant from the command line."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from truss_portal.client import InvalidRequestError
from truss_portal.exceptions import TrussPortalError
from truss_portal.plain_words import told
from truss_portal.trustist import actions, outbox
from truss_portal.trustist.models import Invitation


class Command(BaseCommand):
    help = "Invite a client to become a merchant at Trustist. What can't be sent now is left to trustist_sync."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="what the client is called")
        parser.add_argument("email", metavar="EMAIL", help="where Trustist writes to")
        parser.add_argument(
            "--no-cards", action="store_true", help="never offer card payments to this merchant; bank payments stay"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            invitation = actions.invite(
                name=options["name"], email=options["email"], cards=not options["no_cards"], wait=False
            )
        except (InvalidRequestError, TrussPortalError) as error:
            raise CommandError(told(error)) from error
        # Here and not by a task, so that whoever types this sees what came of it.
        outbox.perform([invitation.pk])
        invitation.refresh_from_db()
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "invitation_id": invitation.invitation_id,
                        "email": invitation.email,
                        "delivery": invitation.delivery,
                        "status": invitation.status,
                        "error": invitation.error,
                    }
                )
            )
        else:
            self.stdout.write(f"{invitation.name} ({invitation.email}): {invitation.get_delivery_display()}.")
        if invitation.error:
            self.stderr.write(invitation.error)
        if invitation.delivery != Invitation.Delivery.SENT:
            raise SystemExit(1)
