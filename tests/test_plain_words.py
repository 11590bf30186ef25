"""What the client says, in words for people: all of it is known, in English it stays as it is, and none is lost."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

import truss_portal.client
import truss_portal.exchange
import truss_portal.sync
from truss_portal import plain_words
from truss_portal.client import (
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    FieldError,
    InvalidRequestError,
    NotAllowedError,
    RefusedError,
    SignatureError,
    UpdateContactRequest,
)
from truss_portal.client.exceptions import _PROBLEMS, ProviderError
from truss_portal.client.webhooks import verify_signature
from truss_portal.exceptions import (
    ActionRefusedError,
    TrussPortalError,
    UnknownPermissionError,
    WebhookRefusedError,
    WebhookUnreadableError,
)
from truss_portal.trustist.client.provider import TRUSTIST
from truss_portal.trustist.exceptions import InvitedBeforeError, NotConfiguredError, SyncRunningError

CLIENT: Final = Path(truss_portal.client.__file__).parent
TODAY: Final = date(2026, 11, 20)
# What only a program gets to see that has handed over something of the wrong type, or an HTTP answer.
FOR_DEVELOPERS: Final = {
    "must be a UUID",
    "must be a CreateOrUpdateContactRequest",
    "must be a Decimal or a string",
    "must be true or false",
    "must be printable ASCII characters without spaces",
    "is empty, so canceling is switched off",
}
NOT_ON_PAGES: Final = {UnknownPermissionError, WebhookRefusedError, WebhookUnreadableError}


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


# Rooms that have exceptions of their own.
ROOMS: Final = (truss_portal.exchange, truss_portal.sync)


def default(kind: type[Exception]) -> str:
    return " ".join((kind.__doc__ or "").split())


def is_of(kind: type[Exception], package: str) -> bool:
    return kind.__module__.startswith(package) and "trustist" not in kind.__module__


# --- all of it is known


CAUSES: Final = sorted({kind for kind in below(ProviderError) if is_of(kind, "truss_portal.client")}, key=str)
OURS: Final = sorted({kind for kind in below(TrussPortalError) if is_of(kind, "truss_portal.")} - NOT_ON_PAGES, key=str)


@pytest.mark.parametrize("kind", [*CAUSES, *OURS], ids=lambda kind: kind.__name__)
def test_every_exception_has_words(kind: type[Exception]) -> None:
    assert default(kind) in plain_words.TEXTS
    with translation.override("es"):
        assert plain_words.in_words(default(kind)) not in {"", default(kind)}


@pytest.mark.parametrize("text", _PROBLEMS.values())
def test_every_problem_with_a_signature_has_words(text: str) -> None:
    assert text in plain_words.SIGNATURES


def rules_in(path: Path) -> Iterator[str]:
    """What is given as a rule to a FieldError, with "1" for what is filled in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in {"FieldError", "FieldError.of"} and len(node.args) > 1:
            match node.args[1]:
                case ast.Constant(value=str(rule)):
                    yield rule
                case ast.JoinedStr(values=parts):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in parts)


def test_every_rule_of_the_client_has_words() -> None:
    rules = {rule for path in CLIENT.glob("*.py") for rule in rules_in(path)} - FOR_DEVELOPERS
    assert len(rules) > 10
    with translation.override("es"):
        assert {rule for rule in rules if plain_words.in_words(rule) == rule} == set()


def written_in(path: Path) -> Iterator[str]:
    """The texts in a file, an f-string's parts on their own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def test_no_words_are_for_nothing() -> None:
    """Each text stands so in the client, but for what is filled in, or is the docstring of an exception."""
    files = [*CLIENT.glob("*.py"), CLIENT.parent / "outbox" / "asking.py"]
    written = {text for path in files for text in written_in(path)} | {default(kind) for kind in (*CAUSES, *OURS)}
    for text in plain_words.TEXTS:
        # "Truss" is filled in by the client, which speaks to others, too.
        longest = max(re.split(r"%\(\w+\)s|^Truss", text), key=len).strip()
        assert any(longest in each for each in written), text


# --- what a person reads


BAD: Final[list[tuple[dict[str, Any], str]]] = [
    ({"total": "0.50"}, "El importe debe ser de al menos 1.00."),
    ({"total": "-3"}, "El importe no puede ser negativo."),
    ({"addenda": " "}, "La descripción no puede quedar en blanco."),
    ({"addenda": "x" * 81}, "La descripción debe tener como máximo 80 caracteres, no 81."),
    ({"note": "a\x00b"}, "La nota no puede contener caracteres de control."),
    ({"due_date": TODAY}, "La fecha de vencimiento debe ser posterior a 2026-11-20."),
]


@pytest.mark.parametrize(("changes", "says"), BAD)
def test_a_broken_rule_is_a_sentence(changes: dict[str, Any], says: str) -> None:
    payer = CreateOrUpdateContactRequest(name="Acme", email="ap@acme.test")
    good = {"addenda": "INV-1", "total": Decimal(120), "contact": payer}
    errors = CreateInboundPaymentIntentRequest(**good | changes).errors(TODAY)
    with translation.override("es"):
        assert [plain_words.sentence(error) for error in errors] == [says]
        assert plain_words.told(InvalidRequestError(errors)) == says


def test_the_payer_s_rules_are_sentences_too() -> None:
    errors = UpdateContactRequest(email="no", phone="1-2", secondary_email="x@y.zz").errors(TODAY)
    with translation.override("es"):
        assert {plain_words.sentence(error) for error in errors} == {
            "El correo debe ser una dirección de correo.",
            "El teléfono debe tener de 1 a 11 dígitos y nada más.",
        }
    assert plain_words.sentence(FieldError("request", "must change at least one field")) == (
        "The request must change at least one field."
    )
    assert plain_words.sentence(FieldError("odd", "is odd")) == "odd is odd."


@pytest.mark.parametrize("kind", [*TRUSTIST.messages, NotConfiguredError, SyncRunningError, InvitedBeforeError])
def test_what_trustist_s_client_says_has_words_too(kind: type[Exception]) -> None:
    said = TRUSTIST.messages.get(kind) or default(kind)  # type: ignore[call-overload]
    with translation.override("es"):
        assert plain_words.in_words(said) not in {"", said}


def test_what_truss_answered_is_told_without_the_address_asked() -> None:
    error = RefusedError(request="POST /v1/payment-intents/inbound/", status=400, body='{"total": "too small"}')
    assert plain_words.told(error) == (
        'Truss refused the request. (HTTP status 400) Truss says: {"total": "too small"}'
    )
    with translation.override("es"):
        assert plain_words.told(error) == (
            'Truss rechazó la solicitud. (estado HTTP 400) Truss dice: {"total": "too small"}'
        )
    gateway = NotAllowedError(status=403, body="<html><h1>Forbidden</h1></html>")
    assert plain_words.told(gateway) == f"{default(NotAllowedError)} (HTTP status 403)"


def test_a_message_of_its_own_is_told_with_what_it_names() -> None:
    with translation.override("es"):
        assert plain_words.in_words("Truss's answer can't be used: the page: next is missing.") == (
            "La respuesta de Truss no se puede usar: the page: next is missing."
        )
        assert plain_words.in_words("Something nobody has heard of") == "Something nobody has heard of"
        assert plain_words.told(ActionRefusedError()) == "Eso no se puede hacer con esta factura como está."
        assert plain_words.told(ActionRefusedError("As it is")) == "As it is"


@pytest.mark.parametrize(("late", "says"), [(900, "tiene 900 segundos"), (-900, "está 900 segundos adelantada")])
def test_a_webhook_from_another_time_says_which_clock_is_wrong(late: int, says: str) -> None:
    import hashlib
    import hmac

    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    sent = int(now.timestamp()) - late
    signature = hmac.new(b"secret", f"{sent}.{{}}".encode(), hashlib.sha256).hexdigest()
    with pytest.raises(SignatureError) as caught:
        verify_signature(f"t={sent},v1={signature}", b"{}", secrets=["secret"], encoding="text", tolerance=300, now=now)
    assert plain_words.told(caught.value) == str(caught.value)
    with translation.override("es"):
        assert says in plain_words.told(caught.value)


@given(st.sampled_from(plain_words.TEXTS), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_english_stays_as_the_client_says_it(text: str, filled_in: str) -> None:
    said = re.sub(r"%\(\w+\)s", lambda _found: filled_in, text)
    with translation.override("en-us"):
        assert plain_words.in_words(said) == said


# --- amounts


@given(st.decimals(min_value=0, max_value=10**12, places=2))
def test_amounts_are_exact_in_every_language(amount: Decimal) -> None:
    written = plain_words.money(amount)
    assert Decimal(written.removeprefix("$").replace(",", "")) == amount
    with translation.override("es"):
        assert plain_words.money(amount) == written
        assert plain_words.money(-amount) == (f"-{written}" if amount else "$0.00")


def test_an_amount_looks_so() -> None:
    assert plain_words.money(Decimal("1234567.5")) == "$1,234,567.50"
    assert plain_words.money(Decimal("-0.1")) == "-$0.10"
    assert plain_words.number(1_234_567) == "1,234,567"
