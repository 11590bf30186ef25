"""Up to ten thousand chosen invoices, summed up before something is asked of Truss about them. Asks nobody."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal.models import Operation, PaymentIntent

from .asking import together
from .left_out import LeftOut
from .payment_intent_verbs import RESEND, SEND, Verb
from .wording import number, written_to

SHOWN: Final = 25
LATELY: Final = timedelta(hours=24)
"""Who was emailed again within this time may not want another one."""


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
    addresses: Counter[str] = field(default_factory=Counter)
    """To whom an email goes once more, and how many."""
    emailed_lately: int = 0
    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, intent: PaymentIntent, verb: Verb) -> None:
        self.going.append(intent.pk)
        self.total += intent.balance_due
        self.emailed += intent.send_email
        self.texted += intent.send_sms
        if verb is RESEND:
            self.addresses.update(addresses_of(intent))
        if len(self.shown) < SHOWN:
            self.shown.append(intent)


def sum_up(verb: Verb, chosen: Collection[int]) -> Selection:
    """In a few statements for each five hundred."""
    summed = Selection()
    for intents in loaded(chosen):
        reasons = verb.why_not(intents)
        before = len(summed.going)
        for intent in intents:
            if intent.pk in reasons:
                summed.left_out.append((intent.pk, str(intent), reasons[intent.pk]))
            else:
                summed.add(intent, verb)
        if verb is RESEND:
            summed.emailed_lately += _emailed_lately(summed.going[before:])
    return summed


def loaded(chosen: Iterable[int]) -> Iterator[list[PaymentIntent]]:
    """These invoices with all that is needed to say why something can't be asked for them, some at a time."""
    rows = PaymentIntent.objects.select_related("company", "contact").prefetch_related("transactions").order_by("pk")
    for some in together(chosen):
        yield list(rows.filter(pk__in=some))


def _emailed_lately(intents: Collection[int]) -> int:
    done = Operation.objects.filter(
        payment_intent__in=intents,
        kind=Operation.Kind.RESEND_EMAIL,
        state=Operation.State.DONE,
        finished_at__gt=timezone.now() - LATELY,
    )
    return done.order_by().values("payment_intent").distinct().count()


# --- who is written to


def addresses_of(intent: PaymentIntent) -> list[str]:
    """Where an email about it goes: the secondary email gets every notification, too."""
    contact = intent.contact
    return [email for email in (contact.email, contact.secondary_email) if email] if contact else []


def recipients(verb: Verb, intent: PaymentIntent) -> str:
    """Whom Truss writes to because of this, for one line of a table."""
    return ", ".join(addresses_of(intent)) if verb is RESEND else written_to(intent)


def who_is_written_to(verb: Verb, summed: Selection) -> list[str]:
    """Sentences about all emails and texts that follow from it."""
    if not summed.going:
        return []
    if verb is SEND:
        return _when_sent(summed)
    return _when_emailed_again(summed) if verb is RESEND else []


def _when_sent(summed: Selection) -> list[str]:
    told = [_("Truss emails nobody: copy the checkout links and hand them to the payers yourself.")]
    if summed.emailed:
        text = ngettext(
            "Truss emails the payer of %(count)s invoice at once.",
            "Truss emails the payers of %(count)s invoices at once.",
            summed.emailed,
        )
        told = [text % {"count": number(summed.emailed)}]
    if summed.texted:
        text = ngettext(
            "It texts the payer of %(count)s invoice.", "It texts the payers of %(count)s invoices.", summed.texted
        )
        told.append(text % {"count": number(summed.texted)})
    return told


def _when_emailed_again(summed: Selection) -> list[str]:
    emails, different = summed.addresses.total(), len(summed.addresses)
    text = ngettext("Truss sends %(count)s email.", "Truss sends %(count)s emails.", emails)
    told = [text % {"count": number(emails)}]
    if different < emails:
        text = ngettext(
            "They all go to %(count)s address, one for each invoice.", "They go to %(count)s addresses.", different
        )
        told.append(text % {"count": number(different)})
        address, most = summed.addresses.most_common(1)[0]
        if different > 1:
            text = _("%(address)s gets the most: %(count)s, one for each invoice.")
            told.append(text % {"address": address, "count": number(most)})
    if summed.emailed_lately:
        text = ngettext(
            "%(count)s of these invoices was emailed again within the last 24 hours already.",
            "%(count)s of these invoices were emailed again within the last 24 hours already.",
            summed.emailed_lately,
        )
        told.append(text % {"count": number(summed.emailed_lately)})
    return told
