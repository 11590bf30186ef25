"""How a company gets connected: its user agrees at Truss and comes back with a code, which is exchanged for tokens.

    attempt, url = begin(company, redirect_uri)      # send the user there; remember the attempt in the session
    joined = complete(attempt, code, user)           # asks Truss: not inside a transaction

https://docs.trusspayments.com/guides/authentication/oauth-integration-guide
"""

import logging
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from truss_portal import encryption
from truss_portal.client import (
    RefusedError,
    Token,
    TrussClient,
    TrussError,
    authorize_url,
    code_challenge,
    exchange_code,
    resources,
)
from truss_portal.conf import conf
from truss_portal.database import alias, retried
from truss_portal.exceptions import ConnectRefusedError, EncryptionKeysError, NotConnectedError
from truss_portal.models import Company, Connection
from truss_portal.plain_words import told

from .companies import DEFAULT_SLUG, take_over
from .tokens import TokenSource, let_go_on, token_columns

logger = logging.getLogger("truss_portal.connection")

ATTEMPT_SECONDS: Final = 15 * 60
"""How long an attempt may take. How long Truss's code is good isn't published."""
_SLUG_LENGTH: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What must be remembered while the user is at Truss; `as_dict` is for the session."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    """For PKCE; "" without it."""
    redirect_uri: str
    environment: str
    company: int | None
    """The company to connect, by primary key; None lets Truss's answer decide, and makes one where it is new."""
    begun: float
    """Seconds since 1970."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Self:
        return cls(**kept)

    def is_over(self, now: datetime) -> bool:
        return not 0 <= now.timestamp() - self.begun <= ATTEMPT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    company: Company
    is_new: bool
    """Whether the company came into being just now."""
    problem: str = ""
    """Why Truss couldn't say which company this is, if it couldn't."""
    missing_scopes: tuple[str, ...] = ()


def why_not(company: Company | None) -> str | None:
    """Why nobody can be sent to Truss to connect this company (None: a new one), or None."""
    if not (conf.client_id and conf.client_secret):
        return _(
            'Set TRUSS_PORTAL["CLIENT_ID"] and "CLIENT_SECRET" first: Truss gives them on request, and must also know '
            "the address that it sends people back to."
        )
    if not conf.api_url:
        return _(
            'TRUSS_PORTAL["API_URL"] is not set. Truss publishes no API host: ask Truss for that of %(environment)s.'
        ) % {"environment": conf.environment}
    if company is not None and company.environment != conf.environment:
        return _(
            "%(company)s belongs to the environment “%(theirs)s”, and this site now runs in “%(ours)s”: sandbox and "
            "production never mix. Choose “Connect to Truss” in the list of companies: that makes another company."
        ) % {"company": company, "theirs": company.environment, "ours": conf.environment}
    try:
        encryption.seal("")
    except EncryptionKeysError as error:
        return str(error)
    return None


def begin(company: Company | None, redirect_uri: str) -> tuple[Attempt, str]:
    """A new attempt, and the address at Truss to send the user to. Raises ConnectRefusedError, saying what to do."""
    refusal = why_not(company)
    if refusal:
        raise ConnectRefusedError(refusal)
    attempt = Attempt(
        state=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48) if conf.oauth_pkce else "",
        redirect_uri=redirect_uri,
        environment=conf.environment,
        company=company.pk if company else None,
        begun=timezone.now().timestamp(),
    )
    try:
        url = authorize_url(
            conf.portal_url_for(conf.environment),
            conf.oauth_authorize_path,
            client_id=conf.client_id,
            redirect_uri=redirect_uri,
            scopes=conf.oauth_scopes,
            scope_delimiter=conf.oauth_scope_delimiter,
            state=attempt.state,
            code_challenge=code_challenge(attempt.verifier) if attempt.verifier else None,
        )
    except (TypeError, ValueError) as error:
        text = _("Nobody can be sent to Truss with these settings: %(why)s")
        raise ConnectRefusedError(text % {"why": error}) from error
    return attempt, url


def complete(attempt: Attempt, code: str, user: Any) -> Joined:
    """Exchange the code, ask Truss which company it is for, and keep the tokens. Touches the network.

    Raises ConnectRefusedError, saying what to do; then nothing was changed. Raises RuntimeError inside a transaction.
    """
    with transaction.atomic(using=alias(), durable=True):
        pass
    chosen = Company.objects.filter(pk=attempt.company).first() if attempt.company else None
    if attempt.company and chosen is None:
        raise ConnectRefusedError(_("The company was deleted meanwhile. Nothing was connected."))
    refusal = why_not(chosen)
    if attempt.environment != conf.environment:
        refusal = _("This site has moved to another environment meanwhile. Begin again.")
    if refusal:
        raise ConnectRefusedError(refusal)
    asked_at = timezone.now()
    token = _exchange(attempt, code)
    told, problem = _ask_which_company(token)
    columns = {"refresh_token": "", "scope": ""} | token_columns(token, asked_at)
    columns |= {"connected_at": timezone.now(), "connected_by": user, "renewed_at": None}
    return retried(lambda: _attach(chosen, columns, told, problem))


def disconnect(company: Company) -> bool:
    """Forget the company's tokens, and nothing else. False where it had none. Truss publishes no way to revoke them."""
    return bool(Connection.objects.filter(company=company).delete()[0])


def try_again(company: Company) -> None:
    """Renew now, also where Truss has refused before: the cause may have been ours, such as a wrong client secret.

    Touches the network. Raises NotConnectedError when it doesn't work this time either.
    """
    Connection.objects.filter(company=company).update(refused_at=None, refusal="", expires_at=timezone.now())
    source = TokenSource.of(company)
    if source is None:
        raise NotConnectedError(_("%(company)s isn't connected to Truss.") % {"company": company})
    source.prepare()


def granted_scopes(row: Connection) -> tuple[str, ...]:
    """What the company has agreed to, as far as Truss said; where it said nothing, what was asked for.

    An answer may leave the scope out only where it is what was asked for: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
    """
    parts = re.split(rf"[\s,]+|{re.escape(conf.oauth_scope_delimiter)}", row.scope)
    return tuple(filter(None, parts)) or conf.oauth_scopes


def missing_scopes(row: Connection) -> tuple[str, ...]:
    granted = granted_scopes(row)
    return tuple(scope for scope in conf.oauth_scopes if scope not in granted)


def _exchange(attempt: Attempt, code: str) -> Token:
    try:
        return exchange_code(
            conf.auth_url,
            conf.client_id,
            conf.client_secret,
            code,
            attempt.redirect_uri,
            code_verifier=attempt.verifier or None,
            timeout=conf.timeout,
        )
    except RefusedError as error:
        text = _(
            "Truss didn't take the code that it gave (%(why)s). Begin again. If it happens again, check CLIENT_ID and "
            "CLIENT_SECRET, and that Truss has approved exactly the address %(address)s."
        )
        problem = text % {"why": told(error), "address": attempt.redirect_uri}
    except (TrussError, ValueError) as error:
        problem = _("Truss couldn't be asked for the tokens (%(why)s). Begin again in a moment.") % {"why": told(error)}
    # Out here, so that no traceback leads into frames whose variables hold the code and the client secret.
    raise ConnectRefusedError(problem)


def _ask_which_company(token: Token) -> tuple[resources.Company | None, str]:
    """What Truss tells of the company, or why it told nothing: which scope this needs isn't published."""
    with TrussClient(conf.api_url, token.access_token, timeout=conf.timeout) as client:
        try:
            return client.fetch_company(), ""
        except TrussError as error:
            logger.warning("Truss could not be asked which company was just connected: %s", error)
            return None, told(error)


def _attach(chosen: Company | None, columns: dict[str, Any], told: resources.Company | None, problem: str) -> Joined:
    company = _company_for(chosen, told)
    is_new = company is None
    if company is None:
        company = _new_company(told)
    if told is not None:
        take_over(company, told)
    row, _created = Connection.objects.update_or_create(company=company, defaults=columns)
    let_go_on(company)
    return Joined(company=company, is_new=is_new, problem=problem, missing_scopes=missing_scopes(row))


def _company_for(chosen: Company | None, told: resources.Company | None) -> Company | None:
    """The company that the tokens are for, by its checkout link where Truss tells one; None for one that is new here.

    Raises ConnectRefusedError where that is another one than was chosen: its invoices would go to the wrong company.
    """
    link = told.checkout_link_id if told else ""
    names = {"company": chosen, "told": (told.name if told else "") or link}
    if chosen is not None and link and chosen.checkout_link_id not in {"", link}:
        raise ConnectRefusedError(
            _(
                "At Truss somebody agreed for another company, “%(told)s”: nothing was changed. Sign in to Truss as "
                "%(company)s and choose “Reconnect” again; to connect “%(told)s” as a company of its own, choose "
                "“Connect to Truss” in the list of companies. (If %(company)s has a new checkout link at Truss, empty "
                "“checkout link ID” on its page here first.)"
            )
            % names
        )
    known = Company.objects.of_this_environment().filter(checkout_link_id=link).order_by("pk") if link else None
    same = known.first() if known is not None else None
    if chosen is not None and same is not None and same.pk != chosen.pk:
        raise ConnectRefusedError(
            _(
                "At Truss somebody agreed for “%(told)s”, which is the company %(known)s here: nothing was changed. "
                "Reconnect %(known)s on its own page, or sign in to Truss as %(company)s and try again."
            )
            % (names | {"known": same})
        )
    return chosen or same


def _new_company(told: resources.Company | None) -> Company:
    base = slugify(told.name if told else "")[:_SLUG_LENGTH].strip("-") or "company"
    slug, number = base, 1
    # The short name `default` is that of the company with the fixed ACCESS_TOKEN.
    while slug == DEFAULT_SLUG or Company.objects.filter(slug=slug).exists():
        number += 1
        slug = f"{base}-{number}"
    return Company.objects.create(slug=slug, environment=conf.environment)
