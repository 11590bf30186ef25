"""An invoice's timeline in plain words."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from truss_portal.models import PaymentIntent, TimelineEntry
from truss_portal.models.payment_intent import STATUS_LABELS

from .wording import method, money

Kind = TimelineEntry.Kind
SHOWN = 100


def latest(intent: PaymentIntent) -> list[dict[str, Any]]:
    """What happened last, newest first: when, what, who and details."""
    entries = intent.timeline.select_related("actor").order_by("-at", "-pk")[:SHOWN]
    return [
        {"at": entry.at, "what": entry.get_kind_display(), "who": entry.actor or "", "details": details(entry)}
        for entry in entries
    ]


def details(entry: TimelineEntry) -> str:
    """One line about it; "" where the kind says it all."""
    data = entry.data
    match entry.kind:
        case Kind.PAYMENT_RECEIVED | Kind.PAYMENT_SETTLED | Kind.PAYMENT_RETURNED:
            words = {"amount": _dollars(data.get("amount", "")), "method": method(data.get("payment_method", ""))}
            return _("%(amount)s, %(method)s") % words
        case Kind.AMENDED:
            return _("%(field)s: “%(was)s” became “%(now)s”") % {
                "field": field_name(data.get("field", "")),
                "was": data.get("was", ""),
                "now": data.get("now", ""),
            }
        case Kind.STATUS_CHANGED:
            return _("“%(was)s” became “%(now)s”") % {
                "was": _status(data.get("was", "")),
                "now": _status(data.get("now", "")),
            }
        case Kind.PAYER_RETURNED:
            claimed = data.get("result")
            return _("The address said “%(result)s”; that proves nothing.") % {"result": claimed} if claimed else ""
        case Kind.DISCOVERED:
            return ", ".join(filter(None, [_status(data.get("status", "")), _dollars(data.get("total", ""))]))
        case Kind.DRAFTED | Kind.QUEUED | Kind.SENT | Kind.PAID:
            return _dollars(data.get("total", ""))
    return data.get("reason") or ", ".join(str(value) for value in data.values())


def _dollars(amount: str) -> str:
    try:
        return money(Decimal(amount))
    except InvalidOperation:
        return amount


def _status(status: str) -> str:
    return str(STATUS_LABELS.get(status, status))


def field_name(name: str) -> str:
    try:
        return capfirst(str(PaymentIntent._meta.get_field(name).verbose_name))  # type: ignore[union-attr]
    except FieldDoesNotExist:
        return name
