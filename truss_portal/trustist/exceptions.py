"""What can be in the way on our side, by cause. The docstring of a class is its default message."""

from django.core.exceptions import BadRequest
from django.utils.functional import Promise

from truss_portal.exceptions import ActionRefusedError, LeaseHeldError, NotConnectedError, TrussPortalError


class NotConfiguredError(NotConnectedError):
    """TRUSTIST has no CLIENT_ID and CLIENT_SECRET: ask Trustist for them."""


class SyncRunningError(LeaseHeldError):
    """Another sync with Trustist is running."""


class InvitedBeforeError(ActionRefusedError):
    """This email has been invited before."""

    def __init__(self, message: str | Promise = "", *, first: int) -> None:
        super().__init__(message)
        self.first = first
        """The first invitation, by primary key."""


class WebhookUnreadableError(TrussPortalError, BadRequest):
    """This webhook can't be read. Django answers 400."""
