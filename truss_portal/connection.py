"""A company's settings and tokens → a ready client."""

from django.db import transaction
from django.utils.translation import gettext as _

from truss_portal.client import TrussClient
from truss_portal.conf import conf
from truss_portal.database import alias
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Company

DEFAULT_SLUG = "default"


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


def connect(company: Company) -> TrussClient:
    """A client that speaks for the company. Raises NotConnectedError when it can't, saying what to do.

    Raises RuntimeError inside a database transaction: nobody may wait for the network while holding locks, and a
    rollback would forget what Truss has done.
    """
    with transaction.atomic(using=alias(), durable=True):
        pass
    if company.environment != conf.environment:
        raise NotConnectedError(
            _(
                "%(company)s belongs to the environment “%(theirs)s”, and this site now runs in “%(ours)s”: "
                "sandbox and production never mix. Set TRUSS_PORTAL[“ENVIRONMENT”] back, or use a fresh database."
            )
            % {"company": company, "theirs": company.environment, "ours": conf.environment}
        )
    if not conf.api_url:
        raise NotConnectedError(
            _('TRUSS_PORTAL["API_URL"] is not set. Truss publishes no API host: ask Truss for that of %(environment)s.')
            % {"environment": conf.environment}
        )
    if not (conf.access_token and company.slug == DEFAULT_SLUG):
        raise NotConnectedError(
            _('%(company)s has no access token: set TRUSS_PORTAL["ACCESS_TOKEN"].') % {"company": company}
        )
    return TrussClient(
        conf.api_url,
        conf.access_token,
        timeout=conf.timeout,
        page_size=conf.page_size,
        cancel_path=conf.cancel_path or "",
    )


def fetch_checkout_link(company: Company, client: TrussClient) -> None:
    """Ask Truss for the company's checkout link, and its name, where we don't have the link yet."""
    if company.checkout_link_id:
        return
    answer = client.fetch_company()
    company.checkout_link_id = answer.checkout_link_id
    company.name = company.name or answer.name
    company.extra = dict(answer.extra)
    company.save(update_fields=["checkout_link_id", "name", "extra"])
