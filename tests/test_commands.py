"""The commands as cron runs them: no terminal, exit status, one JSON object and nothing else."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, OutputWrapper
from django.utils import timezone

from tests import joined, make, webhooks
from truss_portal import actions, timeline
from truss_portal.connection import default_company
from truss_portal.management.progress import ProgressBars
from truss_portal.models import (
    Company,
    Connection,
    Contact,
    Operation,
    PaymentIntent,
    SyncRun,
    TimelineEntry,
    WebhookEvent,
)
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def run(name: str, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(name, *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


class TestSync:
    def test_in_words(self, truss: Sandbox) -> None:
        truss.create_many(3)
        status, out, err = run("truss_sync")
        assert (status, err) == (0, "")
        assert "3 listed, 3 new, 0 changed, 0 unchanged" in out

    def test_json_is_one_object_and_nothing_else(self, truss: Sandbox) -> None:
        uids = truss.create_many(2)
        truss.alter(uids[0], extra={"total": None})
        status, out, _err = run("truss_sync", "--json")
        told = json.loads(out)
        assert status == 1
        assert told["runs"][0]["created"] == 1
        assert told["runs"][0]["company"] == "default"
        assert uids[0] in told["runs"][0]["problems"][0]
        assert told["held"] == []

    def test_problems_go_to_standard_error(self, truss: Sandbox) -> None:
        truss.fault("unauthorized", count=None)
        status, _out, err = run("truss_sync", "--no-progress")
        assert status == 1
        assert "access token" in err
        assert truss.token not in err

    def test_one_invoice(self, truss: Sandbox) -> None:
        intent = make.sent(reference="INV-7")
        truss.pay(str(intent.uid), amount="20.00")
        assert run("truss_sync", "--intent", str(intent.uid)) == (0, "INV-7: PartiallyPaid, 20.00 of 120.00 paid\n", "")
        told = json.loads(run("truss_sync", "--intent", str(intent.uid), "--json")[1])
        assert told == {"uid": str(intent.uid), "status": "PartiallyPaid", "balance_paid": "20.00", "missing": False}
        truss.vanish(str(intent.uid))
        assert "missing" in run("truss_sync", "--intent", str(intent.uid))[1]
        truss.fault("unauthorized", count=1)
        with pytest.raises(CommandError, match=r"Invoice INV-7: .*access token"):
            run("truss_sync", "--intent", str(intent.uid))
        with pytest.raises(CommandError, match="full truss_sync"):
            run("truss_sync", "--intent", "00000000-0000-0000-0000-000000000000")

    def test_only_what_is_open(self, truss: Sandbox) -> None:
        make.sent()
        status, out, _err = run("truss_sync", "--open")
        assert (status, SyncRun.objects.get().kind) == (0, "open")
        assert "1 looked at one by one" in out

    def test_another_run_holding_the_lease_is_75(self, truss: Sandbox) -> None:
        default_company()
        Company.objects.update(sync_token="other", sync_until=timezone.now() + timedelta(minutes=1))
        status, out, err = run("truss_sync")
        assert (status, out) == (75, "")
        assert "Another sync" in err
        assert json.loads(run("truss_sync", "--json")[1])["held"]

    def test_companies(self, truss: Sandbox, settings: Any) -> None:
        assert run("truss_sync", "--company", "default")[0] == 0
        with pytest.raises(CommandError, match=r"no company “nobody”.*Known: default"):
            run("truss_sync", "--company", "nobody")
        other = make.company(slug="other")
        assert run("truss_sync")[0] == 0, "nobody is told of a company that isn't connected"
        assert "other isn't connected" in run("truss_sync", "--company", "other")[2]
        actions.send(make.draft(company=other), wait=False)
        status, out, err = run("truss_sync")
        assert status == 1
        assert ": 0 listed" in out, "a company that isn't connected stops no other"
        assert "other isn't connected" in err, "unless something waits for it"
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        SyncRun.objects.all().delete()
        other.payment_intents.all().delete()
        Contact.objects.all().delete()
        Company.objects.all().delete()
        for command in ("truss_sync", "truss_push"):
            with pytest.raises(CommandError, match="ACCESS_TOKEN"):
                run(command)

    def test_what_an_earlier_process_left_is_taken_up(self, truss: Sandbox) -> None:
        truss.fault("drop_after", method="POST", count=1)
        intent = make.draft()
        actions.send(intent)
        TimelineEntry.objects.create(payment_intent=intent, kind="sent", signal_due=True)
        assert run("truss_sync")[0] == 0
        intent.refresh_from_db()
        assert intent.delivery == "sent"
        assert timeline.deliver_due() == 0


class TestPush:
    def test_what_waits_is_sent(self, truss: Sandbox) -> None:
        for _ in range(3):
            actions.send(make.draft(), wait=False)
        status, out, _err = run("truss_push", "--limit", "2")
        assert (status, len(truss.payment_intents())) == (0, 2)
        assert "2 done" in out
        status, out, _err = run("truss_push", "--json")
        assert json.loads(out) == {
            "asked": {"queued": 0, "sending": 0, "done": 1, "refused": 0, "unconfirmed": 0}
            | {"given_up": 0, "withdrawn": 0},
            "failed": 0,
            "unconfirmed": 0,
            "problems": [],
        }
        assert run("truss_push") == (0, "Asked of Truss: nothing was waiting. Unconfirmed: 0.\n", "")

    def test_a_refusal_is_1_and_can_be_retried(self, truss: Sandbox) -> None:
        truss.company(checkout_link_id="")
        actions.send(make.draft(), wait=False)
        status, out, err = run("truss_push")
        assert status == 1
        assert "1 refused" in out
        assert "INV-1001" in err
        assert "status 400" in err
        truss.company(checkout_link_id="k7m2p9qx")
        assert run("truss_push")[0] == 0
        assert truss.payment_intents() == []
        assert run("truss_push", "--retry-failed")[0] == 0
        assert len(truss.payment_intents()) == 1

    def test_a_retry_that_cannot_be_says_why(self, truss: Sandbox) -> None:
        make.draft(contact={"name": "Acme", "email": "a@acme.test"})
        intent = make.draft(contact={"name": "Acme", "email": "b@acme.test"}, reference="INV-9")
        PaymentIntent.objects.filter(pk=intent.pk).update(delivery="failed")
        _status, _out, err = run("truss_push", "--retry-failed")
        assert "INV-9: Two payers are named" in err

    def test_what_is_unconfirmed_is_looked_for(self, truss: Sandbox) -> None:
        truss.fault("drop_after", method="POST", count=1)
        intent = make.draft()
        actions.send(intent)
        assert run("truss_push")[0] == 0
        intent.refresh_from_db()
        assert intent.delivery == "sent"
        assert len(truss.payment_intents()) == 1

    def test_within_the_grace_it_stays_unconfirmed_and_is_1(self, truss: Sandbox) -> None:
        truss.fault("drop_before", method="POST", count=1)
        actions.send(make.draft())
        status, out, _err = run("truss_push")
        assert status == 1
        assert "Unconfirmed: 1" in out
        Operation.objects.update(unconfirmed_at=timezone.now() - timedelta(hours=1))
        assert run("truss_push")[0] == 0
        assert len(truss.payment_intents()) == 1

    def test_a_sync_that_holds_the_lease_does_not_stop_the_sending(self, truss: Sandbox) -> None:
        truss.fault("drop_after", method="POST", count=1)
        actions.send(make.draft())
        actions.send(make.draft(), wait=False)
        Company.objects.update(sync_token="other", sync_until=timezone.now() + timedelta(minutes=1))
        status, _out, err = run("truss_push")
        assert status == 1
        assert "Another sync" in err
        assert len(truss.payment_intents()) == 2

    def test_without_a_connection(self, settings: Any) -> None:
        actions.send(make.draft(company=make.company()), wait=False)
        settings.TRUSS_PORTAL = {"ENVIRONMENT": "local"}
        status, _out, err = run("truss_push", "--company", "default")
        assert status == 1
        assert "ACCESS_TOKEN" in err
        with pytest.raises(CommandError, match="no company"):
            run("truss_push", "--company", "nobody")


class TestWebhooks:
    @pytest.fixture(autouse=True)
    def _in_background(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [webhooks.SECRET]}
        settings.TASKS = webhooks.IN_BACKGROUND

    def told(self, truss: Sandbox) -> PaymentIntent:
        """An invoice that was paid, which nobody has looked up yet."""
        [uid] = truss.create_many(1)
        call_command("truss_sync", stdout=io.StringIO())
        truss.pay(uid)
        webhooks.tell(uid)
        return PaymentIntent.objects.get()

    def test_what_is_left_over_is_processed(self, truss: Sandbox) -> None:
        intent = self.told(truss)
        webhooks.tell(intent.uid, None)
        assert run("truss_webhooks") == (0, "Webhooks: 3 processed, 0 waiting, 0 given up.\n", "")
        intent.refresh_from_db()
        assert intent.status == "Paid"
        told = json.loads(run("truss_webhooks", "--json")[1])
        assert told == {"processed": 0, "failed": 0, "waiting": 0, "given_up": 0, "problems": []}

    def test_a_failure_is_1_and_waits_until_it_is_due_or_asked_for(self, truss: Sandbox) -> None:
        intent = self.told(truss)
        truss.alter(str(intent.uid), extra={"total": "a fortune"})
        status, out, err = run("truss_webhooks")
        assert (status, out) == (1, "Webhooks: 0 processed, 1 waiting, 0 given up.\n")
        assert "payment_intent.updated" in err
        assert "total" in err
        truss.alter(str(intent.uid), extra={})
        assert run("truss_webhooks")[0] == 0, "it isn't due"
        assert "1 processed" in run("truss_webhooks", "--retry")[1]

    def test_what_is_given_up_is_1_until_it_is_settled(self, truss: Sandbox) -> None:
        self.told(truss)
        WebhookEvent.objects.update(state="given_up", attempts=10)
        status, out, err = run("truss_webhooks", "--json")
        assert (status, json.loads(out)["given_up"]) == (1, 1)
        assert "truss_webhooks --retry" in err
        status, out, err = run("truss_webhooks", "--retry")
        assert (status, out, err) == (0, "Webhooks: 1 processed, 0 waiting, 0 given up.\n", "")

    def test_another_sync_at_work_is_no_failure(self, truss: Sandbox) -> None:
        default_company()
        webhooks.tell(None)
        Company.objects.update(sync_token="other", sync_until=timezone.now() + timedelta(minutes=1))
        assert run("truss_webhooks") == (0, "Webhooks: 0 processed, 1 waiting, 0 given up.\n", "")

    def test_companies_stop_each_other_neither_way(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = joined.settings_for(truss, WEBHOOK_SECRETS=[webhooks.SECRET], ACCESS_TOKEN=truss.token)
        for slug in ("acme", "bakers"):
            joined.connected(truss, make.company(slug=slug))
            assert webhooks.post(webhooks.body(), url=f"/truss/webhook/{slug}/").status_code == 200
        Connection.objects.filter(company__slug="acme").update(refused_at=timezone.now(), refusal="gone")
        status, out, err = run("truss_webhooks")
        assert (status, out) == (1, "Webhooks: 1 processed, 1 waiting, 0 given up.\n")
        assert err.startswith("acme: ")
        assert run("truss_webhooks", "--company", "bakers")[:2] == (
            0,
            "Webhooks: 0 processed, 0 waiting, 0 given up.\n",
        )

    def test_it_delivers_what_an_earlier_process_owed(self, truss: Sandbox) -> None:
        entry = TimelineEntry.objects.create(payment_intent=make.row(), kind="sent", signal_due=True)
        run("truss_webhooks")
        entry.refresh_from_db()
        assert not entry.signal_due


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal_and_silence_elsewhere() -> None:
    for stream, wanted, shown in ((_Terminal(), True, True), (_Terminal(), False, False), (io.StringIO(), True, False)):
        with ProgressBars(OutputWrapper(stream), wanted=wanted) as bars:
            bars.show("list", 1, 2)
            bars.show("list", 2, 2)
            bars.show("look", 1, None)
        assert ("Listing" in stream.getvalue()) is shown
