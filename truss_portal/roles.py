"""“Truss viewer”, “Truss clerk”, “Truss manager”: groups of Django's, each with what the lesser ones may, and more.

Every installed app can say in one place what its own permissions are for: in its AppConfig.

    class ShopConfig(AppConfig):
        truss_roles = {"clerk": ["view_order"], "manager": ["change_order"]}

`set_up` can be called as often as one likes, such as after every `migrate`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction

from truss_portal.exceptions import UnknownPermissionError

# The least first. Groups are found by these names in the database, so they are the same in every language.
ROLES: Final[Mapping[str, str]] = {"viewer": "Truss viewer", "clerk": "Truss clerk", "manager": "Truss manager"}

Named = tuple[str, str]
"""A permission: the label of its app, and its codename."""


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one group, or with `check` would be. Permissions are written "truss_portal.view_batch"."""

    group: str
    created: bool
    added: Sequence[str]
    removed: Sequence[str]
    kept: Sequence[str]
    """What the group may beyond its role: somebody has given it by hand."""

    @property
    def is_one(self) -> bool:
        return bool(self.created or self.added or self.removed)

    def as_dict(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "created": self.created,
            "added": list(self.added),
            "removed": list(self.removed),
            "kept": list(self.kept),
        }


def permissions_of(role: str) -> frozenset[Named]:
    """What a role ("viewer", "clerk", "manager") is allowed to: what all installed apps say, and the lesser roles."""
    up_to = list(ROLES)[: list(ROLES).index(role) + 1]
    told = ((config.label, name) for config, names in _told() for each in up_to for name in names.get(each, ()))
    return frozenset(told)


def set_up(*, reset: bool = False, check: bool = False) -> list[Change]:
    """Make the groups, and give each what its role is allowed to.

    What somebody has added by hand stays, unless `reset`. With `check` nothing is changed. Permissions that a migration
    is still to make are made here. Raises UnknownPermissionError where an app names one that doesn't exist.
    """
    using = router.db_for_write(Group)
    with transaction.atomic(using=using):
        for config, _names in _told():
            create_permissions(config, verbosity=0, interactive=False, using=using)
        changes = [_set_up(role, name, reset=reset) for role, name in ROLES.items()]
        if check:
            transaction.set_rollback(True, using=using)
    if check:
        # It may know rows that are rolled back.
        ContentType.objects.clear_cache()
    return changes


def outdated() -> list[str]:
    """The groups that exist and lack some of what their role is allowed to, as after an update of the app."""
    groups = Group.objects.filter(name__in=ROLES.values()).prefetch_related("permissions__content_type")
    has = {group.name: set(map(_named, group.permissions.all())) for group in groups}
    return [name for role, name in ROLES.items() if name in has and not permissions_of(role) <= has[name]]


def _set_up(role: str, name: str, *, reset: bool) -> Change:
    wanted = _found(permissions_of(role))
    group, created = Group.objects.get_or_create(name=name)
    has = {_named(permission): permission for permission in group.permissions.select_related("content_type")}
    added = [permission for named, permission in wanted.items() if named not in has]
    beyond = [permission for named, permission in has.items() if named not in wanted]
    group.permissions.add(*added)
    if reset:
        group.permissions.remove(*beyond)
    removed, kept = (beyond, []) if reset else ([], beyond)
    return Change(name, created, _shown(added), _shown(removed), _shown(kept))


def _found(wanted: Iterable[Named]) -> dict[Named, Permission]:
    wanted = set(wanted)
    rows = Permission.objects.filter(
        content_type__app_label__in={label for label, _codename in wanted},
        codename__in={codename for _label, codename in wanted},
    ).select_related("content_type")
    found = {named: row for row in rows if (named := _named(row)) in wanted}
    if unknown := wanted - found.keys():
        names = ", ".join(sorted(".".join(named) for named in unknown))
        raise UnknownPermissionError(f"No such permission: {names}. Is it misspelled in its app's truss_roles?")
    return found


def _told() -> list[tuple[AppConfig, Mapping[str, Sequence[str]]]]:
    """What each app says that its permissions are for, by role."""
    return [(config, told) for config in apps.get_app_configs() if (told := getattr(config, "truss_roles", None))]


def _named(permission: Permission) -> Named:
    return permission.content_type.app_label, permission.codename


def _shown(permissions: Iterable[Permission]) -> list[str]:
    return sorted(".".join(_named(permission)) for permission in permissions)
