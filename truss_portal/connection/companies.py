"""Which companies this site speaks for, and what Truss tells of them."""

import logging
from typing import Final

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from truss_portal.client import TrussClient, TrussError, resources
from truss_portal.conf import conf
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Company, Operation

logger = logging.getLogger("truss_portal.connection")

DEFAULT_SLUG: Final = "default"
_WAITING: Final = (Operation.State.QUEUED, Operation.State.SENDING, Operation.State.UNCONFIRMED)


def default_company() -> Company:
    """The company that is meant where none is named: the one with the short name `default`, else the only one.

    With an ACCESS_TOKEN the first is made the first time that it is asked for. Raises NotConnectedError where there is
    no company, or where several are there and none of them is it.
    """
    company = Company.objects.filter(slug=DEFAULT_SLUG).first()
    if company is None and conf.access_token:
        company, _created = Company.objects.get_or_create(slug=DEFAULT_SLUG, defaults={"environment": conf.environment})
    if company is not None and (conf.access_token or company.environment == conf.environment):
        return company
    here = list(Company.objects.of_this_environment()[:2])
    if len(here) == 1:
        return here[0]
    if here:
        raise NotConnectedError(_("Several companies are connected to Truss: name the one that you mean."))
    raise NotConnectedError(
        _(
            "No company is connected to Truss yet: connect one in the admin, under “Companies”, or set "
            'TRUSS_PORTAL["ACCESS_TOKEN"] and "API_URL".'
        )
    )


def companies() -> list[Company]:
    """The companies to work for: the connected ones of this environment, with the default one made where it is due.

    Also one whose connection needs a person, and one that isn't connected though something waits for it: whoever works
    for it is told so. Otherwise nobody wants to hear every five minutes of a company that somebody has disconnected.
    """
    waiting = Operation.objects.filter(company=OuterRef("pk"), state__in=_WAITING)
    wanted = Q(connection__isnull=False) | Q(Exists(waiting))
    if conf.access_token:
        default_company()
        wanted |= Q(slug=DEFAULT_SLUG)
    return list(Company.objects.of_this_environment().filter(wanted))


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
    take_over(company, answer)


def take_over(company: Company, answer: resources.Company) -> None:
    """Write what Truss told of the company. The name is taken over once, and then ours."""
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
