"""Statuses of invitations and payments. No I/O.

Their list and their casing aren't published: the API's examples are in lower case, the webhooks' in upper case, and the
end is spelt COMPLETE, COMPLETED and Completed. What isn't known here stays as it is and never counts as done.

https://trustisttransfer.com/docs/partner-webhooks/
"""

from typing import Final

SENT: Final = "SENT"
PENDING: Final = "PENDING"
OPENED: Final = "OPENED"
COMPLETE: Final = "COMPLETE"
FAILED: Final = "FAILED"


def normalized(status: str) -> str:
    """For comparing: in upper case, with one spelling of the end."""
    word = status.strip().upper()
    return COMPLETE if word == "COMPLETED" else word


def is_complete(status: str) -> bool:
    """Onboarding is done, or the payment has been made."""
    return normalized(status) == COMPLETE


def is_opened(status: str) -> bool:
    """The client has begun with the onboarding, and isn't through yet."""
    return normalized(status) == OPENED
