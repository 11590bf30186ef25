"""Every webhook that truss.openapi.yaml draws is read."""

import json
import uuid
from datetime import datetime
from typing import Any

import pytest

from tests.contract.contract import truss as contract
from truss_portal.client import parse_event

EVENTS = contract.events()


@pytest.mark.parametrize(("schema", "drawn"), EVENTS.values(), ids=EVENTS)
def test_an_event_is_read(schema: dict[str, Any], drawn: Any) -> None:
    contract.validator(schema).validate(drawn)
    got = parse_event(json.dumps(drawn).encode())
    payload = drawn["event_payload"]
    assert (str(got.event_id), got.event_name) == (drawn["event_id"], drawn["event_name"])
    assert got.event_created_at == datetime.fromisoformat(drawn["event_created_at"])
    assert got.payment_intent_uid == (uuid.UUID(payload["uid"]) if "uid" in payload else None)
    assert (got.payload, got.extra) == (payload, {})


def test_no_webhook_is_left_out() -> None:
    assert {drawn["event_name"] for _schema, drawn in EVENTS.values()} == set(contract.document()["webhooks"])
    assert len(EVENTS) == 4
