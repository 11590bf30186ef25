"""What can be made to go wrong, and whether the work was done all the same."""

import json
import time
from typing import Any

import pytest

from tests.sandbox.conftest import INTENTS, Api


def count(api: Api) -> int:
    return len(api.control("GET", "payment-intents"))


@pytest.mark.parametrize(
    ("kind", "status", "done"),
    [
        ("rate_limit", 429, 0),
        ("unauthorized", 401, 0),
        ("error_before", 503, 0),
        ("error_after", 503, 1),
        ("garbage", 200, 1),
    ],
)
def test_an_answer_is_replaced(api: Api, kind: str, status: int, done: int) -> None:
    api.fault(kind)

    assert api.create().status_code == status
    assert count(api) == done
    assert api.create().status_code == 201
    assert [each["status"] for each in api.control("GET", "requests")] == [status, 201]


@pytest.mark.parametrize(("kind", "done"), [("drop_before", 0), ("drop_after", 1)])
def test_out_of_reach_of_the_socket_an_answer_is_cut_off(api: Api, kind: str, done: int) -> None:
    api.fault(kind)

    answer = api.create()

    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(b"".join(answer.streaming_content))
    assert count(api) == done
    assert api.control("GET", "requests")[0]["status"] is None


def test_garbage_cannot_be_read(api: Api) -> None:
    api.fault("garbage")
    with pytest.raises(ValueError, match="decode"):
        api.get("/v1/company/").json()


def test_the_status_of_an_error_can_be_chosen(api: Api) -> None:
    api.fault("error_before", status=502)
    assert api.get("/v1/company/").status_code == 502


@pytest.mark.parametrize(("retry_after", "header"), [(7, "7"), (0, "0"), (None, None)])
def test_a_rate_limit_says_when_to_come_back(api: Api, retry_after: int | None, header: str | None) -> None:
    api.fault("rate_limit", retry_after=retry_after)
    assert api.get("/v1/company/").get("Retry-After") == header


def test_latency_delays_and_then_other_faults_follow(api: Api) -> None:
    api.fault("error_before")
    api.fault("latency", seconds=0.2)
    started = time.monotonic()
    assert api.get("/v1/company/").status_code == 503
    assert time.monotonic() - started >= 0.2
    assert api.get("/v1/company/").status_code == 200


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ({"method": "POST"}, [200, 503]),
        ({"method": "GET"}, [503, 201]),
        ({"path": "company"}, [503, 201]),
        ({"path": "^/v1/payment-intents/inbound/$"}, [200, 503]),
        ({"probability": 0}, [200, 201]),
        ({"count": 0}, [200, 201]),
        ({"count": None}, [503, 503]),
    ],
)
def test_a_fault_hits_what_it_is_meant_for(api: Api, fault: dict[str, Any], statuses: list[int]) -> None:
    api.fault("error_before", **fault)
    assert [api.get("/v1/company/").status_code, api.create().status_code] == statuses


def test_counts_are_used_up_and_faults_are_cleared(api: Api) -> None:
    api.fault("error_before", count=2)
    api.get("/v1/company/")
    [fault] = api.control("GET", "faults")
    assert (fault["kind"], fault["count"], fault["method"], fault["path"]) == ("error_before", 1, "*", "")

    api.control("DELETE", "faults")
    assert api.control("GET", "faults") == []
    assert api.get("/v1/company/").status_code == 200


def test_faults_leave_the_control_api_and_the_portal_alone(api: Api) -> None:
    api.fault("error_before", count=None)
    assert api.control("GET", "company")["slug"] == "default"
    assert api.client.get("/sandbox/pay/sandbox/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_work_is_committed_before_its_answer_is_lost_whatever_the_site_says(api: Api) -> None:
    from django.db import connections

    databases = connections["default"].settings_dict
    databases["ATOMIC_REQUESTS"] = True
    try:
        api.fault("error_after", status=500)
        assert api.create().status_code == 500
        assert count(api) == 1
        assert api.get(f"{INTENTS}?limit=x").status_code == 400
    finally:
        databases["ATOMIC_REQUESTS"] = False
