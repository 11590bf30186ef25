"""The pretend Truss as a separate process, and its control API as methods."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import types
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import requests
from requests import Response

import truss_portal
from truss_portal.testing.trustist import Trustist
from truss_portal.testing.webhook_verbs import SandboxError, WebhookVerbs

__all__ = ["Sandbox", "SandboxError", "Trustist"]

_TIMEOUT = (5, 120)
_ANNOUNCEMENT = "Truss sandbox at "


class Sandbox(WebhookVerbs):
    """Starts the pretend Truss and plays everybody but the site: the payer, the bank, the person at the dashboard.

        with Sandbox() as truss:
            ...  # talk to truss.url with the bearer token truss.token
            truss.pay(uid, "40.00")

    Methods raise SandboxError when the process refuses or doesn't answer. A `uid` may be a string or a UUID. With
    `database`, a path, the data is kept in that SQLite file. A due date's day begins in `time_zone`.
    """

    token = "sandbox-token"  # noqa: S105 - published in the sandbox's own settings
    client_id = "sandbox-client"
    client_secret = "sandbox-secret"  # noqa: S105
    webhook_secret = "0123456789abcdef" * 4
    """What webhooks are signed with, unless they are told otherwise."""

    def __init__(
        self, *, database: Path | str | None = None, time_zone: str = "UTC", start_timeout: float = 60
    ) -> None:
        self.url = ""
        self._company: str | None = None
        self._arguments = ["--port", "0", "--with-parent", "--time-zone", time_zone]
        if database is not None:
            self._arguments += ["--database", str(database)]
        self._start_timeout = start_timeout
        self._process: subprocess.Popen[str] | None = None
        self._session = requests.Session()
        # Proxies of the environment must not come between this machine and itself.
        self._session.trust_env = False
        self.trustist = Trustist(self, self._call)

    @classmethod
    def at(cls, url: str, *, company: str | None = None) -> Self:
        """One that runs already, such as the sandbox that a site on this machine has mounted at `url`.

        With `company`, a slug, what is done and asked concerns that company instead of the default one. It comes into
        being when it is first asked for. `token` still opens the default one: get the other a token of its own.
        """
        sandbox = cls()
        sandbox.url = url.rstrip("/")
        sandbox._company = company
        return sandbox

    # ---- the process

    def start(self) -> Self:
        """Returns when the process answers; raises SandboxError when it doesn't within `start_timeout` seconds."""
        python_path = [str(Path(truss_portal.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, python_path))}
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter, and arguments of ours
            [sys.executable, "-m", "truss_portal.sandbox", *self._arguments],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.url = self._read_address(self._process)
        return self

    def _read_address(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        # A process that hangs before its first line is killed, and the line is then empty.
        watchdog = threading.Timer(self._start_timeout, process.kill)
        watchdog.start()
        line = process.stdout.readline()
        watchdog.cancel()
        if not line.startswith(_ANNOUNCEMENT):
            self.stop()
            raise SandboxError(f"The Truss sandbox didn't start (exit status {process.returncode}).")
        return line.removeprefix(_ANNOUNCEMENT).strip()

    def stop(self) -> None:
        """Ends the process; a second call does nothing."""
        process, self._process = self._process, None
        self._session.close()
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.stop()

    # ---- the whole of it

    def reset(self) -> None:
        """Back to an empty sandbox: no intents, no mail, no faults, one company as at the start."""
        self._call("POST", "reset")

    def requests(self) -> list[dict[str, Any]]:
        """The API requests since the last reset, oldest first: method, path, query, and status (None if dropped)."""
        return self._list("requests")

    def mailbox(self) -> list[dict[str, Any]]:
        """What Truss would have sent, newest first: kind, to, subject, body, link, code, created_at."""
        return self._list("mailbox")

    # ---- faults

    def fault(
        self,
        kind: str,
        *,
        method: str = "*",
        path: str = "",
        count: int | None = 1,
        probability: float = 1.0,
        seconds: float = 0.1,
        retry_after: int | None = 1,
        status: int = 503,
    ) -> None:
        """Lets something go wrong at the API, `count` times or, with None, until it is cleared.

        `kind`: latency (of `seconds`), rate_limit (429, `retry_after` seconds or no header), unauthorized (401),
        error_before and error_after (`status`), drop_before and drop_after (the connection closes), garbage (an
        unreadable 200). Those called "after", and garbage, have done the work. `path` is a regular expression,
        searched for in the request's path.
        """
        self._call(
            "POST",
            "faults",
            kind=kind,
            method=method,
            path=path,
            count=count,
            probability=probability,
            seconds=seconds,
            retry_after=retry_after,
            status=status,
        )

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, with what is left of their counts."""
        return self._list("faults")

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    # ---- the company

    def company(self, **changes: Any) -> dict[str, Any]:
        """The company, after changing what is given.

        `name`, `checkout_link_id` (empty: no portal has been set up), `allowed_redirects`, `scopes`, `page_size_max`,
        `token_lifetime` (seconds), `custom_payments`, `rotate_refresh`, `echo_state`, and what `webhooks` sets. None
        puts one back to what it was at the start.
        """
        return self._dict("PATCH" if changes else "GET", "company", **changes)

    def allow_redirects(self, addresses: Sequence[str]) -> None:
        """What a partner writes to Truss about: the payer may be sent back to these."""
        self.company(allowed_redirects=list(addresses))

    def authorization_code(self, redirect_uri: str) -> str:
        """What the company's user brings back after agreeing; for one exchange at /v1/oauth2/token."""
        return str(self._dict("POST", "authorization-codes", redirect_uri=redirect_uri)["code"])

    def answer_consent(self, address: str, *, allow: bool = True) -> str:
        """The company's user is sent to the consent page at `address` and answers it.

        Says where they are sent back to: the partner's address with `code` and `state`, or with `error`. Raises
        SandboxError where the page sends nobody back, because of the client or the redirect address.
        """
        slug = self.company()["slug"]
        # A browser that comes for the first time: no cookies yet.
        self._session.cookies.clear()
        page = self._request("GET", address)
        if page.status_code == requests.codes.ok:
            token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
            form = {"csrfmiddlewaretoken": token, "company": slug, "decision": "allow" if allow else "deny"}
            page = self._request("POST", address, data=form)
        if "Location" not in page.headers:
            raise SandboxError(f"The consent page sends nobody back ({page.status_code}): {page.text}")
        return page.headers["Location"]

    def revoke_tokens(self) -> None:
        """The company's user takes the consent back: all of the company's tokens die, except for `token`."""
        self._call("POST", "tokens/revoke")

    # ---- intents and transactions

    def payment_intents(self) -> list[dict[str, Any]]:
        """All that Truss holds, oldest first, each as the single GET would answer."""
        return self._list("payment-intents")

    def create_many(self, count: int, **template: Any) -> list[str]:
        """Intents made in the dashboard, quickly: their uids.

        `template`: any columns (`total="10.00"`, `status=...`), `contact={"name": ..., "email": ...}`, `paid="5.00"`.
        `{n}` in a text becomes the intent's number.
        """
        return list(self._dict("POST", "payment-intents", count=count, **template)["uids"])

    def alter(self, uid: UUID | str, **columns: Any) -> dict[str, Any]:
        """Forces columns (`status="Whatever"`) against all rules. `extra={...}` is laid over every later answer."""
        return self._dict("PATCH", f"payment-intents/{uid}", **columns)

    def vanish(self, uid: UUID | str) -> None:
        """Truss no longer knows this intent."""
        self._call("DELETE", f"payment-intents/{uid}")

    def pay(
        self, uid: UUID | str, amount: Decimal | str | None = None, *, payment_method: str = "ach"
    ) -> dict[str, Any]:
        """Somebody pays; all that is left, unless an `amount` is given. Answers with the transaction."""
        text = None if amount is None else str(amount)
        return self._dict("POST", f"payment-intents/{uid}/pay", amount=text, payment_method=payment_method)

    def settle(self, transaction_uid: UUID | str) -> dict[str, Any]:
        """The money has cleared. Answers with the transaction."""
        return self._dict("POST", f"transactions/{transaction_uid}/settle")

    def return_transaction(self, transaction_uid: UUID | str) -> dict[str, Any]:
        """The bank takes the money back. Answers with the reversing transaction."""
        return self._dict("POST", f"transactions/{transaction_uid}/return")

    # ---- webhooks

    def webhooks(
        self, to: str | None, *, secret: str = webhook_secret, encoding: str = "text", payload: str = "whole"
    ) -> None:
        """From now on, tells the address `to` of every change; None ends it.

        `secret` has 64 hex digits; empty leaves the signature out. `encoding` says which bytes key it: the secret as
        "text", or what it is the "hex" of. `payload` is "whole", or "as_published": only the fields that Truss's
        example shows, without a uid. `company(webhook_pauses=[...])` says how many seconds after each other the tries
        of one delivery are made.
        """
        self.company(webhook_url=to or "", webhook_secret=secret, webhook_encoding=encoding, webhook_payload=payload)

    def send_webhook(self, event_name: str, payload: Any = None, *, body: str | None = None) -> dict[str, Any]:
        """An event that Truss has made up, rightly signed: any name and payload or, with `body`, any text at all."""
        sent = {} if payload is None else payload
        return self._dict("POST", "webhooks", event_name=event_name, payload=sent, body=body)

    def forge_webhook(self, kind: str = "wrong_secret", *, uid: UUID | str | None = None) -> dict[str, Any]:
        """Somebody pretends that an intent (the latest one) has been paid, tries it once, and says with what event.

        `kind`: unsigned, wrong_secret, old (signed for yesterday), future (for tomorrow), changed_body (the signature
        of another body), unknown_version (no v1), no_time (no t).
        """
        return self._dict("POST", "webhooks/forge", kind=kind, uid=uid and str(uid))

    # ---- the wire

    def _call(self, method: str, what: str, /, **sent: Any) -> Any:
        if not self.url:
            raise SandboxError("The Truss sandbox hasn't been started.")
        body = sent if method in ("POST", "PATCH") else None
        query = {"company": self._company} if self._company else None
        address = f"{self.url}/control/{what}"
        answer = self._request(method, address, params=query, json=body)
        if not answer.ok:
            raise SandboxError(f"{method} {what}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def _request(self, method: str, address: str, **kwargs: Any) -> Response:
        try:
            return self._session.request(method, address, allow_redirects=False, timeout=_TIMEOUT, **kwargs)
        except requests.RequestException as error:
            raise SandboxError(f"The Truss sandbox doesn't answer: {error}") from error
