"""Connecting a company: where to send its user, and the tokens that come of it. Authlib writes, our transport carries.

    url = authorize_url(…, state=state, code_challenge=code_challenge(verifier))    # no network
    token = exchange_code(…, code, redirect_uri, code_verifier=verifier)
    token = refresh_token(…, token.refresh_token)

The token endpoint: https://docs.trusspayments.com/api-references/tag/authentication/post/v1/oauth2/token. The client's
credentials travel in the form body, not in Basic authentication, and the path, unlike all others, has no trailing
slash. Truss publishes neither the authorize path and its parameters nor the scope delimiter nor PKCE: the standard's
are used. https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc7636

`exchange_code` and `refresh_token` touch the network, once. They raise ValueError for an address that can't work, and
TrussError, which says what became of the refresh token:

- RefusedError, NotAuthenticatedError, NotAllowedError: Truss doesn't take the code, the refresh token or the client's
  credentials. The connection is dead until a person connects the company again.
- NotFoundError, MethodNotAllowedError (which are RefusedErrors, too): there is no token endpoint at this address. The
  connection isn't to blame. `ends_connection` tells these from the former.
- NotReachedError, RateLimitedError, HeldBackError: nothing was done. Try again later with the same refresh token.
- UnansweredError, ServerError, UnreadableAnswerError: nobody knows. Whether Truss replaces a refresh token when it is
  used isn't published, so try again later with the same one: if it was replaced, that is refused.
"""

from collections.abc import Sequence
from typing import Final

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from truss_portal.client import addresses, links
from truss_portal.client.answers import is_success
from truss_portal.client.exceptions import RefusedError, TrussError
from truss_portal.client.pacing import LONGEST_REST, pace_of
from truss_portal.client.providers import TRUSS
from truss_portal.client.resources import Token
from truss_portal.client.token_requests import GRANT_REFUSED, check_present, request_token
from truss_portal.client.transport import Transport

TOKEN_PATH: Final = "/v1/oauth2/token"  # noqa: S105 - an address


def authorize_url(
    base_url: str,
    path: str,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Sequence[str],
    scope_delimiter: str = " ",
    state: str,
    code_challenge: str | None = None,
) -> str:
    """Where to send a user who shall connect a company. Touches no network.

    The user comes back to `redirect_uri` with `code` and `state`; check that this is the `state` you gave. Without
    `scopes` none are asked for. A `code_challenge` (S256) asks for PKCE. Raises ValueError for what can't work.
    """
    if isinstance(scopes, str):
        raise TypeError("scopes must be several texts, not one: each of its characters would be a scope.")
    base = addresses.check_base(base_url)
    if not path.startswith("/") or "#" in path or addresses.has_odd_characters(path):
        raise ValueError(f"The authorize path must begin with a slash and have no spaces and no fragment: {path!r}.")
    check_present({"client_id": client_id, "redirect_uri": redirect_uri, "state": state})
    links.check_redirect_uri(redirect_uri)
    if len(scopes) > 1 and not scope_delimiter:
        raise ValueError("Several scopes need a scope_delimiter between them.")
    if unfit := [scope for scope in scopes if not scope or (scope_delimiter and scope_delimiter in scope)]:
        raise ValueError(
            f"A scope must not be empty and must not contain the delimiter {scope_delimiter!r}: {unfit!r}."
        )
    url: str = prepare_grant_uri(
        f"{base}{path}",
        client_id,
        "code",
        redirect_uri,
        scope_delimiter.join(scopes),
        state,
        code_challenge=code_challenge or None,
        code_challenge_method="S256" if code_challenge else None,
    )
    return url


def code_challenge(code_verifier: str) -> str:
    """What goes into `authorize_url` for the verifier that goes into `exchange_code`: S256."""
    challenge: str = create_s256_code_challenge(code_verifier)
    return challenge


def ends_connection(error: TrussError) -> bool:
    """Whether the refresh that raised this would be refused for ever, so that a person must connect the company again.

    As far as a status tells: Truss publishes no error bodies, so mistaken credentials of the client look the same.
    """
    status = error.status or 0
    return isinstance(error, RefusedError) and (status in GRANT_REFUSED or is_success(status))


def exchange_code(  # noqa: PLR0917 - the order in which OAuth names them
    auth_url: str,
    client_id: str,
    client_secret: str,
    code: str,
    redirect_uri: str,
    timeout: tuple[float, float] = (5, 30),
    *,
    code_verifier: str | None = None,
    patience: float = LONGEST_REST,
) -> Token:
    """A token for the code of an authorization. `redirect_uri` must equal the one in the authorize request.

    `code_verifier` is what the request's code challenge was made of, where it had one. `timeout` and `patience` are as
    for `TrussClient`.
    """
    secret = {"client_secret": client_secret, "code": code}
    return _ask(
        auth_url,
        timeout,
        patience,
        "authorization_code",
        public={"client_id": client_id, "redirect_uri": redirect_uri},
        secret=secret if code_verifier is None else secret | {"code_verifier": code_verifier},
    )


def refresh_token(
    auth_url: str,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    timeout: tuple[float, float] = (5, 30),
    *,
    patience: float = LONGEST_REST,
) -> Token:
    """A fresh token. Store the refresh token that comes with it; where that is None, keep the old one.

    What the exceptions mean for the connection is said at the top of the module `oauth`, and `ends_connection` tells.
    Truss publishes that this grant exists but not its fields: the standard ones are sent.
    """
    return _ask(
        auth_url,
        timeout,
        patience,
        "refresh_token",
        public={"client_id": client_id},
        secret={"client_secret": client_secret, "refresh_token": refresh_token},
    )


def _ask(
    auth_url: str,
    timeout: tuple[float, float],
    patience: float,
    grant_type: str,
    *,
    public: dict[str, str],
    secret: dict[str, str],
) -> Token:
    url = f"{addresses.check_base(auth_url)}{TOKEN_PATH}"
    transport = Transport(TRUSS, timeout=timeout, pace=pace_of(url), patience=patience)
    try:
        token, _answer = request_token(transport, url, grant_type, name=TOKEN_PATH, public=public, secret=secret)
    finally:
        transport.close()
    return token
