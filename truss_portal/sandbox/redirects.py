"""Where a payer or a company's user may be sent back to, and what is added to the address.

https://docs.trusspayments.com/guides/partner-payment-portal
"""

import ipaddress
import uuid
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urlencode, urlsplit, urlunsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNPRINTABLE = {chr(code) for code in range(33)} | {"\x7f", "\\"}


def is_allowed(redirect_uri: str, allowed: list[str]) -> bool:
    """Whether the address is valid and on the list: the same origin and path, a trailing slash apart, any query.

    The guide exempts addresses of the portal's own origin. The real one never shares an origin with a site, so this one
    exempts nothing, even when it is mounted inside the site: what works here then works there.
    """
    place = _place(redirect_uri)
    return place is not None and place in [_place(each) for each in allowed]


def with_result(redirect_uri: str, uid: uuid.UUID | str, result: str) -> str:
    """The address with `payment_intent_uid` and `result` added to the query that it has."""
    return with_query(redirect_uri, {"payment_intent_uid": str(uid), "result": result})


def with_query(address: str, added: Mapping[str, str]) -> str:
    parts = urlsplit(address)
    query = urlencode(added, quote_via=quote, safe="")
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))


def is_on_this_machine(address: str) -> bool:
    """Whether it is a valid address of a program on this machine, with no fragment."""
    return _place(address) is not None and _is_loopback(urlsplit(address).hostname or "") and "#" not in address


def _place(address: str) -> tuple[str, str, int, str] | None:
    """Scheme, host, port and path, or None where the address isn't an absolute HTTPS URL (or HTTP on this machine)."""
    if not isinstance(address, str) or _UNPRINTABLE & set(address):
        return None
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").rstrip(".")
    if not host or "@" in parts.netloc or not _is_safe(parts, host):
        return None
    return parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], parts.path.rstrip("/")


def _is_safe(parts: SplitResult, host: str) -> bool:
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
