"""The token endpoint.

https://docs.trusspayments.com/api-references/tag/authentication/post/v1/oauth2/token
The refresh grant's fields, the rotation and all error bodies aren't published; those of OAuth 2.0 (RFC 6749) are used.
"""

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from truss_portal.sandbox import conf
from truss_portal.sandbox.api import JSONView
from truss_portal.sandbox.models import AuthorizationCode, Company, Token
from truss_portal.sandbox.serializers import AuthorizationCodeGrant, RefreshTokenGrant

CODE_LIFETIME = dt.timedelta(minutes=10)
_GRANTS = {"authorization_code": AuthorizationCodeGrant, "refresh_token": RefreshTokenGrant}


class OAuthError(exceptions.APIException):
    status_code = 400

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__({"error": error, "error_description": description})
        self.status_code = status


def issue_code(
    company: Company, redirect_uri: str, *, scopes: list[str] | None = None, code_challenge: str = ""
) -> str:
    """What Truss would add to the partner's redirect address after the company's user has agreed."""
    code = f"ac_{secrets.token_urlsafe(16)}"
    AuthorizationCode.objects.create(
        code=code,
        company=company,
        redirect_uri=redirect_uri,
        scopes=scopes,
        code_challenge=code_challenge,
        expires_at=timezone.now() + CODE_LIFETIME,
    )
    return code


def revoke(company: Company) -> None:
    """The company's user takes the consent back: codes and tokens die, except for the one in the settings."""
    AuthorizationCode.objects.filter(company=company).delete()
    Token.objects.filter(company=company).delete()


class TokenView(JSONView):
    authentication_classes = ()
    permission_classes = ()
    parser_classes = (FormParser,)
    http_method_names = ["post"]

    def post(self, request: Request) -> Response:
        form = request.data
        if not isinstance(form, QueryDict) or any(len(values) != 1 for _, values in form.lists()):
            raise OAuthError("invalid_request", "Send each field once, form-encoded.")
        grant_type = form.get("grant_type", "")
        if grant_type not in _GRANTS:
            raise OAuthError("unsupported_grant_type", "grant_type is authorization_code or refresh_token.")
        data = self.validated_form(form, grant_type)
        if not _same(data["client_id"], conf.get("CLIENT_ID")) or not _same(
            data["client_secret"], conf.get("CLIENT_SECRET")
        ):
            raise OAuthError("invalid_client", "client_id or client_secret is wrong.", status=401)
        answer = _redeem_code(data) if grant_type == "authorization_code" else _redeem_refresh_token(data)
        return Response(answer, headers={"Cache-Control": "no-store"})

    def validated_form(self, form: QueryDict, grant_type: str) -> Mapping[str, Any]:
        serializer = _GRANTS[grant_type](data=form.dict())
        if not serializer.is_valid():
            fields = ", ".join(sorted(map(str, serializer.errors)))
            raise OAuthError("invalid_request", f"Wrong, missing or unknown: {fields}.")
        data: Mapping[str, Any] = serializer.validated_data
        return data


def _redeem_code(data: Mapping[str, Any]) -> dict[str, Any]:
    now = timezone.now()
    codes = AuthorizationCode.objects.filter(
        code=data["code"], redirect_uri=data["redirect_uri"], used_at=None, expires_at__gt=now
    )
    found = codes.select_related("company").first()
    if found and not _is_verified(found.code_challenge, data.get("code_verifier")):
        raise OAuthError("invalid_grant", "code_verifier doesn't belong to the code_challenge.")
    # The update, not the look, decides which of two simultaneous exchanges has the code.
    if found is None or not codes.update(used_at=now):
        raise OAuthError("invalid_grant", "The code is unknown, used or expired, or redirect_uri differs.")
    return _issue(found.company, found.scopes)


def _is_verified(challenge: str, verifier: str | None) -> bool:
    """PKCE by S256. A verifier without a challenge is refused too: somebody may have taken the challenge away."""
    if verifier is None or not challenge:
        return verifier is None and not challenge
    return _same(base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("="), challenge)


def _redeem_refresh_token(data: Mapping[str, Any]) -> dict[str, Any]:
    tokens = Token.objects.filter(refresh_token=data["refresh_token"], refreshed_at=None)
    found = tokens.select_related("company").first()
    rotates = found is not None and found.company.rotate_refresh
    if found is None or (rotates and not tokens.update(refreshed_at=timezone.now())):
        raise OAuthError("invalid_grant", "The refresh token is unknown or has been used.")
    answer = _issue(found.company, found.scopes)
    if not rotates:
        del answer["refresh_token"]
    return answer


def _issue(company: Company, scopes: list[str] | None) -> dict[str, Any]:
    token = Token.objects.create(
        company=company,
        scopes=scopes,
        access_token=f"at_{secrets.token_urlsafe(24)}",
        refresh_token=f"rt_{secrets.token_urlsafe(24)}",
        expires_at=timezone.now() + dt.timedelta(seconds=company.token_lifetime),
    )
    return {
        "access_token": token.access_token,
        "refresh_token": token.refresh_token,
        "token_type": "bearer",
        "expires_in": company.token_lifetime,
        "scope": str(conf.get("OAUTH_SCOPE_DELIMITER")).join(company.granted(scopes)),
    }


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), str(expected).encode())
