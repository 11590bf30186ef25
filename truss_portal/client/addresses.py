"""Where secrets may be sent: checks of addresses, without I/O."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_ODD = re.compile(r"[\x00-\x20\x7f\\]")


def has_odd_characters(url: str) -> bool:
    """Spaces, control characters or backslashes, which programs read differently."""
    return bool(_ODD.search(url))


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an absolute http(s) address. Raises ValueError with what is wrong with it."""
    if has_odd_characters(url):
        raise ValueError("has spaces, control characters or backslashes in it")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("is not an absolute http or https address")
    if "@" in parts.netloc:
        raise ValueError("has a user name in it")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def is_loopback(host: str) -> bool:
    """Whether this host name can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_base(url: str, *, provider: str = "Truss") -> str:
    """A configured address that secrets may be sent to, without a trailing slash. Raises ValueError.

    Plain http is for this machine only. `provider` is whom the message calls its owner.
    """
    try:
        scheme, host, _port = origin(url)
        problem = ""
    except ValueError as error:
        problem = str(error)
    else:
        if scheme != "https" and not is_loopback(host):
            problem = "must begin with https://, or the access token could be read on its way"
        elif urlsplit(url).query or urlsplit(url).fragment:
            problem = "has a query or a fragment"
    if problem:
        # The address itself isn't shown: it may hold a password.
        raise ValueError(f"The address of {provider} {problem}.")
    return url.rstrip("/")


def check_next(following: str, *, current: str, base: str) -> str:
    """The address of the next page, absolute. Raises ValueError unless it lies within `base`.

    A `next` that leads elsewhere would carry the access token there.
    """
    # Before it is joined, because joining drops some of these characters silently.
    if has_odd_characters(following):
        raise ValueError("has spaces, control characters or backslashes in it")
    url = urljoin(current, following)
    if origin(url) != origin(base):
        raise ValueError("leads to another host than the configured one")
    path, prefix = urlsplit(url).path, f"{urlsplit(base).path}/"
    # A server or an HTTP library resolves dot segments, and so could leave the prefix again.
    if not path.startswith(prefix) or {".", ".."} & set(unquote(path).split("/")):
        raise ValueError("leads out of the configured path")
    return url
