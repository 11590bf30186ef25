"""Merchants' keys: asked for at the right time, kept encrypted and with their history."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from truss_portal import encryption, sealed_columns
from truss_portal.exceptions import UndecryptableError
from truss_portal.trustist import actions, keys, mirror, sync
from truss_portal.trustist.client import MerchantKey as Told
from truss_portal.trustist.client import TrustistError
from truss_portal.trustist.connection import connect
from truss_portal.trustist.models import Invitation, MerchantKey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(trustist):
    return actions.invite(name="Fern & Moss", email="hello@fernandmoss.example")


def fetch(row):
    row.refresh_from_db()
    with connect() as client:
        return keys.fetch(row, client)


def asked(trustist):
    return sum(request["path"].endswith("/keys") for request in trustist.requests())


@pytest.mark.parametrize("before", ["not_found", "empty"])
def test_before_there_are_any_they_are_asked_for_gently(trustist, row, before):
    trustist.partner(without_keys=before)
    sync.sync()
    assert asked(trustist) == 0, "who has not begun has no keys"
    trustist.open(row.invitation_id)
    sync.sync()
    sync.sync()
    assert asked(trustist) == 1
    row.refresh_from_db()
    assert timedelta(minutes=55) < row.keys_next_at - timezone.now() <= timedelta(hours=1)
    Invitation.objects.update(keys_next_at=timezone.now())
    sync.sync()
    row.refresh_from_db()
    assert row.keys_next_at - timezone.now() > timedelta(minutes=110)
    assert (row.keys_error, row.keys_attempts) == ("", 2)
    trustist.complete(row.invitation_id)
    assert sync.sync().keys == 1, "at once, when it is complete"
    row.refresh_from_db()
    assert row.keys_next_at - timezone.now() > timedelta(hours=23)


def test_complete_and_not_yet(trustist, row):
    trustist.alter(row.invitation_id, status="Completed")
    sync.sync()
    row.refresh_from_db()
    assert row.stage == "complete"
    assert row.keys_next_at - timezone.now() <= timedelta(minutes=1)
    trustist.complete(row.invitation_id)
    assert fetch(row) == 1


def test_a_key_that_changes_keeps_its_history(trustist, row):
    trustist.complete(row.invitation_id)
    assert fetch(row) == 1
    first = MerchantKey.objects.get()
    assert fetch(row) == 0
    first.refresh_from_db()
    assert (first.is_current, first.seen_at > first.since) == (True, True)
    trustist.change_key(row.invitation_id, clientId="c-1", limits={"daily": 5})
    assert fetch(row) == 1
    old, new = MerchantKey.objects.order_by("pk")
    assert (old.is_current, new.is_current) == (False, True)
    assert old.until
    assert old.until <= new.since
    assert old.api_key == first.api_key != new.api_key
    assert new.item == trustist.invitations()[0]["keys"][0]
    assert new.item["limits"] == {"daily": 5}
    assert list(row.merchant_keys.current()) == [new]


def test_none_told_ends_no_key_that_is_known(trustist, row):
    trustist.complete(row.invitation_id)
    fetch(row)
    assert mirror.write_keys(row, [], asked_at=timezone.now()) == 0
    assert MerchantKey.objects.get().is_current


def test_an_older_answer_undoes_nothing(trustist, row):
    now = timezone.now()
    new, old = (Told(api_key=name, item={"apiKey": name}) for name in ("new", "old"))
    assert mirror.write_keys(row, [new], asked_at=now) == 1
    assert mirror.write_keys(row, [old], asked_at=now - timedelta(seconds=1)) is None
    assert MerchantKey.objects.get().api_key == "new"


def test_several_keys_and_one_without_an_api_key(row):
    now = timezone.now()
    told = [Told(api_key="a", item={"apiKey": "a"}), Told(api_key="", item={"id": 7}), Told(api_key="", item={"id": 7})]
    assert mirror.write_keys(row, told, asked_at=now) == 2
    assert sorted(key.api_key for key in MerchantKey.objects.all()) == ["", "a"]


@pytest.mark.parametrize("fault", ["error_before", "garbage", "drop_before"])
@pytest.mark.slow
def test_what_goes_wrong_is_noted_and_tried_again_later(trustist, row, fault):
    trustist.complete(row.invitation_id)
    with connect() as client:
        sync.refresh(row, client, with_keys=False)
    trustist.fault(fault, path=".*keys", count=None)
    run = sync.sync()
    assert run.state == "failed"
    row.refresh_from_db()
    assert row.keys_error
    assert row.keys_next_at > timezone.now()
    with pytest.raises(TrustistError):
        fetch(row)
    assert not MerchantKey.objects.exists()


# --- at rest


def test_it_is_encrypted_and_moves_under_a_new_key(trustist, row, settings):
    trustist.complete(row.invitation_id)
    fetch(row)
    key = MerchantKey.objects.get()
    secret = key.api_key
    out = StringIO()
    call_command("dumpdata", "truss_trustist", stdout=out)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM truss_trustist_merchantkey")
        column = repr(cursor.fetchall())
    for text in (out.getvalue(), column, repr(key), str(key), repr(vars(key))):
        assert secret not in text
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENCRYPTION_KEYS": [encryption.new_key()]}
    assert sealed_columns.look().old == 1
    call_command("truss_reencrypt", stdout=StringIO())
    assert sealed_columns.look().old == 0
    key.refresh_from_db()
    assert key.api_key == secret


def test_one_that_no_key_opens_is_an_error_and_is_asked_for_anew(trustist, row, settings):
    trustist.complete(row.invitation_id)
    fetch(row)
    settings.SECRET_KEY = "lost"
    lost = MerchantKey.objects.get()
    with pytest.raises(UndecryptableError, match="Fern & Moss"):
        _ = lost.api_key
    assert fetch(row) == 1
    lost.refresh_from_db()
    assert not lost.is_current
    assert MerchantKey.objects.get(until=None).item == trustist.invitations()[0]["keys"][0]


def test_where_nothing_can_be_encrypted_nothing_is_kept(trustist, row, settings):
    trustist.complete(row.invitation_id)
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"ENCRYPTION_KEYS": ["no key"]}
    from django.core.cache import cache

    cache.clear()
    run = sync.sync()
    assert run.state == "failed"
    assert not MerchantKey.objects.exists()


def test_nothing_of_a_key_is_in_any_api():
    from rest_framework.serializers import ModelSerializer

    models = {getattr(getattr(each, "Meta", None), "model", None) for each in _subclasses(ModelSerializer)}
    assert not {MerchantKey, Invitation} & models


def _subclasses(of):
    return {of} | {deeper for each in of.__subclasses__() for deeper in _subclasses(each)}


def test_json_is_compared_whatever_its_order(row):
    now = timezone.now()
    mirror.write_keys(row, [Told(api_key="a", item={"apiKey": "a", "b": 1})], asked_at=now)
    again = json.loads('{"b": 1, "apiKey": "a"}')
    assert mirror.write_keys(row, [Told(api_key="a", item=again)], asked_at=now) == 0
