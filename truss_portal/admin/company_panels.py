"""What a company's page tells of its connection and its webhooks. Asks nobody, and shows no secret."""

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal.conf import conf
from truss_portal.connection import DEFAULT_SLUG, joining
from truss_portal.connection.tokens import why_refused
from truss_portal.models import Company, Connection, Operation, WebhookSecret

from .rows import badge, copy_button
from .wording import moment


@dataclass(slots=True)
class Panel:
    title: str
    lines: list[tuple[str, object]]
    """Each a label and a text."""
    scopes: list[tuple[str, bool]] = field(default_factory=list)
    """What this site asks for, and whether it was granted."""


def connection_of(company: Company) -> Connection | None:
    """The connection, without a query where it is loaded already."""
    return getattr(company, "connection", None)


def state_of(company: Company) -> SafeString | str:
    """How the company is connected, in a word or two."""
    row = connection_of(company)
    if row is not None:
        return badge(_("Needs a person")) if row.refused_at else _("Connected")
    return _("Fixed token") if _has_fixed_token(company) else _("Not connected")


def notices(company: Company) -> list[tuple[str, str]]:
    """What stands at the top of the page, because nothing goes on until somebody acts."""
    row = connection_of(company)
    return [(_("Needs a person"), why_refused(row))] if row is not None and row.refused_at else []


def connection_panel(company: Company) -> Panel:
    row = connection_of(company)
    waiting = Operation.objects.filter(company=company, state=Operation.State.QUEUED).count()
    panel = Panel(_("Connection to Truss"), [(_("State"), state_of(company))])
    if row is None:
        panel.lines.append((_("How"), _how_without_tokens(company)))
    else:
        panel.lines += _lines(row)
        granted = joining.granted_scopes(row)
        panel.scopes = [(scope, scope in granted) for scope in conf.oauth_scopes]
        panel.scopes += [(scope, True) for scope in granted if scope not in conf.oauth_scopes]
    if waiting:
        text = ngettext("%(count)d request to Truss", "%(count)d requests to Truss", waiting)
        panel.lines.append((_("Waiting"), text % {"count": waiting}))
    return panel


def webhook_panel(request: HttpRequest, company: Company) -> Panel:
    panel = Panel(_("Webhooks"), [])
    try:
        url = request.build_absolute_uri(reverse("truss_portal:webhook", args=[company.slug]))
    except NoReverseMatch:
        text = _("This site has none: include truss_portal.urls in its addresses.")
        panel.lines.append((_("Address"), text))
    else:
        text = _("Give it to Truss, which tells this site there of payments and changes.")
        button = copy_button(url, what=company, label=_("Copy address"))
        panel.lines.append(
            (
                _("Address"),
                format_html(
                    '<span class="truss-url">{}</span> {}<span class="truss-quiet truss-below">{}</span>',
                    url,
                    button,
                    text,
                ),
            )
        )
    secrets = company.webhook_secrets.select_related("added_by")
    panel.lines += [(_("Secret"), set_on(secret)) for secret in secrets] or [(_("Secret"), _without_secret())]
    if company.webhooks_refused:
        text = _("%(count)d so far, the last on %(when)s: %(why)s") % {
            "count": company.webhooks_refused,
            "when": moment(company.webhooks_refused_at),
            "why": company.webhooks_refused_why,
        }
        panel.lines.append((_("Webhooks refused"), text))
    return panel


def set_on(secret: WebhookSecret) -> str:
    """All that is ever shown of a secret."""
    names = {"when": moment(secret.added_at), "who": secret.added_by or _("somebody")}
    return _("Set on %(when)s by %(who)s") % names


def _has_fixed_token(company: Company) -> bool:
    return bool(conf.access_token) and company.slug == DEFAULT_SLUG and company.environment == conf.environment


def _how_without_tokens(company: Company) -> str:
    if _has_fixed_token(company):
        return _("By the access token in the settings (ACCESS_TOKEN).")
    return joining.why_not(company) or _("Nobody has connected it yet. Choose “Connect to Truss”.")


def _lines(row: Connection) -> list[tuple[str, Any]]:
    who = row.connected_by or _("somebody")
    lines = [(_("Connected"), _("on %(when)s by %(who)s") % {"when": moment(row.connected_at), "who": who})]
    if row.refused_at:
        lines.append((_("Not renewed since"), moment(row.refused_at)))
    elif row.expires_at is None:
        lines.append(
            (_("Access token"), _("Truss didn't say how long it is good. It is renewed when Truss refuses it."))
        )
    elif row.expires_at <= timezone.now():
        text = _("ran out on %(when)s; it is renewed with the next request to Truss")
        lines.append((_("Access token"), text % {"when": moment(row.expires_at)}))
    else:
        text = _("good until %(when)s; it is renewed by itself before that")
        lines.append((_("Access token"), text % {"when": moment(row.expires_at)}))
    if row.renewed_at:
        lines.append((_("Last renewed"), moment(row.renewed_at)))
    return lines


def _without_secret() -> str:
    if conf.webhook_secrets:
        return _("None of its own: those in the settings (WEBHOOK_SECRETS) are used.")
    return _("None is set, so every webhook is refused. Ask Truss for the secret, and set it here.")
