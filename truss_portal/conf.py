"""The settings: one dict, `TRUSS_PORTAL`, read live, each key documented where it is declared.

    from truss_portal.conf import conf
    conf.api_url

Nothing here is read at import time, so `override_settings` and a settings reload work. `truss_portal.checks` reports
unknown keys and values that can't work; this module only gives defaults.
"""

from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from django.conf import settings

Environment = Literal["local", "sandbox", "production"]
ENVIRONMENTS: Final[tuple[Environment, ...]] = ("local", "sandbox", "production")

# https://docs.trusspayments.com/guides/partner-payment-portal: "Use one of these base URLs".
PORTAL_URLS: Final = {
    "production": "https://app.trusspayments.com",
    "sandbox": "https://app.staging.trusspayments.com",
}
# Where `truss_sandbox` serves when it isn't told otherwise.
LOCAL_URL: Final = "http://127.0.0.1:8001"

DEFAULTS: Final[dict[str, Any]] = {
    # "local" (the sandbox app), "sandbox" or "production" (Truss's own).
    "ENVIRONMENT": "sandbox",
    # Truss publishes the API host of neither environment: ask Truss. For "local" it is where `truss_sandbox` serves.
    "API_URL": None,
    # The host of /v1/oauth2/token, where it differs from API_URL.
    "AUTH_URL": None,
    # The payer's portal; by default the published host of the environment.
    "PORTAL_URL": None,
    # A fixed bearer token, for the one company without OAuth.
    "ACCESS_TOKEN": None,
    # OAuth; issued by Truss on request. The path and the full list of scopes aren't published.
    "CLIENT_ID": None,
    "CLIENT_SECRET": None,
    "OAUTH_SCOPES": (
        "payment_intent.inbound:read",
        "payment_intent.inbound:write",
        "transactions:read",
        "contacts:write",
    ),
    "OAUTH_AUTHORIZE_PATH": "/oauth2/authorize",
    # Between two scopes, and whether a code challenge (PKCE) is sent: neither is published.
    "OAUTH_SCOPE_DELIMITER": " ",
    "OAUTH_PKCE": False,
    # Used when a company has no webhook secret of its own; several while rotating.
    "WEBHOOK_SECRETS": (),
    # "text" or "hex": which bytes of the secret key the HMAC isn't published.
    "WEBHOOK_SECRET_ENCODING": "text",
    # Seconds between a webhook's `t` and now.
    "WEBHOOK_TOLERANCE": 300,
    # The absolute https URL of this site's return view, exactly as Truss has it on its allowlist.
    "RETURN_URL": None,
    # Until Truss has confirmed the allowlisting no redirect_uri is sent: it would block the checkout.
    "RETURN_URL_ALLOWLISTED": False,
    # Truss says that intents can be canceled through the API and publishes no path; None switches canceling off.
    "CANCEL_PATH": "/v1/payment-intents/inbound/{uid}/cancel/",
    # Seconds to connect, seconds between two bytes of an answer.
    "TIMEOUT": (5, 30),
    # Intents per page of a listing.
    "PAGE_SIZE": 100,
    # Requests under way at once, per process.
    "CONCURRENCY": 8,
    # Seconds before an unanswered create may be judged absent.
    "UNCONFIRMED_GRACE": 300,
    # Fernet keys for what is encrypted at rest, newest first; by default derived from SECRET_KEY and its fallbacks.
    "ENCRYPTION_KEYS": (),
}


class Conf:
    """`TRUSS_PORTAL` with its defaults. One property for each key that is read."""

    def raw(self) -> dict[str, Any]:
        """The site's own dict, without defaults."""
        return cast("dict[str, Any]", getattr(settings, "TRUSS_PORTAL", {}))

    def _get(self, key: str) -> Any:
        return self.raw().get(key, DEFAULTS[key])

    @property
    def environment(self) -> Environment:
        return cast("Environment", self._get("ENVIRONMENT"))

    @property
    def api_url(self) -> str:
        """The API's address without a trailing slash; "" where it is required and missing."""
        url = self._get("API_URL") or (LOCAL_URL if self.environment == "local" else "")
        return str(url).rstrip("/")

    @property
    def auth_url(self) -> str:
        return str(self._get("AUTH_URL") or self.api_url).rstrip("/")

    def portal_url_for(self, environment: str) -> str:
        """The payer's portal for that environment, without a trailing slash."""
        if environment == self.environment and self._get("PORTAL_URL"):
            return str(self._get("PORTAL_URL")).rstrip("/")
        return PORTAL_URLS.get(environment, self.api_url or LOCAL_URL)

    @property
    def access_token(self) -> str | None:
        return cast("str | None", self._get("ACCESS_TOKEN"))

    @property
    def client_id(self) -> str:
        return str(self._get("CLIENT_ID") or "")

    @property
    def client_secret(self) -> str:
        return str(self._get("CLIENT_SECRET") or "")

    @property
    def oauth_scopes(self) -> tuple[str, ...]:
        return tuple(self._get("OAUTH_SCOPES"))

    @property
    def oauth_scope_delimiter(self) -> str:
        return str(self._get("OAUTH_SCOPE_DELIMITER"))

    @property
    def oauth_authorize_path(self) -> str:
        return str(self._get("OAUTH_AUTHORIZE_PATH"))

    @property
    def oauth_pkce(self) -> bool:
        return bool(self._get("OAUTH_PKCE"))

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        return tuple(self._get("WEBHOOK_SECRETS"))

    @property
    def webhook_secret_encoding(self) -> Literal["text", "hex"]:
        return cast("Literal['text', 'hex']", self._get("WEBHOOK_SECRET_ENCODING"))

    @property
    def webhook_tolerance(self) -> float:
        """Seconds."""
        return float(self._get("WEBHOOK_TOLERANCE"))

    @property
    def encryption_keys(self) -> tuple[str, ...]:
        """Fernet keys, newest first; none means that they are derived from SECRET_KEY and its fallbacks."""
        return tuple(self._get("ENCRYPTION_KEYS"))

    @property
    def return_url(self) -> str | None:
        return cast("str | None", self._get("RETURN_URL"))

    @property
    def return_url_allowlisted(self) -> bool:
        return bool(self._get("RETURN_URL_ALLOWLISTED"))

    @property
    def cancel_path(self) -> str | None:
        return cast("str | None", self._get("CANCEL_PATH"))

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to connect, seconds between two bytes of an answer."""
        connect, read = self._get("TIMEOUT")
        return connect, read

    @property
    def page_size(self) -> int:
        return int(self._get("PAGE_SIZE"))

    @property
    def concurrency(self) -> int:
        return int(self._get("CONCURRENCY"))

    @property
    def unconfirmed_grace(self) -> float:
        """Seconds."""
        return float(self._get("UNCONFIRMED_GRACE"))


def is_token(value: object) -> bool:
    """Whether it can stand in a request's header: a space, or the line break at the end of a pasted one, can't."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value and bool(value)


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own, where plain http is fine."""
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


conf = Conf()
