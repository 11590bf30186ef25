"""What can be done with one invoice now, as buttons; and for what can't, the reason in plain words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import checkout
from truss_portal.models import PaymentIntent

from .payment_intent_verbs import REFRESH, VERBS

Delivery = PaymentIntent.Delivery

# The first that can be used is what most people come for: it stands first and stands out.
FIRST: Final = ("send", "link")
ORDER: Final = (*FIRST, "amend", "resend", "refresh", "duplicate", "cancel", "delete")
DANGEROUS: Final = ("cancel", "delete")
DUPLICATE_OF: Final = "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One thing that somebody may do with an invoice, now or when it is otherwise."""

    name: str
    title: Any
    why_not: str = ""
    """Why it can't be used now; "" when it can."""
    url: str = ""
    drawn: SafeString | str = ""
    """Where the button is more than a link: as HTML."""
    ids: str = ""
    """Where it is posted: about which invoice."""

    @property
    def is_first(self) -> bool:
        return self.name in FIRST

    @property
    def is_dangerous(self) -> bool:
        return self.name in DANGEROUS


@dataclass(frozen=True, slots=True)
class Doing:
    """Buttons as the page shows them: what can be done, and what can't."""

    now: list[Button]
    not_now: list[Button]


def doing(request: HttpRequest, intent: PaymentIntent, link_button: Callable[[PaymentIntent], SafeString]) -> Doing:
    """What this person may do with this invoice. What they may never do isn't shown. `link_button` draws “Copy link”.

    Wants company, contact and transactions at hand.
    """
    buttons = [*_asked_of_truss(request, intent), *_done_here(request, intent, link_button)]
    buttons.sort(key=lambda button: ORDER.index(button.name))
    return Doing([each for each in buttons if not each.why_not], [each for each in buttons if each.why_not])


def may(request: HttpRequest, what: str) -> bool:
    """Who may send, cancel or change invoices without seeing them has a permission by mistake: nothing is offered."""
    has = request.user.has_perm
    sees = has("truss_portal.view_paymentintent") or has("truss_portal.change_paymentintent")
    return sees and has(f"truss_portal.{what}_paymentintent")


def why_not_amend(intent: PaymentIntent) -> str:
    """Why nothing of it can be amended at Truss; "" when something can."""
    if intent.is_editable:
        return _("It isn't at Truss yet: rewrite it below.")
    if intent.missing_since:
        return _("No longer found at Truss.")
    if intent.uid is None:
        return _("It is on its way: Truss hasn't confirmed it yet.")
    return ""


def why_not_delete(intent: PaymentIntent) -> str:
    if intent.uid or intent.discovered:
        return _("It is at Truss: only drafts are deleted.")
    if intent.delivery != Delivery.UNSENT:
        return _("Truss has been asked to take it: only drafts that were never sent are deleted.")
    return ""


def _asked_of_truss(request: HttpRequest, intent: PaymentIntent) -> list[Button]:
    return [
        Button(
            name=verb.name,
            title=verb.title,
            why_not=verb.why_not([intent]).get(intent.pk, ""),
            url=reverse(f"admin:truss_portal_paymentintent_{verb.name}")
            + ("" if verb is REFRESH else f"?{urlencode({'ids': str(intent.pk), 'next': request.path})}"),
            ids=str(intent.pk) if verb is REFRESH else "",
        )
        for verb in VERBS
        if may(request, verb.name)
    ]


def _done_here(
    request: HttpRequest, intent: PaymentIntent, link_button: Callable[[PaymentIntent], SafeString]
) -> list[Button]:
    buttons = []
    if may(request, "link"):
        refusal = checkout.why_not_payable(intent)
        drawn = "" if refusal else link_button(intent)
        buttons.append(Button(name="link", title=gettext_lazy("Copy link"), why_not=str(refusal or ""), drawn=drawn))
    if may(request, "amend"):
        url = reverse("admin:truss_portal_paymentintent_amend", args=[intent.pk])
        buttons.append(Button(name="amend", title=gettext_lazy("Amend"), why_not=why_not_amend(intent), url=url))
    if may(request, "add"):
        url = f"{reverse('admin:truss_portal_paymentintent_add')}?{urlencode({DUPLICATE_OF: intent.pk})}"
        buttons.append(Button(name="duplicate", title=gettext_lazy("Duplicate"), url=url))
    if may(request, "delete"):
        url = reverse("admin:truss_portal_paymentintent_delete", args=[intent.pk])
        title = gettext_lazy("Delete draft")
        buttons.append(Button(name="delete", title=title, why_not=why_not_delete(intent), url=url))
    return buttons
