"""The control API, for tests and demos: what a person does in Truss's dashboard, what a bank does, and what goes wrong.

JSON in, JSON out, under /control/. It asks for no token, so it answers only to this machine, and neither to a proxy
nor to a page in a browser (both say so in their requests). `truss_portal.testing.Sandbox` speaks it.
"""

import ipaddress
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from truss_portal.sandbox import dashboard, faults, payloads, request_log, rules, tokens
from truss_portal.sandbox.companies import get_company
from truss_portal.sandbox.models import DEFAULT_SLUG, Company, Fault, Mail, PaymentIntent, Transaction
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


def _checked(sent: Sent, **types: tuple[type, ...]) -> Sent:
    """What was sent, if it has no other keys than these and each value is of its type."""
    for key, value in sent.items():
        if key not in types:
            raise ValueError(f"{key!r} is unknown; known are {', '.join(types)}.")
        # Not isinstance(): to Python, true is an integer.
        if type(value) not in types[key]:
            raise TypeError(f"{key!r} can't be {value!r}.")
    return sent


# ---- the whole sandbox


def reset(_: Call) -> Sent:
    """Empties the sandbox: the next request finds a new default company as the settings describe it."""
    dashboard.reset()
    request_log.clear()
    return {}


def list_requests(_: Call) -> list[Sent]:
    return request_log.latest()


def list_mail(_: Call) -> list[Sent]:
    """Newest first."""
    return [payloads.mail_payload(mail) for mail in Mail.objects.order_by("-pk")]


# ---- faults


def list_faults(_: Call) -> list[Sent]:
    return [_fault_payload(fault) for fault in Fault.objects.order_by("pk")]


def create_fault(call: Call) -> Sent:
    values = _checked(
        call.sent,
        kind=(str,),
        method=(str,),
        path=(str,),
        count=(int, NoneType),
        probability=(int, float),
        seconds=(int, float),
        retry_after=(int, NoneType),
        status=(int,),
    )
    if values.get("kind") not in faults.KINDS:
        raise ValueError(f"kind is one of {', '.join(faults.KINDS)}.")
    re.compile(values.get("path", ""))
    if any((values.get(key) or 0) < 0 for key in ("count", "probability", "seconds", "retry_after")):
        raise ValueError("No number may be negative.")
    if not 400 <= values.get("status", 503) <= 599:  # noqa: PLR2004 - the classes of HTTP errors
        raise ValueError("status is between 400 and 599.")
    return _fault_payload(Fault.objects.create(**({"count": 1} | values)))


def delete_faults(_: Call) -> Sent:
    Fault.objects.all().delete()
    return {}


def _fault_payload(fault: Fault) -> Sent:
    keys = ("kind", "method", "path", "count", "probability", "seconds", "retry_after", "status")
    return {"id": fault.pk} | {key: getattr(fault, key) for key in keys}


# ---- the company


def get_company_state(call: Call) -> Sent:
    keys = ("slug", "name", "checkout_link_id", "allowed_redirects", "scopes", "page_size_max", "token_lifetime")
    return {key: getattr(call.company, key) for key in (*keys, "custom_payments")}


def change_company(call: Call) -> Sent:
    """Null puts a value back to what the settings say."""
    changes = _checked(
        call.sent,
        name=(str, NoneType),
        checkout_link_id=(str, NoneType),
        allowed_redirects=(list, NoneType),
        scopes=(list, NoneType),
        page_size_max=(int, NoneType),
        token_lifetime=(int, NoneType),
        custom_payments=(bool, NoneType),
    )
    page_size_max = changes.get("page_size_max")
    if page_size_max is not None and page_size_max < 1:
        raise ValueError("page_size_max is at least 1.")
    company = call.company
    with rules.writing(company):
        company.refresh_from_db()
        company.overrides = {key: value for key, value in (company.overrides | changes).items() if value is not None}
        company.save()
    return get_company_state(call)


def create_authorization_code(call: Call) -> Sent:
    """What the company's user brings back from Truss after agreeing."""
    return {"code": tokens.issue_code(call.company, _checked(call.sent, redirect_uri=(str,))["redirect_uri"])}


# ---- intents and transactions


def list_payment_intents(call: Call) -> list[Sent]:
    """Everything that the company has, oldest first, transactions filled."""
    intents = (
        PaymentIntent.objects.filter(company=call.company).select_related("contact").prefetch_related("transactions")
    )
    return [payloads.payment_intent_payload(intent, detailed=True) for intent in intents.order_by("pk")]


def create_payment_intents(call: Call) -> Sent:
    count = _checked({"count": call.sent.pop("count", 1)}, count=(int,))["count"]
    return {"uids": [str(intent.uid) for intent in dashboard.create_many(call.company, count, call.sent)]}


def change_payment_intent(call: Call, uid: uuid.UUID) -> Sent:
    intent = dashboard.alter(_intent(call.company, uid), call.sent)
    return payloads.payment_intent_payload(intent, detailed=True)


def delete_payment_intent(call: Call, uid: uuid.UUID) -> Sent:
    dashboard.vanish(_intent(call.company, uid))
    return {}


def pay(call: Call, uid: uuid.UUID) -> Sent:
    """Pays an amount, even more than is owed; by default, all that is left."""
    values = _checked(call.sent, amount=(str, NoneType), payment_method=(str,))
    intent = _intent(call.company, uid)
    amount = dashboard.amount(values["amount"]) if values.get("amount") is not None else intent.remaining
    return payloads.transaction_payload(rules.pay(intent, amount, values.get("payment_method", "ach")))


def settle(call: Call, uid: uuid.UUID) -> Sent:
    return payloads.transaction_payload(rules.settle(_transaction(call.company, uid)))


def return_transaction(call: Call, uid: uuid.UUID) -> Sent:
    return payloads.transaction_payload(rules.return_transaction(_transaction(call.company, uid)))


def _intent(company: Company, uid: uuid.UUID) -> PaymentIntent:
    return PaymentIntent.objects.select_related("company", "contact").get(company=company, uid=uid)


def _transaction(company: Company, uid: uuid.UUID) -> Transaction:
    return Transaction.objects.select_related("company").get(company=company, uid=uid)
