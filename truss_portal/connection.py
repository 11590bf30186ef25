"""A company's settings and tokens → a ready client."""

import logging
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from truss_portal.client import TrussClient, TrussError
from truss_portal.conf import conf
from truss_portal.database import alias
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Company

logger = logging.getLogger("truss_portal.connection")

DEFAULT_SLUG: Final = "default"
GET_ATTEMPTS: Final = 4
# While a payer looks at a page that is loading: seconds to connect, seconds between two bytes of an answer.
HURRIED_TIMEOUT: Final = (3.0, 5.0)


def default_company() -> Company:
    """The one company of a site with a fixed ACCESS_TOKEN; made the first time that it is asked for.

    Raises NotConnectedError where no ACCESS_TOKEN is set and no such company exists.
    """
    company = Company.objects.filter(slug=DEFAULT_SLUG).first()
    if company is None:
        if not conf.access_token:
            raise NotConnectedError(
                _('No company is connected to Truss yet: set TRUSS_PORTAL["ACCESS_TOKEN"] and "API_URL".')
            )
        company, _created = Company.objects.get_or_create(slug=DEFAULT_SLUG, defaults={"environment": conf.environment})
    return company


def companies() -> list[Company]:
    """The companies to work for: those of this environment, with the default one made where it is due."""
    if conf.access_token:
        default_company()
    return list(Company.objects.of_this_environment())


def connect(company: Company, *, hurried: bool = False) -> TrussClient:
    """A client that speaks for the company. Raises NotConnectedError when it can't, saying what to do.

    A `hurried` one waits a few seconds at the most and asks once: for a page that somebody is waiting for.
    Raises RuntimeError inside a database transaction: nobody may wait for the network while holding locks, and a
    rollback would forget what Truss has done.
    """
    with transaction.atomic(using=alias(), durable=True):
        pass
    refusal = _why_not_connected(company)
    if refusal:
        raise NotConnectedError(refusal)
    connecting, reading = conf.timeout
    if hurried:
        connecting, reading = min(connecting, HURRIED_TIMEOUT[0]), min(reading, HURRIED_TIMEOUT[1])
    return TrussClient(
        conf.api_url,
        conf.access_token or "",
        timeout=(connecting, reading),
        page_size=conf.page_size,
        cancel_path=conf.cancel_path or "",
        get_attempts=1 if hurried else GET_ATTEMPTS,
    )


def _why_not_connected(company: Company) -> str | None:
    if company.environment != conf.environment:
        return _(
            "%(company)s belongs to the environment “%(theirs)s”, and this site now runs in “%(ours)s”: sandbox and "
            'production never mix. Set TRUSS_PORTAL["ENVIRONMENT"] back, or use a fresh database.'
        ) % {"company": company, "theirs": company.environment, "ours": conf.environment}
    if not conf.api_url:
        return _(
            'TRUSS_PORTAL["API_URL"] is not set. Truss publishes no API host: ask Truss for that of %(environment)s.'
        ) % {"environment": conf.environment}
    if not (conf.access_token and company.slug == DEFAULT_SLUG):
        return _('%(company)s has no access token: set TRUSS_PORTAL["ACCESS_TOKEN"].') % {"company": company}
    return None


def learn_company(company: Company, client: TrussClient, *, again: bool = False) -> None:
    """Ask Truss for the company's checkout link where it isn't known yet; `again` asks in any case.

    Which scope this needs isn't published, and staff can enter the link by hand: so a refusal is logged and stops
    nobody, and an answer without a link leaves the known one alone.
    https://docs.trusspayments.com/guides/partner-payment-portal
    """
    if company.checkout_link_id and not again:
        return
    try:
        answer = client.fetch_company()
    except TrussError as error:
        logger.warning("The checkout link of %s could not be asked for: %s", company, error)
        return
    told = {
        "checkout_link_id": answer.checkout_link_id or company.checkout_link_id,
        # Not published, and so neither is its length.
        "name": company.name or answer.name[: Company._meta.get_field("name").max_length],
        "extra": dict(answer.extra),
    }
    differing = [name for name, value in told.items() if getattr(company, name) != value]
    for name in differing:
        setattr(company, name, told[name])
    if differing:
        company.save(update_fields=differing)
