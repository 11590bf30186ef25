"""A hunt: wherever Trustist may put a secret, nobody finds it in a log, a message, a repr or a traceback."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from tests.client.loopback import Behaviour, Handler, Server, answer, answer_bytes, cut_off, hang_up, stall
from tests.client.test_secrets import chained, written_forms
from tests.trustist.client.conftest import CLIENT_SECRET, INVITATION_ID, Connect
from truss_portal.client import pacing
from truss_portal.trustist.client import Token, TokenMemory, TrustistClient, TrustistError

TOKEN = "pt_N5e0pTgX2rVw8JcB/+=="
NEW_TOKEN = "pt_Zk3H1sWq9Lb5"
API_KEY = "mk_live_5d20e9f1a7c4"
UNKNOWN = "unknownToUs.4f81c2.9d0b7e5a"
HIDDEN_FROM_FRAMES = ("requests", "urllib3", "http.")


def nasty_answers(secrets: tuple[str, ...]) -> Iterator[Behaviour]:
    echo = "; ".join(form for secret in secrets for form in written_forms(secret))
    bodies = [
        json.dumps(
            {"detail": echo, "access_token": UNKNOWN, "items": [{"apiKey": UNKNOWN, "secretKey": f'"{UNKNOWN}'}]}
        ),
        f"<p>Authorization: Bearer {UNKNOWN}</p> {echo}",
        f"grant_type=client_credentials&client_secret={UNKNOWN}&api_key={UNKNOWN}",
        f'{{"items": [{{"apiKey": "{UNKNOWN} and cut off',
        f'{{"private_key": "{UNKNOWN}", "clientSecret": "{UNKNOWN}"}}',
        "x" * 3990 + echo,
        (secrets[0] * 8000)[:-5],
    ]
    yield from (answer_bytes(body.encode(), status) for body in bodies for status in (200, 302, 400, 401, 404, 500))
    yield answer([{"id": secrets[0] * 20}, {"id": [echo], "status": secrets[0]}])
    yield answer({"id": secrets[0], "status": [echo]})
    yield answer({"access_token": {"x": secrets[0]}, "error": echo})
    yield answer({}, 302, Location=f"https://evil.test/?token={quote(secrets[0])}")
    yield cut_off(secrets[0].encode())
    yield cut_off((secrets[0] + secrets[-1][:-3]).encode(), 400)
    yield hang_up
    yield stall


def by_address(api: Behaviour, token: Behaviour, handler: Handler) -> None:
    (token if handler.path == "/token" else api)(handler)


Call = Callable[[TrustistClient], object]
CALLS: dict[str, Call] = {
    "list": lambda client: client.list_invitations().rejected,
    "get": lambda client: client.fetch_invitation(INVITATION_ID) and None,
    "create": lambda client: client.create_invitation(name="F", email="a@b.test", payment_types=[]) and None,
    "keys": lambda client: client.fetch_merchant_keys(INVITATION_ID),
    "token": lambda client: client.fetch_token(),
}


def locals_of_ours(error: BaseException) -> Iterator[str]:
    """What a debug page or an error tracker would show."""
    frame = error.__traceback__
    while frame is not None:
        module = frame.tb_frame.f_globals["__name__"]
        if module.startswith(HIDDEN_FROM_FRAMES):
            yield f"a frame whose variables hold the Authorization header: Bearer {TOKEN}"
        if module.startswith("truss_portal."):
            # The form itself is ours to send, and in the body of an answer there is what Trustist says.
            yield from (repr(value) for name, value in frame.tb_frame.f_locals.items() if name != "body")
        frame = frame.tb_next


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("renewing", [False, True], ids=["with a token", "renewing it"])
def test_no_secret_is_found_anywhere(
    server: Server, connect: Connect, caplog: pytest.LogCaptureFixture, call: Call, renewing: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = TokenMemory()
    client = connect(tokens=tokens, timeout=(5, 0.3), get_attempts=1)
    expires_at = client._clock().replace(year=2030)
    renewing = renewing and call is not CALLS["token"]
    # What the request that is answered was authorized with.
    secret = CLIENT_SECRET if call is CALLS["token"] else NEW_TOKEN if renewing else TOKEN
    answers, texts, failures = list(nasty_answers((secret,))), [], 0
    for behaviour in answers:
        tokens.set(Token(access_token=TOKEN, expires_at=expires_at))
        texts += [repr(client), repr(vars(client)), *map(repr, vars(client).values()), repr(tokens), repr(tokens.get())]
        if renewing:
            server.will(answer({}, 401), answer({"access_token": NEW_TOKEN}))
        # The token's address, asked after a 401, never saw the token that it would have to repeat.
        elsewhere = behaviour if call is CALLS["token"] else answer({}, 500)
        server.otherwise = partial(by_address, behaviour, elsewhere)
        pacing.forget_rests()
        try:
            result = call(client)
        except TrustistError as caught:
            failures += 1
            for error in chained(caught):
                texts += [str(error), repr(error), repr(vars(error)), *locals_of_ours(error)]
            texts += traceback.format_exception(caught)
            texts.append(repr(vars(pickle.loads(pickle.dumps(caught)))))  # noqa: S301
            texts.append(repr(vars(copy.copy(caught))))
        else:
            texts.append(repr(result))
    texts += [record.getMessage() + repr(record.args) for record in caplog.records]
    everything = (CLIENT_SECRET, TOKEN, NEW_TOKEN, UNKNOWN)
    hunted = {form for secret in everything for form in (*written_forms(secret), secret[:12])}
    assert failures > len(answers) / 3
    assert [(form, text[:300]) for text in texts for form in hunted if form in text] == []


KEY_ANSWERS = [
    {"items": [{"apiKey": API_KEY}, API_KEY]},
    {"items": API_KEY},
    {"items": {"apiKey": API_KEY}},
    [{"apiKey": API_KEY}],
    API_KEY,
]


@pytest.mark.parametrize("status", [200, 302, 400, 403, 429, 500])
@pytest.mark.parametrize("form", [0, 1, 2, 3, 4, "broken off", "not JSON"])
def test_a_merchants_key_is_found_in_no_error(
    server: Server, connect: Connect, tokens: TokenMemory, status: int, form: Any
) -> None:
    if form == "broken off":
        server.otherwise = cut_off(f'{{"items": [{{"theirs": "{API_KEY}'.encode(), status)
    elif form == "not JSON":
        server.otherwise = answer_bytes(f'{{"items": [{{"theirs": "{API_KEY}"}}]'.encode(), status)
    else:
        server.otherwise = answer(KEY_ANSWERS[form], status)
    with pytest.raises(TrustistError) as caught:
        connect(tokens=tokens, get_attempts=1).fetch_merchant_keys(INVITATION_ID)
    texts = traceback.format_exception(caught.value)
    for error in chained(caught.value):
        texts += [str(error), repr(error), repr(vars(error)), *locals_of_ours(error)]
    assert [text for text in texts if API_KEY[:9] in text] == []
