"""The header by which a receiver tells Truss's webhooks from anybody else's, rightly made and forged.

https://docs.trusspayments.com/guides/webhooks/signature-verification
Which bytes key the HMAC isn't published: the secret's characters ("text") or the bytes that it is the hex of ("hex").
"""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping

HEADER = "X-Webhook-Signature"
ENCODINGS = ("text", "hex")
_DAY = 24 * 60 * 60
_SECRET = re.compile(r"[0-9a-f]{64}")


def is_secret(text: str) -> bool:
    """Whether it has the published form, 64 hex digits. Empty text stands for no secret."""
    return not text or bool(_SECRET.fullmatch(text))


def sign(secret: str, encoding: str, timestamp: int, body: bytes) -> str:
    """The header's value, at `timestamp` seconds since 1970."""
    return f"t={timestamp},v1={_digest(secret, encoding, timestamp, body)}"


def _digest(secret: str, encoding: str, timestamp: int, body: bytes) -> str:
    key = bytes.fromhex(secret) if encoding == "hex" else secret.encode()
    return hmac.new(key, f"{timestamp}.".encode() + body, "sha256").hexdigest()


def _without_a_known_version(secret: str, encoding: str, timestamp: int, body: bytes) -> str:
    return f"t={timestamp},v2={_digest(secret, encoding, timestamp, body)}"


def _without_a_time(secret: str, encoding: str, timestamp: int, body: bytes) -> str:
    return f"v1={_digest(secret, encoding, timestamp, body)}"


FORGERIES: Mapping[str, Callable[[str, str, int, bytes], str]] = {
    "unsigned": lambda *_: "",
    "wrong_secret": lambda _, encoding, timestamp, body: sign(secrets.token_hex(32), encoding, timestamp, body),
    "old": lambda secret, encoding, timestamp, body: sign(secret, encoding, timestamp - _DAY, body),
    "future": lambda secret, encoding, timestamp, body: sign(secret, encoding, timestamp + _DAY, body),
    # The signature of another body, which says the same: only who looks at the bytes themselves can tell.
    "changed_body": lambda secret, encoding, timestamp, body: sign(secret, encoding, timestamp, body + b" "),
    "unknown_version": _without_a_known_version,
    "no_time": _without_a_time,
}
"""By the kind of forgery, what makes the header; empty means that there is none."""
