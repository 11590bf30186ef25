"""The pretend Trustist: its control API as methods."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from truss_portal.testing.webhook_verbs import WebhookVerbs

if TYPE_CHECKING:
    from truss_portal.testing.sandbox import Sandbox


class Trustist(WebhookVerbs):
    """Plays everybody but the partner: the clients who are invited, their customers, and Trustist itself.

        with Sandbox() as truss:
            ...  # talk to truss.trustist.url as truss.trustist.client_id
            truss.trustist.complete(id)

    An `id` is an invitation's, as a string or a UUID. Webhooks are held, doubled, lost and waited for as Truss's are;
    the two know nothing of each other.
    """

    client_id = "trustist-client"
    client_secret = "trustist-secret"  # noqa: S105 - published in the sandbox's own settings

    def __init__(self, sandbox: Sandbox, control: Callable[..., Any]) -> None:
        """`control` asks the control API: a method, what, and what is sent."""
        self._sandbox = sandbox
        self._control = control

    @property
    def url(self) -> str:
        """What a client takes for Trustist's address."""
        return f"{self._sandbox.url}/trustist"

    def _call(self, method: str, what: str, /, **sent: Any) -> Any:
        return self._control(method, f"trustist/{what}", **sent)

    # ---- the partner

    def partner(self, **changes: Any) -> dict[str, Any]:
        """The partner, after changing what is given.

        `client_id`, `client_secret`, `token_lifetime` (seconds), `webhook_url`, `webhook_pauses` (seconds before each
        further try), `payment_events` (whether the partner is told of merchants' payments), `moves_after` (seconds
        after which an invitation takes its next step by itself; None: never), `answers` ("whole", or "as_published":
        only id and status), `without_keys` (what is answered before there are any: "not_found" or "empty"). None puts
        one back to what it was at the start.
        """
        return self._dict("PATCH" if changes else "GET", "partner", **changes)

    def revoke_tokens(self) -> None:
        """All of the partner's access tokens die. New ones may be asked for."""
        self._call("POST", "tokens/revoke")

    def fault(self, kind: str, *, path: str = "", **options: Any) -> None:
        """As `Sandbox.fault`, at Trustist's addresses only: `path` is what follows /trustist/, from its beginning."""
        self._sandbox.fault(kind, path=f"^/trustist/{path}", **options)

    def requests(self) -> list[dict[str, Any]]:
        """Those of `Sandbox.requests` that were for Trustist."""
        return [request for request in self._sandbox.requests() if request["path"].startswith("/trustist/")]

    # ---- invitations

    def invitations(self) -> list[dict[str, Any]]:
        """All, oldest first: id, status, name, email, payment_types, merchant_id, and keys as they are answered."""
        return self._list("invitations")

    def create_many(self, count: int, **template: Any) -> list[str]:
        """Invitations that the partner has sent by hand, quickly: their ids.

        `template`: `name`, `email`, `payment_types`, `status` and so on. `{n}` in a text becomes the number.
        """
        return list(self._dict("POST", "invitations", count=count, **template)["ids"])

    def send(self, id: UUID | str) -> dict[str, Any]:  # noqa: A002 - Trustist's name
        """The mail goes out: "sent"."""
        return self._dict("POST", f"invitations/{id}/send")

    def open(self, id: UUID | str) -> dict[str, Any]:  # noqa: A002
        """The client opens the invitation: "OPENED", and an event."""
        return self._dict("POST", f"invitations/{id}/open")

    def complete(self, id: UUID | str) -> dict[str, Any]:  # noqa: A002
        """The client is through: "COMPLETE", an event, a merchant and a key. Opens the invitation first."""
        return self._dict("POST", f"invitations/{id}/complete")

    def change_key(self, id: UUID | str, **further: Any) -> dict[str, Any]:  # noqa: A002
        """Another key in place of the merchant's, `further` fields beside its `apiKey`. There is no event for it."""
        return self._dict("POST", f"invitations/{id}/change-key", **further)

    def alter(self, id: UUID | str, **columns: Any) -> dict[str, Any]:  # noqa: A002
        """Forces columns (`status="Completed"`) without an event. `extra={...}` is laid over every later answer."""
        return self._dict("PATCH", f"invitations/{id}", **columns)

    def vanish(self, id: UUID | str) -> None:  # noqa: A002
        """Trustist no longer knows this invitation."""
        self._call("DELETE", f"invitations/{id}")

    def pay(self, id: UUID | str, amount: Decimal | str, *, status: str = "COMPLETE") -> str:  # noqa: A002
        """The merchant is paid: the payment's id. Two events, PENDING and `status`, if the partner is told of payments.

        `status`: COMPLETE, FAILED, or PENDING for one event alone.
        """
        return str(self._dict("POST", f"invitations/{id}/pay", amount=str(amount), status=status)["payment_id"])

    # ---- webhooks

    def webhooks(self, to: str | None) -> None:
        """From now on, tells the address `to` of what is published to be told; None ends it. Nothing is signed."""
        self.partner(webhook_url=to or "")

    def send_webhook(self, payload: Any = None, *, body: str | None = None) -> dict[str, Any]:
        """Whatever Trustist, or anybody who knows the address, may send: any payload or, with `body`, any text."""
        return self._dict("POST", "webhooks", payload={} if payload is None else payload, body=body)
