"""`truss_roles`: the groups for the people who work with the app, and what each of them may."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management.base import CommandError
from django.db import DatabaseError, connection

from tests.test_commands import run
from truss_portal import roles
from truss_portal.exceptions import UnknownPermissionError

pytestmark = pytest.mark.django_db

# No page asks for these; and with a company goes what Truss has told about it.
NOT_IN_A_ROLE = {
    "delete_company",
    "view_connection",
    "view_webhooksecret",
}


def of(group: str) -> set[str]:
    names = Group.objects.get(name=group).permissions.values_list("content_type__app_label", "codename")
    return {".".join(name) for name in names}


def give(group: str, codename: str) -> None:
    Group.objects.get(name=group).permissions.add(Permission.objects.get(codename=codename))


def take(group: str, codename: str) -> None:
    Group.objects.get(name=group).permissions.remove(Permission.objects.get(codename=codename))


def test_three_groups_of_which_each_may_what_the_lesser_may_and_more() -> None:
    status, out, err = run("truss_roles")
    assert (status, err) == (0, "")
    viewer, clerk, manager = of("Truss viewer"), of("Truss clerk"), of("Truss manager")
    assert viewer < clerk < manager
    assert {name.split(".")[1].split("_")[0] for name in viewer} == {"view"}
    assert {"truss_portal.send_paymentintent", "truss_portal.link_paymentintent"} <= clerk - viewer
    assert "truss_portal.cancel_paymentintent" in manager - clerk
    assert {"truss_portal.connect_company", "truss_portal.secrets_company"} <= manager - clerk
    assert {"truss_portal.settle_operation", "truss_portal.retry_operation"} <= manager - clerk
    assert f"Truss viewer: created; permissions added: {len(viewer)}, removed: 0." in out
    assert "  + truss_portal.view_paymentintent" in out


def test_each_permission_of_the_app_is_in_a_role_or_left_out_on_purpose() -> None:
    known = Permission.objects.filter(content_type__app_label="truss_portal").values_list("codename", flat=True)
    given = {codename for label, codename in roles.permissions_of("manager") if label == "truss_portal"}
    assert set(known) - given == NOT_IN_A_ROLE


def test_a_second_run_changes_nothing() -> None:
    run("truss_roles")
    before = [of(name) for name in roles.ROLES.values()]
    status, out, _err = run("truss_roles")
    assert status == 0
    assert out.count("exists; permissions added: 0, removed: 0.") == 3
    assert [of(name) for name in roles.ROLES.values()] == before
    assert not any(change.is_one for change in roles.set_up())


def test_what_was_added_by_hand_stays_and_is_told() -> None:
    run("truss_roles")
    give("Truss clerk", "cancel_paymentintent")
    give("Truss clerk", "view_user")
    take("Truss clerk", "send_paymentintent")
    Group.objects.get(name="Truss clerk").user_set.add(User.objects.create_user("amy"))
    _status, out, _err = run("truss_roles")
    assert "Truss clerk: exists; permissions added: 1, removed: 0." in out
    assert "  = auth.view_user (given by hand, kept)" in out
    assert {"truss_portal.cancel_paymentintent", "auth.view_user", "truss_portal.send_paymentintent"} <= of(
        "Truss clerk"
    )
    assert Group.objects.get(name="Truss clerk").user_set.count() == 1


def test_a_reset_takes_it_away() -> None:
    run("truss_roles")
    give("Truss viewer", "cancel_paymentintent")
    status, out, _err = run("truss_roles", "--reset")
    assert status == 0
    assert "Truss viewer: exists; permissions added: 0, removed: 1." in out
    assert "  - truss_portal.cancel_paymentintent" in out
    assert "truss_portal.cancel_paymentintent" not in of("Truss viewer")


def test_a_check_tells_and_changes_nothing() -> None:
    status, out, _err = run("truss_roles", "--check")
    assert status == 1
    count = len(roles.permissions_of("manager"))
    assert f"Truss manager: would be created; permissions to add: {count}, to remove: 0." in out
    assert not Group.objects.exists()
    run("truss_roles")
    assert run("truss_roles", "--check")[0] == 0
    give("Truss viewer", "view_user")
    assert run("truss_roles", "--check")[0] == 0
    assert run("truss_roles", "--check", "--reset")[0] == 1
    assert "auth.view_user" in of("Truss viewer")


def test_json_is_one_object() -> None:
    status, out, err = run("truss_roles", "--json")
    told = json.loads(out)
    assert (status, err, told["changed"], told["check"]) == (0, "", True, False)
    assert [group["group"] for group in told["groups"]] == list(roles.ROLES.values())
    assert told["groups"][0]["created"] is True
    assert "truss_portal.view_batch" in told["groups"][0]["added"]
    assert not json.loads(run("truss_roles", "--json")[1])["changed"]


def test_permissions_that_no_migration_has_made_yet_are_made() -> None:
    Permission.objects.filter(content_type__app_label="truss_portal").delete()
    ContentType.objects.filter(app_label="truss_portal", model="batch").delete()
    assert run("truss_roles", "--check")[0] == 1
    assert not Permission.objects.filter(codename="view_batch").exists()
    assert run("truss_roles")[0] == 0
    assert "truss_portal.view_batch" in of("Truss viewer")
    assert "truss_portal.cancel_paymentintent" in of("Truss manager")


def test_another_app_adds_its_own_permissions(monkeypatch: pytest.MonkeyPatch) -> None:
    config = apps.get_app_config("auth")
    monkeypatch.setattr(config, "truss_roles", {"clerk": ["view_user"], "manager": ["change_user"]}, raising=False)
    run("truss_roles")
    assert "auth.view_user" not in of("Truss viewer")
    assert "auth.view_user" in of("Truss clerk")
    assert "auth.change_user" not in of("Truss clerk")
    assert {"auth.view_user", "auth.change_user"} <= of("Truss manager")


def test_an_app_that_names_a_permission_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps.get_app_config("auth"), "truss_roles", {"viewer": ["veiw_user"]}, raising=False)
    with pytest.raises(CommandError, match=r"No such permission: auth\.veiw_user\."):
        run("truss_roles")
    assert not Group.objects.exists()
    with pytest.raises(UnknownPermissionError):
        roles.set_up()


@pytest.mark.django_db(transaction=True)
def test_a_database_without_its_tables_is_told() -> None:
    def broken(execute: Any, sql: str, *rest: Any) -> Any:
        if "auth_group" in sql:
            raise DatabaseError("no such table: auth_group")
        return execute(sql, *rest)

    with connection.execute_wrapper(broken), pytest.raises(CommandError, match=r"Run manage\.py migrate first\."):
        run("truss_roles")


def test_groups_that_an_update_has_left_behind_are_found() -> None:
    assert roles.outdated() == []
    roles.set_up()
    assert roles.outdated() == []
    take("Truss clerk", "amend_paymentintent")
    give("Truss viewer", "view_user")
    assert roles.outdated() == ["Truss clerk"]
