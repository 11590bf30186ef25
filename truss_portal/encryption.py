"""Secrets at rest: sealed before they are written, opened when they are needed. No database and no network.

    sealed = seal(token)                                   # text for a column
    open_sealed(sealed, what="the access token of Acme")   # the token again

Sealed is Fernet's: encrypted and authenticated, so that a value that somebody has changed isn't opened either.
https://cryptography.io/en/latest/fernet/
"""

import base64
from collections.abc import Iterator
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from truss_portal.conf import conf
from truss_portal.exceptions import EncryptionKeysError, UndecryptableError

# What the keys derived from SECRET_KEY are for: with another text the same SECRET_KEY gives another key.
_PURPOSE: Final = b"truss_portal.encryption:1"
_KEY_LENGTH: Final = 32


def new_key() -> str:
    """A key for TRUSS_PORTAL["ENCRYPTION_KEYS"]."""
    return Fernet.generate_key().decode()


def is_key(text: object) -> bool:
    """Whether this can stand in TRUSS_PORTAL["ENCRYPTION_KEYS"]."""
    try:
        Fernet(text)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False
    return True


@sensitive_variables("text")
def seal(text: str) -> str:
    """`text` encrypted under the newest key. Raises EncryptionKeysError."""
    return _ring().encrypt(text.encode()).decode()


def open_sealed(sealed: str, *, what: str) -> str:
    """The text that was sealed. `what` names it in the error, with its company.

    Raises UndecryptableError where none of the keys opens it: what can't be decrypted is never passed on as it is.
    """
    ring = _ring()
    try:
        return ring.decrypt(sealed.encode()).decode()
    except InvalidToken:
        pass
    # Out here, so that no traceback shows the same twice.
    raise UndecryptableError(
        _(
            "%(what)s can't be decrypted: no key of this site opens it. If the keys have changed, put the old one back "
            'behind the new one, in TRUSS_PORTAL["ENCRYPTION_KEYS"] or, where that is empty, in SECRET_KEY_FALLBACKS. '
            "If the old key is lost, connect the company again, or enter the webhook secret again."
        )
        % {"what": what[:1].upper() + what[1:]}
    )


def is_under_newest_key(sealed: str) -> bool:
    """Whether the other keys can be thrown away as far as this one is concerned. Raises EncryptionKeysError."""
    try:
        _fernets()[0].decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def reseal(sealed: str, *, what: str) -> str:
    """The same text, encrypted under the newest key. Raises what `open_sealed` raises."""
    return seal(open_sealed(sealed, what=what))


def _ring() -> MultiFernet:
    return MultiFernet(_fernets())


def _fernets() -> list[Fernet]:
    """One for each key, newest first: the site's own, and behind them those derived from SECRET_KEY.

    The derived ones stay behind so that a site can begin without keys of its own and set some later: a rotation like
    any other, after which `truss_reencrypt` leaves nothing under them.
    """
    keys: list[str | bytes] = list(conf.encryption_keys)
    for number, key in enumerate(keys, start=1):
        if not is_key(key):
            raise EncryptionKeysError(
                _('Key %(number)d of TRUSS_PORTAL["ENCRYPTION_KEYS"] is not a Fernet key.') % {"number": number}
            )
    return [Fernet(key) for key in [*keys, *_derived_keys()]]


def _derived_keys() -> Iterator[bytes]:
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        text = secret if isinstance(secret, bytes) else str(secret).encode()
        derived = HKDF(algorithm=SHA256(), length=_KEY_LENGTH, salt=None, info=_PURPOSE).derive(text)
        yield base64.urlsafe_b64encode(derived)
