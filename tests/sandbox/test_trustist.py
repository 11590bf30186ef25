"""The pretend Trustist: its API, what moves its invitations, the control API for it, and its page."""

import datetime as dt
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.utils import timezone

from tests.sandbox.conftest import Api
from truss_portal.sandbox.models import Company
from truss_portal.sandbox.trustist import rules
from truss_portal.sandbox.trustist.models import Invitation, Partner

CREDENTIALS = {"client_id": "trustist-client", "client_secret": "trustist-secret", "grant_type": "client_credentials"}
FERN = {"email": "hello@fernandmoss.example", "name": "Fern & Moss", "paymentTypes": ["openbanking", "cards"]}


class Partnership:
    """Speaks to the partner API with a token, and to the control API."""

    def __init__(self, api: Api, slug: str = "") -> None:
        self.api = api
        self.query = f"?company={slug}" if slug else ""
        self.headers: dict[str, str] = {}

    def ask_for_token(self, **changes: str) -> Any:
        return self.post_form(urlencode(CREDENTIALS | changes))

    def post_form(self, body: str) -> Any:
        kind = "application/x-www-form-urlencoded"
        return self.api.send("POST", "/trustist/token", body.encode(), content_type=kind, headers={})

    def sign_in(self, **changes: str) -> "Partnership":
        self.headers = {"Authorization": f"Bearer {self.ask_for_token(**changes).json()['access_token']}"}
        return self

    def send(self, method: str, path: str, body: object = None) -> Any:
        return self.api.send(method, f"/trustist/{path}", body, headers=self.headers)

    def invite(self, **changes: Any) -> Any:
        body = {key: value for key, value in (FERN | changes).items() if value is not ...}
        return self.send("POST", "invitations", body)

    def invited(self, **changes: Any) -> str:
        answer = self.invite(**changes)
        assert answer.status_code == 200, answer.content
        return str(answer.json()["id"])

    def fetch(self, uid: str) -> Any:
        return self.send("GET", f"invitations/{uid}").json()

    def keys(self, uid: str) -> Any:
        return self.send("GET", f"invitations/{uid}/merchant/keys")

    def control(self, method: str, what: str, body: object = None) -> Any:
        return self.api.control(method, f"trustist/{what}{self.query}", body)


@pytest.fixture
def trustist(api: Api) -> Partnership:
    return Partnership(api).sign_in()


# --- tokens


def test_credentials_become_a_token(trustist: Partnership) -> None:
    answer = trustist.ask_for_token()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer.json() | {"access_token": "x"} == {"access_token": "x", "token_type": "Bearer", "expires_in": 3600}
    assert trustist.ask_for_token().json()["access_token"] != answer.json()["access_token"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"client_id": "somebody"}, 401),
        ({"client_secret": "guess"}, 401),
        ({"client_secret": ""}, 401),
        ({"grant_type": "authorization_code"}, 400),
        ({"scope": "all"}, 400),
    ],
)
def test_who_gets_no_token(trustist: Partnership, changes: dict[str, str], status: int) -> None:
    answer = trustist.ask_for_token(**changes)
    assert answer.status_code == status
    assert "access_token" not in answer.json()


@pytest.mark.parametrize("body", ["", "client_id=trustist-client", urlencode(CREDENTIALS) + "&client_id=again"])
def test_a_form_that_is_none(trustist: Partnership, body: str) -> None:
    assert trustist.post_form(body).status_code == 400


def test_a_token_ends(trustist: Partnership) -> None:
    trustist.control("PATCH", "partner", {"token_lifetime": 60})
    trustist.sign_in()
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=59), tick=False):
        assert trustist.send("GET", "invitations").status_code == 200
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=61), tick=False):
        assert trustist.send("GET", "invitations").status_code == 401


def test_tokens_can_be_revoked(trustist: Partnership) -> None:
    trustist.control("POST", "tokens/revoke")
    assert trustist.send("GET", "invitations").status_code == 401
    assert trustist.sign_in().send("GET", "invitations").status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nobody", "Basic eA==", "Bearer sandbox-token"])
@pytest.mark.parametrize("path", ["invitations", "invitations/x", "invitations/a/b", "invitations/x/merchant/keys"])
def test_without_a_good_token_nothing_is_told(trustist: Partnership, path: str, header: str) -> None:
    trustist.headers = {"Authorization": header} if header else {}
    answer = trustist.send("GET", path)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_partners_token_opens_nothing_of_truss(trustist: Partnership) -> None:
    answer = trustist.api.send("GET", "/v1/company/", headers=trustist.headers)
    assert answer.status_code == 401


# --- invitations


def test_an_invitation(trustist: Partnership) -> None:
    answer = trustist.invite()
    assert answer.status_code == 200
    made = answer.json()
    assert made == FERN | {"id": made["id"], "status": "pending", "created": made["created"]}
    assert trustist.fetch(made["id"]) == made
    assert trustist.fetch(made["id"].upper()) == made
    assert trustist.send("GET", "invitations").json() == [made]


def test_only_what_is_published_is_answered_when_so_told(trustist: Partnership) -> None:
    trustist.control("PATCH", "partner", {"answers": "as_published"})
    made = trustist.invite().json()
    assert set(made) == {"id", "status"}
    assert trustist.send("GET", "invitations").json() == [made]


def test_two_equal_invitations_make_two(trustist: Partnership) -> None:
    assert trustist.invited() != trustist.invited()


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [([], ["openbanking"]), (["cards"], ["openbanking", "cards"]), (["openbanking"] * 2, ["openbanking"])]
)  # fmt: skip
def test_open_banking_cannot_be_left_out(trustist: Partnership, wanted: list[str], offered: list[str]) -> None:
    assert trustist.invite(paymentTypes=wanted).json()["paymentTypes"] == offered


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ...}, {"email": ...}, {"paymentTypes": ...}, {"name": ""}, {"name": None}, {"name": 7}, {"email": "x"},
        {"email": None}, {"email": 7}, {"paymentTypes": None}, {"paymentTypes": "cards"}, {"paymentTypes": ["Cards"]},
        {"paymentTypes": [1]}, {"paymentTypes": {"cards": True}}, {"reference": "x"},
    ],
)  # fmt: skip
def test_what_is_not_published_is_refused(trustist: Partnership, changes: dict[str, Any]) -> None:
    answer = trustist.invite(**changes)
    assert answer.status_code == 400, answer.content
    assert Invitation.objects.count() == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"email": "\\ud800"}'])
def test_a_body_that_is_no_object_is_refused(trustist: Partnership, body: bytes) -> None:
    assert trustist.send("POST", "invitations", body).status_code == 400


@pytest.mark.parametrize(
    "path", ["invitations/x", f"invitations/{uuid.UUID(int=1)}", "invitations/a/b", "merchants", "x/y"]
)
def test_what_is_not_there(trustist: Partnership, path: str) -> None:
    answer = trustist.send("GET", path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


def test_methods_and_parameters_that_nobody_has_published(trustist: Partnership) -> None:
    uid = trustist.invited()
    assert trustist.send("DELETE", f"invitations/{uid}").status_code == 405
    assert trustist.send("POST", f"invitations/{uid}", {}).status_code == 405
    assert trustist.send("GET", "token").status_code == 405
    assert trustist.send("GET", "invitations?limit=5").status_code == 400


# --- its way


def test_the_way_of_an_invitation(trustist: Partnership) -> None:
    uid = trustist.invited()
    seen = [trustist.fetch(uid)["status"]]
    assert trustist.keys(uid).status_code == 404
    for step in ("send", "open", "complete"):
        moved = trustist.control("POST", f"invitations/{uid}/{step}")
        seen.append(trustist.fetch(uid)["status"])
        assert moved["status"] == seen[-1]
    assert seen == ["pending", "sent", "OPENED", "COMPLETE"]
    [shown] = trustist.control("GET", "invitations")
    assert trustist.fetch(uid)["merchantId"] == shown["merchant_id"]
    answer = trustist.keys(uid)
    assert answer["Cache-Control"] == "no-store"
    assert answer.json() == {"items": shown["keys"]}
    assert shown["keys"][0]["apiKey"].startswith("mk_sandbox_")


def test_nobody_goes_back(trustist: Partnership) -> None:
    uid = trustist.invited()
    trustist.control("POST", f"invitations/{uid}/complete")
    for step in ("send", "open", "complete"):
        refused = trustist.control("POST", f"invitations/{uid}/{step}")
        assert (refused.status_code, refused.json()) == (
            409, {"detail": "status: The invitation is COMPLETE already."},
        )  # fmt: skip


def test_one_that_was_forced_astray_can_still_be_completed(trustist: Partnership) -> None:
    uid = trustist.invited()
    trustist.control("PATCH", f"invitations/{uid}", {"status": "Expired"})
    trustist.control("POST", f"invitations/{uid}/complete")
    assert trustist.fetch(uid)["status"] == "COMPLETE"


def test_no_keys_can_be_an_empty_list(trustist: Partnership) -> None:
    trustist.control("PATCH", "partner", {"without_keys": "empty"})
    answer = trustist.keys(trustist.invited())
    assert (answer.status_code, answer.json()) == (200, {"items": []})


def test_a_key_changes(trustist: Partnership) -> None:
    uid = trustist.invited()
    assert trustist.control("POST", f"invitations/{uid}/change-key").status_code == 409
    trustist.control("POST", f"invitations/{uid}/complete")
    [old] = trustist.keys(uid).json()["items"]
    trustist.control("POST", f"invitations/{uid}/change-key", {"keyId": 7, "secretKey": "s"})
    [new] = trustist.keys(uid).json()["items"]
    assert new == {"apiKey": new["apiKey"], "keyId": 7, "secretKey": "s"}
    assert new["apiKey"] != old["apiKey"]


def test_anything_can_be_forced(trustist: Partnership) -> None:
    uid = trustist.invited()
    trustist.control("PATCH", f"invitations/{uid}", {"status": "Completed", "extra": {"email": None, "stage": [1]}})
    shown = trustist.fetch(uid)
    assert (shown["status"], shown["email"], shown["stage"]) == ("Completed", None, [1])
    assert trustist.control("PATCH", f"invitations/{uid}", {"uid": "x"}).status_code == 400
    assert trustist.control("PATCH", f"invitations/{uid}", {"merchant_id": "x"}).status_code == 400


def test_an_invitation_vanishes(trustist: Partnership) -> None:
    uid = trustist.invited()
    trustist.control("POST", f"invitations/{uid}/complete")
    trustist.control("DELETE", f"invitations/{uid}")
    assert trustist.send("GET", f"invitations/{uid}").status_code == 404
    assert trustist.control("DELETE", f"invitations/{uid}").status_code == 404


def test_many_made_by_hand(trustist: Partnership) -> None:
    template = {"count": 3, "email": "c{n}@x.test", "payment_types": ["openbanking"], "status": "sent"}
    ids = trustist.control("POST", "invitations", template)["ids"]
    shown = {each["id"]: each for each in trustist.send("GET", "invitations").json()}
    assert [(shown[uid]["email"], shown[uid]["name"]) for uid in ids] == [
        (f"c{n}@x.test", f"Client {n}") for n in (1, 2, 3)
    ]
    assert {each["status"] for each in shown.values()} == {"sent"}
    assert trustist.control("POST", "invitations", {"count": 0}).status_code == 400
    assert trustist.control("POST", "invitations", {"id": "x"}).status_code == 400


# --- partners


def test_partners_know_nothing_of_each_other(trustist: Partnership) -> None:
    uid = trustist.invited()
    other = Partnership(trustist.api, "acme")
    assert other.control("GET", "partner")["client_id"] == "acme-client"
    other.sign_in(client_id="acme-client", client_secret="acme-secret")
    assert other.send("GET", "invitations").json() == []
    assert other.send("GET", f"invitations/{uid}").status_code == 404
    assert other.control("POST", f"invitations/{uid}/open").status_code == 404
    other.invited()
    assert len(trustist.send("GET", "invitations").json()) == 1


def test_a_partner_is_changed_and_put_back(trustist: Partnership) -> None:
    start = trustist.control("GET", "partner")
    assert start == {
        "client_id": "trustist-client", "client_secret": "trustist-secret", "token_lifetime": 3600, "webhook_url": "",
        "webhook_pauses": [0.2, 0.5, 1.0], "moves_after": None, "payment_events": False, "answers": "whole",
        "without_keys": "not_found",
    }  # fmt: skip
    changes = {
        "client_id": "me",
        "client_secret": "mine",
        "moves_after": 2,
        "webhook_pauses": [],
        "payment_events": True,
    }
    assert trustist.control("PATCH", "partner", changes) == start | changes | {"moves_after": 2.0}
    assert trustist.ask_for_token().status_code == 401
    assert trustist.ask_for_token(client_id="me", client_secret="mine").status_code == 200
    assert trustist.control("PATCH", "partner", dict.fromkeys(changes)) == start


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_url": "nowhere"}, {"webhook_url": "ftp://x.test/"}, {"webhook_pauses": ["x"]},
        {"webhook_pauses": [-1]},
        {"moves_after": -1}, {"answers": "all"}, {"without_keys": "500"}, {"name": "x"}, {"token_lifetime": "60"},
    ],
)  # fmt: skip
def test_what_a_partner_cannot_be(trustist: Partnership, changes: dict[str, Any]) -> None:
    assert trustist.control("PATCH", "partner", changes).status_code == 400


def test_the_settings_have_the_default_partner(trustist: Partnership, settings: Any) -> None:
    settings.TRUSS_SANDBOX = {
        "TRUSTIST_CLIENT_ID": "site", "TRUSTIST_CLIENT_SECRET": "s", "TRUSTIST_WEBHOOK_URL": "http://127.0.0.1:9/t/",
        "TRUSTIST_MOVES_AFTER": 5,
    }  # fmt: skip
    partner = trustist.control("GET", "partner")
    assert (partner["client_id"], partner["webhook_url"], partner["moves_after"]) == (
        "site",
        "http://127.0.0.1:9/t/",
        5.0,
    )
    assert trustist.ask_for_token(client_id="site", client_secret="s").status_code == 200
    other = Partnership(trustist.api, "acme").control("GET", "partner")
    assert (other["webhook_url"], other["moves_after"]) == ("", None)


def test_truss_knows_no_partners(trustist: Partnership) -> None:
    assert str(rules.get_partner()) == "Partner default"
    trustist.api.get("/v1/company/")
    query = urlencode({"response_type": "code", "client_id": "sandbox-client", "redirect_uri": "http://127.0.0.1/"})
    page = trustist.api.client.get(f"/sandbox/oauth2/authorize?{query}").content.decode()
    assert "Sandbox Company" in page
    assert "Partner" not in page.replace("Sandbox Partner", "")
    assert set(Partner.objects.all()) < set(Company.objects.all())


def test_a_reset_empties_it(trustist: Partnership) -> None:
    uid = trustist.invited()
    trustist.control("POST", f"invitations/{uid}/complete")
    trustist.api.control("POST", "reset")
    assert trustist.send("GET", "invitations").status_code == 401
    assert trustist.sign_in().send("GET", "invitations").json() == []


# --- what goes wrong


def test_faults_of_trustist_alone(trustist: Partnership) -> None:
    trustist.api.fault("error_after", path="^/trustist/invitations$", method="POST", status=500)
    trustist.api.fault("rate_limit", path="^/trustist/token")
    assert trustist.api.get("/v1/company/").status_code == 200
    assert trustist.invite().status_code == 500
    assert len(trustist.send("GET", "invitations").json()) == 1
    assert trustist.ask_for_token().status_code == 429
    trustist.api.fault("unauthorized")
    assert trustist.invite().status_code == 401
    paths = [(each["method"], each["path"], each["status"]) for each in trustist.api.control("GET", "requests")]
    assert paths[-1] == ("POST", "/trustist/invitations", 401)


# --- the page


def test_the_page_and_its_buttons(trustist: Partnership) -> None:
    def page() -> str:
        return str(trustist.api.client.get("/sandbox/trustist/").content.decode())

    assert "None yet. Invite a client" in page()
    assert 'href="/sandbox/trustist/"' in trustist.api.client.get("/sandbox/").content.decode()
    trustist.control("PATCH", "partner", {"webhook_url": "http://127.0.0.1:9/t/", "moves_after": 9})
    assert "None yet. Open an invitation" in page()
    uid = trustist.invited(name="Fern <b> Moss")
    assert "Fern &lt;b&gt; Moss" in page()
    assert "every 9.0 seconds" in page()
    trustist.control("POST", "webhooks/hold")

    def press(button: str) -> Any:
        return trustist.api.client.post(f"/sandbox/trustist/console/{uid}/{button}")

    answer = press("open")
    assert (answer.status_code, answer["Location"]) == (302, "/sandbox/trustist/")
    assert ">OPENED<" in page()
    assert ">Open<" not in page()
    assert "they are held now" in page()
    press("complete")
    [key] = trustist.keys(uid).json()["items"]
    assert key["apiKey"] in page()
    press("change-key")
    assert key["apiKey"] not in page()
    assert press("open").status_code == 409
    assert "InvitationStatusChanged" in page()
    assert trustist.api.client.get(f"/sandbox/trustist/console/{uid}/open").status_code == 405
    elsewhere = trustist.api.client.post(f"/sandbox/trustist/console/{uid}/open", REMOTE_ADDR="192.0.2.7")
    assert elsewhere.status_code == 403
    # Its events are none of Truss's page.
    assert "InvitationStatusChanged" not in trustist.api.client.get("/sandbox/").content.decode()


def test_reprs(trustist: Partnership) -> None:
    from truss_portal.sandbox.trustist.models import MerchantKey, PartnerToken

    uid = trustist.invited()
    trustist.control("POST", f"invitations/{uid}/complete")
    assert str(Invitation.objects.get()) == f"Fern & Moss ({uid})"
    assert "mk_" not in f"{MerchantKey.objects.get()!r}"
    assert "pt_" not in f"{PartnerToken.objects.get()!r}"
