"""The checkout links of many invoices: as rows, as text to paste, as CSV. Asks nobody."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from truss_portal.exceptions import NotPayableError
from truss_portal.models import PaymentIntent

# A spreadsheet takes a cell that begins like this for a formula, and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_BYTE_ORDER_MARK: Final = "\ufeff"


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

    def cells(self) -> list[str]:
        """Invoice, payer, email, what is left to pay, link: harmless in a spreadsheet."""
        return [
            _harmless(c) for c in (str(self.intent), self.payer, self.email, f"{self.intent.balance_due:.2f}", self.url)
        ]


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
    """Lines with tabs between, as a spreadsheet takes them from the clipboard."""
    return "\n".join("\t".join(" ".join(cell.split()) for cell in link.cells()) for link in links)


def as_csv(links: Sequence[Link]) -> str:
    """With a byte order mark: by it Excel knows the encoding."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(headings())
    writer.writerows(link.cells() for link in links)
    return _BYTE_ORDER_MARK + out.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
