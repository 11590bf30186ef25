"""The settings: one dict, `TRUSTIST`, read live, as `truss_portal.conf` does with `TRUSS_PORTAL`.

What both apps need is set there: the encryption keys, and the grace of creates whose answer was lost.
"""

from typing import Any, Final, cast

from django.conf import settings

from truss_portal.conf import LOCAL_URL, Environment
from truss_portal.trustist.client import PRODUCTION_URL, SANDBOX_URL

# https://trustisttransfer.com/docs/partner-api/: "The base URLs for the Partner API environments are".
API_URLS: Final = {
    "local": f"{LOCAL_URL}/trustist",
    "sandbox": SANDBOX_URL,
    "production": PRODUCTION_URL,
}

DEFAULTS: Final[dict[str, Any]] = {
    # "local" (the sandbox app), "sandbox" or "production" (Trustist's own). What is known of one isn't that of another.
    "ENVIRONMENT": "sandbox",
    # By default the published host of the environment; for "local" where `truss_sandbox` serves.
    "API_URL": None,
    # The partner's credentials, from Trustist.
    "CLIENT_ID": None,
    "CLIENT_SECRET": None,
    # Seconds to connect, seconds between two bytes of an answer.
    "TIMEOUT": (5, 30),
    # The unguessable end of the webhook's address: a text, or several while it is being replaced.
    "WEBHOOK_TOKEN": None,
}


class Conf:
    """`TRUSTIST` with its defaults. One property for each key."""

    def _get(self, key: str) -> Any:
        given = cast("dict[str, Any]", getattr(settings, "TRUSTIST", {}))
        return given.get(key, DEFAULTS[key])

    @property
    def environment(self) -> Environment:
        return cast("Environment", self._get("ENVIRONMENT"))

    @property
    def api_url(self) -> str:
        """Without a trailing slash."""
        return str(self._get("API_URL") or API_URLS.get(self.environment, "")).rstrip("/")

    @property
    def client_id(self) -> str:
        return str(self._get("CLIENT_ID") or "")

    @property
    def client_secret(self) -> str:
        return str(self._get("CLIENT_SECRET") or "")

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to connect, seconds between two bytes of an answer."""
        connect, read = self._get("TIMEOUT")
        return connect, read

    @property
    def webhook_tokens(self) -> tuple[str, ...]:
        given = self._get("WEBHOOK_TOKEN") or ()
        return (given,) if isinstance(given, str) else tuple(given)


conf = Conf()
