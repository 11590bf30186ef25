"""The control API's part for webhooks: what they are, and what a network does to them."""

import uuid
from types import NoneType

from truss_portal.sandbox import deliveries, payloads, rules, signatures, webhooks
from truss_portal.sandbox.control_calls import Call, Sent, checked
from truss_portal.sandbox.models import Company, PaymentIntent, WebhookDelivery, WebhookEvent

_MOST_COPIES = 100
_MOST_LOST = 10**6


def list_events(call: Call) -> list[Sent]:
    """Oldest first."""
    events = WebhookEvent.objects.filter(company=call.company).order_by("pk")
    return [payloads.webhook_event_payload(event) for event in events.prefetch_related("deliveries")]


def count_waiting(call: Call) -> Sent:
    """How many deliveries are on their way. Takes those up that a process which has ended has left."""
    waiting = WebhookDelivery.objects.filter(company=call.company, is_waiting=True).count()
    if waiting:
        deliveries.wake(call.company.pk)
    return {"waiting": waiting}


def hold(call: Call) -> Sent:
    with rules.writing(call.company):
        webhooks.hold(call.company)
    return {}


def release(call: Call) -> Sent:
    values = checked(call.sent, order=(str, list), seed=(int, NoneType))
    order = values.get("order", "made")
    with rules.writing(call.company):
        if isinstance(order, list):
            released = webhooks.release_these(call.company, [uuid.UUID(str(event_id)) for event_id in order])
        elif order in webhooks.ORDERS:
            released = webhooks.release_all(call.company, order, values.get("seed"))
        else:
            raise ValueError(f"order is one of {', '.join(webhooks.ORDERS)}, or a list of event_ids.")
    return {"event_ids": [str(event.event_id) for event in released]}


def double(call: Call) -> Sent:
    times = checked(call.sent, times=(int,))["times"]
    if not 1 <= times <= _MOST_COPIES:
        raise ValueError(f"times is between 1 and {_MOST_COPIES}.")
    with rules.writing(call.company):
        Company.objects.filter(pk=call.company.pk).update(webhook_copies=times)
    return {}


def lose(call: Call) -> Sent:
    count = checked(call.sent, count=(int,))["count"]
    if not 0 <= count <= _MOST_LOST:
        raise ValueError(f"count is between 0 and {_MOST_LOST}.")
    with rules.writing(call.company):
        Company.objects.filter(pk=call.company.pk).update(webhooks_to_lose=count)
    return {}


def send(call: Call) -> Sent:
    """An event of any name and payload or, with `body`, of any text: signed rightly, and treated as all are."""
    values = checked(
        call.sent, event_name=(str,), payload=(dict, list, str, int, float, bool, NoneType), body=(str, NoneType)
    )
    event = webhooks.make_event(call.company, values["event_name"], values.get("payload", {}))
    _check_address(call.company)
    if values.get("body") is not None:
        event.body = values["body"]
    with rules.writing(call.company):
        webhooks.record(call.company, [event])
    return payloads.webhook_event_payload(event)


def forge(call: Call) -> Sent:
    values = checked(call.sent, kind=(str,), uid=(str, NoneType))
    if values["kind"] not in signatures.FORGERIES:
        raise ValueError(f"kind is one of {', '.join(signatures.FORGERIES)}.")
    _check_address(call.company)
    if not call.company.webhook_secret:
        raise rules.RefusedError(webhook_secret="The company has none, so nobody could tell a forgery.")  # noqa: S106
    intents = PaymentIntent.objects.filter(company=call.company).select_related("company", "contact")
    uid = values.get("uid")
    intent = intents.get(uid=uuid.UUID(uid)) if uid else intents.order_by("-pk").first()
    with rules.writing(call.company):
        event = webhooks.forge(call.company, values["kind"], intent)
    return payloads.webhook_event_payload(event)


def _check_address(company: Company) -> None:
    if not company.webhook_url:
        raise rules.RefusedError(webhook_url="The company has no webhook address.")
