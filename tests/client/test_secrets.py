"""A hunt: wherever Truss may put a secret, nobody finds it in a log, a message, a repr or a traceback."""

import copy
import html
import json
import logging
import pickle
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.conftest import TOKEN
from tests.client.generating import patient
from tests.client.loopback import Behaviour, Server, answer, answer_bytes, cut_off, hang_up, stall
from truss_portal.client import (
    Token,
    TrussClient,
    TrussError,
    UpdateInboundPaymentIntentRequest,
    exchange_code,
    pacing,
    refresh_token,
)
from truss_portal.client.redaction import Secrets

CLIENT_SECRET = "s3cr3t/9d0b<7e>5a+&"
REFRESH_TOKEN = 'rt_"Zk3H1s\\Wq9Lb5'
CODE = "ac_7Yq2mVd0KxR8"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
UNKNOWN = "unknownToUs.4f81c2.9d0b7e5a"
UID = uuid.UUID("c2a7e9b4-3d68-4b7f-9f21-61d0c8e5a7f2")


def written_forms(secret: str) -> list[str]:
    in_json = json.dumps(secret)[1:-1]
    return [secret, in_json, in_json.replace("/", "\\/"), quote(secret, safe=""), quote(secret), html.escape(secret)]


def nasty_answers(secrets: tuple[str, ...]) -> Iterator[Behaviour]:
    """Answers that give away, in every form, what the request was authorized with, and secrets that we never saw."""
    echo = "; ".join(form for secret in secrets for form in written_forms(secret))
    bodies = [
        json.dumps({"detail": echo, "access_token": UNKNOWN, "nested": {"refresh_token": f'"esc{UNKNOWN}'}}),
        f"<p>Authorization: Bearer {UNKNOWN}</p> {echo}",
        f"grant_type=refresh_token&client_secret={UNKNOWN}&refresh_token={UNKNOWN}&access_token={UNKNOWN}",
        f'{{"client_secret": "{UNKNOWN} and cut off',
        f"Authorization: Basic {UNKNOWN}, Bearer {UNKNOWN}",
        "x" * 3990 + echo,
        (secrets[0] * 8000)[:-5],
    ]
    yield from (answer_bytes(body.encode(), status) for body in bodies for status in (200, 302, 400, 401, 429, 500))
    first = secrets[0] * 20
    yield answer({"uid": first, "error": first, "total": echo, "results": echo, "next": echo, "count": echo})
    yield answer({"count": 1, "results": [{"uid": first}], "next": f"https://evil.test/?token={secrets[0]}"})
    yield answer({"access_token": {"x": secrets[0]}, "refresh_token": [secrets[-1]], "checkout_link_id": [first]})
    yield answer({}, 302, Location=f"https://evil.test/?token={quote(secrets[0])}")
    yield cut_off(secrets[0].encode())
    yield cut_off((secrets[0] + secrets[-1][:-3]).encode(), 400)
    yield hang_up
    yield stall


Call = Callable[[TrussClient, str], object]
CALLS: list[tuple[Call, tuple[str, ...]]] = [
    (lambda client, _url: client.fetch_company(), (TOKEN,)),
    (lambda client, _url: [page.rejected for page in client.list_payment_intents()], (TOKEN,)),
    (lambda client, _url: client.fetch_payment_intent(UID), (TOKEN,)),
    (lambda client, _url: client.update_payment_intent(UID, UpdateInboundPaymentIntentRequest(memo="m")), (TOKEN,)),
    (
        lambda _client, url: exchange_code(
            url, "id", CLIENT_SECRET, CODE, "https://shop.test/", timeout=(5, 0.5), code_verifier=VERIFIER
        ),
        (CLIENT_SECRET, VERIFIER, CODE),
    ),
    (
        lambda _client, url: refresh_token(url, "id", CLIENT_SECRET, REFRESH_TOKEN, timeout=(5, 0.5)),
        (CLIENT_SECRET, REFRESH_TOKEN),
    ),
]


def chained(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def locals_of_ours(error: BaseException) -> Iterator[str]:
    """What a debug page or an error tracker would show of the client's own variables."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_globals["__name__"].startswith(("requests", "urllib3", "http.")):
            yield "a frame whose variables hold the Authorization header: Bearer " + TOKEN
        if frame.tb_frame.f_globals["__name__"] in {"truss_portal.client.truss", "truss_portal.client.transport"}:
            for name, value in frame.tb_frame.f_locals.items():
                if name not in {"body", "answer", "page", "following"}:  # the form itself, and Truss's answer
                    yield repr(value)
        frame = frame.tb_next


@pytest.mark.parametrize(("call", "secrets"), CALLS, ids=["company", "list", "get", "update", "exchange", "refresh"])
def test_no_secret_is_found_anywhere(
    server: Server, connect: Callable[..., TrussClient], caplog: pytest.LogCaptureFixture, call: Call, secrets: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect(server.url, timeout=(5, 0.5), get_attempts=1)
    texts = [repr(client), repr(vars(client)), *map(repr, vars(client).values())]
    answers = list(nasty_answers(secrets))
    failures = 0
    for behaviour in answers:
        server.otherwise = behaviour
        pacing.forget_rests()
        try:
            result = call(client, server.url)
        except TrussError as caught:
            failures += 1
            for error in chained(caught):
                texts += [str(error), repr(error), repr(vars(error)), *locals_of_ours(error)]
            texts += traceback.format_exception(caught)
            texts.append(repr(vars(pickle.loads(pickle.dumps(caught)))))  # noqa: S301
            texts.append(repr(vars(copy.copy(caught))))
        else:
            # What Truss puts into fields of its own is its data, and kept.
            texts += [repr(result)] if isinstance(result, Token | list) else []
    texts += [record.getMessage() + repr(record.args) for record in caplog.records]
    hunted = {form for secret in (*secrets, UNKNOWN) for form in (*written_forms(secret), secret[:12])}
    assert failures > len(answers) / 2
    assert [(form, text[:300]) for text in texts for form in hunted if form in text] == []


def test_a_listing_that_repeats_the_token_does_not_pass_it_on(
    server: Server, connect: Callable[..., TrussClient]
) -> None:
    server.otherwise = answer({"count": 1, "next": None, "results": [{"uid": TOKEN * 20, "total": "1"}]})
    [page] = connect(server.url).list_payment_intents()
    assert "repeats a secret" in page.rejected[0].reason
    assert TOKEN[:12] not in repr(page)


def test_reprs() -> None:
    token = Token(access_token=TOKEN, refresh_token=REFRESH_TOKEN, expires_in=3600, scope="a b")
    assert repr(token) == "Token(expires_in=3600, scope='a b', token_type='bearer')"
    assert repr(Secrets(TOKEN)) == "<Secrets>"


def test_what_is_no_secret_stays_readable() -> None:
    text = '{"code": "invalid", "detail": "A bearer token is missing.", "token_type": "bearer"}'
    assert Secrets(TOKEN, "").hide(text) == text


@patient
@given(st.text(min_size=8, max_size=30), st.text(max_size=50), st.text(max_size=50))
def test_whatever_the_secret_and_the_text_around_it(secret: str, before: str, after: str) -> None:
    for form in written_forms(secret) if secret.isprintable() else [secret]:
        assert form not in Secrets(secret).hide(f"{before} {form} {after}")
        again = json.dumps(f"{before} {form} {after}")[1:-1]
        assert json.dumps(form)[1:-1] not in Secrets(secret).hide(again)


@patient
@given(st.text(min_size=1), st.sampled_from(["access_token", "refresh_token", "client_secret", "Password"]))
def test_named_fields_are_hidden_whatever_they_hold(value: str, name: str) -> None:
    shown: Any = json.loads(Secrets().hide(json.dumps({name: value, "other": 1})))
    assert shown == {name: "[hidden]", "other": 1}
