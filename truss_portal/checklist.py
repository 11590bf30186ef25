"""The go-live checklist: what must hold before real payers come, and while they do. Asks Truss.

After the partner portal guide's own list, https://docs.trusspayments.com/guides/partner-payment-portal, and what else
keeps the mirror true. Nothing is changed, here or at Truss.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from django.contrib.auth.models import Group
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import outbox, plain_words, roles, sealed_columns
from truss_portal.checks import check_settings
from truss_portal.client import NotAllowedError, NotFoundError, TrussClient, TrussError
from truss_portal.conf import PORTAL_URLS, conf
from truss_portal.connection import connect
from truss_portal.connection.joining import missing_scopes
from truss_portal.exceptions import EncryptionKeysError, NotConnectedError
from truss_portal.models import Company, Connection, Operation, PaymentIntent, SyncRun, TimelineEntry, WebhookEvent

# A run of cron that didn't come, rather than one that took long.
PUSH_EVERY: Final = timedelta(minutes=15)
SYNC_EVERY: Final = timedelta(days=1)
# A clock that is off by more is worth a look, long before webhooks are refused for it.
CLOCK_MAY_DIFFER: Final = timedelta(seconds=30)
REFUSED_LATELY: Final = timedelta(days=7)


class Verdict(StrEnum):
    OK = "ok"
    TO_DO = "to do"
    BROKEN = "broken"

    @property
    def label(self) -> str:
        return str(_VERDICTS[self])


_VERDICTS: Final = {
    Verdict.OK: gettext_lazy("ok"),
    Verdict.TO_DO: gettext_lazy("to do"),
    Verdict.BROKEN: gettext_lazy("broken"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the list. `next_step` says what to do where it isn't ok."""

    key: str
    title: str
    verdict: Verdict
    text: str
    next_step: str = ""


def site_points() -> list[Point]:
    """What concerns the whole site. Asks nobody."""
    return [*_settings(), _portal_url(), *_return_url(), _secrets(), _signals(), _roles()]


def company_points(company: Company, *, hurried: bool = False) -> list[Point]:
    """What concerns one company. Touches the network; never raises for what Truss answers.

    `hurried`: with short time-outs, for a page that somebody is waiting for.
    """
    try:
        with connect(company, hurried=hurried) as client:
            asked = [
                Point("connection", _("Connection"), Verdict.OK, _("This site can speak for %s.") % company),
                *_asked(company, client),
            ]
    except NotConnectedError as error:
        text = str(error)
        asked = [Point("connection", _("Connection"), Verdict.BROKEN, text, _("See “Connect a company” in the docs."))]
    return [*asked, _webhook_secret(company), _webhooks(company), _sync(company), _queue(company), _people(company)]


def no_company() -> Point:
    """What stands in the list where nobody is connected yet."""
    step = _('Connect one in the admin (Companies > Connect to Truss), or set TRUSS_PORTAL["ACCESS_TOKEN"].')
    return Point("company", _("Company"), Verdict.TO_DO, _("No company is connected to Truss yet."), step)


# --- the site


def _settings() -> Iterator[Point]:
    title = _("Settings")
    found = check_settings()
    if not found:
        text = _("Everything in TRUSS_PORTAL can work. This site speaks to Truss's “%s”.") % conf.environment
        yield Point("settings", title, Verdict.OK, text)
    for message in found:
        verdict = Verdict.BROKEN if message.is_serious() else Verdict.TO_DO
        yield Point("settings", title, verdict, f"{message.msg} ({message.id})", str(message.hint or ""))


def _portal_url() -> Point:
    title, ours = _("Payment portal's address"), conf.portal_url_for(conf.environment)
    published = PORTAL_URLS.get(conf.environment)
    if published and ours != published:
        text = _("Checkout links begin with %(ours)s; Truss publishes %(published)s for “%(environment)s”.")
        names = {"ours": ours, "published": published, "environment": conf.environment}
        step = _('Remove TRUSS_PORTAL["PORTAL_URL"], unless Truss has given you this address.')
        return Point("portal-url", title, Verdict.TO_DO, text % names, step)
    return Point("portal-url", title, Verdict.OK, _("Checkout links begin with %s.") % ours)


def _return_url() -> Iterator[Point]:
    title, url = _("Return address"), conf.return_url
    try:
        view = reverse("truss_portal:return")
    except NoReverseMatch:
        step = _('Add path("truss/", include("truss_portal.urls")) to the site\'s addresses.')
        yield Point("return-url", title, Verdict.BROKEN, _("This site has no return page."), step)
        return
    if not url:
        step = _('Set TRUSS_PORTAL["RETURN_URL"] to the absolute https address of %s.') % view
        yield Point("return-url", title, Verdict.TO_DO, _("It isn't set: payers stay at Truss after paying."), step)
        return
    if urlsplit(url).path != view:
        text = _("%(url)s isn't the address of the return page, which has the path %(view)s.")
        step = _('Set TRUSS_PORTAL["RETURN_URL"] to it, exactly: Truss compares the path.')
        yield Point("return-url", title, Verdict.BROKEN, text % {"url": url, "view": view}, step)
    else:
        yield Point("return-url", title, Verdict.OK, _("Payers come back to %s.") % url)
    title = _("Truss's allowlist")
    if conf.return_url_allowlisted:
        yield Point("allowlist", title, Verdict.OK, _("Links carry the return address: Truss has allowlisted it."))
    else:
        step = _(
            "Ask Truss to put exactly %(url)s on its allowlist for “%(environment)s”. When it has confirmed, set "
            'TRUSS_PORTAL["RETURN_URL_ALLOWLISTED"] = True and pay one invoice to see it work.'
        ) % {"url": url, "environment": conf.environment}
        text = _("Links carry no return address yet: one that isn't on the list keeps payers from paying.")
        yield Point("allowlist", title, Verdict.TO_DO, text, step)


def _secrets() -> Point:
    title = _("Kept secrets")
    try:
        found = sealed_columns.look()
    except EncryptionKeysError as error:
        return Point("secrets", title, Verdict.BROKEN, str(error), _("See “Secrets” in the docs on how to make a key."))
    if found.unreadable:
        return Point("secrets", title, Verdict.BROKEN, " ".join(found.unreadable))
    if found.old:
        text = _("%(count)d of them are still under an older key.") % {"count": found.old}
        return Point("secrets", title, Verdict.TO_DO, text, _("Run manage.py truss_reencrypt."))
    return Point("secrets", title, Verdict.OK, _("All are encrypted under the newest key."))


def _signals() -> Point:
    title = _("Receivers of signals")
    late = timezone.now() - timedelta(hours=1)
    owed = TimelineEntry.objects.filter(signal_due=True, at__lt=late).count()
    if owed:
        text = _("%(count)d things that happened could not be told to this site's own code for an hour or more.")
        step = _("Look in the log for “A receiver of”: it names the receiver and what it raised.")
        return Point("signals", title, Verdict.TO_DO, text % {"count": owed}, step)
    return Point("signals", title, Verdict.OK, _("They have been told everything."))


def _roles() -> Point:
    title = _("Roles")
    if outdated := roles.outdated():
        text = _("What has been added to their roles is missing from: %s.") % ", ".join(outdated)
        return Point("roles", title, Verdict.TO_DO, text, _("Run manage.py truss_roles."))
    if not Group.objects.filter(name__in=roles.ROLES.values()).exists():
        text = _(
            "manage.py truss_roles makes groups for viewers, clerks and managers, where not only superusers work here."
        )
        return Point("roles", title, Verdict.OK, text)
    return Point("roles", title, Verdict.OK, _("The groups may all that their roles are allowed to."))


# --- a company, by asking Truss


def _asked(company: Company, client: TrussClient) -> Iterator[Point]:
    title = _("Truss's API")
    try:
        offset = client.fetch_clock_offset()
    except TrussError as error:
        yield Point(
            "api", title, Verdict.BROKEN, plain_words.told(error), _("Is API_URL right, and can this machine reach it?")
        )
        return
    yield Point("api", title, Verdict.OK, _("It answers at %s.") % conf.api_url)
    yield _clock(offset)
    yield _checkout_link(company, client)
    yield _scopes(company, client)


def _clock(offset: timedelta | None) -> Point:
    title = _("Clock")
    if offset is None:
        return Point("clock", title, Verdict.OK, _("Truss's answers tell no time to compare with."))
    seconds = round(abs(offset).total_seconds())
    text = _("This machine's clock and Truss's differ by %(seconds)d s.") % {"seconds": seconds}
    step = _(
        "Let this machine set its clock by the network (NTP): webhooks are refused when the clocks differ too much."
    )
    if seconds > conf.webhook_tolerance:
        return Point("clock", title, Verdict.BROKEN, text, step)
    if abs(offset) > CLOCK_MAY_DIFFER:
        return Point("clock", title, Verdict.TO_DO, text, step)
    return Point("clock", title, Verdict.OK, text)


def _checkout_link(company: Company, client: TrussClient) -> Point:
    title = _("Checkout link ID")
    try:
        told = client.fetch_company().checkout_link_id
    except TrussError as error:
        known = company.checkout_link_id
        if known:
            text = _("Truss doesn't tell it (%(error)s); links use %(known)s, which is known here.")
            return Point("checkout-link", title, Verdict.OK, text % {"error": plain_words.told(error), "known": known})
        step = _("Enter it on the company's page: it is the part after /pay/ in the address of the payment portal.")
        return Point("checkout-link", title, Verdict.TO_DO, plain_words.told(error), step)
    if told and told == company.checkout_link_id:
        return Point("checkout-link", title, Verdict.OK, _("Links use %s, as Truss says.") % told)
    if told:
        text = _("Truss says %(told)s, and links here use “%(known)s”.")
        names = {"told": told, "known": company.checkout_link_id}
        return Point("checkout-link", title, Verdict.TO_DO, text % names, _("Run manage.py truss_sync."))
    if company.checkout_link_id:
        text = _("Truss names none; links use %s, which was entered here.") % company.checkout_link_id
        return Point("checkout-link", title, Verdict.OK, text)
    step = _("Set up the payment portal in Truss: Settings > Payment Portal. Then run manage.py truss_sync.")
    return Point("checkout-link", title, Verdict.BROKEN, _("No payment portal is set up: nobody can pay."), step)


def _scopes(company: Company, client: TrussClient) -> Point:
    """What was granted, where Truss has said it; else what reading shows. Writing shows only by writing."""
    title = _("Scopes")
    step = _("Connect the company again and let its user grant everything; a fixed token needs them from Truss.")
    connection = Connection.objects.filter(company=company).first()
    if connection is not None and connection.scope:
        missing = missing_scopes(connection)
        if missing:
            text = _("Not granted: %s.") % ", ".join(missing)
            return Point("scopes", title, Verdict.BROKEN, text, step)
        return Point("scopes", title, Verdict.OK, _("All that this site asks for are granted."))
    refused = []
    known = PaymentIntent.objects.filter(company=company, missing_since=None).at_truss().order_by("-pk").first()
    try:
        next(client.list_payment_intents())
    except NotAllowedError:
        refused.append("payment_intent.inbound:read")
    except TrussError as error:
        return Point("scopes", title, Verdict.BROKEN, plain_words.told(error))
    try:
        if known is not None and known.uid:
            client.fetch_payment_intent(known.uid)
    except NotAllowedError:
        refused.append("transactions:read")
    except NotFoundError:
        pass
    except TrussError as error:
        return Point("scopes", title, Verdict.BROKEN, plain_words.told(error))
    if refused:
        return Point("scopes", title, Verdict.BROKEN, _("Not granted: %s.") % ", ".join(refused), step)
    return Point("scopes", title, Verdict.OK, _("Reading is allowed. Whether writing is shows with the first send."))


# --- a company, by what is known here


def _webhook_secret(company: Company) -> Point:
    title = _("Webhook secret")
    if company.webhook_secrets.exists():
        return Point("webhook-secret", title, Verdict.OK, _("Set on the company's page."))
    if conf.webhook_secrets:
        return Point("webhook-secret", title, Verdict.OK, _('Set in TRUSS_PORTAL["WEBHOOK_SECRETS"].'))
    text = _("None is set, so webhooks are refused: payments show with the next sync only.")
    step = _(
        "Give Truss the webhook address that stands on the company's page, ask for the signing secret, and enter it "
        "there."
    )
    return Point("webhook-secret", title, Verdict.TO_DO, text, step)


def _webhooks(company: Company) -> Point:
    title, now = _("Webhooks"), timezone.now()
    events = WebhookEvent.objects.filter(company=company)
    given_up = events.filter(state=WebhookEvent.State.GIVEN_UP).count()
    if given_up:
        text = _("%(count)d could not be processed.") % {"count": given_up}
        return Point("webhooks", title, Verdict.BROKEN, text, _("Run manage.py truss_webhooks --retry, and see why."))
    waiting = events.filter(state=WebhookEvent.State.WAITING, received_at__lt=now - PUSH_EVERY).count()
    if waiting:
        text = _("%(count)d wait to be processed.") % {"count": waiting}
        return Point("webhooks", title, Verdict.TO_DO, text, _("Put manage.py truss_webhooks into cron."))
    refused_at = company.webhooks_refused_at
    if refused_at and refused_at > now - REFUSED_LATELY:
        text = _("%(count)d were refused so far, the last on %(day)s: %(why)s")
        names = {"count": company.webhooks_refused, "day": _moment(refused_at), "why": company.webhooks_refused_why}
        step = _("If Truss sent them, the secret, its encoding (WEBHOOK_SECRET_ENCODING) or the clock is wrong.")
        return Point("webhooks", title, Verdict.TO_DO, text % names, step)
    last = events.order_by("-received_at").values_list("received_at", flat=True).first()
    text = _("The last came on %s.") % _moment(last) if last else _("None has come yet.")
    return Point("webhooks", title, Verdict.OK, text)


def _sync(company: Company) -> Point:
    title = _("Sync")
    last = SyncRun.objects.filter(company=company, kind=SyncRun.Kind.ALL).order_by("-pk").first()
    if company.listed_at is None:
        problem = " ".join(last.problems) if last is not None else _("None has run.")
        text = _("No sync has been completed yet. %s") % problem
        return Point("sync", title, Verdict.TO_DO, text, _("Run manage.py truss_sync, and put it into cron."))
    if company.listed_at < timezone.now() - SYNC_EVERY:
        problem = " ".join(last.problems) if last is not None else ""
        text = _("The last complete one began on %(when)s. %(problem)s")
        names = {"when": _moment(company.listed_at), "problem": problem}
        return Point("sync", title, Verdict.BROKEN, text % names, _("Is truss_sync in cron? Run it, and see why."))
    return Point("sync", title, Verdict.OK, _("The last complete one began on %s.") % _moment(company.listed_at))


def _queue(company: Company) -> Point:
    title, late = _("Requests to Truss"), timezone.now() - PUSH_EVERY
    waiting = Operation.objects.filter(company=company, state=Operation.State.QUEUED)
    late_ones = Q(next_attempt_at__lt=late) | Q(next_attempt_at=None, requested_at__lt=late)
    overdue = waiting.filter(late_ones).count()
    lost = outbox.unconfirmed(company).filter(unconfirmed_at__lt=late).count()
    if overdue or lost:
        text = _("%(waiting)d wait for longer than they should, and %(lost)d aren't confirmed.")
        step = _("Is truss_push in cron, every minute or two? Run it, and see why.")
        return Point("queue", title, Verdict.BROKEN, text % {"waiting": overdue, "lost": lost}, step)
    text = _("%(count)d wait for their turn.") % {"count": waiting.count()}
    return Point("queue", title, Verdict.OK, text)


def _people(company: Company) -> Point:
    title = _("Needs a person")
    count = Operation.objects.filter(company=company, needs_person=True).count()
    count += PaymentIntent.objects.filter(company=company).exclude(attention="").count()
    if count:
        text = _("%(count)d requests or invoices don't get on by themselves.") % {"count": count}
        step = _("Filter the invoices and the requests to Truss in the admin by “Needs a person”.")
        return Point("people", title, Verdict.TO_DO, text, step)
    return Point("people", title, Verdict.OK, _("Nothing does."))


def _moment(when: datetime) -> str:
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M}"
