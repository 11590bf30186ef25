"""Webhooks as Truss sends them, signed by a few lines of the tests' own."""

import hmac
import json
import time
import uuid
from typing import Any

import django
from django.test import Client

SECRET = "3f9a1c7e5b20d4866e81f0a29c35d7b4187be2604fad93c5d01e7a6842bf5c9d"
URL = "/truss/webhook/default/"
TASKS = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
# Tasks are taken and never run, as where a worker is slow: nothing happens in the request.
IN_BACKGROUND = {"default": {"BACKEND": f"{TASKS}.backends.dummy.DummyBackend"}}


def body(uid: Any = None, **given: Any) -> bytes:
    """An event about the intent of this uid; without one, as the published examples show it."""
    payload = {"direction": 0, "contact": {}, "balance_paid": "500.00", "transactions": []}
    event = {
        "event_id": str(uuid.uuid4()),
        "event_name": "payment_intent.updated",
        "event_created_at": "2026-03-02T15:04:05.512000Z",
        "event_payload": payload | ({"uid": str(uid)} if uid else {}),
    } | given
    return json.dumps(event).encode()


def sign(content: bytes, *, secret: str | bytes = SECRET, at: float | None = None) -> str:
    """https://docs.trusspayments.com/guides/webhooks/signature-verification"""
    moment = int(time.time() if at is None else at)
    key = secret.encode() if isinstance(secret, str) else secret
    digest = hmac.new(key, str(moment).encode() + b"." + content, "sha256").hexdigest()
    return f"t={moment},v1={digest}"


def post(content: bytes, *, url: str = URL, signature: str | None = None, client: Client | None = None) -> Any:
    """Rightly signed unless told otherwise, and not at all with ""."""
    signed = sign(content) if signature is None else signature
    headers = {"X-Webhook-Signature": signed} if signed else {}
    return (client or Client()).post(url, content, content_type="application/json", headers=headers)


def tell(*uids: Any, **given: Any) -> None:
    """Truss tells of a change of each of these."""
    for uid in uids:
        answer = post(body(uid, **given))
        assert (answer.status_code, answer.content) == (200, b"")
