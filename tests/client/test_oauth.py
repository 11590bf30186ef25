"""The token endpoint."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.client.loopback import Server, answer, answer_bytes, hang_up
from truss_portal.client import (
    InvalidRequestError,
    NotAuthenticatedError,
    RateLimitedError,
    RefusedError,
    ServerError,
    Token,
    TrussError,
    UnansweredError,
    UnreadableAnswerError,
    exchange_code,
    refresh_token,
)

ISSUED = {
    "access_token": "at_N5e0pTgX2rVw8JcB",
    "refresh_token": "rt_Zk3H1sWq9Lb5",
    "token_type": "bearer",
    "expires_in": 3600,
    "scope": "payment_intent.inbound:read contacts:write",
}
RETURN = "https://billing.example.com/truss/callback?a=b&c=ü"


def exchange(server: Server, **changes: Any) -> Token:
    given = {"client_id": "tp_client", "client_secret": "s3cr3t&=+ü", "code": "ac_7Yq2", "redirect_uri": RETURN}
    return exchange_code(server.url, **(given | changes), timeout=(5, 5))


def refresh(server: Server, **changes: Any) -> Token:
    given = {"client_id": "tp_client", "client_secret": "s3cr3t&=+ü", "refresh_token": "rt_old"}
    return refresh_token(f"{server.url}/", **(given | changes), timeout=(5, 5))


def test_a_code_is_exchanged(server: Server) -> None:
    server.otherwise = answer(ISSUED)
    assert exchange(server) == Token(**ISSUED)  # type: ignore[arg-type]
    [received] = server.received
    assert (received.method, received.target) == ("POST", "/v1/oauth2/token")
    assert received.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(received.body.decode(), strict_parsing=True) == {
        "grant_type": ["authorization_code"],
        "client_id": ["tp_client"],
        "client_secret": ["s3cr3t&=+ü"],
        "code": ["ac_7Yq2"],
        "redirect_uri": [RETURN],
    }


def test_a_token_is_refreshed(server: Server) -> None:
    server.otherwise = answer({"access_token": "at_new", "future_field": 1})
    assert refresh(server) == Token(access_token="at_new")
    assert parse_qs(server.received[0].body.decode(), strict_parsing=True) == {
        "grant_type": ["refresh_token"],
        "client_id": ["tp_client"],
        "client_secret": ["s3cr3t&=+ü"],
        "refresh_token": ["rt_old"],
    }


@pytest.mark.parametrize("call", [exchange, refresh])
@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (answer({"error": "invalid_grant"}, 400), RefusedError),
        (answer({"error": "invalid_client"}, 401), NotAuthenticatedError),
        (answer({}, 429, Retry_After="5"), RateLimitedError),
        (answer({}, 503), ServerError),
        (hang_up, UnansweredError),
        (answer({"error": "invalid_grant"}), RefusedError),
        (answer({}), UnreadableAnswerError),
        (answer([]), UnreadableAnswerError),
        (answer_bytes(b"<html>"), UnreadableAnswerError),
        (answer({}, 302, Location="https://evil.test/"), UnreadableAnswerError),
    ],
)
def test_what_goes_wrong_is_named_and_nothing_is_sent_twice(
    server: Server, call: Any, behaviour: Any, kind: type[TrussError]
) -> None:
    server.otherwise = behaviour
    with pytest.raises(TrussError) as caught:
        call(server)
    assert type(caught.value) is kind
    assert caught.value.request == "POST /v1/oauth2/token"
    assert len(server.received) == 1


def test_a_refusal_with_status_200_says_why(server: Server) -> None:
    server.otherwise = answer({"error": "invalid_grant"})
    with pytest.raises(RefusedError, match="Truss refused to give a token: invalid_grant "):
        refresh(server)


@pytest.mark.parametrize("name", ["client_id", "client_secret", "code", "redirect_uri"])
def test_what_is_missing_is_said_before_anything_is_sent(server: Server, name: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{name} is missing$"):
        exchange(server, **{name: ""})
    with pytest.raises(InvalidRequestError, match=r"^refresh_token is missing$"):
        refresh(server, refresh_token=None)
    assert server.received == []


def test_secrets_travel_over_https_only() -> None:
    with pytest.raises(ValueError, match="https://"):
        exchange_code("http://auth.truss.test", "id", "secret", "code", RETURN)


def test_a_netrc_file_adds_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.otherwise = answer(ISSUED)
    exchange(server)
    assert "Authorization" not in server.received[0].headers
