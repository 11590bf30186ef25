"""The site in Spanish: no page of it has a word of English that is ours, and nothing that people type breaks."""

import html
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from typing import Any, Final

import polib
import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import make
from tests.admin.importing import confirm, previewed
from tests.exchange.files import line
from tests.joined import settings_for
from tests.messages import ROOMS
from tests.role_cases import ACTIONS, CASES
from tests.walking import Page, World, client_of
from truss_portal import checkout
from truss_portal.exchange import EXPORTED, IMPORTED
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
)
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)

CATALOGS: Final = [path for room in ROOMS for path in room.catalogs if path.parent.parent.name == "es"]
# Words that no Spanish sentence has and hardly an English one does without.
ENGLISH: Final = re.compile(
    r"\b(the|is|isn't|are|aren't|was|were|has|have|had|with|without|this|that|these|those|and|of|to|for|from|by|it|its|"
    r"not|yet|what|when|who|why|which|will|can|can't|be|been|you|your|they|them|or|on|at|than)\b",
    re.IGNORECASE,
)
SPOKEN: Final = (
    "title",
    "alt",
    "aria-label",
    "placeholder",
    "data-done",
    "data-said",
    "data-by-hand",
    "data-truss-what",
)


@pytest.fixture
def boss(db: None) -> Client:
    return client_of("superuser")


class Read(HTMLParser):
    """What a page says: its text, what its attributes say to people, and the labels of its charts."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent = 0
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._silent += tag in {"style", "code", "pre"} or (tag == "script" and given.get("type") != "application/json")
        self.said += [given[name] for name in SPOKEN if name in given]
        if tag == "input" and given.get("type") == "submit":
            self.said.append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "code", "pre", "script"} and self._silent:
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(data)

    def text(self) -> str:
        # Parted, so that the end of one text and the beginning of the next don't make a third.
        return html.unescape(" ¦ ".join(" ".join(each.split()) for each in self.said if each.strip()))


@cache
def our_english() -> list[str]:
    """Every text of ours that is other in Spanish: its longest piece without placeholders and tags."""
    found = set()
    for entry in (entry for path in CATALOGS for entry in polib.pofile(str(path))):
        for text in filter(None, (entry.msgid, entry.msgid_plural)):
            pieces = [piece.strip(" .:,;“”\n") for piece in re.split(r"%\(\w+\)[sd]|%[sd]|<[^>]+>|\n", text)]
            longest = max(pieces, key=len)
            translated = [entry.msgstr, *entry.msgstr_plural.values()]
            if " " in longest and not any(longest in each for each in translated):
                found.add(" ".join(longest.split()))
    return sorted(found)


# Names that stay as they are: what the columns of files are called, and what these tests have given names to.
KEPT: Final = sorted({column.heading for column in (*IMPORTED, *EXPORTED)} | {"Acme Supplies"}, key=len, reverse=True)


def english_in(response: Any, *, djangos: bool = False) -> list[str]:
    """Where the page is one of Django's own, which it has no Spanish for in every version, only texts of ours."""
    text = Read(response).text()
    for name in KEPT:
        text = text.replace(name, " ")
    text = re.sub(r"\S*[/_@]\S*", " ", text)  # addresses, commands, settings
    words = [text[max(0, found.start() - 40) : found.end() + 40] for found in ENGLISH.finditer(text)]
    words = [] if djangos else words
    return [*words, *(piece for piece in our_english() if re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text))]


BIG: Final = 1_234_566
"""Keys begin after this one: where a site wants separators in numbers (USE_THOUSAND_SEPARATOR), a key has none."""


@pytest.fixture
def spanish(settings: Any) -> None:
    settings.LANGUAGE_CODE = "es"
    settings.USE_THOUSAND_SEPARATOR = True


@pytest.fixture
def world(truss: Sandbox, settings: Any) -> World:
    settings.TRUSS_PORTAL = settings_for(truss)
    company = make.company(name="Acme Supplies")
    payer = Contact.objects.create(pk=BIG, company=company, name="Primera", email="primera@acme.test")
    first = make.row(pk=BIG, company=company, contact=payer, reference="PRIMERA")
    Operation.objects.create(pk=BIG, company=company, payment_intent=first, kind=Operation.Kind.REFRESH, state="done")
    Batch.objects.create(pk=BIG, kind=Operation.Kind.CREATE)
    SyncRun.objects.create(pk=BIG, company=company, kind=SyncRun.Kind.ALL)
    payment(first, pk=BIG)
    return World(truss)


def payment(intent: PaymentIntent, **given: Any) -> Transaction:
    columns = {"amount": "1040.50", "date": make.NOON, "direction": 0, "status": "ProcessedCredit"} | given
    return Transaction.objects.create(
        company=intent.company, payment_intent=intent, uid=uuid.uuid4(), fetched_at=timezone.now(), **columns
    )


class Found:
    """What is wrong with pages, by their names."""

    def __init__(self) -> None:
        self.wrong: dict[str, list[str]] = {}
        self.pages = 0

    def look(self, name: str, answer: Any) -> None:
        if answer.streaming or answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
            return
        self.pages += 1
        grouped = re.findall(r".{30}1[\s.,\xa0]234[\s.,\xa0]5\d\d", html.unescape(answer.content.decode()))
        if wrong := [*english_in(answer, djangos=name.endswith("_delete")), *grouped]:
            self.wrong.setdefault(name, []).extend(wrong)


# --- every page


# These are sent empty, too, so that they say what is wrong.
WRITTEN: Final = ("_add", "_change", "_import", "_visibility", "_secrets", "_amend", "_send_again")


@pytest.mark.slow
def test_no_page_of_the_admin_has_english_of_ours(spanish: None, world: World) -> None:
    client, found = client_of("superuser"), Found()
    for name, case in CASES.items():
        url = reverse(f"admin:truss_portal_{name}", args=case.args(world))
        found.look(name, client.get(url, case.query(world), follow=True))
        if name.endswith(WRITTEN):
            found.look(f"{name}, sent empty", client.post(url, case.query(world), follow=True))
        if name.endswith("_changelist"):
            found.look(f"{name}, nothing found", client.get(url, {"q": "zzzz"}))
    visibility = page_url("paymentintent_visibility")
    for query in ({"invoice": world.sent.pk}, {"invoice": world.draft.pk}, {"payer": world.customer.pk}):
        found.look(f"visibility of {query}", client.get(visibility, query))
    for email in ("ap@acme.test", "otro@acme.test"):
        found.look(f"visibility to {email}", client.post(visibility, {"email": email, "invoice": world.sent.pk}))
    for (model, action), act in ACTIONS.items():
        rows = {"action": action, "_selected_action": [act.row(world)]}
        if not act.changes:
            found.look(f"{action} of {model}", client.post(page_url(f"{model}_changelist"), rows, follow=True))
    for name in ("index", "app_list"):
        found.look(name, client.get(reverse(f"admin:{name}", args=["truss_portal"] if name == "app_list" else [])))
    assert found.wrong == {}
    assert found.pages > len(CASES)


@pytest.mark.slow
def test_nothing_that_is_told_of_what_was_done_is_english(spanish: None, world: World) -> None:
    client, found = client_of("superuser"), Found()
    lines = (line(invoice_number="FILE-1"), line(invoice_number="FILE-2", amount="a lot"), line(3, payer_email="x"))
    preview = previewed(client, *lines)
    found.look("import_preview", preview)
    found.look("import_result", confirm(client, preview))
    world.truss.fault("error_before", method="PATCH", status=409, count=1)
    done = [name for name, case in CASES.items() if case.does and not name.endswith(("_delete", "_disconnect"))]
    for name in done:
        case = CASES[name]
        url = reverse(f"admin:truss_portal_{name}", args=case.args(world))
        asked = client.get(url, case.query(world))
        form = Page(asked, url).form_to(url) if asked.status_code == 200 else None
        fields = {key: value for key, value in form.fields.items() if key != "csrfmiddlewaretoken"} if form else {}
        answer = client.post(url, {**fields, **case.query(world), **case.data(world)}, follow=True)
        found.look(name, answer)
    found.look("an invoice's page", client.get(page_url("paymentintent_change", world.second.pk)))
    found.look("a draft's page", client.get(page_url("paymentintent_change", world.draft.pk)))
    assert found.wrong == {}
    assert found.pages > len(done) / 2


def page_url(name: str, *args: Any) -> str:
    return reverse(f"admin:truss_portal_{name}", args=args)


# --- pages of nothing


LISTS: Final = sorted(
    model._meta.model_name for model in admin.site._registry if model._meta.app_label == "truss_portal"
)


@pytest.mark.parametrize("language", ["en-us", "es"])
@pytest.mark.parametrize("model", LISTS)
def test_an_empty_list_says_what_to_do_first(settings: Any, boss: Client, model: str, language: str) -> None:
    settings.LANGUAGE_CODE = language
    answer = boss.get(page_url(f"{model}_changelist"))
    [said] = re.findall(r'<p class="truss-empty">(.*?)</p>', answer.content.decode(), re.DOTALL)
    assert len(said.split()) > 6, "a sentence, not a word"
    assert bool(ENGLISH.search(said)) == (language == "en-us")
    if language == "es":
        assert english_in(answer) == []


@pytest.mark.parametrize("name", ["overview", "import", "export", "visibility"])
def test_the_other_pages_are_spanish_before_there_is_anything(spanish: None, boss: Client, name: str) -> None:
    answer = boss.get(page_url(f"paymentintent_{name}"), follow=True)
    assert answer.status_code == 200
    assert english_in(answer) == []


# --- the language of who asks


def test_each_reads_their_own_language(settings: Any, boss: Client) -> None:
    after = settings.MIDDLEWARE.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:after],
        "django.middleware.locale.LocaleMiddleware",
        *settings.MIDDLEWARE[after:],
    ]
    make.row()
    pages = {
        language: Read(boss.get(page_url("paymentintent_changelist"), headers={"accept-language": language})).text()
        for language in ("en", "es-MX", "es")
    }
    assert "Copy link" in pages["en"]
    assert "Copiar enlace" in pages["es-MX"]
    assert "Copiar enlace" in pages["es"]


# --- what is typed


def typed(client: Client, intent: PaymentIntent, **changes: str) -> Any:
    """What a browser sends of the invoice's form, with these changes."""
    url = page_url("paymentintent_change", intent.pk)
    page = client.get(url)
    form = page.context["adminform"].form
    sent = {bound.html_name: bound.value() for bound in form}
    shown = {name: "" if value is None or value is False else str(value) for name, value in sent.items()}
    return client.post(url, shown | changes, follow=True)


@pytest.mark.parametrize("language", ["es", "es-mx", "de", "en-us"])
def test_a_form_that_is_saved_as_it_was_shown_changes_nothing(settings: Any, boss: Client, language: str) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = language, True
    due = timezone.localdate() + timedelta(days=400)
    intent = make.draft(total="12345.60", due_date=due, reference="INV-1")
    content = boss.get(page_url("paymentintent_change", intent.pk)).content.decode()
    assert re.search(r'name="total"[^>]* value="12345\.60"|value="12345\.60"[^>]* name="total"', content)
    answer = typed(boss, intent)
    assert answer.redirect_chain, english_in(answer)
    intent.refresh_from_db()
    assert (intent.total, intent.due_date) == (Decimal("12345.60"), due)


@pytest.mark.parametrize("amount", ["1234,50", "1.234,50", "1 234,50", "1\xa0234.50", "1.234.567"])
def test_an_amount_written_otherwise_is_never_taken_for_another(spanish: None, boss: Client, amount: str) -> None:
    intent = make.draft(total="120.00")
    answer = typed(boss, intent, total=amount)
    assert answer.status_code == 200
    assert not answer.redirect_chain
    assert answer.context["adminform"].form.errors["total"]
    assert english_in(answer) == []
    intent.refresh_from_db()
    assert intent.total == Decimal("120.00")


def test_amounts_and_counts_are_written_in_one_way(spanish: None, boss: Client) -> None:
    intent = make.row(total="1234567.50", balance_paid="1000.00", status="PartiallyPaid")
    for answer in (
        boss.get(page_url("paymentintent_changelist")),
        boss.get(page_url("paymentintent_change", intent.pk)),
        boss.get(page_url("paymentintent_overview")),
        boss.post(page_url("paymentintent_visibility"), {"email": "payer@example.test"}),
    ):
        text = Read(answer).text()
        assert "$1,233,567.50" in text or "$1,234,567.50" in text
        assert not re.search(r"\d[.\s]\d{3},\d\d|\d{4,},\d\d(?!\d)", text)


def test_what_scripts_and_forms_read_has_no_separators(spanish: None, boss: Client) -> None:
    """A page's numbers for people may have them; "1 001" in an attribute would be no number to a browser."""
    intent, batch = make.row(), Batch.objects.create(kind=Operation.Kind.REFRESH, chosen=1001)
    waiting = {"company": intent.company, "payment_intent": intent, "kind": batch.kind, "batch": batch}
    Operation.objects.bulk_create([Operation(**waiting) for _ in range(1001)])
    content = boss.get(page_url("batch_progress", batch.pk)).content.decode()
    assert 'data-truss-unfinished="1001"' in content
    assert 'max="1001" value="0"' in content


# --- times


# The last evening of February in California is March in Greenwich.
MOMENT: Final = datetime(2026, 3, 1, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "here", "elsewhere"),
    [
        ("en-us", r"Feb\. 28, 2026, 7:30 p\.m\.", r"March 1, 2026"),
        ("es", r"28 de febrero de 2026 a las 19:30", "1 de marzo"),
    ],
)
def test_times_are_in_the_zone_of_the_site(
    settings: Any, boss: Client, language: str, here: str, elsewhere: str
) -> None:
    settings.LANGUAGE_CODE, settings.TIME_ZONE = language, "America/Los_Angeles"
    company = make.company(listed_at=MOMENT)
    intent = make.row(
        company=company, fetched_at=MOMENT, created_at=MOMENT, pending_at=MOMENT, canceled_at=MOMENT,
        missing_since=MOMENT, detailed_at=MOMENT,
    )  # fmt: skip
    operation = Operation.objects.create(
        company=company, payment_intent=intent, kind=Operation.Kind.CANCEL, state="refused", requested_at=MOMENT,
        finished_at=MOMENT, unconfirmed_at=MOMENT,
    )  # fmt: skip
    batch = Batch.objects.create(kind=Operation.Kind.CANCEL, requested_at=MOMENT)
    run = SyncRun.objects.create(company=company, kind=SyncRun.Kind.ALL, started_at=MOMENT, finished_at=MOMENT)
    came = PayerReturn.objects.create(payment_intent=intent, at=MOMENT)
    money = payment(intent, date=MOMENT, settled_at=MOMENT, processed_at=MOMENT)
    event = WebhookEvent.objects.create(
        company=company, event_id=uuid.uuid4(), event_name="payment_intent.updated", payment_intent_uid=intent.uid,
        received_at=MOMENT, processed_at=MOMENT, event_created_at=MOMENT,
    )  # fmt: skip
    TimelineEntry.objects.create(payment_intent=intent, kind=TimelineEntry.Kind.CANCELED, at=MOMENT)
    rows = {
        "paymentintent": intent, "operation": operation, "batch": batch, "syncrun": run, "payerreturn": came,
        "transaction": money, "webhookevent": event, "company": company,
    }  # fmt: skip
    pages = {name: boss.get(page_url(f"{name}_change", row.pk)) for name, row in rows.items()}
    pages |= {f"{name}s": boss.get(page_url(f"{name}_changelist")) for name in rows}
    texts = {name: Read(answer).text() for name, answer in pages.items()}
    assert {name for name, text in texts.items() if re.search(elsewhere, text)} == set()
    shown = {name for name, text in texts.items() if re.search(here, text)}
    # These lists show days, or no times at all.
    assert texts.keys() - shown <= {"paymentintents", "transactions"}


# --- the payer's page


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"status": "Paid", "balance_paid": "1120.00"}, "Pagada por completo. ¡Gracias!"),
        ({"status": "PartiallyPaid", "balance_paid": "20.00"}, "Gracias. Quedan $1,100.00 por pagar."),
        ({"status": "Pending"}, "Esta factura todavía no está pagada."),
        ({"status": "Canceled"}, "Esta factura se canceló."),
        ({"status": "Errored"}, "Esta factura no se puede pagar en este momento."),
        (None, "¡Gracias!"),
    ],
)
def test_the_return_page_is_spanish(spanish: None, columns: dict[str, Any] | None, says: str) -> None:
    query = {}
    if columns is not None:
        due = timezone.localdate() + timedelta(days=9)
        intent = make.row(total="1120.00", addenda="Obra 9", due_date=due, **columns)
        query = {"t": checkout.make_token(intent)}
    answer = Client().get(reverse("truss_portal:return"), query)
    text = Read(answer).text()
    assert says in text
    assert english_in(answer) == []
    assert '<html lang="es">' in answer.content.decode()
