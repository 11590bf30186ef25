"""A client that speaks for a company. Making one touches the network only where its token must be renewed first."""

from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from truss_portal.client import LONGEST_REST, TrussClient
from truss_portal.conf import conf, is_token
from truss_portal.database import alias
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Company

from .companies import DEFAULT_SLUG
from .tokens import TokenSource

GET_ATTEMPTS: Final = 4
# While a payer looks at a page that is loading: seconds to connect, seconds between two bytes of an answer.
HURRIED_TIMEOUT: Final = (3.0, 5.0)


def connect(company: Company, *, hurried: bool = False) -> TrussClient:
    """A client that speaks for the company, by its connection if it has one, else by the fixed ACCESS_TOKEN.

    Raises NotConnectedError when it can't, saying what to do: NeedsReconnectError when Truss doesn't renew the access
    any more, NotRenewedError when it has run out and couldn't be renewed just now.

    A `hurried` one asks once, waits a few seconds at the most and never for a rest after a 429: for a page that
    somebody is waiting for. (Where the access token has run out, it is renewed first, and that takes the usual time.)
    Raises RuntimeError inside a database transaction: nobody may wait for the network while holding locks, and a
    rollback would forget what Truss has done.
    """
    with transaction.atomic(using=alias(), durable=True):
        pass
    refusal = _why_not_usable(company)
    if refusal:
        raise NotConnectedError(refusal)
    source = TokenSource.of(company, hurried=hurried)
    if source is not None:
        source.prepare()
    elif not (conf.access_token and company.slug == DEFAULT_SLUG):
        raise NotConnectedError(_why_no_token(company))
    elif not is_token(conf.access_token):
        raise NotConnectedError(
            _(
                'TRUSS_PORTAL["ACCESS_TOKEN"] has a character that can\'t be sent, such as a space, or a line break at '
                "its end: set it exactly as Truss gave it."
            )
        )
    connecting, reading = conf.timeout
    if hurried:
        connecting, reading = min(connecting, HURRIED_TIMEOUT[0]), min(reading, HURRIED_TIMEOUT[1])
    return TrussClient(
        conf.api_url,
        source or conf.access_token or "",
        on_unauthorized=source.refused if source else None,
        timeout=(connecting, reading),
        page_size=conf.page_size,
        cancel_path=conf.cancel_path or "",
        get_attempts=1 if hurried else GET_ATTEMPTS,
        patience=0 if hurried else LONGEST_REST,
    )


def _why_not_usable(company: Company) -> str | None:
    if company.environment != conf.environment:
        return _(
            "%(company)s belongs to the environment “%(theirs)s”, and this site now runs in “%(ours)s”: sandbox and "
            'production never mix. Set TRUSS_PORTAL["ENVIRONMENT"] back, or connect the company again in “%(ours)s”: '
            "that makes another company."
        ) % {"company": company, "theirs": company.environment, "ours": conf.environment}
    if not conf.api_url:
        return _(
            'TRUSS_PORTAL["API_URL"] is not set. Truss publishes no API host: ask Truss for that of %(environment)s.'
        ) % {"environment": conf.environment}
    return None


def _why_no_token(company: Company) -> str:
    if conf.client_id:
        return _(
            "%(company)s isn't connected to Truss: open its page in the admin, under “Companies”, and choose “Connect "
            "to Truss”."
        ) % {"company": company}
    if company.slug == DEFAULT_SLUG:
        return _('%(company)s has no access token: set TRUSS_PORTAL["ACCESS_TOKEN"].') % {"company": company}
    return _(
        "%(company)s isn't connected to Truss. Ask Truss for a client ID and a client secret, set "
        'TRUSS_PORTAL["CLIENT_ID"] and "CLIENT_SECRET", and choose “Connect to Truss” on its page in the admin. '
        "(The fixed ACCESS_TOKEN is that of the company with the short name “%(slug)s”.)"
    ) % {"company": company, "slug": DEFAULT_SLUG}
