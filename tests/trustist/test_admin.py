"""The partner's pages, through Django's own client."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from truss_portal.trustist import actions, sync
from truss_portal.trustist.connection import connect
from truss_portal.trustist.models import Invitation, MerchantKey

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery"
LIST = "/admin/truss_trustist/invitation/"
KEYS = "/admin/truss_trustist/merchantkey/"


def person(*names, password=PASSWORD):
    user = get_user_model().objects.create_user(f"user-{len(names)}-{password}", password=password, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="truss_trustist", codename__in=names))
    return user


@pytest.fixture
def boss(client):
    user = get_user_model().objects.create_superuser("boss", password=PASSWORD)
    client.force_login(user)
    return user


def invited(**given):
    return actions.invite(**{"name": "Fern & Moss", "email": "hello@fernandmoss.example"} | given)


@pytest.fixture
def key(trustist, settings):
    row = invited()
    trustist.complete(row.invitation_id)
    sync.sync()
    return MerchantKey.objects.get()


def text_of(response):
    return response.content.decode()


# --- inviting


def test_inviting_one(trustist, boss, client):
    page = client.get(f"{LIST}invite/")
    assert "never offered card payments" in text_of(page)
    assert "Mandatory" in text_of(page)
    given = {"name": "Fern & Moss", "email": "hello@fernandmoss.example"}
    after = client.post(f"{LIST}invite/", given, follow=True)
    assert "Invited at Trustist: 1." in text_of(after)
    assert "never offered card payments" in text_of(after)
    row = Invitation.objects.get()
    assert (row.invited_by, row.offers_cards, row.delivery) == (boss, False, "sent")
    assert trustist.invitations()[0]["payment_types"] == ["openbanking"]
    assert LogEntry.objects.get().change_message == "Invited."


def test_the_second_one_is_refused_with_a_pointer_to_the_first(trustist, boss, client):
    first = invited()
    page = client.post(f"{LIST}invite/", {"name": "Other", "email": "HELLO@fernandmoss.example", "cards": "on"})
    assert "was invited before" in text_of(page)
    assert f'href="{LIST}{first.pk}/change/"' in text_of(page)
    assert len(trustist.invitations()) == 1


def test_what_trustist_would_refuse_is_said_on_the_page(trustist, boss, client):
    page = client.post(f"{LIST}invite/", {"name": "A\x07b", "email": "hello@fernandmoss.example"})
    assert "control characters" in text_of(page)
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("fault", "said"),
    [("refuse", "400"), ("drop_answer", "answer was lost"), ("refuse_connection", "Waiting to be sent: 1")],
)
def test_what_came_of_it_is_told(trustist, boss, client, fault, said):
    if fault == "refuse":
        trustist.fault("error_before", path="invitations", status=400)
    elif fault == "drop_answer":
        trustist.fault("drop_after", path="invitations")
    else:
        trustist.fault("rate_limit", path="invitations", retry_after=60)
    after = client.post(f"{LIST}invite/", {"name": "F", "email": "f@f.example", "cards": "on"}, follow=True)
    assert said in text_of(after)


# --- the list and the page


def test_the_list_shows_the_funnel_and_what_is_unknown(trustist, boss, client):
    rows = [invited(name=f"Merchant {n}", email=f"m{n}@m.example") for n in range(4)]
    trustist.open(rows[1].invitation_id)
    trustist.complete(rows[2].invitation_id)
    trustist.alter(rows[3].invitation_id, status="Rejected by compliance")
    sync.sync()
    funnel = client.get(LIST).context["funnel"]
    assert [(step["count"], step["share"]) for step in funnel] == [(4, 100), (2, 50), (1, 25)]
    shown = text_of(client.get(LIST))
    assert "Rejected by compliance" in shown
    assert "has no way to" in shown
    assert len(client.get(f"{LIST}?stage=complete").context["cl"].result_list) == 1
    assert len(client.get(f"{LIST}?keys=yes").context["cl"].result_list) == 1
    assert len(client.get(f"{LIST}?keys=missing").context["cl"].result_list) == 0
    assert len(client.get(f"{LIST}?needs=person").context["cl"].result_list) == 0
    assert len(client.get(f"{LIST}?needs=gone").context["cl"].result_list) == 0
    assert len(client.get(f"{LIST}?q=m3@").context["cl"].result_list) == 1


@pytest.mark.parametrize("page", ["invitation", "merchantkey", "webhookevent", "syncrun"])
def test_empty_lists_say_what_to_do(db, boss, client, page):
    assert "truss-empty" in text_of(client.get(f"/admin/truss_trustist/{page}/"))


def test_the_page_of_one_has_its_keys_masked(key, trustist, boss, client):
    trustist.change_key(key.invitation.invitation_id)
    with connect() as asking:
        from truss_portal.trustist import keys

        keys.fetch(key.invitation, asking)
    old, new = MerchantKey.objects.order_by("pk")
    shown = text_of(client.get(f"{LIST}{key.invitation_id}/change/"))
    assert shown.count("••••••••••••") == 2
    assert shown.index("Current") < shown.index("Former")
    assert old.api_key not in shown
    assert new.api_key not in shown
    assert reverse("admin:truss_trustist_merchantkey_reveal", args=[new.pk]) in shown


# --- verbs


def test_refresh_and_keys_from_the_page(trustist, boss, client):
    row = invited()
    trustist.complete(row.invitation_id)
    page = text_of(client.get(f"{LIST}{row.pk}/change/"))
    assert "Refresh from Trustist" in page
    confirm = client.get(f"{LIST}refresh/?ids={row.pk}")
    assert "Fern &amp; Moss" in text_of(confirm)
    after = client.post(f"{LIST}refresh/", {"ids": str(row.pk)}, follow=True)
    assert "1 invitation was looked at." in text_of(after)
    row.refresh_from_db()
    assert row.stage == "complete"
    trustist.change_key(row.invitation_id)
    after = client.post(f"{LIST}fetch-keys/", {"ids": str(row.pk)}, follow=True)
    assert "Keys of 1 merchant were asked for." in text_of(after)
    assert MerchantKey.objects.filter(until=None).count() == 1
    assert MerchantKey.objects.count() == 2


def test_a_look_that_trustist_refuses_is_told(trustist, boss, client):
    rows = [invited(email=f"m{n}@m.example") for n in range(5)]
    trustist.fault("error_before", path="invitations/", count=None)
    after = client.post(f"{LIST}refresh/", {"ids": ",".join(str(row.pk) for row in rows)}, follow=True)
    assert "Not asked about any more: 2." in text_of(after)


def test_withdraw_and_try_again(trustist, boss, client):
    trustist.fault("error_before", path="invitations", status=400)
    row = invited()
    assert row.delivery == "failed"
    page = text_of(client.get(f"{LIST}{row.pk}/change/"))
    assert "Nobody was invited." in page
    after = client.post(f"{LIST}try-again/", {"ids": str(row.pk)}, follow=True)
    assert "1 invitation is tried again." in text_of(after)
    assert "Invited at Trustist: 1." in text_of(after)
    row.refresh_from_db()
    assert row.delivery == "sent"
    refused = client.post(f"{LIST}withdraw/", {"ids": str(row.pk)}, follow=True)
    assert "no way to take an invitation back" in text_of(refused)


def test_list_actions_confirm_first(trustist, boss, client):
    row = invited()
    for action in ("refresh", "fetch_keys", "try_again", "send_again", "seen_to", "withdraw"):
        page = client.post(LIST, {"action": f"{action}_selected", "_selected_action": [row.pk]})
        assert page.status_code == 200, action
        assert ("Left out" in text_of(page)) == (action not in {"refresh", "fetch_keys"}), action
    assert client.post(f"{LIST}refresh/", {"ids": ""}, follow=True).status_code == 200


def test_a_lost_one_is_settled_by_a_person(trustist, boss, client):
    trustist.partner(answers="as_published")
    trustist.fault("drop_after", path="invitations")
    row = invited()
    assert row.delivery == "unconfirmed"
    sync.sync()
    row.refresh_from_db()
    assert (row.delivery, row.needs_person) == ("unconfirmed", True)
    assert "Trustist&#x27;s answer was lost." in text_of(client.get(f"{LIST}{row.pk}/change/"))
    which = reverse("admin:truss_trustist_invitation_which", args=[row.pk])
    assert which in text_of(client.get(f"{LIST}{row.pk}/change/"))
    found = Invitation.objects.exclude(pk=row.pk).get()
    assert found.invitation_id in text_of(client.get(which))
    assert "Choose one of them first." in text_of(client.post(which))
    after = client.post(which, {"which": found.pk}, follow=True)
    assert "It is settled." in text_of(after)
    row.refresh_from_db()
    assert (row.delivery, row.invitation_id) == ("sent", found.invitation_id)
    assert Invitation.objects.count() == 1
    assert "Nothing that is known" in text_of(client.get(which))


def test_a_lost_one_is_sent_again_only_after_a_promise(trustist, boss, client):
    trustist.fault("drop_before", path="invitations")
    row = invited()
    assert row.delivery == "unconfirmed"
    ids = {"ids": str(row.pk)}
    assert "Tick that you have looked" in text_of(client.post(f"{LIST}send-again/", ids))
    after = client.post(f"{LIST}send-again/", ids | {"promise": "on"}, follow=True)
    assert "Invited at Trustist: 1." in text_of(after)


# --- many


def upload(client, text, name="clients.csv"):
    return client.post(f"{LIST}invite-many/", {"file": SimpleUploadedFile(name, text.encode())})


def test_inviting_many_by_a_file(trustist, boss, client):
    first = invited()
    page = upload(
        client,
        "Name;Email;Cards\nAcme;a@acme.example;no\nBolt;b@bolt.example;\nFern;HELLO@fernandmoss.example;yes\n"
        "Twice;A@acme.example;yes\nWrong;not an email;yes\nOdd;o@odd.example;perhaps\n"
        "Fern & Moss Florists;hello@fernandmoss.example;yes\n",
    )
    lines = page.context["lines"]
    assert [line.kind for line in lines] == ["new", "new", "skipped", "skipped", "wrong", "wrong", "skipped"]
    assert [line.cards for line in lines[:2]] == [False, True]
    assert str(first) in lines[2].why
    assert "line 2" in lines[3].why
    assert "2 clients would be invited." in text_of(page)
    assert len(trustist.invitations()) == 1
    confirm = reverse("admin:truss_trustist_invitation_invite_confirm")
    after = client.post(confirm, {"plan": page.context["plan"]}, follow=True)
    assert "Invited at Trustist: 2." in text_of(after)
    assert {each["email"] for each in trustist.invitations()} >= {"a@acme.example", "b@bolt.example"}
    again = client.post(confirm, {"plan": page.context["plan"]}, follow=True)
    assert "2 were left out:" in text_of(again)
    assert len(trustist.invitations()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Client;Phone\nA;1\n", "missing: Email"),
        ("", "The file is empty."),
        ("Name,Email\n" + "".join(f"A{n},a{n}@a.example\n" for n in range(501)), "more than 500 lines"),
    ],
)
def test_a_file_that_cannot_be_read(boss, client, text, said):
    assert said in text_of(upload(client, text))


def test_a_file_with_nothing_to_do(boss, client):
    page = upload(client, "Name,Email\nA,nothing\n")
    assert "Nobody can be invited by this file" in text_of(page)


def test_the_template_is_passed_over(boss, client):
    template = client.get(f"{LIST}invite-many/template/")
    page = upload(client, template.content.decode("utf-8-sig"))
    assert [line.kind for line in page.context["lines"]] == ["skipped"]


def test_a_plan_is_good_for_who_made_it(trustist, boss, client):
    page = upload(client, "Name,Email\nAcme,a@acme.example\n")
    confirm = reverse("admin:truss_trustist_invitation_invite_confirm")
    assert client.get(confirm).status_code == 405
    client.force_login(get_user_model().objects.create_superuser("other", password="x"))
    for plan in (page.context["plan"], "nonsense"):
        assert "too old" in text_of(client.post(confirm, {"plan": plan}, follow=True))
    assert not Invitation.objects.exists()


# --- revealing


def reveal_url(key):
    return reverse("admin:truss_trustist_merchantkey_reveal", args=[key.pk])


def test_revealing_needs_the_password_and_is_logged(key, boss, client):
    secret = key.api_key
    asked = text_of(client.get(reveal_url(key)))
    assert secret not in asked
    assert "None" not in asked
    wrong = client.post(reveal_url(key), {"password": "wrong"})
    assert "not your password" in text_of(wrong)
    assert secret not in text_of(wrong)
    assert not LogEntry.objects.filter(object_id=str(key.pk), content_type__model="merchantkey").exists()
    right = client.post(reveal_url(key), {"password": PASSWORD})
    assert secret in text_of(right)
    assert {"no-store", "private"} <= set(right["Cache-Control"].split(", "))
    entry = LogEntry.objects.get(content_type__model="merchantkey")
    assert (entry.user, entry.change_message) == (boss, "Key revealed.")
    assert secret not in text_of(client.get(reveal_url(key)))
    assert "Enter your password." in text_of(client.post(reveal_url(key), {}))


def test_after_five_wrong_passwords_nobody_is_let_in_for_a_while(key, boss, client):
    for _time in range(5):
        client.post(reveal_url(key), {"password": "wrong"})
    refused = client.post(reveal_url(key), {"password": PASSWORD})
    assert "Too many wrong passwords." in text_of(refused)
    assert key.api_key not in text_of(refused)


def test_who_has_no_password_is_told_so(key, client):
    user = person("view_invitation", "view_merchantkey", "reveal_merchantkey", password=None)
    client.force_login(user)
    for page in (client.get(reveal_url(key)), client.post(reveal_url(key), {"password": "anything"})):
        assert "Your account has no password" in text_of(page)
        assert key.api_key not in text_of(page)


def test_somebody_elses_password_is_no_password(key, boss, client):
    person("view_merchantkey", password="of somebody else")
    assert "not your password" in text_of(client.post(reveal_url(key), {"password": "of somebody else"}))


def test_what_cannot_be_decrypted_is_said(key, boss, client, settings):
    settings.SECRET_KEY = "another one"
    settings.SECRET_KEY_FALLBACKS = []
    client.force_login(boss)
    shown = text_of(client.post(reveal_url(key), {"password": PASSWORD}))
    assert "Not shown." in shown
    assert "Trustist key of Fern &amp; Moss" in shown


def test_a_key_that_is_not_there(trustist, boss, client):
    assert client.get("/admin/truss_trustist/merchantkey/99/reveal/").status_code == 404
    assert client.get("/admin/truss_trustist/invitation/99/which/").status_code == 404


# --- who may what

NEEDED = {
    "invite/": {"view_invitation", "invite_invitation"},
    "invite-many/": {"view_invitation", "invite_invitation"},
    "invite-many/template/": {"view_invitation", "invite_invitation"},
    "refresh/": {"view_invitation", "refresh_invitation"},
    "fetch-keys/": {"view_invitation", "fetch_merchantkey"},
    "try-again/": {"view_invitation", "retry_invitation"},
    "seen-to/": {"view_invitation", "retry_invitation"},
    "withdraw/": {"view_invitation", "retry_invitation"},
    "send-again/": {"view_invitation", "settle_invitation"},
    "which": {"view_invitation", "settle_invitation"},
    "reveal": {"view_merchantkey", "reveal_merchantkey"},
    "": {"view_invitation"},
    KEYS: {"view_merchantkey"},
    "/admin/truss_trustist/webhookevent/": {"view_webhookevent"},
    "/admin/truss_trustist/syncrun/": {"view_syncrun"},
}


@pytest.mark.parametrize("at", NEEDED)
def test_each_page_asks_for_its_permissions(key, client, at):
    urls = {"which": f"{LIST}{key.invitation_id}/which/", "reveal": reveal_url(key)}
    url = urls.get(at) or (at if at.startswith("/") else f"{LIST}{at}")
    everything = {name for names in NEEDED.values() for name in names}
    client.force_login(person(*NEEDED[at]))
    assert client.get(url).status_code == 200
    for missing in NEEDED[at]:
        client.force_login(person(*(everything - {missing}), password=f"without {missing}"))
        assert client.get(url).status_code == 403, missing
        assert client.post(url).status_code == 403, missing


def test_nobody_adds_changes_or_deletes_by_hand(key, boss, client):
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{key.invitation_id}/delete/").status_code == 403
    assert client.post(f"{KEYS}{key.pk}/delete/").status_code == 403
    assert client.post(f"{LIST}{key.invitation_id}/change/", {"name": "X"}).status_code == 403


def test_a_viewer_sees_no_buttons(key, client):
    client.force_login(person("view_invitation"))
    page = text_of(client.get(f"{LIST}{key.invitation_id}/change/"))
    assert "Refresh from Trustist" not in page
    assert "••••" not in page
    assert "Invite many" not in text_of(client.get(LIST))
    client.force_login(person("view_invitation", "view_merchantkey"))
    page = text_of(client.get(f"{LIST}{key.invitation_id}/change/"))
    assert "••••" in page
    assert "Reveal" not in page
    assert "Reveal" not in text_of(client.get(KEYS))
    assert client.get(f"{KEYS}{key.pk}/change/").status_code == 200
