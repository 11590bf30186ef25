"""Which companies a command works for."""

from django.core.management.base import CommandError

from truss_portal.connection import companies
from truss_portal.models import Company


def chosen_companies(slug: str | None) -> list[Company]:
    """The company of that slug, or all of this environment that are worked for: see `companies`.

    Raises CommandError when there is none.
    """
    wanted = companies()
    if slug is None and wanted:
        return wanted
    if slug:
        known = list(Company.objects.of_this_environment())
        if chosen := [company for company in known if company.slug == slug]:
            return chosen
        names = ", ".join(company.slug for company in known) or "none"
        raise CommandError(f"There is no company “{slug}” in this environment. Known: {names}.")
    raise CommandError(
        "No company is connected to Truss yet: connect one in the admin, under “Companies”, or set "
        'TRUSS_PORTAL["ACCESS_TOKEN"] and "API_URL".'
    )
