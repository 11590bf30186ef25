"""Secrets at rest: sealed, opened, moved from key to key, and never passed on as they are."""

import base64
import json
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from tests import make
from truss_portal import encryption, sealed_columns
from truss_portal.encryption import is_key, is_under_newest_key, new_key, open_sealed, reseal, seal
from truss_portal.exceptions import EncryptionKeysError, UndecryptableError
from truss_portal.models import Company, Connection, WebhookSecret
from truss_portal.sealed_columns import SealedColumn

TOKEN = "at_fake-4f81c2d0"
OLD, NEW, OTHER = "b2xk" * 10 + "b2w=", "bmV3" * 10 + "bmU=", "b3Ro" * 10 + "b3Q="
SEALED_ELSEWHERE = Fernet(OTHER).encrypt(TOKEN.encode()).decode()


def with_keys(settings: Any, *keys: Any) -> None:
    settings.TRUSS_PORTAL = {"ENVIRONMENT": "local", "ENCRYPTION_KEYS": keys}


class TestSealing:
    @given(st.text())
    def test_what_is_sealed_opens_to_the_same(self, text: str) -> None:
        assert open_sealed(seal(text), what="this") == text

    def test_the_same_twice_looks_different_and_shows_nothing(self) -> None:
        assert seal(TOKEN) != seal(TOKEN)
        assert TOKEN not in seal(TOKEN)
        assert TOKEN.encode() not in base64.urlsafe_b64decode(seal(TOKEN))

    @pytest.mark.parametrize("sealed", ["", TOKEN, "not base64 ünd more", "gAAAAA", "sealed elsewhere"])
    def test_what_no_key_opens_is_an_error_that_says_whose_it_is_and_what_to_do(self, sealed: str) -> None:
        sealed = SEALED_ELSEWHERE if sealed == "sealed elsewhere" else sealed
        with pytest.raises(UndecryptableError) as caught:
            open_sealed(sealed, what="the access token of Acme")
        text = str(caught.value)
        assert text.startswith("The access token of Acme can't be decrypted")
        assert all(word in text for word in ("ENCRYPTION_KEYS", "SECRET_KEY_FALLBACKS", "connect the company again"))
        assert not sealed or sealed not in text
        assert not is_under_newest_key(sealed)

    def test_one_that_somebody_has_changed_is_not_opened(self) -> None:
        sealed = seal(TOKEN)
        changed = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]
        with pytest.raises(UndecryptableError):
            open_sealed(changed, what="the access token of Acme")


class TestKeys:
    def test_the_newest_key_seals_and_the_older_ones_still_open(self, settings: Any) -> None:
        with_keys(settings, OLD)
        sealed = seal(TOKEN)
        assert is_under_newest_key(sealed)
        with_keys(settings, NEW, OLD)
        assert not is_under_newest_key(sealed)
        assert open_sealed(sealed, what="this") == TOKEN
        moved = reseal(sealed, what="this")
        assert is_under_newest_key(moved)
        with_keys(settings, NEW)
        assert open_sealed(moved, what="this") == TOKEN
        with pytest.raises(UndecryptableError):
            reseal(sealed, what="this")

    def test_without_keys_of_its_own_a_site_s_secret_key_and_its_fallbacks_do(self, settings: Any) -> None:
        settings.TRUSS_PORTAL = {}
        settings.SECRET_KEY = "the old one"
        sealed = seal(TOKEN)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = b"the new one", ["the old one"]
        assert open_sealed(sealed, what="this") == TOKEN
        assert not is_under_newest_key(sealed)
        settings.SECRET_KEY_FALLBACKS = []
        with pytest.raises(UndecryptableError):
            open_sealed(sealed, what="this")

    def test_a_site_may_set_keys_of_its_own_later(self, settings: Any) -> None:
        settings.TRUSS_PORTAL = {}
        sealed = seal(TOKEN)
        with_keys(settings, NEW)
        assert open_sealed(sealed, what="this") == TOKEN
        assert not is_under_newest_key(sealed)

    def test_the_secret_key_itself_encrypts_nothing(self, settings: Any) -> None:
        settings.SECRET_KEY = new_key()
        with pytest.raises(Exception, match=r"^$"):
            Fernet(settings.SECRET_KEY).decrypt(seal(TOKEN))

    @pytest.mark.parametrize("wrong", ["", "short", "ü" * 44, 5, None, NEW[:-4]])
    def test_what_is_no_key_is_said_by_its_number_and_never_shown(self, settings: Any, wrong: Any) -> None:
        assert not is_key(wrong)
        with_keys(settings, NEW, wrong)
        with pytest.raises(EncryptionKeysError, match="Key 2 of") as caught:
            seal(TOKEN)
        assert not wrong or str(wrong) not in str(caught.value)


def company_with_secrets(slug: str = "acme") -> Company:
    company = make.company(slug=slug, name=slug.title())
    Connection.objects.create(company=company, access_token=seal(f"at-{slug}"), refresh_token=seal(f"rt-{slug}"))
    WebhookSecret.objects.create(company=company, secret=seal(f"wh-{slug}"))
    return company


def opened() -> list[str]:
    return [
        column.open(row) for column in sealed_columns.columns() for row in column.model._default_manager.order_by("pk")
    ]


def run(*options: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("truss_reencrypt", *options, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.mark.django_db
class TestRotation:
    def test_everything_is_moved_and_the_old_key_can_go(self, settings: Any) -> None:
        with_keys(settings, OLD)
        company_with_secrets("acme")
        company_with_secrets("bolt")
        before = opened()
        with_keys(settings, NEW, OLD)
        assert run("--check")[:2] == (
            1, "Kept secrets: 0 under the newest key, 6 under an older key, 0 that no key opens.\n",
        )  # fmt: skip
        assert run()[:2] == (
            0, "Kept secrets: 0 under the newest key, 6 moved from an older key, 0 that no key opens.\n",
        )  # fmt: skip
        assert run("--check")[0] == 0
        with_keys(settings, NEW)
        assert opened() == before == ["at-acme", "at-bolt", "rt-acme", "rt-bolt", "wh-acme", "wh-bolt"]

    def test_what_no_key_opens_is_named_and_holds_up_nothing_else(self, settings: Any) -> None:
        with_keys(settings, OLD)
        company_with_secrets("acme")
        with_keys(settings, OTHER)
        company_with_secrets("bolt")
        with_keys(settings, NEW, OLD)
        status, told, problems = run("--json")
        assert status == 1
        found = json.loads(told)
        assert (found["newest"], found["old"], len(found["unreadable"])) == (0, 3, 3)
        assert "The access token of Bolt can't be decrypted" in problems
        assert "The refresh token of Bolt can't be decrypted" in problems
        assert (
            f"The webhook secret of Bolt that was set on {WebhookSecret.objects.last().added_at:%Y-%m-%d}" in problems
        )  # type: ignore[union-attr]
        assert run("--check", "--json")[1] == json.dumps(found | {"newest": 3, "old": 0}) + "\n"

    def test_what_is_not_there_is_not_counted(self, settings: Any) -> None:
        with_keys(settings, OLD)
        Connection.objects.create(company=make.company(), access_token=seal(TOKEN))
        assert opened() == [TOKEN, ""]
        assert sealed_columns.look().as_dict() == {"newest": 1, "old": 0, "unreadable": []}

    def test_a_secret_that_is_replaced_meanwhile_stays(self, settings: Any) -> None:
        with_keys(settings, OLD)
        company_with_secrets()
        with_keys(settings, NEW, OLD)
        replaced: list[str] = []

        def what(row: Any) -> str:
            # What another process does between the look and the write.
            replaced.append(seal("newer"))
            Connection.objects.update(access_token=replaced[0])
            return "the access token"

        column = SealedColumn(Connection, "access_token", what)
        sealed_columns._columns[0] = column
        try:
            sealed_columns.reencrypt()
        finally:
            sealed_columns._columns[0] = sealed_columns.ACCESS_TOKEN
        assert Connection.objects.get().access_token == replaced[0]

    def test_another_app_s_column_takes_part(self, settings: Any) -> None:
        with_keys(settings, OLD)
        make.company(extra={}, name=seal("its secret"))
        with_keys(settings, NEW, OLD)
        column = SealedColumn(Company, "name", lambda row: f"the secret of {row.slug}")
        sealed_columns.register(column)
        sealed_columns.register(column)
        try:
            assert sealed_columns.reencrypt().old == 1
        finally:
            sealed_columns._columns.remove(column)
        assert column not in sealed_columns.columns()
        assert is_under_newest_key(Company.objects.get().name)

    def test_a_wrong_key_ends_the_command_with_a_sentence(self, settings: Any) -> None:
        company_with_secrets()
        with_keys(settings, "nonsense")
        with pytest.raises(CommandError, match="Key 1 of TRUSS_PORTAL"):
            call_command("truss_reencrypt", skip_checks=True)


def test_keys_are_made_by_the_hint_of_the_check() -> None:
    assert is_key(encryption.new_key())
