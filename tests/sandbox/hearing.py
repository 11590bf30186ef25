"""A receiver of webhooks on this machine, and what it makes of them: by the contract and the published rule alone."""

import datetime as dt
import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from typing import Any

from tests.client.loopback import Received
from tests.contract.contract import truss as contract
from tests.sandbox.conftest import Api

SECRET = "5a" * 32
UPDATED = "payment_intent.updated"
ADDED = "payment_intent.transaction.added"


def is_signed(received: Received, secret: str = SECRET, *, key: bytes | None = None, tolerance: int = 300) -> bool:
    """As the guide asks receivers to check it."""
    header = received.headers.get("X-Webhook-Signature", "")
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", header)
    if not found or abs(time.time() - int(found[1])) > tolerance:
        return False
    digest = hmac.new(key or secret.encode(), f"{found[1]}.".encode() + received.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(digest, found[2])


def time_of(received: Received) -> int:
    return int(received.headers["X-Webhook-Signature"].split(",")[0].removeprefix("t="))


def keeps_the_contract(received: Received) -> None:
    """Raises where the request isn't one that the contract's `webhooks` describe."""
    event = received.json
    operation = contract.document()["webhooks"][event["event_name"]]["post"]
    schema = operation["requestBody"]["content"][received.headers["Content-Type"]]["schema"]
    contract.validator(schema).validate(event)
    payload_schema = contract.resolve(schema)["properties"]["event_payload"]
    assert set(payload_schema.get("x-sandbox-required", ())) <= set(event["event_payload"])
    assert event["event_payload"].get("transactions", []) == []
    assert dt.datetime.fromisoformat(event["event_created_at"]).tzinfo is not None


def names(received: Iterable[Received]) -> list[str]:
    return [each.json["event_name"] for each in received]


def ids(events: Iterable[Any]) -> list[str]:
    return [(each if isinstance(each, dict) else each.json)["event_id"] for each in events]


def all_delivered(api: Api, seconds: float = 20) -> None:
    """Returns when nothing is on its way any more."""
    until = time.monotonic() + seconds
    while api.control("GET", "webhooks/waiting")["waiting"]:
        assert time.monotonic() < until
        time.sleep(0.01)
