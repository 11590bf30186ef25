"""Where to send a user, and the token endpoint."""

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from tests.client.calling import free_port
from tests.client.loopback import Server, answer, answer_bytes, hang_up
from truss_portal.client import (
    HeldBackError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    NotReachedError,
    RateLimitedError,
    RefusedError,
    ServerError,
    Token,
    TrussError,
    UnansweredError,
    UnreadableAnswerError,
    authorize_url,
    code_challenge,
    ends_connection,
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


def test_the_verifier_of_pkce_goes_with_the_code(server: Server) -> None:
    server.otherwise = answer(ISSUED)
    exchange(server, code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    sent = parse_qs(server.received[0].body.decode(), strict_parsing=True)
    assert sent["code_verifier"] == ["dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"]
    with pytest.raises(InvalidRequestError, match=r"^code_verifier is missing$"):
        exchange(server, code_verifier="")


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


DEAD = (400, 401, 403)
ALIVE = (404, 405, 408, 409, 415, 422, 429, 500, 502, 503, 302)


@pytest.mark.parametrize("status", DEAD + ALIVE)
def test_a_refusal_ends_the_connection_and_nothing_else_does(server: Server, status: int) -> None:
    server.otherwise = answer({"error": "invalid_grant"}, status)
    with pytest.raises(TrussError) as caught:
        refresh(server)
    assert ends_connection(caught.value) == (status in DEAD)


def test_a_connection_outlives_what_says_nothing_about_it(server: Server) -> None:
    """And one of them, a refusal that calls itself a success, ends it."""
    server.will(hang_up, answer({}), answer_bytes(b"<html>"), answer({"error": "invalid_grant"}))
    ended = []
    for _ in range(4):
        with pytest.raises(TrussError) as caught:
            refresh(server)
        ended.append(ends_connection(caught.value))
    assert ended == [False, False, False, True]
    with pytest.raises(NotReachedError) as caught:
        refresh_token(f"http://127.0.0.1:{free_port()}", "id", "secret", "rt")
    assert not ends_connection(caught.value)
    with pytest.raises(InvalidRequestError) as caught:
        refresh(server, refresh_token="")
    assert not ends_connection(caught.value)
    assert not ends_connection(HeldBackError())
    assert not ends_connection(RefusedError())


@pytest.mark.parametrize(
    ("status", "kind"), [(403, NotAllowedError), (404, NotFoundError), (405, MethodNotAllowedError)]
)
def test_a_wrong_address_is_not_a_refused_grant(server: Server, status: int, kind: type[TrussError]) -> None:
    server.otherwise = answer({}, status)
    with pytest.raises(TrussError) as caught:
        refresh(server)
    assert type(caught.value) is kind


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


# --- where to send the user

STATE = "st_8Kx/2+=&é"


def address(**changes: Any) -> str:
    given = {
        "base_url": "https://app.staging.trusspayments.com",
        "path": "/oauth2/authorize",
        "client_id": "tp_client",
        "redirect_uri": RETURN,
        "scopes": ["payment_intent.inbound:read", "contacts:write"],
        "state": STATE,
    } | changes
    return authorize_url(given.pop("base_url"), given.pop("path"), **given)


def query(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_address_to_send_a_user_to() -> None:
    url = address()
    assert url.partition("?")[0] == "https://app.staging.trusspayments.com/oauth2/authorize"
    assert query(url) == {
        "response_type": "code",
        "client_id": "tp_client",
        "redirect_uri": RETURN,
        "scope": "payment_intent.inbound:read contacts:write",
        "state": STATE,
    }
    assert url.isascii()
    assert " " not in url


@pytest.mark.parametrize("delimiter", [",", "+", "%20", ", ", "|"])
def test_another_scope_delimiter(delimiter: str) -> None:
    assert query(address(scope_delimiter=delimiter))["scope"] == f"payment_intent.inbound:read{delimiter}contacts:write"


def test_one_scope_or_none() -> None:
    assert query(address(scopes=("a:b",), scope_delimiter=""))["scope"] == "a:b"
    assert "scope" not in query(address(scopes=()))


def test_pkce() -> None:
    """With the example of RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    challenge = code_challenge(verifier)
    assert challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert challenge == base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = query(address(code_challenge=challenge))
    assert (asked["code_challenge"], asked["code_challenge_method"]) == (challenge, "S256")
    for none in (None, ""):
        assert not {name for name in query(address(code_challenge=none)) if name.startswith("code_challenge")}


def test_a_path_and_a_base_with_more_to_them() -> None:
    url = address(base_url="http://127.0.0.1:8000/truss/", path="/authorize?audience=a%20b")
    assert url.startswith("http://127.0.0.1:8000/truss/authorize?")
    assert query(url)["audience"] == "a b"
    assert query(url)["state"] == STATE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base_url": "http://app.truss.test"}, "https://"),
        ({"base_url": "app.truss.test"}, "absolute"),
        ({"path": ""}, "authorize path"),
        ({"path": "oauth2/authorize"}, "authorize path"),
        ({"path": "@evil.test/"}, "authorize path"),
        ({"path": "/a b"}, "authorize path"),
        ({"path": "/a#b"}, "authorize path"),
        ({"client_id": ""}, "client_id is missing"),
        ({"redirect_uri": ""}, "redirect_uri is missing"),
        ({"state": ""}, "state is missing"),
        ({"redirect_uri": "http://shop.test/"}, "https://"),
        ({"redirect_uri": "https://shop.test/#x"}, "fragment"),
        ({"redirect_uri": "/connected/"}, "absolute"),
        ({"scopes": ["a", ""]}, "scope"),
        ({"scopes": ["a b"]}, "delimiter"),
        ({"scopes": ["a", "b"], "scope_delimiter": ""}, "scope_delimiter"),
    ],
)
def test_an_address_that_could_not_work(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        address(**changes)


def test_one_text_in_place_of_scopes() -> None:
    with pytest.raises(TypeError, match="several texts"):
        address(scopes="a b")
