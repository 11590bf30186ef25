"""The control API, for tests and demos: what a person does in Truss's dashboard, what a bank does, and what goes wrong.

JSON in, JSON out, under /control/. It asks for no token, so it answers only to this machine, and neither to a proxy
nor to a page in a browser (both say so in their requests). `truss_portal.testing.Sandbox` speaks it.
"""

import re
import uuid
from types import NoneType
from urllib.parse import urlsplit

from truss_portal.sandbox import dashboard, faults, payloads, request_log, rules, signatures, tokens
from truss_portal.sandbox.control_calls import Call, Sent, checked
from truss_portal.sandbox.models import Company, Fault, Mail, PaymentIntent, Transaction

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
    values = checked(
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


_COMPANY: dict[str, tuple[type, ...]] = {
    "name": (str, NoneType),
    "checkout_link_id": (str, NoneType),
    "allowed_redirects": (list, NoneType),
    "scopes": (list, NoneType),
    "page_size_max": (int, NoneType),
    "token_lifetime": (int, NoneType),
    "custom_payments": (bool, NoneType),
    "rotate_refresh": (bool, NoneType),
    "echo_state": (bool, NoneType),
    "webhook_url": (str, NoneType),
    "webhook_secret": (str, NoneType),
    "webhook_encoding": (str, NoneType),
    "webhook_payload": (str, NoneType),
    "webhook_pauses": (list, NoneType),
}


def get_company_state(call: Call) -> Sent:
    return {key: getattr(call.company, key) for key in ("slug", *_COMPANY)}


def change_company(call: Call) -> Sent:
    """Null puts a value back to what the settings say."""
    changes = checked(call.sent, **_COMPANY)
    page_size_max = changes.get("page_size_max")
    if page_size_max is not None and page_size_max < 1:
        raise ValueError("page_size_max is at least 1.")
    _check_webhooks({key: value for key, value in changes.items() if value is not None})
    company = call.company
    with rules.writing(company):
        company.refresh_from_db()
        company.overrides = {key: value for key, value in (company.overrides | changes).items() if value is not None}
        company.save()
    return get_company_state(call)


def _check_webhooks(changes: Sent) -> None:
    url = urlsplit(changes.get("webhook_url", ""))
    if url.geturl() and (url.scheme not in ("http", "https") or not url.hostname):
        raise ValueError("webhook_url is an absolute address, http or https.")
    if not signatures.is_secret(changes.get("webhook_secret", "")):
        raise ValueError("webhook_secret has 64 hex digits, or is empty.")
    if changes.get("webhook_encoding", "text") not in signatures.ENCODINGS:
        raise ValueError(f"webhook_encoding is one of {', '.join(signatures.ENCODINGS)}.")
    if changes.get("webhook_payload", "whole") not in payloads.EVENT_PAYLOADS:
        raise ValueError(f"webhook_payload is one of {', '.join(payloads.EVENT_PAYLOADS)}.")
    if not all(type(pause) in (int, float) and 0 <= pause < 10**6 for pause in changes.get("webhook_pauses", ())):
        raise ValueError("webhook_pauses are seconds.")


def create_authorization_code(call: Call) -> Sent:
    """What the company's user brings back from Truss after agreeing."""
    return {"code": tokens.issue_code(call.company, checked(call.sent, redirect_uri=(str,))["redirect_uri"])}


def revoke_tokens(call: Call) -> Sent:
    tokens.revoke(call.company)
    return {}


# ---- intents and transactions


def list_payment_intents(call: Call) -> list[Sent]:
    """Everything that the company has, oldest first, transactions filled."""
    intents = (
        PaymentIntent.objects.filter(company=call.company).select_related("contact").prefetch_related("transactions")
    )
    return [payloads.payment_intent_payload(intent, detailed=True) for intent in intents.order_by("pk")]


def create_payment_intents(call: Call) -> Sent:
    count = checked({"count": call.sent.pop("count", 1)}, count=(int,))["count"]
    return {"uids": [str(intent.uid) for intent in dashboard.create_many(call.company, count, call.sent)]}


def change_payment_intent(call: Call, uid: uuid.UUID) -> Sent:
    intent = dashboard.alter(_intent(call.company, uid), call.sent)
    return payloads.payment_intent_payload(intent, detailed=True)


def delete_payment_intent(call: Call, uid: uuid.UUID) -> Sent:
    dashboard.vanish(_intent(call.company, uid))
    return {}


def pay(call: Call, uid: uuid.UUID) -> Sent:
    """Pays an amount, even more than is owed; by default, all that is left."""
    values = checked(call.sent, amount=(str, NoneType), payment_method=(str,))
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
