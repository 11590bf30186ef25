"""The pretend Trustist against `trustist.openapi.yaml`, by schemathesis: requests of all kinds, and every answer."""

import copy
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import assume, settings

from tests.sandbox.test_contract import QUICK, THOROUGH
from truss_portal.testing.sandbox import Sandbox
from truss_portal.testing.trustist import Trustist

CONTRACT = Path(__file__).parent.parent / "contract" / "trustist.openapi.yaml"

contract = schemathesis.openapi.from_path(CONTRACT)
# As for Truss: no published rule forbids a NUL, and hardly a database takes it.
contract.config.generation.update(allow_x00=False)


@contract.parametrize()
@QUICK
@pytest.mark.slow
def test_the_sandbox_keeps_the_contract(case: Any, truss_sandbox: Sandbox) -> None:
    _keeps_the_contract(case, truss_sandbox.trustist)


@contract.parametrize()
@settings(QUICK, max_examples=8)
@pytest.mark.slow
def test_the_sandbox_keeps_the_contract_where_the_invitation_is_known(case: Any, truss_sandbox: Sandbox) -> None:
    if "id" in case.path_parameters:
        [known] = truss_sandbox.trustist.create_many(1)
        truss_sandbox.trustist.complete(known)
        case.path_parameters["id"] = known
    _keeps_the_contract(case, truss_sandbox.trustist)


@pytest.mark.slow
@contract.parametrize()
@THOROUGH
def test_the_sandbox_keeps_the_contract_at_length(case: Any, truss_sandbox: Sandbox) -> None:
    _keeps_the_contract(case, truss_sandbox.trustist)


def _keeps_the_contract(case: Any, trustist: Trustist) -> None:
    # A parameter that mustn't be there, and whose value is a list of nothing, isn't there once it is in an address.
    assume([] not in (case.query or {}).values())
    _obey_the_rules_that_a_schema_cannot_express(case, trustist)
    case.call_and_validate(base_url=trustist.url, headers={"Authorization": f"Bearer {token(trustist)}"})


def _obey_the_rules_that_a_schema_cannot_express(case: Any, trustist: Trustist) -> None:
    """Credentials are right, an email address is one, and a name isn't empty.

    Only values of valid form are replaced, so that what was generated to be invalid stays so.
    """
    if not isinstance(case.body, dict):
        return
    case.body = copy.deepcopy(case.body)
    right = {
        "client_id": trustist.client_id,
        "client_secret": trustist.client_secret,
        "email": f"{uuid.uuid4()}@example.test",
        "name": "Fern & Moss",
    }
    for name, value in right.items():
        if isinstance(case.body.get(name), str):
            case.body[name] = value


def token(trustist: Trustist) -> str:
    form = {
        "client_id": trustist.client_id,
        "client_secret": trustist.client_secret,
        "grant_type": "client_credentials",
    }
    return str(requests.post(f"{trustist.url}/token", form, timeout=30).json()["access_token"])
