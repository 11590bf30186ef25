"""The running sandbox against `truss.openapi.yaml`, by schemathesis: valid and invalid requests, and every answer."""

import contextlib
import copy
import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, settings

from truss_portal.testing.sandbox import Sandbox

CONTRACT = Path(__file__).parent.parent / "contract" / "truss.openapi.yaml"
QUICK = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
THOROUGH = settings(QUICK, max_examples=400)


contract = schemathesis.openapi.from_path(CONTRACT)
# JSON may carry NUL and the contract doesn't forbid it, but hardly a database takes it: the sandbox refuses it, and
# `test_strictness.py` shows that.
contract.config.generation.update(allow_x00=False)


@contract.parametrize()
@QUICK
@pytest.mark.slow
def test_the_sandbox_keeps_the_contract(case: Any, truss_sandbox: Sandbox) -> None:
    _keeps_the_contract(case, truss_sandbox)


@pytest.mark.slow
@contract.parametrize()
@THOROUGH
def test_the_sandbox_keeps_the_contract_at_length(case: Any, truss_sandbox: Sandbox) -> None:
    _keeps_the_contract(case, truss_sandbox)


def _keeps_the_contract(case: Any, truss: Sandbox) -> None:
    # A parameter that mustn't be there, and whose value is a list of nothing, isn't there once it is in an address.
    assume([] not in (case.query or {}).values())
    _obey_the_rules_that_a_schema_cannot_express(case, truss)
    case.call_and_validate(base_url=truss.url, headers={"Authorization": f"Bearer {truss.token}"})


def _obey_the_rules_that_a_schema_cannot_express(case: Any, truss: Sandbox) -> None:
    """The contract's `x-rules`, by which a request of valid form is refused all the same; and uids that exist.

    Only values of valid form are replaced, so that what was generated to be invalid stays so.
    """
    if _is_uid(case.path_parameters.get("uid")):
        intent = _fresh_intent(truss)
        case.path_parameters["uid"] = intent["contact"]["uid"] if "/contacts/" in case.operation.path else intent["uid"]
    if not isinstance(case.body, dict):
        return
    case.body = copy.deepcopy(case.body)
    if _is_date(case.body.get("due_date")):
        case.body["due_date"] = "2035-05-15"
    contact = case.body.get("contact", case.body)
    if not isinstance(contact, dict):
        return
    if _is_uid(contact.get("uid")):
        contact["uid"] = _fresh_intent(truss)["contact"]["uid"]
    name, email = contact.get("name"), contact.get("email")
    if isinstance(name, str) and 1 <= len(name) <= 60:
        contact["name"] = str(uuid.uuid4())
    if email is not None and email == contact.get("secondary_email"):
        del contact["secondary_email"]


def _fresh_intent(truss: Sandbox) -> dict[str, Any]:
    """Unpaid, and of a customer of its own."""
    contact = {"name": str(uuid.uuid4()), "email": f"{uuid.uuid4()}@example.test"}
    answer = requests.post(
        f"{truss.url}/v1/payment-intents/inbound/",
        json={"addenda": "Invoice", "total": "1.00", "contact": contact},
        headers={"Authorization": f"Bearer {truss.token}"},
        timeout=30,
    )
    return dict(answer.json())


def _is_uid(value: object) -> bool:
    with contextlib.suppress(ValueError):
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    return False


def _is_date(value: object) -> bool:
    with contextlib.suppress(ValueError):
        return isinstance(value, str) and dt.date.fromisoformat(value).isoformat() == value
    return False
