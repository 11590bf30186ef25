"""What can go wrong between us and Truss, or another provider whose API we speak to, by cause.

Each class says whether Truss did what was asked (`outcome`), and its docstring is its default message. Truss publishes
neither error bodies nor codes, so the cause is decided by the HTTP status alone and a body is opaque text.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

_SHOWN_OF_BODY: Final = 300
_SHOWN_OF_VALUE: Final = 60


class Outcome(enum.StrEnum):
    """Did Truss do it?"""

    REFUSED = "refused"
    """No, and the same request would be refused again."""
    NOT_DONE = "not_done"
    """No, and the same request may be sent again."""
    UNKNOWN = "unknown"
    """Perhaps: look at Truss before asking for it again."""


class ProviderError(Exception):
    """Truss couldn't be asked, or didn't do what was asked."""

    outcome: ClassVar[Outcome] = Outcome.UNKNOWN

    def __init__(
        self,
        message: str = "",
        *,
        request: str = "",
        status: int | None = None,
        body: str = "",
        retry_after: float | None = None,
        provider: str = "Truss",
    ) -> None:
        """`body` has been bounded and cleared of secrets by whoever raises; `retry_after` is in seconds."""
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.request = request
        self.status = status
        self.body = body
        self.retry_after = retry_after
        self.provider = provider
        super().__init__(self.message)

    @property
    def outcome_known(self) -> bool:
        """Whether it is certain that Truss did not do what was asked."""
        return self.outcome is not Outcome.UNKNOWN

    @property
    def may_retry(self) -> bool:
        """Whether sending the very same request again is safe and has a chance: after `retry_after`, where that is set.

        True where nothing was done. Where the outcome is unknown only reading may be repeated.
        """
        return self.outcome is Outcome.NOT_DONE or (self.outcome is Outcome.UNKNOWN and self.request.startswith("GET "))

    def __str__(self) -> str:
        facts = [self.request, f"status {self.status}" if self.status else ""]
        text = self.message
        if known := ", ".join(filter(None, facts)):
            text += f" ({known})"
        if self.said:
            text += f" {self.provider} says: {self.said}"
        return text

    @property
    def said(self) -> str:
        """The body, as much of it as fits into a sentence; "" where it tells people nothing."""
        text = " ".join(self.body.split())
        if text.startswith("<"):  # a gateway's HTML page
            return ""
        return f"{text[:_SHOWN_OF_BODY]}…" if len(text) > _SHOWN_OF_BODY else text


TrussError = ProviderError
"""The name for those who ask Truss. Each provider's callers have one, so that they needn't know of the others."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule: `str()` is a sentence such as "total must be at least 1.00 (got '0.50')"."""

    field: str
    rule: str
    value: str = ""

    @classmethod
    def of(cls, field: str, rule: str, value: object) -> "FieldError":
        """With the value shortened, and escaped so that it can be printed. Of an odd type only the type is named."""
        match value:
            case str():
                shown = repr(value[: _SHOWN_OF_VALUE + 1])
            case Decimal() | date() | UUID() | float() | bool() | None:
                shown = str(value)
            case _:
                shown = type(value).__name__
        return cls(field, rule, shown if len(shown) <= _SHOWN_OF_VALUE else f"{shown[:_SHOWN_OF_VALUE]}…")

    def __str__(self) -> str:
        return f"{self.field} {self.rule} (got {self.value})" if self.value else f"{self.field} {self.rule}"


class InvalidRequestError(ProviderError, ValueError):
    """Truss would refuse this, so it was not sent."""

    outcome = Outcome.REFUSED

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(map(str, self.errors)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errors,), self.__dict__


class RefusedError(ProviderError):
    """Truss refused the request."""

    outcome = Outcome.REFUSED


class NotAuthenticatedError(RefusedError):
    """Truss doesn't accept the access token: it is wrong, expired or withdrawn. Connect the company again."""


class NotAllowedError(RefusedError):
    """The access token doesn't allow this. A scope may be missing: connect the company again with all scopes."""


class NotFoundError(RefusedError):
    """Truss has nothing at this address: the uid belongs to another company or environment, or it was removed."""


class MethodNotAllowedError(RefusedError):
    """Truss knows this address but not this method on it: a configured path or method is probably wrong."""


class RateLimitedError(ProviderError):
    """Truss asks for fewer requests. Nothing was done; try again later."""

    outcome = Outcome.NOT_DONE


class HeldBackError(RateLimitedError):
    """Truss has asked us to slow down, so nothing was asked now; try again later."""


class NotReachedError(ProviderError):
    """Truss could not be reached. Nothing was sent; try again later."""

    outcome = Outcome.NOT_DONE


class UnansweredError(ProviderError):
    """Truss was asked but its answer didn't arrive, so it is not known whether it was done."""


class ServerError(UnansweredError):
    """Truss failed while it worked on the request, so it is not known whether it was done."""


class UnreadableAnswerError(UnansweredError):
    """Truss's answer can't be understood, so it is not known whether it was done."""


class SignatureProblem(enum.StrEnum):
    """Why a webhook isn't trusted."""

    MISSING = "missing"
    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"
    """Signed with a secret of ours, at another time: sent again by somebody, or one of the two clocks is wrong."""
    NO_SECRET = "no_secret"  # noqa: S105 - not a secret
    """It can't be checked: the mistake is on our side."""


_PROBLEMS: Final[Mapping[SignatureProblem, str]] = {
    SignatureProblem.MISSING: (
        "The webhook is not signed. Truss leaves the signature out where it has no secret for the address: ask Truss "
        "for one."
    ),
    SignatureProblem.MALFORMED: "The webhook's signature can't be read.",
    SignatureProblem.FORGED: (
        "The webhook's signature was made with none of our secrets: it isn't from Truss, or the secret or its encoding "
        "isn't the one that Truss uses."
    ),
    SignatureProblem.EXPIRED: "The webhook's signature is from another time.",
    SignatureProblem.NO_SECRET: (
        "No webhook secret is set, so nobody can tell whether a webhook is from Truss: ask Truss for the secret."
    ),
}


class SignatureError(ValueError):
    """A webhook is not trusted; `reason` says why. Its text never shows a secret."""

    def __init__(self, reason: SignatureProblem, message: str = "") -> None:
        self.reason = reason
        super().__init__(message or _PROBLEMS[reason])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, str(self))
