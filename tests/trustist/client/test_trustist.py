"""Each operation: what goes over the wire, and what comes of the answer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.client.loopback import Server, answer
from tests.trustist.client.conftest import CLIENT_ID, CLIENT_SECRET, INVITATION_ID, NOW, Connect
from truss_portal.trustist.client import (
    PRODUCTION_URL,
    SANDBOX_URL,
    InvalidRequestError,
    Invitation,
    MerchantKey,
    Rejected,
    TokenMemory,
    TrustistClient,
    UnansweredError,
    UnreadableAnswerError,
)

FERN = {"name": "Fern & Moss Florists", "email": "hello@fernandmoss.example"}
PENDING = {"id": INVITATION_ID, "status": "pending"}


def test_an_invitation_is_created(server: Server, client: TrustistClient) -> None:
    server.otherwise = answer(PENDING | {"expires": "2026-04-01"})
    invitation = client.create_invitation(**FERN, payment_types=["cards", "openbanking"])
    assert (invitation.id, invitation.status, invitation.fetched_at) == (INVITATION_ID, "pending", NOW)
    assert invitation.extra == {"expires": "2026-04-01"}
    [received] = server.received
    assert (received.method, received.target) == ("POST", "/invitations")
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Authorization"] == "Bearer pt_8c41d7"
    assert received.json == FERN | {"paymentTypes": ["openbanking", "cards"]}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([], ["openbanking"]),
        (("openbanking",), ["openbanking"]),
        ({"cards"}, ["openbanking", "cards"]),
        (["cards", "cards", "openbanking"], ["openbanking", "cards"]),
    ],
)
def test_open_banking_is_always_sent(server: Server, client: TrustistClient, given: Any, sent: list[str]) -> None:
    server.otherwise = answer(PENDING, 201)
    client.create_invitation(**FERN, payment_types=given)
    assert server.received[0].json["paymentTypes"] == sent


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "Fern\nMoss"}, "name"),
        ({"name": None}, "name"),
        ({"email": "hello"}, "email"),
        ({"email": ""}, "email"),
        ({"email": None}, "email"),
        ({"email": f"{'a' * 65}@fern.example"}, "email"),
        ({"payment_types": "cards"}, "payment_types"),
        ({"payment_types": None}, "payment_types"),
        ({"payment_types": ["Cards"]}, "payment_types"),
        ({"payment_types": ["openbanking", 7]}, "payment_types"),
    ],
)
def test_what_trustist_would_refuse_is_not_sent(
    server: Server, client: TrustistClient, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.create_invitation(**(FERN | {"payment_types": ["cards"]} | changes))
    assert [error.field for error in caught.value.errors] == [field]
    assert server.received == []


def test_all_mistakes_are_told_at_once(client: TrustistClient) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.create_invitation(name="", email="x", payment_types=["paypal", "cash"])
    assert [error.field for error in caught.value.errors] == ["name", "email", "payment_types", "payment_types"]
    assert "must be of openbanking, cards (got 'paypal')" in str(caught.value)


def test_invitations_are_listed(server: Server, client: TrustistClient) -> None:
    known = PENDING | FERN | {"paymentTypes": ["openbanking"], "merchantId": "6e83f0b9"}
    server.otherwise = answer([known, {"id": "2", "status": "Something new"}])
    listing = client.list_invitations()
    assert listing == [
        Invitation(
            id=INVITATION_ID,
            status="pending",
            name="Fern & Moss Florists",
            email="hello@fernandmoss.example",
            payment_types=("openbanking",),
            merchant_id="6e83f0b9",
            fetched_at=NOW,
        ),
        Invitation(id="2", status="Something new", fetched_at=NOW),
    ]
    assert (listing.rejected, listing.fetched_at) == ((), NOW)
    assert [received.target for received in server.received] == ["/invitations"]


def test_an_empty_list(server: Server, client: TrustistClient) -> None:
    server.otherwise = answer([])
    assert client.list_invitations() == []


def test_an_item_that_cannot_be_read_is_reported_and_the_others_are_read(
    server: Server, client: TrustistClient
) -> None:
    server.otherwise = answer([{"id": "a"}, PENDING, {"status": "sent"}, {"id": 7, "status": "sent"}, "x", None])
    listing = client.list_invitations()
    assert [invitation.id for invitation in listing] == [INVITATION_ID]
    assert [item.id for item in listing.rejected] == ["a", "", "", "", ""]
    assert listing.rejected[0] == Rejected(id="a", reason="the invitation 'a': status is not text, or empty: null")
    assert listing.fetched_at == NOW


def test_one_invitation_is_fetched(server: Server, client: TrustistClient) -> None:
    server.otherwise = answer(PENDING | {"status": "OPENED"})
    invitation = client.fetch_invitation(INVITATION_ID.upper())
    assert (invitation.status, invitation.is_opened, invitation.is_complete) == ("OPENED", True, False)
    assert server.received[0].target == f"/invitations/{INVITATION_ID.upper()}"


def test_an_answer_about_another_invitation_is_not_taken(server: Server, client: TrustistClient) -> None:
    server.otherwise = answer({"id": "another", "status": "COMPLETE"})
    with pytest.raises(UnreadableAnswerError, match=r"^Trustist's answer can't be used: it is about another"):
        client.fetch_invitation(INVITATION_ID)


def test_merchant_keys(server: Server, client: TrustistClient) -> None:
    server.otherwise = answer({"items": [{"apiKey": "mk_5d20", "keyId": 7, "fee": 0.1}, {"secret": "x"}], "more": 1})
    assert client.fetch_merchant_keys(INVITATION_ID) == [
        MerchantKey(api_key="mk_5d20", item={"apiKey": "mk_5d20", "keyId": 7, "fee": "0.1"}),
        MerchantKey(api_key="", item={"secret": "x"}),
    ]
    assert server.received[0].target == f"/invitations/{INVITATION_ID}/merchant/keys"


@pytest.mark.parametrize("not_yet", [answer({"items": []}), answer({"error": "no merchant"}, 404)])
def test_no_keys_yet(server: Server, client: TrustistClient, not_yet: Any) -> None:
    server.otherwise = not_yet
    assert client.fetch_merchant_keys(INVITATION_ID) == []


@pytest.mark.parametrize(
    ("invitation_id", "target"),
    [("a/b?c#d", "/invitations/a%2Fb%3Fc%23d"), ("é", "/invitations/%C3%A9"), ("%2e", "/invitations/%252e")],
)
def test_an_id_stays_one_part_of_the_path(
    server: Server, client: TrustistClient, invitation_id: str, target: str
) -> None:
    server.otherwise = answer({"id": invitation_id, "status": "sent"})
    assert client.fetch_invitation(invitation_id).id == invitation_id
    assert server.received[0].target == target


@pytest.mark.parametrize("invitation_id", ["", ".", "..", "a\n", "x" * 201, None, 7])
def test_what_cannot_be_an_id_is_not_sent(server: Server, client: TrustistClient, invitation_id: Any) -> None:
    for call in (client.fetch_invitation, client.fetch_merchant_keys):
        with pytest.raises(InvalidRequestError, match="id must be an invitation's id"):
            call(invitation_id)
    assert server.received == []


@pytest.mark.parametrize("body", [{}, [], "x", 7, {"id": "", "status": "sent"}, {"id": "x", "status": " "}])
def test_a_create_whose_answer_makes_no_sense_may_have_been_done(
    server: Server, client: TrustistClient, body: Any
) -> None:
    server.otherwise = answer(body)
    with pytest.raises(UnreadableAnswerError) as caught:
        client.create_invitation(**FERN, payment_types=[])
    assert not caught.value.outcome_known
    assert len(server.received) == 1


@pytest.mark.parametrize("body", [{}, {"items": None}, "x", None])
def test_a_listing_that_is_none(server: Server, client: TrustistClient, body: Any) -> None:
    server.otherwise = answer(body)
    with pytest.raises(UnansweredError):
        client.list_invitations()


def test_a_base_with_a_path(server: Server, connect: Connect, tokens: TokenMemory) -> None:
    server.otherwise = answer([])
    connect(f"{server.url}/trustist/", tokens=tokens).list_invitations()
    assert server.received[0].target == "/trustist/invitations"


def test_the_presets_and_addresses_that_cannot_work() -> None:
    for url in (SANDBOX_URL, PRODUCTION_URL, "http://127.0.0.1:8001/trustist", "http://localhost"):
        with TrustistClient(url, CLIENT_ID, CLIENT_SECRET) as client:
            assert repr(client) == f"<TrustistClient for {url}>"
    assert SANDBOX_URL.startswith("https://partnersapi-sandbox.")
    for url in (
        "http://partnersapi.trustist.com",
        "partnersapi.trustist.com",
        "https://a:b@x.test",
        "https://x.test?a",
    ):
        with pytest.raises(ValueError, match=r"^The address of Trustist "):
            TrustistClient(url, CLIENT_ID, CLIENT_SECRET)


def test_credentials_that_are_missing() -> None:
    with pytest.raises(InvalidRequestError, match=r"^client_id is missing; client_secret is missing$"):
        TrustistClient(SANDBOX_URL, "", "")


def test_the_default_clock_is_aware(server: Server) -> None:
    server.otherwise = answer({"access_token": "pt_1", "expires_in": 3600})
    with TrustistClient(server.url, CLIENT_ID, CLIENT_SECRET) as client:
        assert client.fetch_token().expires_at > datetime.now(UTC)
