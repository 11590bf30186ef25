"""Settings → a client that speaks for the partner; its token is shared between processes by Django's cache."""

import hashlib
import json
from datetime import datetime
from typing import Final

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from truss_portal import encryption
from truss_portal.database import alias
from truss_portal.exceptions import UndecryptableError
from truss_portal.trustist.client import LONGEST_REST, Token, TokenStore, TrustistClient
from truss_portal.trustist.conf import conf
from truss_portal.trustist.exceptions import NotConfiguredError

# While somebody looks at a page that is loading: seconds to connect, seconds between two bytes of an answer.
HURRIED_TIMEOUT: Final = (3.0, 10.0)
GET_ATTEMPTS: Final = 4


class CachedTokens:
    """The access token in Django's cache, encrypted: whoever reads the cache finds nothing to use.

    What can't be opened or read any more counts as none.
    """

    def __init__(self, api_url: str, client_id: str) -> None:
        whose = hashlib.sha256(json.dumps([api_url, client_id]).encode()).hexdigest()
        self._key = f"truss_trustist.token.{whose[:32]}"

    @sensitive_variables("kept", "text")
    def get(self) -> Token | None:
        sealed = cache.get(self._key)
        if not isinstance(sealed, str):
            return None
        try:
            text = encryption.open_sealed(sealed, what=_("Trustist's access token"))
            kept = json.loads(text)
            return Token(access_token=kept["token"], expires_at=datetime.fromisoformat(kept["until"]))
        except (UndecryptableError, ValueError, KeyError, TypeError):
            return None

    @sensitive_variables("token", "text")
    def set(self, token: Token) -> None:
        text = json.dumps({"token": token.access_token, "until": token.expires_at.isoformat()})
        seconds = (token.expires_at - timezone.now()).total_seconds()
        if seconds >= 1:
            cache.set(self._key, encryption.seal(text), int(seconds))

    def delete(self) -> None:
        cache.delete(self._key)


def connect(*, hurried: bool = False) -> TrustistClient:
    """A client for the partner whom the settings name. Touches no network.

    Raises NotConfiguredError when the settings don't suffice. A `hurried` one asks once and waits a few seconds at the
    most. Raises RuntimeError inside a database transaction: nobody may wait for the network while holding locks, and a
    rollback would forget what Trustist has done.
    """
    with transaction.atomic(using=alias(), durable=True):
        pass
    if not (conf.client_id and conf.client_secret):
        raise NotConfiguredError(_('TRUSTIST has no "CLIENT_ID" and "CLIENT_SECRET": ask Trustist for them.'))
    connecting, reading = conf.timeout
    if hurried:
        connecting, reading = min(connecting, HURRIED_TIMEOUT[0]), min(reading, HURRIED_TIMEOUT[1])
    tokens: TokenStore = CachedTokens(conf.api_url, conf.client_id)
    return TrustistClient(
        conf.api_url,
        conf.client_id,
        conf.client_secret,
        timeout=(connecting, reading),
        tokens=_WithMemory(tokens),
        get_attempts=1 if hurried else GET_ATTEMPTS,
        patience=0 if hurried else LONGEST_REST,
    )


class _WithMemory:
    """For a cache that keeps nothing, such as Django's dummy: the client would ask for a token for each request."""

    def __init__(self, shared: TokenStore) -> None:
        self._shared = shared
        self._own: Token | None = None

    def get(self) -> Token | None:
        return self._shared.get() or self._own

    def set(self, token: Token) -> None:
        self._own = token
        self._shared.set(token)

    def delete(self) -> None:
        self._own = None
        self._shared.delete()
