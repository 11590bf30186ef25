"""What the clients of all providers have in common: an address, a token, and what becomes of a 401."""

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from truss_portal.client.answers import Answer
from truss_portal.client.exceptions import NotAuthenticatedError
from truss_portal.client.transport import Bearer, Transport


class Api:
    """Speaks to one provider, authorized by a token.

    One client may be used by several threads at once: its one `requests.Session` is only read after it was set up
    (it takes no cookies), and the connection pool behind it is made for threads. `close` when all threads are done.
    """

    def __init__(
        self,
        base: str,
        transport: Transport,
        *,
        token: Callable[[], str],
        on_unauthorized: Callable[[str], bool] | None,
    ) -> None:
        """`base` has been checked. `token` and `on_unauthorized` are as for `TrussClient`."""
        self._base = base
        self._transport = transport
        self._token = token
        self._on_unauthorized = on_unauthorized

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self._base}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Every connection. Touches no network but for that."""
        self._transport.close()

    def stop_waiting(self) -> None:
        """Nobody waits any more through this client, whether it is already waiting or would have to from now on.

        Who waits for its turn raises HeldBackError at once; who waits to repeat a GET raises what the last attempt came
        to. Requests that are under way go on. May be called from any thread; it can't be undone.
        """
        self._transport.stop_waiting()

    def _authorized(self, request: Callable[..., Answer]) -> Answer:
        """Make the request; once more with a better token, where there is one after a 401.

        Also a create: a 401 "indicates that the request has not been applied", so nothing can be there twice.
        https://www.rfc-editor.org/rfc/rfc9110#name-401-unauthorized
        """
        used: list[Bearer] = []

        def auth() -> Bearer:
            used.clear()
            used.append(Bearer(self._token()))
            return used[0]

        try:
            return request(auth=auth)
        except NotAuthenticatedError as error:
            # Without a token in use it was the token's source that refused, and it has done what it can.
            if not used or self._on_unauthorized is None:
                raise
            refusal = error
        # Out here, so that what goes wrong with the new token doesn't carry the refusal's body along.
        if not self._on_unauthorized(used[0].token):
            raise refusal
        return request(auth=auth)

    def _name(self, url: str) -> str:
        """The path of the provider's own in an address, for messages."""
        return urlsplit(url).path.removeprefix(urlsplit(self._base).path)

    def _fetch(self, url: str) -> Answer:
        return self._authorized(partial(self._transport.fetch, url, name=self._name(url)))

    def _get(self, path: str) -> Answer:
        return self._authorized(partial(self._transport.fetch, f"{self._base}{path}", name=path))

    def _send(self, method: str, path: str, payload: dict[str, object] | None) -> Answer:
        return self._authorized(partial(self._transport.send, method, f"{self._base}{path}", payload, name=path))
