"""What can go wrong, by cause. The client's own exceptions (`TrussError` and below) are named here too.

The docstring of a class is its default message. Only these texts reach a page.
"""

from enum import StrEnum

from django.utils.functional import Promise

from truss_portal.client.exceptions import InvalidRequestError, RefusedError, TrussError

__all__ = [
    "ActionRefusedError",
    "InvalidRequestError",
    "LeaseHeldError",
    "NotConnectedError",
    "NotPayableError",
    "RefusedError",
    "TrussError",
    "TrussPortalError",
]


class TrussPortalError(Exception):
    """Something is in the way on this side; Truss was not asked."""

    def __init__(self, message: str | Promise = "") -> None:
        super().__init__(str(message) or self.__doc__)


class NotConnectedError(TrussPortalError):
    """This company has no connection to Truss: set TRUSS_PORTAL["ACCESS_TOKEN"] and "API_URL"."""


class ActionRefusedError(TrussPortalError):
    """That can't be done with this invoice as it stands."""


class NotPayableError(TrussPortalError):
    """A payer couldn't use a checkout link of this invoice."""

    class Reason(StrEnum):
        NOT_SENT = "not_sent"
        CANCELED = "canceled"
        PAID = "paid"
        NO_PORTAL = "no_portal"
        MISSING = "missing"
        STATUS = "status"

    def __init__(self, reason: Reason, message: str | Promise) -> None:
        super().__init__(message)
        self.reason = reason


class LeaseHeldError(TrussPortalError):
    """Another sync of this company is running."""
