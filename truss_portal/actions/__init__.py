"""Ask for a change: each thing that the app can do is named here once, and every door only translates into it.

An action checks what can be checked without the network and raises, before anything is recorded, when Truss would
refuse: `InvalidRequestError` for a published rule, `ActionRefusedError` for what this invoice doesn't allow as it
stands. Then it records the wish in a row and wakes the outbox once the surrounding transaction is committed. What
Truss answers is written on the rows; no action raises for it, nor for a task backend that is down.
"""

from .changing import (
    LEAST_LEFT,
    amend,
    cancel,
    lost_emails,
    resend_email,
    update_contact,
    why_not_amendable,
    why_not_at_truss,
    why_not_cancelable,
    why_not_refreshable,
    why_not_resendable,
)
from .drafting import WRITTEN_BY_PEOPLE, draft, save_draft, validate
from .many import ask_for_many, why_not_each
from .resolving import dismiss, send_again, try_again, why_not_send_again, why_not_try_again, withdraw
from .sending import send, why_not_sendable

__all__ = [
    "LEAST_LEFT",
    "WRITTEN_BY_PEOPLE",
    "amend",
    "ask_for_many",
    "cancel",
    "dismiss",
    "draft",
    "lost_emails",
    "resend_email",
    "save_draft",
    "send",
    "send_again",
    "try_again",
    "update_contact",
    "validate",
    "why_not_amendable",
    "why_not_at_truss",
    "why_not_cancelable",
    "why_not_each",
    "why_not_refreshable",
    "why_not_resendable",
    "why_not_send_again",
    "why_not_sendable",
    "why_not_try_again",
    "withdraw",
]
