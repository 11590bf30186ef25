"""The token endpoint."""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.utils import timezone

from tests.sandbox.conftest import Api

CALLBACK = "https://site.example/truss/callback"
CREDENTIALS = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}


def exchange(api: Api, **form: str) -> Any:
    return api.send(
        "POST",
        "/v1/oauth2/token",
        urlencode(CREDENTIALS | form).encode(),
        content_type="application/x-www-form-urlencoded",
        headers={},
    )


def code(api: Api) -> str:
    return str(api.control("POST", "authorization-codes", {"redirect_uri": CALLBACK})["code"])


def exchange_code(api: Api, **changes: str) -> Any:
    form = {"grant_type": "authorization_code", "code": code(api), "redirect_uri": CALLBACK}
    return exchange(api, **(form | changes))


def refresh(api: Api, token: str, **changes: str) -> Any:
    return exchange(api, **({"grant_type": "refresh_token", "refresh_token": token} | changes))


def test_a_code_becomes_a_token_that_opens_the_api(api: Api) -> None:
    answer = exchange_code(api)

    assert answer.status_code == 200
    token = answer.json()
    assert token["token_type"] == "bearer"
    assert token["expires_in"] == 3600
    assert token["scope"].split() == api.control("GET", "company")["scopes"]
    assert Api(token["access_token"]).get("/v1/company/").status_code == 200


def test_a_code_is_good_once_and_for_ten_minutes(api: Api) -> None:
    used = code(api)
    assert exchange_code(api, code=used).status_code == 200
    assert exchange_code(api, code=used).json()["error"] == "invalid_grant"

    old = code(api)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11), tick=False):
        assert exchange_code(api, code=old).status_code == 400


def test_the_redirect_uri_must_be_that_of_the_authorize_request(api: Api) -> None:
    assert exchange_code(api, redirect_uri="https://site.example/other").status_code == 400


def test_a_token_expires(api: Api) -> None:
    token = exchange_code(api).json()
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=61), tick=False):
        answer = Api(token["access_token"]).get("/v1/company/")
        assert answer.status_code == 401
        assert answer.json() == {"detail": "The token is not accepted or has expired."}
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert refresh(api, token["refresh_token"]).status_code == 200


def test_a_shorter_life_can_be_arranged(api: Api) -> None:
    api.control("PATCH", "company", {"token_lifetime": 0})
    token = exchange_code(api).json()
    assert token["expires_in"] == 0
    assert Api(token["access_token"]).get("/v1/company/").status_code == 401


def test_a_refresh_token_is_replaced_and_dies(api: Api) -> None:
    first = exchange_code(api).json()
    second = refresh(api, first["refresh_token"]).json()

    assert second["refresh_token"] != first["refresh_token"]
    assert Api(second["access_token"]).get("/v1/company/").status_code == 200
    again = refresh(api, first["refresh_token"])
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_grant"
    assert refresh(api, second["refresh_token"]).status_code == 200


def test_where_refresh_tokens_do_not_rotate_none_comes_and_the_old_one_lives(api: Api) -> None:
    api.control("PATCH", "company", {"rotate_refresh": False})
    first = exchange_code(api).json()
    for _ in range(2):
        answer = refresh(api, first["refresh_token"]).json()
        assert "refresh_token" not in answer
        assert Api(answer["access_token"]).get("/v1/company/").status_code == 200


def test_a_token_keeps_its_scopes_when_it_is_renewed(api: Api) -> None:
    api.control("PATCH", "company", {"scopes": ["transactions:read"]})
    first = exchange_code(api).json()
    assert first["scope"] == "transactions:read"
    assert refresh(api, first["refresh_token"]).json()["scope"] == "transactions:read"
    assert Api(first["access_token"]).create().status_code == 403


def test_when_the_consent_is_taken_back_all_tokens_of_the_company_die(api: Api) -> None:
    unused, token = code(api), exchange_code(api).json()
    theirs = str(api.control("POST", "authorization-codes?company=other", {"redirect_uri": CALLBACK})["code"])
    api.control("POST", "tokens/revoke")

    answer = Api(token["access_token"]).get("/v1/company/")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "The token is not accepted or has expired."}
    assert refresh(api, token["refresh_token"]).json()["error"] == "invalid_grant"
    assert exchange_code(api, code=unused).json()["error"] == "invalid_grant"
    assert exchange_code(api, code=theirs).status_code == 200
    assert exchange_code(api).status_code == 200
    assert api.get("/v1/company/").status_code == 200, "the token of the settings stays"


def test_the_log_tells_how_often_the_token_endpoint_was_asked(api: Api) -> None:
    token = exchange_code(api).json()["refresh_token"]
    refresh(api, token)
    refresh(api, token)
    asked = [each for each in api.control("GET", "requests") if each["path"] == "/v1/oauth2/token"]
    assert [each["status"] for each in asked] == [200, 200, 400]


@pytest.mark.parametrize("wrong", [{"client_id": "x"}, {"client_secret": "x"}, {"client_secret": "ü"}])
def test_wrong_credentials_are_refused(api: Api, wrong: dict[str, str]) -> None:
    answer = exchange_code(api, **wrong)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"


def test_the_credentials_are_a_setting(api: Api, settings: Any) -> None:
    settings.TRUSS_SANDBOX = {"CLIENT_ID": "mine", "CLIENT_SECRET": "secret", "TOKEN": "other"}
    assert exchange_code(api).status_code == 401
    assert exchange_code(api, client_id="mine", client_secret="secret").status_code == 200
    assert api.get("/v1/company/").status_code == 401
    assert Api("other").get("/v1/company/").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"grant_type=password",
        b"grant_type=refresh_token",
        b"grant_type=refresh_token&client_id=sandbox-client&client_secret=sandbox-secret&refresh_token=x&scope=all",
        b"grant_type=refresh_token&client_id=sandbox-client&client_secret=sandbox-secret&refresh_token=x&refresh_token=y",
        b"grant_type=refresh_token&client_id=sandbox-client&client_secret=sandbox-secret&refresh_token=%00",
        b"grant_type=refresh_token&client_id=sandbox-client&client_secret=sandbox-secret&refresh_token=",
        b"\xff",
    ],
)
def test_a_form_with_a_fault_is_refused(api: Api, body: bytes) -> None:
    answer = api.send("POST", "/v1/oauth2/token", body, content_type="application/x-www-form-urlencoded", headers={})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_credentials_travel_in_a_form_and_by_post(api: Api) -> None:
    assert api.post("/v1/oauth2/token", CREDENTIALS).status_code == 415
    assert api.get("/v1/oauth2/token").status_code == 405
