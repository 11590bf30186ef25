"""Up to ten thousand chosen invoices, summed up before something is asked of Truss about them. Asks nobody."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from truss_portal.models import PaymentIntent

from .asking import together
from .left_out import LeftOut
from .payment_intent_verbs import Verb

SHOWN: Final = 25


@dataclass(slots=True)
class Selection:
    """Which of the chosen invoices take part, over how much, and why the others don't."""

    going: list[int] = field(default_factory=list)
    """By primary key: the rows themselves would fill the memory."""
    shown: list[PaymentIntent] = field(default_factory=list)
    """The first of those that take part."""
    total: Decimal = Decimal(0)
    emailed: int = 0
    texted: int = 0
    left_out: list[LeftOut] = field(default_factory=list)


def sum_up(verb: Verb, chosen: Collection[int]) -> Selection:
    """In a few statements for each five hundred."""
    summed = Selection()
    for intents in loaded(chosen):
        reasons = verb.why_not(intents)
        for intent in intents:
            if intent.pk in reasons:
                summed.left_out.append((intent.pk, str(intent), reasons[intent.pk]))
                continue
            summed.going.append(intent.pk)
            summed.total += intent.balance_due
            summed.emailed += intent.send_email
            summed.texted += intent.send_sms
            if len(summed.shown) < SHOWN:
                summed.shown.append(intent)
    return summed


def loaded(chosen: Iterable[int]) -> Iterator[list[PaymentIntent]]:
    """These invoices with all that is needed to say why something can't be asked for them, some at a time."""
    rows = PaymentIntent.objects.select_related("company", "contact").prefetch_related("transactions").order_by("pk")
    for some in together(chosen):
        yield list(rows.filter(pk__in=some))
