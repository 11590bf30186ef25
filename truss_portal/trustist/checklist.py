"""The points about Trustist for truss_check and for people: configuration, reachability, what waits. Asks Trustist."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal.checklist import Point, Verdict
from truss_portal.exceptions import NotConnectedError
from truss_portal.plain_words import told
from truss_portal.trustist import outbox
from truss_portal.trustist.checks import check_settings
from truss_portal.trustist.client import TrustistError
from truss_portal.trustist.conf import conf
from truss_portal.trustist.connection import connect
from truss_portal.trustist.models import Invitation, SyncRun, WebhookEvent

SYNC_EVERY: Final = timedelta(hours=2)


def points(*, hurried: bool = False) -> list[Point]:
    """Never raises for what Trustist answers."""
    return [*_settings(), _reached(hurried=hurried), _webhooks(), _synced(), *_waiting()]


def _settings() -> Iterator[Point]:
    title = _("Trustist settings")
    found = check_settings()
    if not found:
        yield Point("trustist_settings", title, Verdict.OK, _("TRUSTIST has nothing in it that can't work."))
    for message in found:
        verdict = Verdict.BROKEN if message.is_serious() else Verdict.TO_DO
        yield Point("trustist_settings", title, verdict, str(message.msg), str(message.hint or ""))


def _reached(*, hurried: bool) -> Point:
    key, title = "trustist_reached", _("Trustist answers")
    try:
        with connect(hurried=hurried) as client:
            count = len(client.list_invitations())
    except (TrustistError, NotConnectedError, ValueError) as error:
        step = _("Mend what stands there, or ask Trustist.")
        return Point(key, title, Verdict.BROKEN, told(error), step)
    text = ngettext(
        "Trustist let us in and listed %(count)d invitation.", "Trustist let us in and listed %(count)d invitations.",
        count,
    )  # fmt: skip
    return Point(key, title, Verdict.OK, text % {"count": count})


def _webhooks() -> Point:
    key, title = "trustist_webhooks", _("Trustist's webhooks")
    if not conf.webhook_tokens:
        text = _("Without webhooks a change is seen by the next trustist_sync only.")
        step = _('Set TRUSTIST["WEBHOOK_TOKEN"], and enter the address in Trustist\'s partner dashboard.')
        return Point(key, title, Verdict.TO_DO, text, step)
    try:
        reverse("truss_trustist:webhook", args=["token"])
    except NoReverseMatch:
        text = _("The addresses of truss_portal.trustist.urls aren't included in this site's.")
        step = _('Add path("trustist/", include("truss_portal.trustist.urls")) to the site\'s urls.')
        return Point(key, title, Verdict.BROKEN, text, step)
    given_up = WebhookEvent.objects.filter(environment=conf.environment, state=WebhookEvent.State.GIVEN_UP).count()
    if given_up:
        text = ngettext("%(count)d webhook was given up.", "%(count)d webhooks were given up.", given_up)
        step = _("See why in the admin. The next complete sync looks at everything anyway.")
        return Point(key, title, Verdict.TO_DO, text % {"count": given_up}, step)
    return Point(key, title, Verdict.OK, _("The address is set, and nothing was given up."))


def _synced() -> Point:
    key, title = "trustist_sync", _("Trustist sync")
    done = SyncRun.objects.filter(environment=conf.environment, state=SyncRun.State.DONE).first()
    if done is None or done.started_at < timezone.now() - SYNC_EVERY:
        text = _("No sync with Trustist has succeeded within the last two hours.")
        return Point(key, title, Verdict.TO_DO, text, _("Let cron run trustist_sync every quarter of an hour."))
    return Point(key, title, Verdict.OK, _("The last one succeeded."))


def _waiting() -> Iterator[Point]:
    title = _("Invitations")
    here = Invitation.objects.of_this_environment()
    unconfirmed, person = outbox.unconfirmed().count(), here.for_a_person().count()
    if person:
        text = ngettext("%(count)d invitation needs a person.", "%(count)d invitations need a person.", person)
        step = _("Look at them in the admin, under “Invitations”.")
        yield Point("trustist_person", title, Verdict.TO_DO, text % {"count": person}, step)
    if unconfirmed:
        text = ngettext("%(count)d is not confirmed.", "%(count)d are not confirmed.", unconfirmed)
        step = _("The next complete sync after the grace period settles it.")
        yield Point("trustist_unconfirmed", title, Verdict.TO_DO, text % {"count": unconfirmed}, step)
    if not person and not unconfirmed:
        yield Point("trustist_person", title, Verdict.OK, _("None needs a person."))
