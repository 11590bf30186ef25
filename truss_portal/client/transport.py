"""The network: one HTTP request and what came of it, as an Answer or as an exception by cause.

A GET is repeated a few times, politely; anything else is sent once. Every request first waits for its turn, while the
host rests after a 429 (`pacing`). Whether a failed request has left this machine is not guessed from the error's type
but noted when it happens (`connections`).
"""

import functools
import importlib.metadata
import json
import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
import urllib3
from requests.auth import AuthBase

from truss_portal.client.answers import Answer, error_of, is_success, parse_date, parse_retry_after
from truss_portal.client.connections import Adapter, exchange
from truss_portal.client.exceptions import (
    FieldError,
    HeldBackError,
    InvalidRequestError,
    NotReachedError,
    ProviderError,
    RateLimitedError,
    UnansweredError,
    UnreadableAnswerError,
)
from truss_portal.client.pacing import LONGEST_REST, Pace, Patience
from truss_portal.client.providers import Provider
from truss_portal.client.redaction import Secrets

logger: Final = logging.getLogger("truss_portal.client")

ANSWER_MAX: Final = 10_000_000  # bytes, decompressed
ANSWER_SECONDS: Final = 120.0  # from the last byte that we sent to the last that came, however steadily it drips
ERROR_BODY_KEPT: Final = 4_000  # characters
FIRST_WAIT: Final = 0.5  # seconds, doubled from attempt to attempt
POOL_SIZE: Final = 64  # connections kept open; more than that many threads still work, with new connections

_ERROR_BODY_READ: Final = 16 * ERROR_BODY_KEPT  # bytes
_CHUNK: Final = 65_536

_NETWORK_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


def utc_now() -> datetime:
    return datetime.now(UTC)


@functools.cache
def user_agent() -> str:
    try:
        return f"truss_portal/{importlib.metadata.version('truss-portal')}"
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that isn't installed
        return "truss_portal"


class Bearer(AuthBase):
    """The access token on its way into the header.

    As requests' own `auth` it also keeps requests from putting a password out of a .netrc file in the token's place.
    """

    def __init__(self, token: str) -> None:
        """Raises InvalidRequestError, without showing the token, for what can't be sent in a header."""
        if not isinstance(token, str) or not token:
            raise InvalidRequestError([FieldError("access token", "is missing")])
        # A line break would begin a header of its own, and requests would show the token when it complains.
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise InvalidRequestError([FieldError("access token", "must be printable ASCII characters without spaces")])
        self.secrets = Secrets(token)
        self._token = token

    @property
    def token(self) -> str:
        return self._token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoHeader(AuthBase):
    """Credentials that travel in the body: nothing is added, and nothing out of a .netrc file either."""

    def __init__(self, *secrets: str) -> None:
        """`secrets` are what must never be shown, should an answer echo it."""
        self.secrets = Secrets(*secrets)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Transport:
    """A pool of connections to one provider. Usable from several threads, as `Api` says."""

    def __init__(
        self,
        provider: Provider,
        *,
        timeout: tuple[float, float],
        pace: Pace,
        patience: float = LONGEST_REST,
        get_attempts: int = 1,
        answer_seconds: float = ANSWER_SECONDS,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.provider: Final = provider
        connect, read = timeout
        if not (connect > 0 and read > 0):
            raise ValueError(f"timeout must be two positive numbers of seconds, not {timeout!r}.")
        if get_attempts < 1:
            raise ValueError(f"get_attempts must be at least 1, not {get_attempts!r}.")
        self._timeout = (float(connect), float(read))
        if not answer_seconds > 0:
            raise ValueError(f"answer_seconds must be positive, not {answer_seconds!r}.")
        self._get_attempts = get_attempts
        self._answer_seconds = answer_seconds
        self._clock = clock
        self._patience = Patience(pace, patience)
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": user_agent(), "Accept": "application/json"})
        # The cookie jar is the one thing in a session that answers change. Without cookies threads share nothing else.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for prefix in ("https://", "http://"):
            self._session.mount(prefix, Adapter(pool_maxsize=POOL_SIZE, max_retries=0))

    def close(self) -> None:
        self._session.close()

    def stop_waiting(self) -> None:
        """Whoever waits in another thread, or would have to wait from now on, stops at once."""
        self._patience.stop()

    def fetch(self, url: str, *, name: str, auth: Callable[[], Bearer]) -> Answer:
        """GET, repeated with growing pauses after 429, 5xx and lost connections; `auth` is asked before each attempt.

        A `Retry-After` is obeyed. One that asks for more than is left of MAX_TOTAL_WAIT, or than our patience, ends the
        attempts at once. Raises HeldBackError where even the first attempt would have to wait too long.
        """
        turn, attempt = self._turn(auth), 1
        if turn is None:
            raise self._held_back("GET", name)
        while True:
            waited, credentials = turn
            try:
                answer = self._once("GET", url, name, credentials)
                answer.whole_body()
            except (RateLimitedError, NotReachedError, UnansweredError) as error:
                if isinstance(error, UnreadableAnswerError) or attempt >= self._get_attempts:
                    raise
                pause = FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1)  # noqa: S311 - not for secrets
                turn = self._turn(auth, max(pause, error.retry_after or 0.0), waited)
                if turn is None:
                    raise
            else:
                return answer
            attempt += 1

    def send(
        self, method: str, url: str, payload: Mapping[str, Any] | None, *, name: str, auth: Callable[[], Bearer]
    ) -> Answer:
        """Whatever may change something: sent once, whatever happens. A payload of None is no body at all.

        Raises HeldBackError where it would have to wait too long.
        """
        turn = self._turn(auth)
        if turn is None:
            raise self._held_back(method, name)
        _waited, credentials = turn
        if payload is None:
            return self._once(method, url, name, credentials)
        body = json.dumps(payload, allow_nan=False).encode()
        return self._once(method, url, name, credentials, body, {"Content-Type": "application/json"})

    def send_form(self, url: str, body: str, headers: Mapping[str, str], *, name: str, auth: NoHeader) -> Answer:
        """POST, once, with the credentials among the fields. Raises HeldBackError as `send` does."""
        if self._patience.wait() is None:
            raise self._held_back("POST", name)
        return self._once("POST", url, name, auth, body.encode(), headers)

    def _turn(self, auth: Callable[[], Bearer], pause: float = 0.0, waited: float = 0.0) -> tuple[float, Bearer] | None:
        """Wait until the host may be asked: the seconds waited so far, and the credentials of that moment.

        None where that would take too long, or nobody waits any more.
        """
        while True:
            so_far = self._patience.wait(pause, waited=waited)
            if so_far is None:
                return None
            credentials = auth()  # takes its time where it renews a token
            if not self._patience.pace.left():
                return so_far, credentials
            pause, waited = 0.0, so_far

    def _held_back(self, method: str, name: str) -> HeldBackError:
        left = self._patience.pace.left()
        return self.provider.error(
            HeldBackError,
            f"{self.provider.name} has asked us to slow down, so nothing was asked now: try again in "
            f"{math.ceil(left)} seconds.",
            request=f"{method} {name}",
            retry_after=left,
        )

    def _once(  # noqa: PLR0917 - in the order of an HTTP request
        self,
        method: str,
        url: str,
        name: str,
        auth: Bearer | NoHeader,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        request, failure, outcome = f"{method} {name}", "", None
        asked_at, started = self._clock(), time.perf_counter()
        exchange.begin(answer_seconds=self._answer_seconds)
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                auth=auth,
                timeout=self._timeout,
                allow_redirects=False,  # a redirect would carry the token elsewhere
                stream=True,
            ) as response:
                outcome = self._read(response, request, asked_at, auth.secrets)
        except _NETWORK_ERRORS as error:
            failure = auth.secrets.hide(_innermost(error))
        # Raised here and not above, so that no traceback leads into frames whose variables hold the header.
        if outcome is None:
            outcome = (
                self.provider.error(
                    UnansweredError, f"{self.provider.name} was asked but didn't answer: {failure}", request=request
                )
                if exchange.sent
                else self.provider.error(
                    NotReachedError, f"{self.provider.name} could not be reached: {failure}", request=request
                )
            )
        logger.debug(
            "%s: %s in %.3f s", request, outcome.status or type(outcome).__name__, time.perf_counter() - started
        )
        if isinstance(outcome, RateLimitedError):
            self._patience.pace.rest(outcome.retry_after)
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome

    def _read(
        self, response: requests.Response, request: str, asked_at: datetime, secrets: Secrets
    ) -> Answer | ProviderError:
        """The answer, read within bounds. What the status says counts, whatever becomes of the body."""
        status = response.status_code
        limit = ANSWER_MAX if is_success(status) else _ERROR_BODY_READ
        body, problem = bytearray(), ""
        try:
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > limit:
                    problem = f"{self.provider.name}'s answer is longer than {limit} bytes."
                    break
        except _NETWORK_ERRORS as error:
            problem = f"{self.provider.name}'s answer broke off: {secrets.hide(_innermost(error))}"
        if is_success(status):
            return Answer(
                request=request,
                status=status,
                body=bytes(body),
                asked_at=asked_at,
                problem=problem,
                secrets=secrets,
                provider=self.provider,
                date=parse_date(response.headers.get("Date")),
            )
        # It is kept by whoever asked, and PostgreSQL has no place for a NUL in a text.
        text = body[:limit].decode(errors="replace").replace("\x00", "\ufffd")
        if problem:
            text = text[: max(len(text) - secrets.longest, 0)]  # the end may be one half of a secret
        return error_of(
            self.provider,
            status,
            request=request,
            body=secrets.hide(text)[:ERROR_BODY_KEPT],
            location=response.headers.get("Location"),
            retry_after=parse_retry_after(response.headers.get("Retry-After"), now=self._clock()),
        )


def _innermost(error: BaseException) -> str:
    """What really happened, from under the layers that requests and urllib3 wrap around it."""
    inner: BaseException | None = error
    while inner is not None:
        error = inner
        wrapped = (getattr(error, "reason", None), *reversed(error.args), error.__cause__)
        inner = next((candidate for candidate in wrapped if isinstance(candidate, BaseException)), None)
    return f"{type(error).__name__}: {error}"
