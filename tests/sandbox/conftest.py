"""The sandbox in this very process, mounted under /sandbox/ as in `tests/urls.py`: quick, and seen by coverage."""

import datetime as dt
import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from truss_portal.sandbox import request_log

INTENTS = "/v1/payment-intents/inbound/"


class Api:
    """Speaks to the API with the fixed token, and to the control API."""

    def __init__(self, token: str) -> None:
        self.client = Client()
        self.prefix = "/sandbox"
        self.headers = {"Authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, body: object = None, **kwargs: Any) -> Any:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kwargs.setdefault("content_type", "application/json")
        kwargs.setdefault("headers", self.headers)
        return self.client.generic(method, self.prefix + path, data, **kwargs)

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def post(self, path: str, body: object = None) -> Any:
        return self.send("POST", path, body)

    def patch(self, path: str, body: object = None) -> Any:
        return self.send("PATCH", path, body)

    def create(self, **changes: Any) -> Any:
        """A create that Truss accepts, unless `changes` spoil it. `...` takes a field out."""
        body = {
            "addenda": "Invoice 1042",
            "total": "120.00",
            "contact": {"name": "Ortega Bakery", "email": "ap@ortega.example"},
        } | changes
        return self.post(INTENTS, {key: value for key, value in body.items() if value is not ...})

    def created(self, **changes: Any) -> dict[str, Any]:
        answer = self.create(**changes)
        assert answer.status_code == 201, answer.content
        return dict(answer.json())

    def fetched(self, uid: str) -> dict[str, Any]:
        answer = self.get(f"{INTENTS}{uid}/")
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def control(self, method: str, what: str, body: object = None) -> Any:
        """The decoded answer; the answer itself when the control API refuses."""
        answer = self.send(method, f"/control/{what}", body, headers={})
        return answer.json() if answer.status_code == 200 else answer

    def fault(self, kind: str, **changes: Any) -> None:
        self.control("POST", "faults", {"kind": kind} | changes)


@pytest.fixture
def api(db: None) -> Api:
    request_log.clear()
    return Api("sandbox-token")


@pytest.fixture
def tomorrow() -> str:
    return (timezone.localdate() + dt.timedelta(days=1)).isoformat()
