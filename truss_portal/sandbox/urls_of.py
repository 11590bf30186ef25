"""Addresses inside the sandbox, under whatever prefix and name it has been mounted."""

import uuid
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from rest_framework.request import Request

from truss_portal.sandbox.models import Company
from truss_portal.sandbox.rules import CheckoutUrl


def path_of(request: HttpRequest | Request, name: str, *args: Any) -> str:
    match = request.resolver_match
    return reverse(f"truss_sandbox:{name}", args=args, current_app=match.namespace if match else None)


def checkout_url(request: Request, company: Company) -> CheckoutUrl:
    """Makes the deep link that goes into a notification."""

    def link(uid: uuid.UUID) -> str:
        return request.build_absolute_uri(path_of(request, "checkout", company.checkout_link_id, uid))

    return link
