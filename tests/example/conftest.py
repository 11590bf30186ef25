"""Tests of the example site, with its own settings: `pytest tests/example --ds=example_project.settings`.

Under the other tests' settings its apps aren't installed and nothing here is collected: `tests/test_example_site.py`
runs all of it in a process of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings

from truss_portal.testing.sandbox import Sandbox

if TYPE_CHECKING:
    from example_project.orders.models import Order

if django_settings.SETTINGS_MODULE != "example_project.settings":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def shop(truss: Sandbox, settings: Any) -> Sandbox:
    """The shop, connected to a pretend Truss in a process of its own."""
    return_url = "https://testserver/truss/return/"
    truss.allow_redirects([return_url])
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"RETURN_URL": return_url, "RETURN_URL_ALLOWLISTED": True}
    return truss


@pytest.fixture
def order(db: None) -> Order:
    """HS-1008, by The Copper Kettle: four lines, a purchase order, net 10."""
    from tests.example.orders import ordered

    return ordered("HS-1008")
