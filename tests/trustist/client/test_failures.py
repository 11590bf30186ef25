"""A network at its worst, and every refusal: what is raised, and what is asked again."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.calling import free_port
from tests.client.loopback import (
    Behaviour,
    Server,
    answer,
    answer_bytes,
    babble,
    cut_off,
    hang_up,
    pour_out,
    reset,
    stall,
)
from tests.trustist.client.conftest import INVITATION_ID, Connect
from truss_portal.trustist.client import (
    MethodNotAllowedError,
    NotAllowedError,
    NotFoundError,
    NotReachedError,
    Outcome,
    RateLimitedError,
    RefusedError,
    ServerError,
    TokenMemory,
    TrustistClient,
    TrustistError,
    UnansweredError,
    UnreadableAnswerError,
)

Call = Callable[[TrustistClient], object]


def create(client: TrustistClient) -> object:
    return client.create_invitation(name="Fern", email="a@fern.example", payment_types=["cards"])


READS: dict[str, Call] = {
    "list": lambda client: client.list_invitations(),
    "get": lambda client: client.fetch_invitation(INVITATION_ID),
    "keys": lambda client: client.fetch_merchant_keys(INVITATION_ID),
}
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)
each_call = pytest.mark.parametrize("call", [*READS.values(), create], ids=[*READS, "create"])

STATUSES: list[tuple[int, type[TrustistError], Outcome]] = [
    (400, RefusedError, Outcome.REFUSED),
    (403, NotAllowedError, Outcome.REFUSED),
    (404, NotFoundError, Outcome.REFUSED),
    (405, MethodNotAllowedError, Outcome.REFUSED),
    (409, RefusedError, Outcome.REFUSED),
    (422, RefusedError, Outcome.REFUSED),
    (429, RateLimitedError, Outcome.NOT_DONE),
    (500, ServerError, Outcome.UNKNOWN),
    (503, ServerError, Outcome.UNKNOWN),
    (302, UnreadableAnswerError, Outcome.UNKNOWN),
]
SILENCES: dict[str, Behaviour] = {
    "hang up": hang_up,
    "reset": reset,
    "babble": babble,
    "cut off": cut_off(),
    "stall": stall,
    "not JSON": answer_bytes(b"<html>"),
    "too long": pour_out(11),
}


@each_call
@pytest.mark.parametrize("expected", STATUSES, ids=lambda expected: str(expected[0]))
def test_each_status_has_its_error(
    server: Server, connect: Connect, tokens: TokenMemory, call: Call, expected: tuple[int, type, Outcome]
) -> None:
    status, kind, outcome = expected
    server.otherwise = answer({"message": "Email is taken"}, status)
    client = connect(tokens=tokens, get_attempts=1)
    if call is READS["keys"] and status == 404:
        assert call(client) == []
        return
    with pytest.raises(TrustistError) as caught:
        call(client)
    error = caught.value
    assert (type(error), error.outcome, error.status, error.provider) == (kind, outcome, status, "Trustist")
    assert error.message.startswith("Trustist ") or error.message.startswith("Trustist's ")
    assert "Truss " not in str(error)
    # Nobody knows what the keys' address would give away.
    assert ("Trustist says: " in str(error)) == (call is not READS["keys"])
    assert error.may_retry == (outcome is Outcome.NOT_DONE or (outcome is Outcome.UNKNOWN and call is not create))
    assert len(server.received) == 1


@each_call
@pytest.mark.parametrize("behaviour", SILENCES.values(), ids=SILENCES)
def test_a_lost_answer_is_not_taken_for_a_refusal(
    server: Server, connect: Connect, tokens: TokenMemory, call: Call, behaviour: Behaviour
) -> None:
    server.otherwise = behaviour
    with pytest.raises(UnansweredError) as caught:
        call(connect(tokens=tokens, get_attempts=1, timeout=(2, 0.2)))
    assert not caught.value.outcome_known
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "behaviour", [hang_up, reset, cut_off(), answer({}, 500), answer({}, 503), answer({}, 429), answer({}, 400)]
)
def test_a_create_is_sent_once_whatever_happens(server: Server, client: TrustistClient, behaviour: Behaviour) -> None:
    server.otherwise = behaviour
    with pytest.raises(TrustistError):
        create(client)
    assert len(server.received) == 1


@each_call
def test_what_was_never_sent_was_not_done(connect: Connect, tokens: TokenMemory, call: Call) -> None:
    with pytest.raises(NotReachedError) as caught:
        call(connect(f"http://127.0.0.1:{free_port()}", tokens=tokens, get_attempts=1))
    assert caught.value.outcome is Outcome.NOT_DONE
    assert str(caught.value).startswith("Trustist could not be reached")


@each_read
def test_reading_is_repeated_with_growing_pauses(
    server: Server, client: TrustistClient, slept: list[float], read: Call
) -> None:
    good: Any = {"list": [], "get": {"id": INVITATION_ID, "status": "sent"}, "keys": {"items": []}}
    name = next(name for name, call in READS.items() if call is read)
    server.will(hang_up, answer({}, 503), answer({}, 500), answer(good[name]))
    read(client)
    assert len(server.received) == 4
    assert slept == sorted(slept)
    assert len(slept) == 3


def test_reading_is_given_up_in_the_end(server: Server, client: TrustistClient) -> None:
    server.otherwise = answer({}, 500)
    with pytest.raises(ServerError):
        client.list_invitations()
    assert len(server.received) == 4


def test_who_waits_can_be_called_off(server: Server, client: TrustistClient) -> None:
    server.otherwise = answer({}, 429, Retry_After="20")
    client.stop_waiting()
    with pytest.raises(RateLimitedError):
        client.list_invitations()
    assert len(server.received) == 1
