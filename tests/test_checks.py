"""The settings, and what the system checks say of them."""

from typing import Any

import pytest

from truss_portal.checks import check_settings
from truss_portal.conf import DEFAULTS, conf

GOOD = {"ENVIRONMENT": "local"}
KEY = "bmV3" * 10 + "bmU="


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (GOOD, []),
        ({}, []),
        ("not a dict", ["truss_portal.E001"]),
        (GOOD | {"ACESS_TOKEN": "x"}, ["truss_portal.W001"]),
        ({"ENVIRONMENT": "staging"}, ["truss_portal.E002"]),
        ({"ENVIRONMENT": "production", "ACCESS_TOKEN": "x"}, ["truss_portal.E003"]),
        ({"ENVIRONMENT": "production", "ACCESS_TOKEN": "x", "API_URL": "https://api.example"}, []),
        (GOOD | {"API_URL": "http://api.example"}, ["truss_portal.E004"]),
        (GOOD | {"API_URL": "api.example", "AUTH_URL": 7}, ["truss_portal.E004", "truss_portal.E004"]),
        (GOOD | {"PORTAL_URL": "http://[broken"}, ["truss_portal.E004"]),
        (GOOD | {"API_URL": "http://127.0.0.1:8000/sandbox"}, []),
        (GOOD | {"RETURN_URL": "http://shop.example/truss/return/"}, ["truss_portal.E005"]),
        (GOOD | {"RETURN_URL": "/truss/return/"}, ["truss_portal.E005"]),
        (GOOD | {"RETURN_URL": "https://shop.example/truss/return/#top"}, ["truss_portal.E005"]),
        (GOOD | {"RETURN_URL_ALLOWLISTED": True}, ["truss_portal.W002"]),
        (GOOD | {"CONCURRENCY": 0}, ["truss_portal.E006"]),
        (GOOD | {"CONCURRENCY": "many", "PAGE_SIZE": True}, ["truss_portal.E006", "truss_portal.E006"]),
        (GOOD | {"UNCONFIRMED_GRACE": -1, "WEBHOOK_TOLERANCE": "x"}, ["truss_portal.E007", "truss_portal.E007"]),
        (GOOD | {"TIMEOUT": 5}, ["truss_portal.E008"]),
        (GOOD | {"TIMEOUT": (5, 0)}, ["truss_portal.E008"]),
        (GOOD | {"TIMEOUT": (5, "soon")}, ["truss_portal.E008"]),
        (GOOD | {"CANCEL_PATH": "/v1/cancel/"}, ["truss_portal.E009"]),
        (GOOD | {"CANCEL_PATH": None}, []),
        ({"ENVIRONMENT": "production", "CLIENT_ID": "x", "CLIENT_SECRET": "y"}, ["truss_portal.E003"]),
        (GOOD | {"CLIENT_ID": "x"}, ["truss_portal.E012"]),
        (GOOD | {"CLIENT_SECRET": "x", "CLIENT_ID": ""}, ["truss_portal.E012"]),
        (GOOD | {"CLIENT_ID": "x", "CLIENT_SECRET": "y", "OAUTH_PKCE": True}, []),
        (GOOD | {"OAUTH_SCOPES": "a b"}, ["truss_portal.E013"]),
        (GOOD | {"OAUTH_SCOPES": ["a b"]}, ["truss_portal.E013"]),
        (GOOD | {"OAUTH_SCOPES": ["a", ""]}, ["truss_portal.E013"]),
        (GOOD | {"OAUTH_SCOPES": ["a b"], "OAUTH_SCOPE_DELIMITER": ","}, []),
        (GOOD | {"OAUTH_SCOPES": [1], "OAUTH_SCOPE_DELIMITER": None}, ["truss_portal.E013"]),
        (GOOD | {"OAUTH_SCOPES": None}, ["truss_portal.E013"]),
        (GOOD | {"OAUTH_AUTHORIZE_PATH": "oauth"}, ["truss_portal.E014"]),
        (GOOD | {"OAUTH_AUTHORIZE_PATH": None}, ["truss_portal.E014"]),
        (GOOD | {"ENCRYPTION_KEYS": [KEY, KEY[::-1]]}, ["truss_portal.E011"]),
        (GOOD | {"ENCRYPTION_KEYS": [KEY, KEY.encode()]}, []),
        (GOOD | {"ENCRYPTION_KEYS": KEY}, ["truss_portal.E011"]),
        (GOOD | {"ENCRYPTION_KEYS": None}, ["truss_portal.E011"]),
        (GOOD | {"WEBHOOK_SECRETS": "ab" * 32}, ["truss_portal.E015"]),
        (GOOD | {"WEBHOOK_SECRETS": [""]}, ["truss_portal.E015"]),
        (GOOD | {"WEBHOOK_SECRETS": ["ab" * 32], "WEBHOOK_SECRET_ENCODING": "hex"}, []),
        (GOOD | {"WEBHOOK_SECRETS": ["not hex"], "WEBHOOK_SECRET_ENCODING": "hex"}, ["truss_portal.E015"]),
        (GOOD | {"WEBHOOK_SECRETS": ["not hex"]}, []),
        (GOOD | {"WEBHOOK_SECRET_ENCODING": "base64"}, ["truss_portal.E016"]),
        (GOOD | {"ACCESS_TOKEN": "pasted\n"}, ["truss_portal.E017"]),
        (GOOD | {"ACCESS_TOKEN": "two words"}, ["truss_portal.E017"]),
        (GOOD | {"ACCESS_TOKEN": "clé"}, ["truss_portal.E017"]),
        (GOOD | {"ACCESS_TOKEN": b"bytes"}, ["truss_portal.E017"]),
    ],
)
def test_what_cannot_work_is_said_with_a_hint(settings: Any, given: Any, ids: list[str]) -> None:
    settings.TRUSS_PORTAL = given
    found = check_settings()
    assert sorted(str(message.id) for message in found) == ids
    assert all(message.hint for message in found)


@pytest.mark.parametrize("key", ["ENCRYPTION_KEYS", "WEBHOOK_SECRETS", "CLIENT_SECRET", "ACCESS_TOKEN"])
@pytest.mark.parametrize("shape", [str, lambda secret: [secret], lambda secret: {secret: secret}])
def test_no_check_shows_a_secret(settings: Any, key: str, shape: Any) -> None:
    settings.TRUSS_PORTAL = {"ENVIRONMENT": "production", key: shape("fake-secret-4f81c2"), "API_URL": "http://x"}
    assert "fake-secret-4f81c2" not in repr(check_settings())


def test_without_any_setting_the_defaults_stand(settings: Any) -> None:
    del settings.TRUSS_PORTAL
    assert check_settings() == []
    assert conf.environment == "sandbox"
    assert (conf.timeout, conf.page_size, conf.concurrency, conf.unconfirmed_grace) == ((5, 30), 100, 8, 300.0)
    assert conf.api_url == conf.auth_url == ""
    assert conf.access_token is conf.return_url is None


def test_settings_are_read_live(settings: Any) -> None:
    settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
    assert (conf.api_url, conf.auth_url) == ("http://127.0.0.1:8001", "http://127.0.0.1:8001")
    settings.TRUSS_PORTAL = {"ENVIRONMENT": "local", "AUTH_URL": "https://auth.example/", "PAGE_SIZE": 7}
    assert (conf.auth_url, conf.page_size) == ("https://auth.example", 7)


def test_the_contract_s_keys_are_all_known() -> None:
    published = """
        ENVIRONMENT API_URL AUTH_URL PORTAL_URL ACCESS_TOKEN CLIENT_ID CLIENT_SECRET OAUTH_SCOPES OAUTH_AUTHORIZE_PATH
        WEBHOOK_SECRETS WEBHOOK_SECRET_ENCODING WEBHOOK_TOLERANCE RETURN_URL RETURN_URL_ALLOWLISTED CANCEL_PATH TIMEOUT
        PAGE_SIZE CONCURRENCY UNCONFIRMED_GRACE ENCRYPTION_KEYS
    """
    assert set(DEFAULTS) >= set(published.split())
