"""Calls of the client, and what came of them."""

import socket
import uuid
from collections.abc import Callable

import pytest

from tests.client.payloads import INTENT_UID
from truss_portal.client import (
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    NotReachedError,
    Outcome,
    TrussClient,
    TrussError,
    UnansweredError,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)

Connect = Callable[..., TrussClient]
UID = uuid.UUID(INTENT_UID)


def create(client: TrussClient) -> object:
    contact = CreateOrUpdateContactRequest(name="Acme", email="ap@acme.test")
    return client.create_payment_intent(CreateInboundPaymentIntentRequest(addenda="A", total="5", contact=contact))


# Everything that may change something at Truss.
WRITES: list[Callable[[TrussClient], object]] = [
    create,
    lambda client: client.update_payment_intent(UID, UpdateInboundPaymentIntentRequest(memo="m")),
    lambda client: client.update_contact(UID, UpdateContactRequest(name="n")),
    lambda client: client.cancel_payment_intent(UID),
]
each_write = pytest.mark.parametrize("write", WRITES, ids=["create", "update", "contact", "cancel"])


def failure(call: Callable[[], object]) -> TrussError:
    with pytest.raises(TrussError) as caught:
        call()
    return caught.value


def assert_not_reached(call: Callable[[], object]) -> TrussError:
    error = failure(call)
    assert type(error) is NotReachedError, repr(error)
    assert (error.outcome, error.outcome_known, error.may_retry, error.status) == (Outcome.NOT_DONE, True, True, None)
    return error


def assert_unanswered(call: Callable[[], object]) -> TrussError:
    error = failure(call)
    assert type(error) is UnansweredError, repr(error)
    assert (error.outcome, error.outcome_known, error.may_retry) == (Outcome.UNKNOWN, False, False)
    return error


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
