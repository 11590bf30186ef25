"""Webhooks: whom to trust, and what they say."""

import copy
import datetime as dt
import hashlib
import hmac
import json
import math
import pickle
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.generating import patient
from tests.client.payloads import INTENT_UID, intent, without
from truss_portal.client import SignatureError, SignatureProblem, UnreadableError, parse_event, verify_signature
from truss_portal.client.webhooks import HEADER_MAX, Encoding

# A vector calculated from the published rule. Which bytes are the key isn't published, so there is one for either.
SECRET = "3f9a1c7e5b20d4866e81f0a29c35d7b4187be2604fad93c5d01e7a6842bf5c9d"
SENT_AT = 1772463846
BODY = (
    b'{"event_id": "e6b7d0f3-52c9-4a8e-93d1-4f20b7a85c69", "event_name": "payment_intent.updated", '
    b'"event_created_at": "2026-03-02T15:04:05.512000Z", "event_payload": {"direction": 0, "contact": {}, '
    b'"balance_paid": "500.00", "transactions": []}}'
)
BY_TEXT = "9b8f1f8d1c4f7d4b3bd2715b104bb8ddffedc34aceafe72833014be8f334a623"
BY_HEX = "b6cf9a9c9c11a86663e46ca5da813956e0335ae6fc8333495abe9625742faad5"
HEADER = f"t={SENT_AT},v1={BY_TEXT}"
OTHER_SECRET = "77" * 32
OTHER = "0" * 64

either_encoding = pytest.mark.parametrize(("encoding", "signature"), [("text", BY_TEXT), ("hex", BY_HEX)])


def at(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(SENT_AT + seconds, dt.UTC)


def verify(header: str | None = HEADER, body: bytes = BODY, **changes: Any) -> None:
    given = {"secrets": [SECRET], "encoding": "text", "tolerance": 300, "now": at(2)}
    verify_signature(header, body, **(given | changes))


def problem(header: str | None = HEADER, body: bytes = BODY, **changes: Any) -> SignatureProblem:
    with pytest.raises(SignatureError) as caught:
        verify(header, body, **changes)
    shown = str(caught.value) + repr(caught.value)
    assert not [secret for secret in changes.get("secrets", [SECRET]) if secret.strip() and secret.strip() in shown]
    assert BY_TEXT not in shown
    assert BY_HEX not in shown
    return caught.value.reason


def sign(key: bytes, sent_at: str, body: bytes) -> str:
    return hmac.new(key, sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()


# --- what is trusted


@either_encoding
def test_a_webhook_of_truss_is_trusted(encoding: Encoding, signature: str) -> None:
    verify(f"t={SENT_AT},v1={signature}", encoding=encoding)


@either_encoding
def test_the_other_encoding_of_the_secret_is_not_tried(encoding: Encoding, signature: str) -> None:
    assert problem(f"t={SENT_AT},v1={signature}", encoding={"text": "hex", "hex": "text"}[encoding]) == "forged"


def test_any_secret_may_match_while_rotating() -> None:
    for secrets in ([OTHER_SECRET, SECRET], (SECRET, OTHER_SECRET), ["", SECRET]):
        verify(secrets=secrets)
    assert problem(secrets=[OTHER_SECRET, "old"]) == "forged"


def test_a_secret_may_have_been_pasted_with_space_around_it() -> None:
    verify(secrets=[f" {SECRET}\n"])
    verify(f"t={SENT_AT},v1={BY_HEX}", secrets=[f" {SECRET}\n"], encoding="hex")


def test_a_hex_secret_may_be_in_capitals() -> None:
    verify(f"t={SENT_AT},v1={BY_HEX}", secrets=[SECRET.upper()], encoding="hex")


@pytest.mark.parametrize(
    "header",
    [
        f"v1={BY_TEXT},t={SENT_AT}",
        f" t = {SENT_AT} , v1 = {BY_TEXT} ",
        f"t={SENT_AT},v1={OTHER},v1={BY_TEXT}",
        f"t={SENT_AT},v1={BY_TEXT},v1={OTHER}",
        f"t={SENT_AT},v0={OTHER},v1={BY_TEXT},v2=abc==,nonce,t,v1,=,",
        f"t={SENT_AT},v1=not-a-digest,v1={BY_TEXT}",
    ],
)
def test_forms_of_the_header(header: str) -> None:
    verify(header)


# --- what isn't


@pytest.mark.parametrize("header", [None, "", "  "])
def test_an_unsigned_webhook(header: str | None) -> None:
    assert problem(header) == "missing"


@pytest.mark.parametrize(
    "header",
    [
        "x",
        ",,,",
        f"v1={BY_TEXT}",
        f"t={SENT_AT}",
        f"t=,v1={BY_TEXT}",
        f"t=-5,v1={BY_TEXT}",
        f"t=1.5,v1={BY_TEXT}",
        f"t={'9' * 13},v1={BY_TEXT}",
        f"t=١٢٣,v1={BY_TEXT}",
        f"t={SENT_AT},t={SENT_AT},v1={BY_TEXT}",
        f"t={SENT_AT},v1=",
        f"t={SENT_AT},v1={BY_TEXT[:-1]}",
        f"t={SENT_AT},v1={BY_TEXT}0",
        f"t={SENT_AT},v1={BY_TEXT.upper()}",
        f"t={SENT_AT},v1={'é' * 64}",
        f"t={SENT_AT},v2={BY_TEXT}",
        f"T={SENT_AT},V1={BY_TEXT}",
        f"{HEADER},v2={'x' * HEADER_MAX}",
    ],
)
def test_a_header_that_can_not_be_read(header: str) -> None:
    assert problem(header) == "malformed"


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (f"t={SENT_AT},v1={OTHER}", BODY),
        (f"t={SENT_AT + 1},v1={BY_TEXT}", BODY),
        (f"t=0{SENT_AT},v1={BY_TEXT}", BODY),
        (HEADER, b""),
        (HEADER, BODY + b"\n"),
        (HEADER, json.dumps(json.loads(BODY), separators=(",", ":")).encode()),
    ],
)
def test_what_was_not_signed_like_this(header: str, body: bytes) -> None:
    assert problem(header, body) == "forged"


def test_the_time_counts_in_both_directions() -> None:
    for seconds in (-300, -299.5, 0, 300):
        verify(now=at(seconds))
    for seconds in (-301, 300.5, 301, 86400):
        assert problem(now=at(seconds)) == "expired"
    verify(now=at(0), tolerance=0)
    assert problem(now=at(0), tolerance=math.nan) == "expired"


@pytest.mark.parametrize(("seconds", "words"), [(400, "400 seconds old"), (-400, "400 seconds ahead of our clock")])
def test_another_time_is_said_in_seconds(seconds: int, words: str) -> None:
    with pytest.raises(SignatureError, match=f"is {words}, and 300 are allowed"):
        verify(now=at(seconds))


def test_a_forger_learns_nothing_about_our_clock() -> None:
    assert problem(f"t={SENT_AT},v1={OTHER}", now=at(10_000)) == "forged"


@pytest.mark.parametrize("secrets", [[], (), [""], [" ", "\n"]])
def test_without_a_secret_nothing_is_trusted(secrets: list[str]) -> None:
    by_the_empty_key = f"t={SENT_AT},v1={sign(b'', str(SENT_AT), BODY)}"
    assert problem(by_the_empty_key, secrets=secrets) == "no_secret"
    assert problem(None, secrets=secrets) == "no_secret"


@pytest.mark.parametrize(
    "secret", ["whsec_4f81c29d0b7e5a", SECRET[:-2], f"{SECRET}00", "g" * 64, f"{SECRET[:32]} {SECRET[32:]}"]
)
def test_a_secret_that_is_not_hex_is_named_as_the_mistake(secret: str) -> None:
    assert problem(secrets=[SECRET, secret], encoding="hex") == "no_secret"
    with pytest.raises(SignatureError, match='enter it just as Truss gave it, or use the encoding "text"'):
        verify(secrets=[secret], encoding="hex")


def test_a_text_secret_may_be_any_text() -> None:
    for secret in ("whsec_4f81c2", "ünïcode", "\udc80"):
        key = secret.encode(errors="surrogatepass")
        verify(f"t={SENT_AT},v1={sign(key, str(SENT_AT), BODY)}", secrets=[secret])


def test_a_call_that_makes_no_sense() -> None:
    with pytest.raises(TypeError, match="several texts"):
        verify(secrets=SECRET)
    with pytest.raises(ValueError, match="encoding") as caught:
        verify(encoding="ascii")
    assert not isinstance(caught.value, SignatureError)


def test_each_reason_has_words_for_people() -> None:
    texts = {str(SignatureError(reason)) for reason in SignatureProblem}
    assert len(texts) == len(SignatureProblem) == 5
    assert all(text.endswith(".") for text in texts)
    error = SignatureError(SignatureProblem.EXPIRED, "Late.")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
        assert (again.reason, str(again)) == (SignatureProblem.EXPIRED, "Late.")


@patient
@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    """Of the body, of the time or of the signature."""
    body, sent_at, signature = bytearray(BODY), bytearray(b"%d" % SENT_AT), bytearray(BY_TEXT.encode())
    changed = data.draw(st.sampled_from([body, sent_at, signature]))
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != changed[place]))
    header = f"t={sent_at.decode('latin-1')},v1={signature.decode('latin-1')}"
    assert problem(header, bytes(body)) in {SignatureProblem.FORGED, SignatureProblem.MALFORMED}


_keys = st.text("abctv012_-", min_size=1, max_size=5).filter(lambda key: key not in {"t", "v1"})
_values = st.text(st.characters(codec="latin-1", exclude_characters=",", exclude_categories=["Cc"]), max_size=20)


@patient
@given(
    others=st.lists(
        st.builds("{}={}".format, _keys, _values) | _values.filter(lambda text: "=" not in text), max_size=8
    ),
    forged=st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=3),
    data=st.data(),
)
def test_any_order_and_any_other_keys_are_accepted(others: list[str], forged: list[str], data: st.DataObject) -> None:
    parts = [f"t={SENT_AT}", f"v1={BY_TEXT}", *(f"v1={digest}" for digest in forged), *others]
    verify(",".join(data.draw(st.permutations(parts))))


@patient
@given(
    body=st.binary(max_size=200),
    sent_at=st.integers(0, 10**12 - 1),
    secrets=st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=1, max_size=3, unique=True),
    encoding=st.sampled_from(["text", "hex"]),
    data=st.data(),
)
def test_whatever_is_signed_with_one_of_our_secrets_is_trusted(
    body: bytes, sent_at: int, secrets: list[str], encoding: Encoding, data: st.DataObject
) -> None:
    secret = data.draw(st.sampled_from(secrets))
    key = bytes.fromhex(secret) if encoding == "hex" else secret.encode()
    header = f"t={sent_at},v1={sign(key, str(sent_at), body)}"
    verify(header, body, secrets=secrets, encoding=encoding, tolerance=math.inf)


@patient
@given(st.text() | st.text("t=v1,0 9a", max_size=100), st.binary())
def test_nothing_else_is_trusted_and_nothing_breaks(header: str, body: bytes) -> None:
    assert problem(header, body) in {SignatureProblem.MISSING, SignatureProblem.MALFORMED, SignatureProblem.FORGED}


# --- what an event says


def event(payload: Any = None, **changes: Any) -> bytes:
    drawn = json.loads(BODY) | changes
    return json.dumps(drawn if payload is None else drawn | {"event_payload": payload}).encode()


def test_an_event() -> None:
    got = parse_event(event(intent(), future_field=[1.5]))
    assert got.event_id == uuid.UUID("e6b7d0f3-52c9-4a8e-93d1-4f20b7a85c69")
    assert got.event_name == "payment_intent.updated"
    assert got.event_created_at == dt.datetime(2026, 3, 2, 15, 4, 5, 512_000, tzinfo=dt.UTC)
    assert got.payment_intent_uid == uuid.UUID(INTENT_UID)
    assert got.payload == intent()
    assert got.extra == {"future_field": ["1.5"]}
    assert hash(got) == hash(pickle.loads(pickle.dumps(got)))  # noqa: S301


@pytest.mark.parametrize("uid", [None, "", "c2a7", 5, True, [INTENT_UID], {"uid": INTENT_UID}, 1.5, "\x00"])
def test_an_event_need_not_say_which_intent(uid: Any) -> None:
    assert parse_event(event(intent(uid=uid))).payment_intent_uid is None
    assert parse_event(event(without(intent(), "uid"))).payment_intent_uid is None
    assert parse_event(event({})).payload == {}


@pytest.mark.parametrize("name", ["", "payment_intent.of_tomorrow"])
def test_an_event_of_a_kind_that_we_do_not_know(name: str) -> None:
    assert parse_event(event(event_name=name)).event_name == name


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the event is not JSON"),
        (b"<html>", "the event is not JSON"),
        (b"\xff", "the event is not JSON"),
        (b"[" * 10**6, "the event is not JSON: nested too deeply"),
        (b"[]", "the event is not a JSON object"),
        (b"{}", "event_payload is not a JSON object: null"),
        (event([]), r"event_payload is not a JSON object: \(list\)"),
        (event(event_id="5"), "event_id is not a UUID: '5'"),
        (event(event_id=None), "event_id is not a UUID: null"),
        (event(event_name=None), "event_name is missing"),
        (event(event_name=5), "event_name is not text"),
        (event(event_created_at=None), "event_created_at is missing"),
        (event(event_created_at="soon"), "event_created_at is not a date and time"),
    ],
)
def test_a_body_that_can_not_be_read(body: bytes, words: str) -> None:
    with pytest.raises(UnreadableError, match=words):
        parse_event(body)


@pytest.mark.parametrize("levels", [101, 900, 3000, 10_000])
def test_nesting_that_nobody_could_store(levels: int) -> None:
    nested = b"[" * levels + b"]" * levels
    with pytest.raises(UnreadableError, match="nested"):
        parse_event(event().replace(b'"500.00"', nested))
    with pytest.raises(UnreadableError, match="nested"):
        parse_event(event().replace(b"{", b'{"extra": %s, ' % nested, 1))


def test_what_no_database_holds_is_replaced() -> None:
    assert parse_event(event({"note": "a\x00b"}, event_name="\ud800")).payload == {"note": "a�b"}


@patient
@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.text() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        parse_event(body)
