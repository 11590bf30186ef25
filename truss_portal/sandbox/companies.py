"""Which company is meant: by its slug, its token or its checkout link."""

import hmac
from dataclasses import dataclass

from django.utils import timezone

from truss_portal.sandbox import conf
from truss_portal.sandbox.models import DEFAULT_SLUG, Company, Token


@dataclass(frozen=True, slots=True)
class Access:
    """What a bearer token opens."""

    company: Company
    scopes: list[str]


def get_company(slug: str = DEFAULT_SLUG) -> Company:
    """The company of that slug, which comes into being when it is first asked for."""
    company, _ = Company.objects.get_or_create(slug=slug)
    return company


def get_access(access_token: str) -> Access | None:
    if hmac.compare_digest(access_token.encode(), str(conf.get("TOKEN")).encode()):
        company = get_company()
        return Access(company, company.scopes)
    tokens = Token.objects.filter(access_token=access_token, expires_at__gt=timezone.now())
    token = tokens.select_related("company").first()
    return Access(token.company, token.company.granted(token.scopes)) if token else None


def get_company_by_checkout_link(checkout_link_id: str) -> Company | None:
    get_company()
    for company in Company.objects.filter(is_partner=False).order_by("pk"):
        if company.checkout_link_id == checkout_link_id:
            return company
    return None
