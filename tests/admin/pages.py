"""Addresses of the admin, and what its pages say."""

import html
import re
from typing import Any

from django.test import Client
from django.urls import reverse

from truss_portal.models import PaymentIntent


def url(name: str, *args: Any) -> str:
    """Such as url("paymentintent_changelist")."""
    return reverse(f"admin:truss_portal_{name}", args=args)


def text_of(response: Any) -> str:
    """The page as people read it: no tags, single spaces."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body.replace("<wbr>", ""))).split())


def see(client: Client, name: str, *args: Any, **query: Any) -> str:
    response = client.get(url(name, *args), query)
    assert response.status_code == 200
    return text_of(response)


def act(client: Client, action: str, *intents: PaymentIntent, name: str = "paymentintent_changelist") -> Any:
    """Choose an action for these rows, and follow."""
    rows = {"action": action, "_selected_action": [row.pk for row in intents]}
    return client.post(url(name), rows, follow=True)


def do(client: Client, verb: str, *intents: PaymentIntent, **more: Any) -> Any:
    """Press the button of a confirmation page."""
    ids = ",".join(str(intent.pk) for intent in intents)
    return client.post(url(f"paymentintent_{verb}"), {"ids": ids} | more, follow=True)


def told(response: Any) -> list[str]:
    """The messages on a page, one text each, lines parted by " / "."""
    shown = (str(message).replace("<br>", " / ") for message in response.context["messages"])
    return [html.unescape(text) for text in shown]
