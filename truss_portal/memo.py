"""Our mark in Truss's private `memo`.

Truss publishes no idempotency key and no reference field, so each invoice carries a short mark of ours at the end of
its memo: `Job 88, second visit [TP-7K3M9QXA2C]`. By it an invoice is recognised at Truss when the answer to its
creation was lost. People here see and write the memo without the mark.
"""

import re
import secrets
from typing import Final

# Crockford's alphabet: no I, L, O or U, so a mark can be read out on the phone.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 10
TRUSS_MAX: Final = 500  # https://docs.trusspayments.com/api-references/model/CreateInboundPaymentIntentRequest
_MARK = re.compile(rf"\[TP-([{ALPHABET}]{{{LENGTH}}})\]")
MAX_LENGTH: Final = TRUSS_MAX - len(" [TP-]") - LENGTH
"""What is left for people's own text."""


def new_mark() -> str:
    """A random mark: 50 bits, so that two never meet."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def join(memo: str, mark: str) -> str:
    """The memo as it goes to Truss."""
    return f"{memo} [TP-{mark}]" if memo else f"[TP-{mark}]"


def marks(memo: str | None) -> list[str]:
    """The marks in a memo from Truss, wherever people have moved them."""
    return _MARK.findall(memo or "")


def without(memo: str, mark: str) -> str:
    """People's own text: the memo without that mark. Somebody else's mark stays."""
    return re.sub(rf"[ \t]*\[TP-{mark}\]", "", memo)
