"""The checkout links of many invoices: as rows, as text to paste. Asks nobody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from truss_portal.exceptions import NotPayableError
from truss_portal.exchange import guarded
from truss_portal.models import PaymentIntent


@dataclass(frozen=True, slots=True)
class Link:
    intent: PaymentIntent
    url: str

    @property
    def payer(self) -> str:
        return self.intent.contact.name if self.intent.contact else ""

    @property
    def email(self) -> str:
        return self.intent.contact.email if self.intent.contact else ""

    def cells(self) -> list[str | Decimal]:
        """Invoice, payer, email, what is left to pay, link."""
        return [str(self.intent), self.payer, self.email, self.intent.balance_due, self.url]


def of(intents: Iterable[PaymentIntent]) -> tuple[list[Link], list[tuple[PaymentIntent, str]]]:
    """The links, and the invoices left out with the reason. Wants `contact` and `company` selected."""
    links: list[Link] = []
    left_out: list[tuple[PaymentIntent, str]] = []
    for intent in intents:
        try:
            links.append(Link(intent, intent.checkout_url()))
        except NotPayableError as error:
            left_out.append((intent, str(error)))
    return links, left_out


def headings() -> list[str]:
    return [_("Invoice"), _("Payer"), _("Email"), _("Amount left, USD"), _("Checkout link")]


def as_text(links: Sequence[Link]) -> str:
    """Lines with tabs between, as a spreadsheet takes them from the clipboard: none is a formula there."""
    return "\n".join("\t".join(" ".join(str(guarded(cell)).split()) for cell in link.cells()) for link in links)
