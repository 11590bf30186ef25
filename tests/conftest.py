"""Fixtures for all tests."""

from typing import Any

import pytest

from truss_portal.testing import plugin
from truss_portal.testing.sandbox import Sandbox


def pytest_configure(config: pytest.Config) -> None:
    """Brings in the plugin where this checkout isn't installed; where it is, pytest has found it by its entry point."""
    if not config.pluginmanager.has_plugin("truss_portal"):
        config.pluginmanager.register(plugin, "truss_portal")


@pytest.fixture
def truss(truss_sandbox: Sandbox, settings: Any) -> Sandbox:
    """The pretend Truss, empty, in a process of its own, with this site's settings pointing to it."""
    settings.TRUSS_PORTAL = {
        "ENVIRONMENT": "local",
        "API_URL": truss_sandbox.url,
        "ACCESS_TOKEN": truss_sandbox.token,
    }
    return truss_sandbox
