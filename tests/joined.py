"""Companies that are connected to the pretend Truss by tokens of their own."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests import make
from truss_portal import sealed_columns
from truss_portal.client import exchange_code
from truss_portal.connection.tokens import token_columns
from truss_portal.models import Company, Connection
from truss_portal.testing.sandbox import Sandbox

REDIRECT = "https://shop.example/truss/connected/"
TOKEN_PATH = "/v1/oauth2/token"


def settings_for(truss: Sandbox, **more: Any) -> dict[str, Any]:
    """A site that connects its companies by OAuth, and has no fixed token."""
    return {
        "ENVIRONMENT": "local",
        "API_URL": truss.url,
        "CLIENT_ID": truss.client_id,
        "CLIENT_SECRET": truss.client_secret,
    } | more


def connected(truss: Sandbox, company: Company | None = None) -> Connection:
    """A company, by default one named acme, whose user has just agreed at Truss."""
    owner = company or make.company(slug="acme", name="Acme")
    asked_at = timezone.now()
    token = exchange_code(truss.url, truss.client_id, truss.client_secret, truss.authorization_code(REDIRECT), REDIRECT)
    columns = token_columns(token, asked_at) | {"connected_at": asked_at}
    row: Connection = Connection.objects.update_or_create(company=owner, defaults=columns)[0]
    return row


def left(row: Connection, seconds: float, *, of: float = 3600) -> None:
    """Let the access token have so many seconds left of its life; Truss itself takes it for as good as before."""
    now = timezone.now()
    row.expires_at = now + timedelta(seconds=seconds)
    row.connected_at, row.renewed_at = row.expires_at - timedelta(seconds=of), None
    row.save()


def tokens_of(row: Connection) -> tuple[str, str]:
    """Access token and refresh token as they now stand in the row."""
    row.refresh_from_db()
    return sealed_columns.ACCESS_TOKEN.open(row), sealed_columns.REFRESH_TOKEN.open(row)


def renewals(truss: Sandbox) -> int:
    """How often Truss was asked for a token since the last reset, but for the exchange of a code."""
    asked = [request for request in truss.requests() if request["path"].endswith(TOKEN_PATH)]
    return len(asked) - 1
