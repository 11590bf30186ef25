"""Tokens from Truss's token endpoint. Authlib writes the requests, our transport carries them.

https://docs.trusspayments.com/api-references/tag/authentication/post/v1/oauth2/token: the client's credentials travel
in the form body, not in Basic authentication, and the path, unlike all others, has no trailing slash.

Both functions touch the network, once. They raise ValueError for an address that can't work, and TrussError:
RefusedError when Truss doesn't take the code, the refresh token or the credentials, UnansweredError when the code or
the refresh token may have been used up without an answer.
"""

from typing import Final

from authlib.oauth2.rfc6749.parameters import prepare_token_request

from truss_portal.client import addresses, json_fields, resources
from truss_portal.client.exceptions import FieldError, InvalidRequestError, RefusedError
from truss_portal.client.json_fields import UnreadableError
from truss_portal.client.resources import Token
from truss_portal.client.transport import NoHeader, Transport

TOKEN_PATH: Final = "/v1/oauth2/token"  # noqa: S105 - an address


def exchange_code(  # noqa: PLR0917 - the order in which OAuth names them
    auth_url: str,
    client_id: str,
    client_secret: str,
    code: str,
    redirect_uri: str,
    timeout: tuple[float, float] = (5, 30),
) -> Token:
    """A token for the code of an authorization. `redirect_uri` must equal the one in the authorize request."""
    return _ask(
        auth_url,
        timeout,
        "authorization_code",
        public={"client_id": client_id, "redirect_uri": redirect_uri},
        secret={"client_secret": client_secret, "code": code},
    )


def refresh_token(
    auth_url: str,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    timeout: tuple[float, float] = (5, 30),
) -> Token:
    """A fresh token. Store the refresh token that comes with it; where that is None, keep the old one.

    Truss publishes that this grant exists but not its fields: the standard ones are sent.
    """
    return _ask(
        auth_url,
        timeout,
        "refresh_token",
        public={"client_id": client_id},
        secret={"client_secret": client_secret, "refresh_token": refresh_token},
    )


def _ask(
    auth_url: str, timeout: tuple[float, float], grant_type: str, *, public: dict[str, str], secret: dict[str, str]
) -> Token:
    url = f"{addresses.check_base(auth_url)}{TOKEN_PATH}"
    fields = public | secret
    if missing := [name for name, value in fields.items() if not value]:
        raise InvalidRequestError([FieldError(name, "is missing") for name in missing])
    transport = Transport(timeout=timeout)
    try:
        answer = transport.send_form(
            url,
            prepare_token_request(grant_type, **fields),
            {"Content-Type": "application/x-www-form-urlencoded"},
            name=TOKEN_PATH,
            auth=NoHeader(*secret.values()),
        )
    finally:
        transport.close()
    body = answer.whole_body()
    try:
        payload = json_fields.parse_json(body)
        # Token endpoints exist that refuse with status 200. The body isn't shown: it may hold a token all the same.
        if isinstance(payload, dict) and "error" in payload and "access_token" not in payload:
            raise RefusedError(
                f"Truss refused to give a token: {answer.cleaner()(str(payload['error']))[:100]}",
                request=answer.request,
                status=answer.status,
            )
        return resources.parse_token(payload)
    except UnreadableError as error:
        unreadable = answer.unreadable(str(error))
    raise unreadable
