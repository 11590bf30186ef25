"""The consent page, where a company's user lets the partner in."""

import base64
import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from django.test import Client

from tests.sandbox.conftest import Api
from tests.sandbox.test_tokens import exchange
from truss_portal.testing.sandbox import Sandbox, SandboxError

CALLBACK = "http://127.0.0.1:8000/truss/connected/?site=1"
READ = "payment_intent.inbound:read"
VERIFIER = "a-verifier-of-forty-three-characters-or-more"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def address(**changes: Any) -> str:
    asked = {"response_type": "code", "client_id": "sandbox-client", "redirect_uri": CALLBACK, "state": "s/t=1&2"}
    return "/oauth2/authorize?" + urlencode(
        {key: value for key, value in (asked | changes).items() if value is not ...}, doseq=True
    )


def look(**changes: Any) -> Any:
    return Client().get("/sandbox" + address(**changes))


def decide(decision: str = "allow", company: str = "default", **changes: Any) -> Any:
    """As a browser does: with the token from the page."""
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/sandbox" + address(**changes)).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    form = {"csrfmiddlewaretoken": token[1], "company": company, "decision": decision}
    return browser.post("/sandbox" + address(**changes), form)


def returned(answer: Any) -> dict[str, str]:
    """What is added to the partner's address."""
    assert answer.status_code == 302
    place, _, query = answer.headers["Location"].partition("?")
    assert place == CALLBACK.partition("?")[0]
    added = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    assert added.pop("site") == "1"
    return added


def token_for(api: Api, code: str, **changes: str) -> Any:
    return exchange(api, grant_type="authorization_code", code=code, redirect_uri=CALLBACK, **changes)


def test_the_page_says_who_wants_what_of_whom(api: Api) -> None:
    api.control("GET", "company?company=ortega-bakery")
    page = look(scope=f"{READ} transactions:read").content.decode()
    assert "Sandbox — no real money" in page
    for shown in (
        "Sandbox Partner",
        "See invoices",
        READ,
        "See payments",
        "Sandbox Company",
        "ortega-bakery",
        CALLBACK,
    ):
        assert shown in page, shown
    assert "contacts:write" not in page
    assert "everything that your company grants" in look().content.decode()


def test_allowing_leads_back_with_a_code_that_becomes_a_token(api: Api) -> None:
    back = returned(decide(scope=READ))
    assert set(back) == {"code", "state"}
    assert back["state"] == "s/t=1&2"
    token = token_for(api, back["code"]).json()
    assert token["scope"] == READ
    partner = Api(token["access_token"])
    assert partner.get("/v1/payment-intents/inbound/").status_code == 200
    refused = partner.create()
    assert refused.status_code == 403
    assert "payment_intent.inbound:write" in refused.json()["detail"]


def test_the_chosen_company_is_the_one_that_is_opened(api: Api) -> None:
    api.control("PATCH", "company?company=other", {"checkout_link_id": "other-link"})
    token = token_for(api, returned(decide(company="other"))["code"]).json()
    assert Api(token["access_token"]).get("/v1/company/").json()["checkout_link_id"] == "other-link"


def test_denying_leads_back_with_an_error(api: Api) -> None:
    assert returned(decide("deny")) == {"error": "access_denied", "state": "s/t=1&2"}


@pytest.mark.parametrize(("decision", "company"), [("maybe", "default"), ("allow", "nobody"), ("deny", "")])
def test_an_answer_that_is_none_shows_the_page_again(api: Api, decision: str, company: str) -> None:
    answer = decide(decision, company)
    assert answer.status_code == 400
    assert "asks for access" in answer.content.decode()


def test_nobody_is_made_to_agree_by_another_page(api: Api) -> None:
    form = {"company": "default", "decision": "allow"}
    assert Client(enforce_csrf_checks=True).post("/sandbox" + address(), form).status_code == 403


def test_state_is_given_back_as_it_came_or_not_at_all(api: Api) -> None:
    assert "state" not in returned(decide(state=...))
    assert returned(decide(state=""))["state"] == ""
    api.control("PATCH", "company", {"echo_state": False})
    assert set(returned(decide())) == {"code"}
    assert set(returned(decide("deny"))) == {"error"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": ...},
        {"client_id": "somebody"},
        {"client_id": ["sandbox-client", "sandbox-client"]},
        {"redirect_uri": ...},
        {"redirect_uri": [CALLBACK, CALLBACK]},
        {"redirect_uri": ""},
        {"redirect_uri": "https://site.example/truss/connected/"},
        {"redirect_uri": "http://127.0.0.1.evil.example/"},
        {"redirect_uri": "http://127.0.0.1@evil.example/"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://127.0.0.1/#fragment"},
        {"redirect_uri": "//127.0.0.1/"},
    ],
)
def test_where_the_asker_is_doubtful_nobody_is_sent_anywhere(api: Api, wrong: dict[str, Any]) -> None:
    answer = look(**wrong)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    page = answer.content.decode()
    assert "can't be connected" in page
    assert "client_id" in page or "redirect_uri" in page


@pytest.mark.parametrize("allowed", ["http://127.0.0.1:8000/cb", "http://localhost/cb", "https://[::1]:8443/cb"])
def test_with_no_list_any_address_on_this_machine_will_do(api: Api, allowed: str) -> None:
    assert look(redirect_uri=allowed).status_code == 200


def test_with_a_list_the_address_must_be_on_it_to_the_letter(api: Api, settings: Any) -> None:
    settings.TRUSS_SANDBOX = {"OAUTH_REDIRECT_URIS": ("https://site.example/cb/",), "PARTNER_NAME": "Ortega & Sons"}
    page = look(redirect_uri="https://site.example/cb/")
    assert page.status_code == 200
    assert "Ortega &amp; Sons asks for access" in page.content.decode()
    for other in ("https://site.example/cb", "https://site.example/cb/?x=1", CALLBACK):
        assert look(redirect_uri=other).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ...}, "unsupported_response_type"),
        ({"scope": "invoices:eat"}, "invalid_scope"),
        ({"scope": f"{READ},transactions:read"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": [READ, "transactions:read"]}, "invalid_request"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        (PKCE | {"code_challenge_method": "plain"}, "invalid_request"),
        (PKCE | {"code_challenge": "short"}, "invalid_request"),
    ],
)
def test_the_partner_is_told_of_its_own_mistakes(api: Api, wrong: dict[str, Any], error: str) -> None:
    told = returned(look(**wrong))
    assert told["error"] == error
    assert told["error_description"]
    assert told["state"] == "s/t=1&2"


def test_the_delimiter_of_scopes_is_a_setting(api: Api, settings: Any) -> None:
    settings.TRUSS_SANDBOX = {"OAUTH_SCOPE_DELIMITER": ","}
    back = returned(decide(scope=f"{READ},transactions:read"))
    assert token_for(api, back["code"]).json()["scope"] == f"{READ},transactions:read"


def test_no_more_is_granted_than_the_company_grants(api: Api) -> None:
    api.control("PATCH", "company", {"scopes": [READ, "odd:scope"]})
    back = returned(decide(scope=f"odd:scope {READ} transactions:read"))
    assert token_for(api, back["code"]).json()["scope"] == f"{READ} odd:scope"


def test_with_a_challenge_the_code_needs_its_verifier(api: Api) -> None:
    code = returned(decide(**PKCE))["code"]
    for wrong in ({}, {"code_verifier": VERIFIER.upper()}):
        answer = token_for(api, code, **wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert token_for(api, code, code_verifier=VERIFIER).status_code == 200


def test_without_a_challenge_a_verifier_is_refused(api: Api) -> None:
    code = returned(decide())["code"]
    assert token_for(api, code, code_verifier=VERIFIER).json()["error"] == "invalid_grant"
    assert token_for(api, code).status_code == 200


def test_a_sites_tests_answer_the_page_by_a_method(truss_sandbox: Sandbox) -> None:
    truss = truss_sandbox
    other = Sandbox.at(truss.url, company="other")
    other.company(checkout_link_id="other-link")

    back = urlsplit(other.answer_consent(truss.url + address()))
    added = dict(parse_qsl(back.query))
    form = {
        "grant_type": "authorization_code",
        "client_id": truss.client_id,
        "client_secret": truss.client_secret,
        "code": added["code"],
        "redirect_uri": CALLBACK,
    }
    token = requests.post(f"{truss.url}/v1/oauth2/token", data=form, timeout=30).json()

    def company() -> requests.Response:
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        return requests.get(f"{truss.url}/v1/company/", headers=headers, timeout=30)

    assert company().json()["checkout_link_id"] == "other-link"
    truss.revoke_tokens()
    assert company().status_code == 200
    other.revoke_tokens()
    assert company().status_code == 401

    assert "error=access_denied" in truss.answer_consent(truss.url + address(), allow=False)
    assert "error=invalid_scope" in truss.answer_consent(truss.url + address(scope="x"))
    with pytest.raises(SandboxError, match="client_id"):
        truss.answer_consent(truss.url + address(client_id="x"))
    with pytest.raises(SandboxError, match="doesn't answer"):
        truss.answer_consent("http://127.0.0.1:9/")
