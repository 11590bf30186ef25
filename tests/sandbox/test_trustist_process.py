"""The pretend Trustist as a site's tests use it: in the sandbox's process, through its verbs, over real sockets."""

import pytest
import requests

from tests.client.loopback import serving
from truss_portal.testing.sandbox import Sandbox, SandboxError
from truss_portal.testing.trustist import Trustist

FERN = {"email": "hello@fernandmoss.example", "name": "Fern & Moss", "paymentTypes": ["openbanking"]}


def bearer(trustist: Trustist) -> dict[str, str]:
    form = {
        "client_id": trustist.client_id,
        "client_secret": trustist.client_secret,
        "grant_type": "client_credentials",
    }
    answer = requests.post(f"{trustist.url}/token", form, timeout=30)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_site_can_play_everybody_else(truss_sandbox: Sandbox) -> None:
    trustist = truss_sandbox.trustist
    headers = bearer(trustist)
    uid = requests.post(f"{trustist.url}/invitations", json=FERN, headers=headers, timeout=30).json()["id"]
    with serving() as site:
        trustist.webhooks(f"{site.url}/hook/")
        assert trustist.partner()["webhook_url"] == f"{site.url}/hook/"
        trustist.partner(payment_events=True)
        trustist.hold_webhooks()
        assert trustist.send(uid)["status"] == "sent"
        assert trustist.open(uid)["status"] == "OPENED"
        done = trustist.complete(uid)
        assert (done["status"], len(done["keys"])) == ("COMPLETE", 1)
        assert trustist.change_key(uid, keyId="k")["keys"][0]["keyId"] == "k"
        payment_id = trustist.pay(uid, "42.50", status="FAILED")
        event = trustist.send_webhook({"eventType": "Made up"})
        assert len(trustist.release_webhooks("random", seed=7)) == 5
        trustist.double_webhooks(1)
        trustist.lose_webhooks(0)
        trustist.send_webhook(body="[")
        trustist.wait_for_webhooks()
        trustist.webhooks(None)
        assert sorted(received.body.decode() for received in site.received) == sorted(
            each["body"] for each in trustist.webhook_events()
        )
        assert event["event_id"] in {each["event_id"] for each in trustist.webhook_events()}
        assert payment_id in "".join(received.body.decode() for received in site.received)
    keys = requests.get(f"{trustist.url}/invitations/{uid}/merchant/keys", headers=headers, timeout=30)
    assert keys.json()["items"] == trustist.invitations()[0]["keys"]
    assert trustist.alter(uid, status="Completed")["status"] == "Completed"
    assert len(trustist.create_many(2, name="Client {n}", status="sent")) == 2
    trustist.vanish(uid)
    assert [each["name"] for each in trustist.invitations()] == ["Client 1", "Client 2"]
    trustist.revoke_tokens()
    assert requests.get(f"{trustist.url}/invitations", headers=headers, timeout=30).status_code == 401
    assert {each["status"] for each in trustist.requests()} == {200, 401}
    with pytest.raises(SandboxError, match="404"):
        trustist.open(uid)


@pytest.mark.parametrize(("kind", "done"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_brings_no_answer_at_all(truss_sandbox: Sandbox, kind: str, done: int) -> None:
    trustist = truss_sandbox.trustist
    headers = bearer(trustist)
    trustist.fault(kind, path="invitations", method="POST")
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{trustist.url}/invitations", json=FERN, headers=headers, timeout=30)
    assert len(trustist.invitations()) == done
    assert [each["status"] for each in trustist.requests()] == [200, None]


def test_another_partner(truss_sandbox: Sandbox) -> None:
    other = Sandbox.at(truss_sandbox.url, company="acme").trustist
    other.create_many(1)
    assert other.partner()["client_id"] == "acme-client"
    assert truss_sandbox.trustist.invitations() == []
