"""Fixtures for all tests."""

from functools import cache
from typing import Any, Final

import pytest
from django.db import connections
from django.db.transaction import atomic
from django.test import TransactionTestCase

from truss_portal.testing import plugin
from truss_portal.testing.sandbox import Sandbox


def pytest_configure(config: pytest.Config) -> None:
    """Brings in the plugin where this checkout isn't installed; where it is, pytest has found it by its entry point."""
    if not config.pluginmanager.has_plugin("truss_portal"):
        config.pluginmanager.register(plugin, "truss_portal")


MADE_BY_MIGRATING: Final = {"django_content_type", "auth_permission", "django_migrations"}


@cache
def _emptied(alias: str) -> list[str]:
    names = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
    return [connections[alias].ops.quote_name(name) for name in sorted({*names} - MADE_BY_MIGRATING)]


def _empty(case: Any) -> None:
    """Django's own flush also drops permissions and makes them again: an eighth of the time that all tests take."""
    for alias in case._databases_names(include_mirrors=False):
        connection, tables = connections[alias], _emptied(alias)
        filled = " UNION ALL ".join(f"SELECT {n} WHERE EXISTS (SELECT 1 FROM {t})" for n, t in enumerate(tables))  # noqa: S608
        with connection.constraint_checks_disabled(), atomic(using=alias), connection.cursor() as cursor:
            cursor.execute(filled)
            for (number,) in cursor.fetchall():
                cursor.execute(f"DELETE FROM {tables[number]}")  # noqa: S608


TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]


@pytest.fixture
def truss(truss_sandbox: Sandbox, settings: Any) -> Sandbox:
    """The pretend Truss, empty, in a process of its own, with this site's settings pointing to it."""
    settings.TRUSS_PORTAL = {
        "ENVIRONMENT": "local",
        "API_URL": truss_sandbox.url,
        "ACCESS_TOKEN": truss_sandbox.token,
    }
    return truss_sandbox
