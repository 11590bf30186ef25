"""For the walk through the admin as each role: the people, a world in which there is something of everything, what it
looks like as a whole, and pages as a browser reads them."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import models
from django.test import Client
from django.utils import timezone

from tests import make
from tests.joined import connected
from truss_portal import actions, encryption, roles
from truss_portal.models import (
    Batch,
    Contact,
    Operation,
    PayerReturn,
    PaymentIntent,
    SyncRun,
    TimelineEntry,
    Transaction,
    WebhookEvent,
    WebhookSecret,
)
from truss_portal.testing.sandbox import Sandbox

# The lesser before the greater. "nobody" has an account that may enter the admin, and no permission.
PEOPLE: Final = ("anonymous", "nobody", "viewer", "clerk", "manager", "superuser")
HOST: Final = "127.0.0.1:8000"
_WRITES: Final = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
State = Operation.State


def may(person: str, least: str | None) -> bool:
    """Whether this person is at least `least`; None is nobody at all."""
    return least is not None and PEOPLE.index(person) >= PEOPLE.index(least)


def client_of(person: str) -> Client:
    """Signed in, as someone with exactly what the role allows."""
    client = Client(HTTP_HOST=HOST)
    if person == "anonymous":
        return client
    user = User.objects.filter(username=person).first()
    if user is None:
        user = User.objects.create_user(person, is_staff=True, is_superuser=person == "superuser")
        if person in roles.ROLES:
            user.groups.set([Group.objects.get(name=roles.ROLES[person])])
    client.force_login(user)
    return client


class World:
    """One of everything, at the pretend Truss where it belongs there."""

    def __init__(self, truss: Sandbox) -> None:
        self.truss = truss
        roles.set_up()
        self.company = make.company(name="Sandbox Company", checkout_link_id="sandbox")
        connected(truss, self.company)
        self.secret = WebhookSecret.objects.create(company=self.company, secret=encryption.seal("0" * 64))
        self.sent = make.sent(reference="SENT-1", company=self.company)
        self.second = make.sent(reference="SENT-2", company=self.company)
        self.draft = make.draft(reference="DRAFT-1", company=self.company)
        self.customer = Contact.objects.get(pk=self.sent.contact_id)
        self.payer = Contact.objects.create(company=self.company, name="New payer", email="new@payer.test")
        self.payment = Transaction.objects.create(
            company=self.company, payment_intent=self.sent, uid=uuid.uuid4(), amount="40.00", date=make.NOON,
            direction=0, status="ProcessedCredit", fetched_at=timezone.now(),
        )  # fmt: skip
        self.batch = Batch.objects.create(kind=Operation.Kind.CREATE, chosen=1)
        waits = make.draft(reference="QUEUED-1", company=self.company)
        self.queued = actions.send(waits, wait=False)
        Operation.objects.filter(pk=self.queued.pk).update(batch=self.batch)
        self.refused = Operation.objects.create(
            company=self.company, payment_intent=self.sent, kind=Operation.Kind.RESEND_EMAIL, state=State.REFUSED,
            needs_person=True, error="Truss said no.", finished_at=timezone.now(),
        )  # fmt: skip
        lost = make.draft(reference="LOST-1", company=self.company)
        self.unconfirmed = actions.send(lost, wait=False)
        ago = timezone.now() - timedelta(days=1)
        Operation.objects.filter(pk=self.unconfirmed.pk).update(state=State.UNCONFIRMED, unconfirmed_at=ago, attempts=1)
        PaymentIntent.objects.filter(pk=lost.pk).update(delivery=PaymentIntent.Delivery.UNCONFIRMED)
        self.payer_return = PayerReturn.objects.create(payment_intent=self.sent, claimed_result="success")
        self.run = SyncRun.objects.create(company=self.company, kind=SyncRun.Kind.ALL, state=SyncRun.State.DONE)
        self.event = WebhookEvent.objects.create(
            company=self.company, event_id=uuid.uuid4(), event_name="payment_intent.updated",
            payment_intent_uid=self.sent.uid, state=WebhookEvent.State.GIVEN_UP, error="Gave up.",
        )  # fmt: skip

    def rows(self) -> dict[str, models.Model]:
        """The row that stands for each model, by the model's name."""
        return {
            "paymentintent": self.draft, "contact": self.payer, "company": self.company, "transaction": self.payment,
            "operation": self.refused, "batch": self.batch, "payerreturn": self.payer_return, "syncrun": self.run,
            "webhookevent": self.event,
        }  # fmt: skip

    def at_truss(self) -> dict[str, Any]:
        """All that Truss holds, and how often it was asked for a change."""
        asked = [(each["method"], each["path"]) for each in self.truss.requests() if each["method"] != "GET"]
        told = (self.truss.payment_intents(), self.truss.mailbox(), self.truss.company())
        return {"asked": asked, "held": told}


def here() -> dict[str, list[Any]]:
    """Every row of every table, but for who is signed in."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        if model is Session:
            continue
        columns = [column.attname for column in model._meta.concrete_fields if column.attname != "last_login"]
        found[model._meta.label] = list(model._base_manager.order_by("pk").values_list("pk", *columns))
    return found


def differing(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> set[str]:
    """The tables that have changed."""
    return {label for label in before if before[label] != after[label]}


class Written:
    """Notes each statement that writes into a table, but those about who is signed in: for execute_wrapper."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = execute(sql, params, many, context)
        signed_in = "django_session" in sql or '"last_login"' in sql or "`last_login`" in sql
        # An UPDATE of no row is how a transaction on SQLite takes its lock.
        if _WRITES.match(sql) and not signed_in and context["cursor"].rowcount:
            self.statements.append(sql)
        return result


def named_in_log(person: str) -> bool:
    return LogEntry.objects.filter(user__username=person).exists()


def named_in_timeline(person: str) -> bool:
    return TimelineEntry.objects.filter(actor__username=person).exists()


@dataclass
class Form:
    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    id: str = ""
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """Where a page leads to, and what can be sent from it."""

    def __init__(self, response: Any, address: str) -> None:
        super().__init__()
        self.address = address
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._form: Form | None = None
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(urljoin(self.address, given["href"]))
        elif tag == "form":
            action = urljoin(self.address, given.get("action") or self.address)
            self._form = Form(given.get("method", "get").lower(), action, id=given.get("id", ""))
            self.forms.append(self._form)
        elif tag == "input" and self._form is not None and "name" in given and "disabled" not in given:
            kind = given.get("type", "text")
            if kind == "submit":
                self._form.buttons.append(given["name"])
            elif kind not in {"checkbox", "radio", "file"} or "checked" in given:
                self._form.fields[given["name"]] = given.get("value", "")
        elif (tag == "button" or given.get("type") == "submit") and given.get("type", "submit") == "submit":
            theirs = next((form for form in self.forms if given.get("form") == form.id), self._form)
            if theirs is not None:
                theirs.buttons.append(given.get("name", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None

    def form_to(self, address: str) -> Form | None:
        """The posted form that goes to this path."""
        path = urlsplit(address).path
        found = (form for form in self.forms if form.method == "post" and urlsplit(form.action).path == path)
        return next(found, None)
