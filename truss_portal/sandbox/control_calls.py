"""The control API's own manners: who may call it, what is read from a request, and which refusal has which status."""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from truss_portal.sandbox import rules
from truss_portal.sandbox.companies import get_company
from truss_portal.sandbox.models import DEFAULT_SLUG, Company
from truss_portal.sandbox.site_rules import View, exempt_from_site_rules

Sent = dict[str, Any]
Action = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Call:
    company: Company
    sent: Sent


def is_from_this_machine(request: HttpRequest) -> bool:
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback and "X-Forwarded-For" not in request.headers


def controls(**actions: Action) -> View:
    """A view out of one function for each HTTP method, called with the Call and the path's arguments."""

    @csrf_exempt
    @exempt_from_site_rules
    def view(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not is_from_this_machine(request) or "Origin" in request.headers:
            return _refusal("The control API answers to programs on this machine only.", 403)
        action = actions.get(request.method or "")
        if action is None:
            return _refusal("Method not allowed.", 405)
        try:
            company = get_company(request.GET.get("company", DEFAULT_SLUG))
            answer = action(Call(company, _sent(request)), **kwargs)
        except ObjectDoesNotExist:
            return _refusal("Not found.", 404)
        except rules.RefusedError as refused:
            return _refusal(str(refused), 409)
        except (ValidationError, DatabaseError, LookupError, TypeError, ValueError, ArithmeticError, re.error) as wrong:
            return _refusal(f"{type(wrong).__name__}: {wrong}", 400)
        return JsonResponse(answer, safe=False)

    return view


def _refusal(detail: str, status: int) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


def _sent(request: HttpRequest) -> Sent:
    sent = json.loads(request.body or b"{}")
    if not isinstance(sent, dict):
        raise TypeError("A JSON object is expected.")
    return sent


def checked(sent: Sent, **types: tuple[type, ...]) -> Sent:
    """What was sent, if it has no other keys than these and each value is of its type."""
    for key, value in sent.items():
        if key not in types:
            raise ValueError(f"{key!r} is unknown; known are {', '.join(types)}.")
        # Not isinstance(): to Python, true is an integer.
        if type(value) not in types[key]:
            raise TypeError(f"{key!r} can't be {value!r}.")
    return sent
