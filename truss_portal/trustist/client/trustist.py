"""Trustist's operations: the page on which each is one method.

https://trustisttransfer.com/docs/partner-api/
"""

import threading
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import quote

from truss_portal.client import addresses
from truss_portal.client.answers import is_success
from truss_portal.client.api import Api
from truss_portal.client.exceptions import (
    FieldError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotReachedError,
    ProviderError,
    RateLimitedError,
    RefusedError,
)
from truss_portal.client.pacing import LONGEST_REST, Pace, pace_of
from truss_portal.client.token_requests import GRANT_REFUSED, request_token
from truss_portal.client.transport import ANSWER_SECONDS, Bearer, Transport, utc_now
from truss_portal.trustist.client import resources
from truss_portal.trustist.client.provider import TRUSTIST
from truss_portal.trustist.client.request_bodies import CreateInvitationRequest
from truss_portal.trustist.client.resources import Invitation, Listing, MerchantKey
from truss_portal.trustist.client.tokens import Token, TokenMemory, TokenStore, expires_at

TOKEN_PATH: Final = "/token"  # noqa: S105 - an address
INVITATIONS_PATH: Final = "/invitations"

_ID_MAX: Final = 200


class TrustistClient(Api):
    """Speaks to Trustist for one partner.

    The methods named `fetch_`, `list_` and `create_` touch the network and raise `TrustistError`, which says whether
    Trustist did what was asked. One client may be used by several threads at once; `close` when all are done.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: str,
        *,
        timeout: tuple[float, float] = (5, 30),
        tokens: TokenStore | None = None,
        get_attempts: int = 4,
        patience: float = LONGEST_REST,
        answer_seconds: float = ANSWER_SECONDS,
        clock: Callable[[], datetime] = utc_now,
        pace: Pace | None = None,
    ) -> None:
        """Touches no network. Raises ValueError for settings that can't work.

        `base_url` is `SANDBOX_URL`, `PRODUCTION_URL` or another https address; plain http is for this machine only. It
        may have a path, which goes before every path of Trustist's. `tokens` keeps the access token between requests,
        and between processes if it can; by default this client does. `timeout` to `pace` are as for `TrussClient`.
        """
        base = addresses.check_base(base_url, provider="Trustist")
        if missing := [name for name, text in (("client_id", client_id), ("client_secret", client_secret)) if not text]:
            raise InvalidRequestError([FieldError(name, "is missing") for name in missing])
        self._client_id = client_id
        # Within a function, because a report of local variables or attributes would show a text.
        self._client_secret: Callable[[], str] = lambda: client_secret
        self._tokens = TokenMemory() if tokens is None else tokens
        self._clock = clock
        self._renewing = threading.Lock()
        transport = Transport(
            TRUSTIST,
            timeout=timeout,
            pace=pace or pace_of(base),
            patience=patience,
            get_attempts=get_attempts,
            answer_seconds=answer_seconds,
            clock=clock,
        )
        super().__init__(base, transport, token=self._current_token, on_unauthorized=self._renew)

    def fetch_token(self) -> Token:
        """A new access token, which from now on is used. There is hardly a need: it is asked for where one is missing.

        Raises NotAuthenticatedError where Trustist refuses our credentials, RateLimitedError, and NotReachedError for
        everything else: without a token nothing is asked of Trustist, so nothing can have been done.
        """
        try:
            granted, answer = request_token(
                self._transport,
                f"{self._base}{TOKEN_PATH}",
                "client_credentials",
                name=TOKEN_PATH,
                public={"client_id": self._client_id},
                secret={"client_secret": self._client_secret()},
            )
            Bearer(granted.access_token)
        except ProviderError as error:
            problem = _without_token(error)
        else:
            token = Token(
                access_token=granted.access_token,
                expires_at=expires_at(granted.expires_in, asked_at=answer.asked_at),
            )
            self._tokens.set(token)
            return token
        # Raised here and anew, so that no traceback leads into frames whose variables hold the client's secret.
        raise problem

    def list_invitations(self) -> Listing:
        """All invitations that the partner has sent, in no order to rely on: a list, with more to it.

        Whether Trustist gives them in pages isn't published; its description says that this is the list.
        """
        answer = self._get(INVITATIONS_PATH)
        listing = answer.parsed(partial(resources.parse_listing, fetched_at=answer.asked_at))
        return resources.cleaned(listing, answer.cleaner()) if listing.rejected else listing

    def fetch_invitation(self, invitation_id: str) -> Invitation:
        """One invitation. Raises NotFoundError where Trustist has none of this id."""
        answer = self._get(_path(invitation_id))
        invitation = answer.parsed(partial(resources.parse_invitation, fetched_at=answer.asked_at))
        if invitation.id.lower() != invitation_id.lower():
            raise answer.unreadable("it is about another invitation")
        return invitation

    def create_invitation(self, *, name: str, email: str, payment_types: Collection[str]) -> Invitation:
        """Invite a client, of whom Trustist then asks by email to become a merchant.

        `payment_types` are of `PAYMENT_TYPES`; `openbanking` is sent in any case. Sent once. Trustist publishes no
        idempotency key: after an `outcome` of UNKNOWN look for it in the list before sending again. Raises
        InvalidRequestError before anything is sent.
        """
        request = CreateInvitationRequest(name=name, email=email, payment_types=payment_types)
        request.validate()
        answer = self._send("POST", INVITATIONS_PATH, request.payload())
        return answer.parsed(partial(resources.parse_invitation, fetched_at=answer.asked_at))

    def fetch_merchant_keys(self, invitation_id: str) -> list[MerchantKey]:
        """The API keys of the merchant behind an invitation; none while there are none yet.

        When they become available, and what comes before that, isn't published: an empty list and 404 mean the same
        here. An error of this method carries no body: nobody knows which part of it would be a secret.
        """
        try:
            answer = self._get(f"{_path(invitation_id)}/merchant/keys")
        except NotFoundError:
            return []
        except ProviderError as error:
            error.body = ""
            raise
        return answer.parsed(resources.parse_merchant_keys)

    def _current_token(self) -> str:
        token = self._tokens.get()
        if token is None or not token.is_fresh(self._clock()):
            with self._renewing:
                token = self._tokens.get()  # another thread may have had the same thought
                if token is None or not token.is_fresh(self._clock()):
                    token = self.fetch_token()
        return token.access_token

    def _renew(self, refused: str) -> bool:
        """In place of a token that Trustist has refused, unless somebody has done it already."""
        with self._renewing:
            token = self._tokens.get()
            is_stale = token is None or token.access_token == refused or not token.is_fresh(self._clock())
            del refused  # a report of local variables would show it
            if is_stale:
                self._tokens.delete()
                self.fetch_token()
        return True


def _without_token(error: ProviderError) -> ProviderError:
    """What it means for whoever needed the token: their own request hasn't been sent."""
    facts = {"request": error.request, "status": error.status, "body": error.body, "retry_after": error.retry_after}
    if isinstance(error, RateLimitedError | NotReachedError):
        return TRUSTIST.error(type(error), error.message, **facts)
    status = error.status or 0
    if isinstance(error, RefusedError) and (status in GRANT_REFUSED or is_success(status)):
        message = (
            "Trustist gives us no access token: client id and secret are wrong, withdrawn, or of another environment."
        )
        return TRUSTIST.error(NotAuthenticatedError, message, **facts)
    if isinstance(error, RefusedError):
        message = "Trustist gives no access tokens at this address, so nothing was asked: is the address right?"
    elif (
        error.message in TRUSTIST.messages.values()
    ):  # it would speak of the token, where people think of their request
        message = "Trustist gave us no access token, so nothing was asked; try again later."
    else:
        message = f"Trustist gave us no access token, so nothing was asked: {error.message}"
    return TRUSTIST.error(NotReachedError, message, **facts)


def _path(invitation_id: str) -> str:
    """Raises InvalidRequestError for what can't be an id. The rest is escaped: it can't become a part of the path."""
    is_text = isinstance(invitation_id, str) and invitation_id.isprintable() and invitation_id not in {".", ".."}
    if not is_text or not 0 < len(invitation_id) <= _ID_MAX:
        raise InvalidRequestError([FieldError.of("id", "must be an invitation's id", invitation_id)])
    return f"{INVITATIONS_PATH}/{quote(invitation_id, safe='')}"
