"""Fixtures for the tests of the Trustist app."""

from typing import Any

import pytest
from django.core.cache import cache

from truss_portal.testing.sandbox import Sandbox, Trustist


@pytest.fixture
def trustist(truss_sandbox: Sandbox, settings: Any) -> Trustist:
    """The pretend Trustist, empty, with this site's settings pointing to it. What is lost may be judged at once."""
    settings.TRUSTIST = {
        "ENVIRONMENT": "local",
        "API_URL": truss_sandbox.trustist.url,
        "CLIENT_ID": truss_sandbox.trustist.client_id,
        "CLIENT_SECRET": truss_sandbox.trustist.client_secret,
    }
    settings.TRUSS_PORTAL = settings.TRUSS_PORTAL | {"UNCONFIRMED_GRACE": 0}
    cache.clear()
    return truss_sandbox.trustist
