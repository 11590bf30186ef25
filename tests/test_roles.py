"""A walk through the app's whole admin as each role.

What it may works and names the person, what it may not is refused, and nothing that a viewer can reach changes
anything, here or at Truss.
"""

from collections.abc import Iterator
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, reverse

from tests.admin.importing import confirm, previewed
from tests.admin.pages import text_of, told
from tests.exchange.files import line
from tests.joined import settings_for
from tests.role_cases import ACTIONS, CASES, MODELS, Act, Case
from tests.walking import (
    HOST,
    PEOPLE,
    Page,
    World,
    Written,
    client_of,
    differing,
    here,
    may,
    named_in_log,
    named_in_timeline,
)
from truss_portal.models import PaymentIntent
from truss_portal.testing.sandbox import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)
APP = "truss_portal"
LINKS_AT_ONE_PATH = 4


@pytest.fixture
def world(truss: Sandbox, settings: Any) -> World:
    settings.TRUSS_PORTAL = settings_for(truss)
    return World(truss)


def addresses(patterns: list[Any]) -> Iterator[str]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns)
        elif isinstance(each, URLPattern) and (each.name or "").startswith(f"{APP}_"):
            yield str(each.name).removeprefix(f"{APP}_")


def actions_there_are() -> set[tuple[str, str]]:
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    registered = ((model, page) for model, page in admin.site._registry.items() if model._meta.app_label == APP)
    return {
        (str(model._meta.model_name), name)
        for model, page in registered
        if page.actions is not None
        for name in page.get_actions(request)
    }


def address(name: str, case: Case, world: World) -> str:
    return reverse(f"admin:{APP}_{name}", args=case.args(world))


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def is_refused(person: str, response: Any) -> bool:
    """As Django's admin does: who isn't signed in is asked to, who may not is told so."""
    if person == "anonymous":
        return response.status_code == 302 and response["Location"].startswith(reverse("admin:login"))
    # 405: there it is for nobody.
    return response.status_code in {403, 405}


def test_each_address_and_action_has_a_case() -> None:
    known = set(addresses(admin.site.get_urls()))
    assert known == set(CASES)
    assert {str(model._meta.model_name) for model in admin.site._registry if model._meta.app_label == APP} == {*MODELS}
    assert actions_there_are() == set(ACTIONS)


class Walk:
    """One person's way through everything; what goes wrong is collected, so that one run tells all of it."""

    def __init__(self, person: str, world: World) -> None:
        self.person, self.world, self.client = person, world, client_of(person)
        self.before = here()
        self.at_truss = world.at_truss()
        self.wrong: list[str] = []
        self.written = Written()

    def note(self, what: str, response: Any, expected: int | None) -> None:
        """`expected` None: a refusal."""
        status = response.status_code
        well = is_refused(self.person, response) if expected is None else status == expected
        if not well:
            self.wrong.append(f"{what}: {status} instead of {expected or 'a refusal'}")
        if self.written.statements:
            self.wrong.append(f"{what} wrote: {self.written.statements}")
            self.written.statements.clear()

    def __enter__(self) -> Self:
        self._watched = connection.execute_wrapper(self.written)
        self._watched.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: Any) -> None:
        self._watched.__exit__(kind, error, _trace)
        if error is not None:
            return
        # Whatever wrote it, by whichever road.
        if changed := differing(self.before, here()):
            self.wrong.append(f"Changed: {sorted(changed)}")
        if self.world.at_truss() != self.at_truss:
            self.wrong.append(f"Truss was asked for a change: {self.world.at_truss()['asked']}")
        assert not self.wrong, "\n".join(self.wrong)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.slow
def test_what_a_person_may_not_is_refused_and_reading_changes_nothing(world: World, person: str) -> None:
    with Walk(person, world) as walk:
        walk_through(walk, world, person)


def walk_through(walk: Walk, world: World, person: str) -> None:
    client = walk.client
    for name, case in CASES.items():
        url = address(name, case, world)
        sees, does = may(person, case.sees), may(person, case.does)
        answer = client.get(url, case.query(world))
        walk.note(f"GET {name}", answer, case.get if sees else None)
        if sees and case.files:
            assert answer["Content-Type"].startswith(case.files) or case.get == 405, name
        if not does:
            answer = client.post(url, {**case.query(world), **case.data(world)})
            walk.note(f"POST {name}", answer, case.refusal() if sees else None)
    for (model, action), act in ACTIONS.items():
        what = f"{action} of {model}"
        if not may(person, act.does):
            answer = choose(client, model, action, act, world)
            walk.note(what, answer, answer.status_code if is_the_list(answer) and may(person, "viewer") else None)
        elif not act.changes:
            answer = choose(client, model, action, act, world)
            walk.note(what, answer, 200)
            assert not is_the_list(answer), what
            assert answer["Content-Type"].startswith(act.files), what


def is_the_list(answer: Any) -> bool:
    """Django doesn't know an action that somebody may not choose: it shows the list as it was."""
    if answer.status_code == 302:
        return answer["Location"] == answer.request["PATH_INFO"]
    return answer.status_code == 200 and answer.context is not None and "cl" in answer.context


def choose(client: Client, model: str, action: str, act: Act, world: World) -> Any:
    rows = {"action": action, "_selected_action": [act.row(world)], **(act.data or {})}
    return client.post(reverse(f"admin:{APP}_{model}_changelist"), rows)


DOING = {name: case for name, case in CASES.items() if case.does}


@pytest.mark.parametrize("name", DOING)
def test_what_a_role_may_do_works_and_names_the_person(world: World, name: str) -> None:
    """By the least who may, and by the button of the page that asks first where there is one."""
    case = DOING[name]
    person = str(case.does)
    client = client_of(person)
    url = address(name, case, world)
    fields: dict[str, Any] = {}
    if case.get == 200:
        asked = client.get(url, case.query(world))
        form = Page(asked, url).form_to(url)
        assert form is not None, "the page has a button"
        fields = {key: value for key, value in form.fields.items() if key != "csrfmiddlewaretoken"}
    before, truss_before = here(), world.at_truss()
    answer = client.post(url, {**fields, **case.query(world), **case.data(world)})
    assert answer.status_code in {200, 204, 302}, text_of(answer)
    if case.files:
        assert answer["Content-Type"].startswith(case.files)
        assert body_of(answer)
    changed = differing(before, here())
    if name == "paymentintent_import":
        # A file that was uploaded is only looked at.
        assert "preview" in answer["Location"]
        assert not changed
        return
    assert changed or world.at_truss() != truss_before, text_of(client.get("/admin/"))
    assert named_in_log(person) == ("log" in case.named)
    assert named_in_timeline(person) or "timeline" not in case.named


CHANGING = {key: act for key, act in ACTIONS.items() if act.changes}


@pytest.mark.parametrize("key", CHANGING, ids="-".join)
def test_an_action_that_a_role_may_choose_works_and_names_the_person(world: World, key: tuple[str, str]) -> None:
    act = CHANGING[key]
    client = client_of(act.does)
    before = here()
    answer = choose(client, *key, act, world)
    assert answer.status_code == 302
    assert differing(before, here())
    assert named_in_log(act.does) == ("log" in act.named)


def test_importing_names_who_did_it(world: World) -> None:
    client = client_of("clerk")
    page = previewed(client, line(invoice_number="FILE-1"))
    for person in ("viewer", "manager"):
        # The preview is of who uploaded the file, and of nobody else, whatever they may.
        answer = client_of(person).get(f"{page.request['PATH_INFO']}?{page.request['QUERY_STRING']}")
        assert answer.status_code == (403 if person == "viewer" else 302)
    confirm(client, page)
    assert PaymentIntent.objects.filter(reference="FILE-1").exists()
    assert named_in_log("clerk")
    assert named_in_timeline("clerk")


@pytest.mark.slow
@pytest.mark.parametrize("person", ["viewer", "clerk", "manager", "superuser"])
def test_every_link_leads_somewhere_and_every_button_is_for_who_sees_it(world: World, person: str) -> None:
    """From the admin's first page on, as far as links lead: GET changes nothing, whoever asks, and is never refused."""
    with Walk(person, world) as walk:
        seen = crawl(walk)
    assert f"/admin/{APP}/paymentintent/{world.sent.pk}/change/" in seen


def crawl(walk: Walk) -> set[str]:
    todo, seen = ["/admin/"], {"/admin/"}
    at_path: dict[str, int] = {}
    while todo:
        url = todo.pop()
        response = walk.client.get(url)
        if response.status_code == 302:
            continue
        walk.note(f"GET {url}", response, 200)
        if not response["Content-Type"].startswith("text/html") or response.status_code != 200:
            continue
        page = Page(response, url)
        for form in page.forms:
            name = urlsplit(form.action).path
            if form.method == "post" and name != urlsplit(url).path and is_ours(form.action):
                # A button that goes elsewhere: what is there would not be refused. (405: it is there, for POST only.)
                assert walk.client.get(form.action).status_code in {200, 302, 405}, f"{form.action} on {url}"
        for link in page.links:
            plain = link.partition("#")[0]
            path = urlsplit(plain).path
            # A list has a link for each filter, each order, and all of them together.
            if is_ours(plain) and plain not in seen and at_path.get(path, 0) < LINKS_AT_ONE_PATH:
                at_path[path] = at_path.get(path, 0) + 1
                seen.add(plain)
                todo.append(plain)
    return seen


def is_ours(link: str) -> bool:
    parts = urlsplit(link)
    if parts.netloc not in {"", HOST}:
        return False
    return parts.path.startswith((f"/admin/{APP}/", "/truss/connect"))


def test_a_viewer_is_offered_nothing_to_do(world: World) -> None:
    """On no page is there a button but those to log out, and to ask “Why can't my payer see it?”."""
    client = client_of("viewer")
    harmless = {reverse(f"admin:{APP}_paymentintent_visibility"), reverse("admin:logout")}
    for name, case in CASES.items():
        if not may("viewer", case.sees) or case.files:
            continue
        url = address(name, case, world)
        response = client.get(url, case.query(world))
        if not response["Content-Type"].startswith("text/html"):
            continue
        forms = [form for form in Page(response, url).forms if form.method == "post" and form.buttons]
        assert {urlsplit(form.action).path for form in forms} <= harmless, name
        assert 'name="action"' not in response.content.decode(), name


# --- addresses outside of the admin


@pytest.mark.parametrize("person", PEOPLE)
def test_connecting_is_for_managers(world: World, person: str) -> None:
    allowed = may(person, "manager")
    connect, connected = reverse("truss_portal:connect"), reverse("truss_portal:connected")
    with Walk(person, world) as walk:
        walk.note("GET connect", walk.client.get(connect, {"company": world.company.slug}), 200 if allowed else None)
        # An answer that belongs to no attempt leads back to the beginning.
        walk.note(
            "GET connected",
            walk.client.get(connected, {"state": "guessed", "code": "guessed"}),
            302 if allowed else None,
        )
        # Off to Truss: nothing is kept but what this browser has begun.
        answer = walk.client.post(connect, {"company": world.company.slug})
        walk.note("POST connect", answer, 302 if allowed else None)
        assert answer.get("Location", "").startswith(world.truss.url) == allowed


def test_who_connects_a_company_is_named(world: World) -> None:
    client = client_of("manager")
    there = client.post(reverse("truss_portal:connect"), {"company": world.company.slug})["Location"]
    back = urlsplit(world.truss.answer_consent(there))
    answer = client.get(f"{back.path}?{back.query}", follow=True)
    assert named_in_log("manager"), told(answer)
    world.company.connection.refresh_from_db()
    assert str(world.company.connection.connected_by) == "manager"


@pytest.mark.parametrize("person", PEOPLE)
def test_a_payers_return_and_a_webhook_are_the_same_for_everybody(world: World, person: str) -> None:
    """Anybody on the internet comes there: that somebody came is noted, and nothing else."""
    walk = Walk(person, world)
    for method, status in (("get", 200), ("post", 405)):
        answer = getattr(walk.client, method)(reverse("truss_portal:return"), {"result": "success"})
        assert answer.status_code == status
    webhook = reverse("truss_portal:webhook", args=[world.company.slug])
    assert walk.client.get(webhook).status_code == 405
    assert walk.client.post(webhook, "{}", content_type="application/json").status_code == 400
    after = here()
    assert differing(walk.before, after) == {f"{APP}.PayerReturn", f"{APP}.Company"}
    [was], [now] = walk.before[f"{APP}.Company"], after[f"{APP}.Company"]
    names = [column.name for column in type(world.company)._meta.concrete_fields]
    assert {name for name, old, new in zip(["pk", *names], was, now, strict=True) if old != new} == {
        "webhooks_refused", "webhooks_refused_at", "webhooks_refused_why",
    }  # fmt: skip
    assert world.at_truss() == walk.at_truss


def test_looking_again_from_why_cant_my_payer_see_it_is_not_for_viewers(world: World) -> None:
    url = reverse(f"admin:{APP}_paymentintent_visibility")
    data = {"email": "ap@acme.test", "refresh": "1"}
    assert client_of("viewer").post(url, data).status_code == 403
    assert client_of("clerk").post(url, data).status_code == 200
