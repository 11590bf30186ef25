"""Which companies a command works for."""

from django.core.management.base import CommandError

from truss_portal.connection import companies
from truss_portal.models import Company


def chosen_companies(slug: str | None) -> list[Company]:
    """The company of that slug, or all of this environment. Raises CommandError when there is none."""
    known = companies()
    chosen = [company for company in known if slug in {None, company.slug}]
    if chosen:
        return chosen
    if slug:
        names = ", ".join(company.slug for company in known) or "none"
        raise CommandError(f"There is no company “{slug}” in this environment. Known: {names}.")
    raise CommandError('No company is connected to Truss yet: set TRUSS_PORTAL["ACCESS_TOKEN"] and "API_URL".')
