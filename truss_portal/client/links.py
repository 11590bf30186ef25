"""Addresses in Truss's payment portal. Nothing here touches the network.

https://docs.trusspayments.com/guides/partner-payment-portal
"""

from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from truss_portal.client import addresses


def portal_url(portal_url: str, checkout_link_id: str) -> str:
    """The company's portal, where a payer sees all their invoices. Raises ValueError without a checkout link."""
    return _portal(portal_url, checkout_link_id)


def checkout_url(portal_url: str, checkout_link_id: str, uid: UUID, redirect_uri: str | None = None) -> str:
    """The page on which a payer pays this intent.

    Raises ValueError for a `redirect_uri` that isn't one absolute https address (http only on this machine, for the
    sandbox). Leave it out until Truss has it on its allowlist: otherwise the payer can't pay.
    """
    url = f"{_portal(portal_url, checkout_link_id)}/paymentIntent/{UUID(str(uid))}"
    if redirect_uri is None:
        return url
    check_redirect_uri(redirect_uri)
    return f"{url}?{urlencode({'redirect_uri': redirect_uri}, quote_via=quote, safe='')}"


def check_redirect_uri(redirect_uri: str) -> None:
    """Raises ValueError with what is wrong with this return address."""
    try:
        scheme, host, _port = addresses.origin(redirect_uri)
        problem = ""
    except ValueError as error:
        problem = str(error)
    else:
        if scheme != "https" and not addresses.is_loopback(host):
            problem = "must begin with https://"
        elif urlsplit(redirect_uri).fragment:
            problem = "has a fragment (#…), which Truss's query would be lost behind"
    if problem:
        raise ValueError(f"The redirect_uri {redirect_uri!r} {problem}.")


def _portal(base: str, checkout_link_id: str) -> str:
    if not checkout_link_id or checkout_link_id in {".", ".."}:
        raise ValueError(f"{checkout_link_id!r} is no checkout link: the company has no payment portal yet.")
    return f"{base.rstrip('/')}/pay/{quote(checkout_link_id, safe='')}"
