"""What Truss sends by itself: is it from Truss, and what does it say. No I/O.

https://docs.trusspayments.com/guides/webhooks/signature-verification
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, get_args

from truss_portal.client import json_fields, resources
from truss_portal.client.exceptions import SignatureError, SignatureProblem
from truss_portal.client.resources import WebhookEvent

SIGNATURE_HEADER: Final = "X-Webhook-Signature"
HEADER_MAX: Final = 4096  # characters: some fifty signatures

Encoding = Literal["text", "hex"]

_SPACE: Final = " \t"
_SECONDS = re.compile(r"[0-9]{1,12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HEX_SECRET = re.compile(r"[0-9a-fA-F]{64}")


def verify_signature(
    header: str | None, body: bytes, *, secrets: Sequence[str], encoding: Encoding, tolerance: float, now: datetime
) -> None:
    """Raises SignatureError unless one of `secrets` signed this very `body` at most `tolerance` seconds from now.

    `body` must be the bytes as they came. Several secrets are for the time of a rotation. Truss doesn't publish which
    bytes key the HMAC: with the `encoding` "text" the characters of the secret, with "hex" the 32 bytes that they stand
    for. Nor does it publish a tolerance. Raises ValueError for an encoding that there isn't, and TypeError for one text
    in place of several secrets.
    """
    keys = _keys(secrets, encoding)
    if not header or not header.strip():
        raise SignatureError(SignatureProblem.MISSING)
    sent_at, signatures = _parse(header)
    found = False
    for key in keys:
        signing = hmac.new(key, f"{sent_at}.".encode(), hashlib.sha256)
        signing.update(body)
        expected = signing.hexdigest()
        for signature in signatures:  # to the last, so that the time it takes doesn't tell which one matched
            found |= hmac.compare_digest(signature, expected)
    if not found:
        raise SignatureError(SignatureProblem.FORGED)
    # Only now: who can't sign isn't told what our clock says.
    late = now.timestamp() - int(sent_at)
    if not abs(late) <= tolerance:
        direction = "old" if late > 0 else "ahead of our clock"
        raise SignatureError(
            SignatureProblem.EXPIRED,
            f"The webhook's signature is {abs(late):.0f} seconds {direction}, and {tolerance:g} are allowed. Is the "
            "clock of this machine right?",
        )


def parse_event(body: bytes) -> WebhookEvent:
    """The event in a webhook's body. Raises UnreadableError. Verify the signature first."""
    return resources.parse_event(json_fields.parse_json(body, noun="the event"))


def _keys(secrets: Sequence[str], encoding: Encoding) -> list[bytes]:
    if isinstance(secrets, str):
        raise TypeError("secrets must be several texts, not one: each of its characters would be a secret.")
    if encoding not in get_args(Encoding):
        raise ValueError(f'encoding must be "text" or "hex", not {encoding!r}.')
    # An empty key is one that everybody has.
    texts = list(filter(None, (secret.strip() for secret in secrets)))
    if not texts:
        raise SignatureError(SignatureProblem.NO_SECRET)
    if encoding == "text":
        return [text.encode(errors="surrogatepass") for text in texts]
    if not all(map(_HEX_SECRET.fullmatch, texts)):
        raise SignatureError(
            SignatureProblem.NO_SECRET,
            'A webhook secret is not made of 64 hex digits, as the encoding "hex" needs it: enter it just as Truss '
            'gave it, or use the encoding "text".',
        )
    return [bytes.fromhex(text) for text in texts]


def _parse(header: str) -> tuple[str, list[str]]:
    """The time, as it is written, and all v1 signatures. Other parts may join the header and are skipped."""
    if len(header) > HEADER_MAX:
        raise SignatureError(SignatureProblem.MALFORMED)
    parts = [part.partition("=") for part in header.split(",")]
    values = [(key.strip(_SPACE), value.strip(_SPACE)) for key, equals, value in parts if equals]
    times = [value for key, value in values if key == "t"]
    signatures = [value for key, value in values if key == "v1" and _DIGEST.fullmatch(value)]
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not signatures:
        raise SignatureError(SignatureProblem.MALFORMED)
    return times[0], signatures
