"""Keeps the site's own rules for its views away from the sandbox's."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpResponseBase

from truss_portal.sandbox.routers import ALIAS

View = Callable[..., HttpResponseBase]


def exempt_from_site_rules(view: View) -> View:
    """Takes a view out of ATOMIC_REQUESTS, as what it does must be committed before an answer is lost, and out of the
    site's log-in, as payers and programs have none."""
    view = transaction.non_atomic_requests(using=ALIAS)(transaction.non_atomic_requests(view))
    marked: Any = view
    marked.login_required = False
    return view
