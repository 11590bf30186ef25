"""What an HTTP answer means, by its status alone. No I/O.

Neither Truss nor Trustist publishes success codes or error bodies: any 2xx is a success, and a body of an error is
opaque text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from truss_portal.client import json_fields
from truss_portal.client.exceptions import (
    MethodNotAllowedError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    ServerError,
    UnansweredError,
    UnreadableAnswerError,
)
from truss_portal.client.json_fields import UnreadableError
from truss_portal.client.providers import Provider
from truss_portal.client.redaction import Secrets

Resource = TypeVar("Resource")

MAX_RETRY_AFTER: Final = 86_400.0
"""Seconds. Nobody plans further ahead, and a wrong header must not stop us for ever."""

_BY_STATUS: Final[Mapping[int, type[ProviderError]]] = {
    401: NotAuthenticatedError,
    403: NotAllowedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    429: RateLimitedError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A 2xx answer."""

    request: str
    """Method and path, such as "GET /v1/company/"."""
    status: int
    body: bytes = field(repr=False)
    asked_at: datetime
    """Taken before the request went out."""
    problem: str = ""
    """Why the body isn't whole; empty when it is."""
    secrets: Secrets
    """What the request was authorized with."""
    provider: Provider
    date: datetime | None = None
    """The provider's own time, where the answer tells it in a way that can be read. Whole seconds."""

    def whole_body(self) -> bytes:
        """Raises UnansweredError when only a part of the body came."""
        if self.problem:
            raise self.provider.error(UnansweredError, self.problem, request=self.request, status=self.status)
        return self.body

    def parsed(self, parse: Callable[[object], Resource]) -> Resource:
        """Raises UnansweredError when the body isn't whole, UnreadableAnswerError when it makes no sense."""
        try:
            return parse(json_fields.parse_json(self.whole_body()))
        except UnreadableError as error:
            unreadable = self.unreadable(str(error))
        raise unreadable  # out here, so that the reason isn't shown twice, and once uncleaned

    def unreadable(self, problem: str) -> UnreadableAnswerError:
        """The exception to raise when the body makes no sense. `problem` is a clause such as "total is missing"."""
        message = f"{self.provider.name}'s answer can't be used: {self.cleaner()(problem)}."
        return self.provider.error(UnreadableAnswerError, message, request=self.request, status=self.status)

    def cleaner(self) -> Callable[[str], str]:
        """What makes a text that quotes the body fit to be shown."""
        if self.secrets.occur_in(self.body.decode(errors="replace")):
            # A quotation may have been cut in the middle of a secret, and then nobody would find it.
            return lambda _text: "it repeats a secret of ours, so nothing of it is shown"
        return self.secrets.hide


def is_success(status: int) -> bool:
    return 200 <= status <= 299  # noqa: PLR2004 - the definition of 2xx


def error_of(
    provider: Provider, status: int, *, request: str, body: str, location: str | None, retry_after: float | None
) -> ProviderError:
    """The exception for any status that isn't 2xx. `body` has been bounded and cleared of secrets."""
    message = ""
    if status in _BY_STATUS:
        kind = _BY_STATUS[status]
    elif 400 <= status <= 499:  # noqa: PLR2004 - the definition of 4xx
        kind = RefusedError
    elif 500 <= status <= 599:  # noqa: PLR2004 - the definition of 5xx
        kind = ServerError
    else:
        kind = UnreadableAnswerError
        if location:
            message = (
                f"{provider.name} sent us to another address, which is not followed: is the configured address right?"
            )
    return provider.error(kind, message, request=request, status=status, body=body, retry_after=retry_after)


def parse_date(value: str | None) -> datetime | None:
    """An HTTP date as an aware time; None where there is none or it can't be read.

    https://www.rfc-editor.org/rfc/rfc9110#http.date
    """
    try:
        moment = parsedate_to_datetime(value) if value else None
        if moment is not None and moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if moment is not None:
            moment.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Seconds to wait by a `Retry-After` header, at most MAX_RETRY_AFTER; None where there is none that makes sense.

    Either form is taken, seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,300}", value.strip()):
        return min(float(value), MAX_RETRY_AFTER)
    moment = parse_date(value)
    if moment is None:
        return None
    seconds = moment.timestamp() - now.timestamp()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
