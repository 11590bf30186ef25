"""What can go wrong, by cause. The client's own exceptions (`TrussError` and below) are named here too.

The docstring of a class is its default message; `plain_words` has these for the translations. Only these texts reach a
page.
"""

from enum import StrEnum

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.utils.functional import Promise
from django.utils.translation import gettext

from truss_portal.client.exceptions import InvalidRequestError, RefusedError, TrussError

__all__ = [
    "ActionRefusedError",
    "ConnectRefusedError",
    "EncryptionKeysError",
    "InvalidRequestError",
    "LeaseHeldError",
    "NeedsReconnectError",
    "NotConnectedError",
    "NotPayableError",
    "NotRenewedError",
    "RefusedError",
    "TrussError",
    "TrussPortalError",
    "UndecryptableError",
    "UnknownPermissionError",
    "WebhookRefusedError",
    "WebhookUnreadableError",
]


class TrussPortalError(Exception):
    """Something is in the way on this side; Truss was not asked."""

    def __init__(self, message: str | Promise = "") -> None:
        default = " ".join((self.__doc__ or "").split())
        super().__init__(str(message) or gettext(default))


class NotConnectedError(TrussPortalError):
    """This company has no connection to Truss: connect it in the admin, or set TRUSS_PORTAL["ACCESS_TOKEN"]."""


class NeedsReconnectError(NotConnectedError):
    """Truss doesn't renew this company's access any more: somebody must connect it again. Nothing is lost."""


class NotRenewedError(NotConnectedError):
    """This company's access has run out and couldn't be renewed just now. It is tried again; nothing is lost."""


class ConnectRefusedError(TrussPortalError):
    """The company could not be connected to Truss. Nothing was changed."""


class EncryptionKeysError(TrussPortalError):
    """TRUSS_PORTAL["ENCRYPTION_KEYS"] has something in it that isn't a Fernet key."""


class UndecryptableError(EncryptionKeysError):
    """A secret that is kept here can't be decrypted: no key of this site opens it."""


class UnknownPermissionError(TrussPortalError):
    """An app gives a role a permission that doesn't exist."""


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


class WebhookRefusedError(TrussPortalError, SuspiciousOperation):
    """This webhook isn't signed as Truss signs. Django answers 400 and logs it as `django.security`."""


class WebhookUnreadableError(TrussPortalError, BadRequest):
    """This webhook is signed rightly and can't be read. Django answers 400."""
