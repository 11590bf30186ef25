"""What Truss posts to us: verified, stored, answered at once; and what isn't Truss's leaves nothing but a count."""

import io
import json
import logging
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import IntegrityError, connections
from django.test import Client, RequestFactory
from django.utils import timezone

from tests import make
from tests.test_adversary import at_once
from tests.webhooks import IN_BACKGROUND, SECRET, TASKS, URL, body, post, sign, tell
from truss_portal import encryption, signals, webhooks
from truss_portal.exceptions import UndecryptableError
from truss_portal.models import Company, PaymentIntent, WebhookEvent, WebhookSecret
from truss_portal.testing.sandbox import Sandbox
from truss_portal.views import WebhookView

pytestmark = pytest.mark.django_db(transaction=True)

OTHER_SECRET = "0123456789abcdef" * 4


@pytest.fixture
def told(settings: Any) -> Any:
    """A site that Truss tells of changes, whose tasks run elsewhere. Nobody answers at Truss's address."""
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [SECRET]}
    settings.TASKS = IN_BACKGROUND
    return settings


def refusals() -> tuple[int, str]:
    """How many, and why the last one."""
    company = Company.objects.get()
    assert (company.webhooks_refused_at is None) == (company.webhooks_refused == 0)
    return company.webhooks_refused, company.webhooks_refused_why


class TestAccepted:
    def test_it_is_kept_and_answered_with_nothing(self, told: Any) -> None:
        make.company()
        uid, event_id = uuid.uuid4(), uuid.uuid4()
        before = timezone.now()
        answer = post(body(uid, event_id=str(event_id)))
        assert (answer.status_code, answer.content) == (200, b"")
        event = WebhookEvent.objects.get()
        assert (event.company.slug, event.event_id, event.event_name) == ("default", event_id, "payment_intent.updated")
        assert event.event_created_at == datetime(2026, 3, 2, 15, 4, 5, 512000, tzinfo=UTC)
        assert event.payment_intent_uid == uid
        assert event.payload["balance_paid"] == "500.00"
        assert before <= event.received_at <= timezone.now()
        assert (event.state, event.attempts, event.processed_at) == ("waiting", 0, None)
        assert refusals() == (0, "")

    def test_with_tasks_in_the_background_truss_is_not_asked_in_the_request(self, truss: Sandbox, told: Any) -> None:
        told.TRUSS_PORTAL = told.TRUSS_PORTAL | {"API_URL": truss.url}
        [uid] = truss.create_many(1)
        tell(uid, None, uuid.uuid4())
        tell(uid, event_name="something.else")
        assert truss.requests() == []
        assert WebhookEvent.objects.filter(state="waiting", attempts=0).count() == 4

    def test_with_tasks_at_once_the_payment_is_known_when_it_is_answered(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [SECRET]}
        heard: list[tuple[str, str]] = []

        def hear(payment_intent: PaymentIntent, entry: Any, **_rest: Any) -> None:
            heard.append((entry.kind, payment_intent.status))

        for signal in (signals.payment_received, signals.payment_intent_paid):
            signal.connect(hear)
        try:
            intent = make.sent()
            truss.pay(str(intent.uid))
            tell(intent.uid)
        finally:
            for signal in (signals.payment_received, signals.payment_intent_paid):
                signal.disconnect(hear)
        assert heard == [("payment_received", "Paid"), ("paid", "Paid")]
        assert make.kinds(intent)[-2:] == ["payment_received", "paid"]
        assert WebhookEvent.objects.get().state == "processed"

    def test_a_task_backend_that_is_down_costs_nothing_but_time(
        self, told: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        told.TASKS = {"default": {"BACKEND": f"{TASKS}.backends.dummy.DummyBackend", "QUEUES": ["another"]}}
        make.company()
        tell(None)
        assert WebhookEvent.objects.get().state == "waiting"
        assert "task backend" in caplog.text

    def test_the_secret_s_bytes_may_be_the_key(self, told: Any) -> None:
        make.company()
        told.TRUSS_PORTAL = told.TRUSS_PORTAL | {"WEBHOOK_SECRET_ENCODING": "hex"}
        content = body()
        assert post(content).status_code == 400
        assert post(content, signature=sign(content, secret=bytes.fromhex(SECRET))).status_code == 200

    def test_several_secrets_while_they_are_rotated(self, told: Any) -> None:
        make.company()
        told.TRUSS_PORTAL = told.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [OTHER_SECRET, SECRET]}
        for secret in (SECRET, OTHER_SECRET):
            content = body()
            assert post(content, signature=sign(content, secret=secret)).status_code == 200

    def test_a_company_s_own_secrets_stand_in_place_of_the_settings(self, told: Any) -> None:
        WebhookSecret.objects.create(company=make.company(), secret=encryption.seal(OTHER_SECRET))
        content = body()
        assert post(content).status_code == 400
        assert post(content, signature=sign(content, secret=OTHER_SECRET)).status_code == 200
        WebhookSecret.objects.create(company=make.company(), secret=encryption.seal(SECRET))
        assert post(body()).status_code == 200

    def test_the_default_company_exists_from_the_first_webhook_on(self, told: Any) -> None:
        tell(None)
        assert Company.objects.get().slug == "default"

    def test_each_company_has_its_own_address_and_events(self, told: Any) -> None:
        bakers, smiths = make.company(slug="bakers"), make.company(slug="smiths")
        WebhookSecret.objects.create(company=smiths, secret=encryption.seal(OTHER_SECRET))
        content = body()
        assert post(content, url="/truss/webhook/bakers/").status_code == 200
        assert post(content, url="/truss/webhook/smiths/").status_code == 400
        assert (
            post(content, url="/truss/webhook/smiths/", signature=sign(content, secret=OTHER_SECRET)).status_code == 200
        )
        assert {event.company for event in WebhookEvent.objects.all()} == {bakers, smiths}

    def test_what_a_database_would_not_take_is_made_to_fit(self, told: Any) -> None:
        make.company()
        content = json.dumps(
            {
                "event_id": str(uuid.uuid4()),
                "event_name": "a" * 300 + "\x00",
                "event_created_at": "2026-03-02",
                "event_payload": {"uid": "not one", "note": "a\x00b", "deep": {"\ud800": [1.5, None, 10**30]}},
            }
        ).encode()
        assert post(content).status_code == 200
        event = WebhookEvent.objects.get()
        assert (event.event_name, event.payment_intent_uid) == ("a" * 255, None)

    @pytest.mark.parametrize("setting", ["atomic", "csrf", "log-in"])
    def test_the_site_s_own_rules_do_not_stand_in_the_way(self, truss: Sandbox, settings: Any, setting: str) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [SECRET]}
        intent = make.sent()
        truss.pay(str(intent.uid))
        if setting == "log-in":
            settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        connections["default"].settings_dict["ATOMIC_REQUESTS"] = setting == "atomic"
        try:
            assert post(body(intent.uid), client=Client(enforce_csrf_checks=True)).status_code == 200
        finally:
            connections["default"].settings_dict["ATOMIC_REQUESTS"] = False
        intent.refresh_from_db()
        assert intent.status == "Paid"


class TestRepeats:
    def test_a_repeat_is_acknowledged_and_leads_to_nothing(self, truss: Sandbox, settings: Any) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [SECRET]}
        intent = make.sent()
        content = body(intent.uid)
        asked = len(truss.requests())
        for _ in range(3):
            assert post(content).status_code == 200
        assert len(truss.requests()) == asked + 1
        assert (WebhookEvent.objects.get().state, WebhookEvent.objects.get().attempts) == ("processed", 1)

    @pytest.mark.parametrize("state", ["waiting", "given_up"])
    def test_a_repeat_of_one_that_failed_has_it_tried_again(self, truss: Sandbox, settings: Any, state: str) -> None:
        settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"WEBHOOK_SECRETS": [SECRET]}
        intent = make.sent()
        truss.pay(str(intent.uid))
        truss.fault("error_before", method="GET")
        content = body(intent.uid)
        assert post(content).status_code == 200
        WebhookEvent.objects.update(state=state)
        assert WebhookEvent.objects.get().error
        assert post(content).status_code == 200
        event = WebhookEvent.objects.get()
        assert (event.state, event.error, event.attempts, event.next_attempt_at) == ("processed", "", 2, None)
        intent.refresh_from_db()
        assert intent.status == "Paid"

    def test_the_same_one_at_the_same_moment_is_one(self, told: Any) -> None:
        make.company()
        for _ in range(3):
            content = body()
            statuses: list[int] = []
            assert at_once(*[lambda c=content, s=statuses: s.append(post(c).status_code)] * 4) == []
            assert statuses == [200] * 4
        assert WebhookEvent.objects.count() == 3

    def test_one_event_id_of_two_companies_is_two_events(self, told: Any) -> None:
        content = body()
        for slug in ("bakers", "smiths"):
            make.company(slug=slug)
            assert post(content, url=f"/truss/webhook/{slug}/").status_code == 200
        assert WebhookEvent.objects.count() == 2


class TestRefused:
    @pytest.mark.parametrize(
        ("forge", "why"),
        [
            (lambda _content: "", "not signed"),
            (lambda content: sign(content, secret=OTHER_SECRET), "none of our secrets"),
            (lambda content: sign(content + b" "), "none of our secrets"),
            (lambda content: sign(content, at=time.time() - 1000), "seconds old"),
            (lambda content: sign(content, at=time.time() + 1000), "ahead of our clock"),
            (lambda content: sign(content).replace("v1=", "v2="), "can't be read"),
            (lambda content: sign(content).partition(",")[2], "can't be read"),
            (lambda _content: "\x00ä" * 3000, "can't be read"),
        ],
        ids=["unsigned", "wrong-secret", "changed", "old", "future", "unknown-version", "no-time", "nonsense"],
    )
    def test_what_is_not_signed_by_truss_leaves_only_a_count(
        self, told: Any, forge: Any, why: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        make.company(name="Bakers")
        content = body(uuid.uuid4())
        answer = post(content, signature=forge(content))
        assert answer.status_code == 400
        assert not WebhookEvent.objects.exists()
        count, reason = refusals()
        assert count == 1
        assert why in reason
        assert SECRET not in reason + answer.content.decode() + caplog.text
        [record] = [record for record in caplog.records if record.name == "django.security.WebhookRefusedError"]
        assert "A webhook for Bakers was refused." in record.getMessage()
        post(content, signature=forge(content))
        assert refusals()[0] == 2

    def test_without_a_secret_nobody_is_believed_and_the_log_says_what_to_do(
        self, told: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        told.TRUSS_PORTAL = told.TRUSS_PORTAL | {"WEBHOOK_SECRETS": []}
        make.company()
        content = body()
        for secret in (SECRET, ""):
            assert post(content, signature=sign(content, secret=secret)).status_code == 400
        assert not WebhookEvent.objects.exists()
        assert refusals()[0] == 2
        assert "ask Truss for the secret. Enter it in the admin" in caplog.text
        assert 'TRUSS_PORTAL["WEBHOOK_SECRETS"]' in caplog.text

    def test_how_old_a_signature_may_be_is_a_setting(self, told: Any) -> None:
        make.company()
        told.TRUSS_PORTAL = told.TRUSS_PORTAL | {"WEBHOOK_TOLERANCE": 2000}
        content = body()
        assert post(content, signature=sign(content, at=time.time() - 1000)).status_code == 200
        assert post(content, signature=sign(content, at=time.time() - 3000)).status_code == 400

    def test_a_secret_that_no_key_opens_is_our_fault_and_names_the_company(self, told: Any) -> None:
        company = make.company(name="Bakers")
        kept = WebhookSecret.objects.create(company=company, secret=encryption.seal(OTHER_SECRET))
        WebhookSecret.objects.update(secret="gAAAAAB" + "x" * 80)
        content = body()
        with pytest.raises(UndecryptableError, match=r"A webhook secret of Bakers can't be decrypted"):
            post(content)
        assert post(content, client=Client(raise_request_exception=False)).status_code == 500, "Truss may try again"
        assert (refusals()[0], WebhookEvent.objects.count()) == (0, 0)
        # While one of them can be opened, it decides what it can.
        WebhookSecret.objects.create(company=company, secret=encryption.seal(SECRET))
        assert post(content).status_code == 200
        assert post(content, signature="").status_code == 400
        with pytest.raises(UndecryptableError):
            post(content, signature=sign(content, secret=OTHER_SECRET))
        kept.delete()
        assert post(content, signature=sign(content, secret=OTHER_SECRET)).status_code == 400

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff",
            b"[]",
            b"{}",
            b"[" * 100_000,
            body(event_id="1"),
            body(event_payload=[]),
            body(event_created_at="yesterday"),
            body(event_name=None),
        ],
        ids=["empty", "bytes", "list", "object", "deep", "event-id", "payload", "time", "name"],
    )
    def test_what_truss_has_signed_and_nobody_can_read(self, told: Any, content: bytes) -> None:
        make.company()
        assert post(content).status_code == 400
        assert not WebhookEvent.objects.exists()
        count, why = refusals()
        assert count == 1
        assert "signed rightly and can't be read" in why

    def test_nobody_else_can_be_told(self, told: Any) -> None:
        make.company()
        make.company(slug="elsewhere", environment="production")
        for slug in ("nobody", "elsewhere"):
            assert post(body(), url=f"/truss/webhook/{slug}/").status_code == 404
        assert not WebhookEvent.objects.exists()
        assert set(Company.objects.values_list("webhooks_refused", flat=True)) == {0}

    def test_sandbox_and_production_never_mix(self, told: Any) -> None:
        make.company(environment="production")
        assert post(body()).status_code == 404, "there is one of this name, and it isn't this site's now"
        told.TRUSS_PORTAL = told.TRUSS_PORTAL | {"ACCESS_TOKEN": None}
        Company.objects.all().delete()
        assert post(body()).status_code == 404

    @pytest.mark.parametrize("method", ["get", "head", "options", "put", "patch", "delete"])
    def test_only_a_post_is_a_webhook(self, told: Any, method: str) -> None:
        make.company()
        assert getattr(Client(), method)(URL).status_code == 405


def test_one_for_a_company_that_is_just_being_deleted_is_not_acknowledged(told: Any) -> None:
    make.company()
    addressee = webhooks.addressee("default")
    assert addressee is not None
    Company.objects.all().delete()
    content = body()
    with pytest.raises(IntegrityError):
        webhooks.receive(addressee, content, sign(content))
    assert not WebhookEvent.objects.exists()


class TestSize:
    """Whoever can't sign must not fill our memory."""

    def _send(self, stream: Any, length: str | None) -> int:
        environ = RequestFactory().post(URL, b"", content_type="application/json").environ
        environ["wsgi.input"] = stream
        environ.pop("CONTENT_LENGTH", None)
        if length is not None:
            environ["CONTENT_LENGTH"] = length
        statuses: list[str] = []
        WSGIHandler()(environ, lambda status, _headers, _error=None: statuses.append(status)).close()
        return int(statuses[0][:3])

    def test_what_says_that_it_is_too_long_is_not_read(self, told: Any) -> None:
        make.company()
        stream = io.BytesIO(b"x" * 300_000)
        for length in ("300000", "9" * 30):
            assert self._send(stream, length) == 413
        assert stream.tell() == 0
        count, why = refusals()
        assert count == 2
        assert "longer than 262144 bytes" in why

    def test_what_is_too_long_without_saying_so_is_read_no_further(self, told: Any) -> None:
        make.company()
        request = RequestFactory().post(URL, b"", content_type="application/json")
        stream = io.BytesIO(b"x" * 300_000)
        # As an ASGI server hands a body over that came in chunks.
        request._stream = stream
        request.META.pop("CONTENT_LENGTH", None)
        answer = WebhookView.as_view()(request, company="default")
        assert (answer.status_code, stream.tell()) == (413, 262_145)
        assert refusals()[0] == 1

    def test_the_longest_that_is_read_is_read_whole(self, told: Any) -> None:
        make.company()
        short = len(body(event_payload={"note": ""}))
        assert post(body(event_payload={"note": "n" * (262_144 - short)})).status_code == 200
        assert post(body(event_payload={"note": "n" * (262_145 - short)})).status_code == 413

    @pytest.mark.parametrize("length", [None, "", "-5", "many", "²"])
    def test_a_length_that_is_none_is_no_body(self, told: Any, length: str | None) -> None:
        make.company()
        assert self._send(io.BytesIO(b"{}"), length) == 400

    def test_a_body_that_breaks_off_is_nobody_s_error(self, told: Any) -> None:
        class Broken(io.BytesIO):
            def read(self, *_size: Any) -> bytes:
                raise OSError("the connection was reset")

        make.company()
        assert self._send(Broken(), "100") == 400
        assert refusals()[0] == 0

    def test_a_middleware_may_have_read_it_before(self, told: Any) -> None:
        make.company()
        content = body()
        request = RequestFactory().post(
            URL, content, content_type="application/json", headers={"X-Webhook-Signature": sign(content)}
        )
        assert request.body == content
        assert WebhookView.as_view()(request, company="default").status_code == 200


def test_debug_pages_and_reports_show_no_secret(told: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The frames of a refusal are shown to whoever sent it where DEBUG is on, and kept by error trackers."""
    from django.views.debug import ExceptionReporter

    told.DEBUG = True
    WebhookSecret.objects.create(company=make.company(), secret=encryption.seal(OTHER_SECRET))
    caplog.set_level(logging.DEBUG)
    for signature in (None, "", "t=1,v1=2"):
        answer = post(body(), signature=signature)
        assert answer.status_code == 400
        assert OTHER_SECRET not in answer.content.decode()
    for record in caplog.records:
        if record.exc_info and record.exc_info[0]:
            report = ExceptionReporter(None, *record.exc_info).get_traceback_html()
            assert OTHER_SECRET not in report
    assert site_settings.TRUSS_PORTAL["WEBHOOK_SECRETS"] == [SECRET]
    assert OTHER_SECRET not in caplog.text


def test_a_received_event_s_age_is_ours(told: Any) -> None:
    """What Truss says of the time is kept and decides nothing."""
    make.company()
    assert post(body(event_created_at="1999-01-01T00:00:00Z")).status_code == 200
    assert timezone.now() - WebhookEvent.objects.get().received_at < timedelta(minutes=1)
