"""The columns of the files, in their order. Their headings are fixed: people's files and programs rely on them."""

import unicodedata
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Column:
    """`field` is the argument's name of `actions.draft`, or of its `contact`."""

    field: str
    heading: str
    label: str | Promise
    """For people, in their language."""
    help: str | Promise = ""
    example: str = ""
    required: bool = False
    others: tuple[str, ...] = ()
    """What people call it, besides."""

    @property
    def keys(self) -> set[str]:
        return {key_of(name) for name in (self.field, self.heading, *self.others)}


def key_of(heading: str) -> str:
    """What two headings have in common that mean the same: letters and digits, without case and accents."""
    return "".join(character for character in unicodedata.normalize("NFD", heading.casefold()) if character.isalnum())


REFERENCE: Final = "reference"
NAME: Final = "name"
EMAIL: Final = "email"
SECONDARY_EMAIL: Final = "secondary_email"
PHONE: Final = "phone"
TOTAL: Final = "total"
ADDENDA: Final = "addenda"
DUE_DATE: Final = "due_date"
NOTE: Final = "note"
MEMO: Final = "memo"
SEND_EMAIL: Final = "send_email"
SEND_SMS: Final = "send_sms"
# Two of the exported columns that an import looks at, and doesn't write.
COMPANY: Final = "company"
UID: Final = "uid"

EXAMPLE_REFERENCE: Final = "EXAMPLE-1"
"""The template's example line. It is never imported."""

IMPORTED: Final = (
    Column(
        REFERENCE,
        "Invoice number",
        _("invoice number"),
        _("Your own, different for each invoice, at most 100 characters. A second import of the same number changes "
          "the invoice instead of writing another."),
        EXAMPLE_REFERENCE,
        required=True,
        others=("invoice no", "invoice nr", "invoice num", "invoice", "invoice #", "invoice id", "invoice ref",
                "invoice reference", "number", "no", "ref", "reference number",
                "número de factura", "factura", "núm. de factura", "folio"),
    ),
    Column(
        NAME,
        "Payer name",
        _("payer's name"),
        _("Truss tells customers apart by their names: give each payer a name of its own."),
        "Example Company LLC",
        required=True,
        others=("payer", "name", "customer", "customer name", "client", "client name", "contact", "contact name",
                "bill to", "company name", "nombre del pagador", "pagador", "nombre del cliente", "cliente"),
    ),
    Column(
        EMAIL,
        "Payer email",
        _("payer's email"),
        _("The payer signs in at Truss with it."),
        "payer@example.com",
        required=True,
        others=("email", "e-mail", "email address", "customer email", "client email", "contact email",
                "primary email", "correo del pagador", "correo electrónico", "correo", "correo del cliente"),
    ),
    Column(
        SECONDARY_EMAIL,
        "Secondary email",
        _("payer's secondary email"),
        _("Sees the invoices, too. Empty: as it is."),
        others=("second email", "payer secondary email", "other email", "cc", "cc email", "email 2", "email cc",
                "correo secundario", "correo secundario del pagador"),
    ),
    Column(
        PHONE,
        "Phone",
        _("payer's phone"),
        _("At most 11 digits, for text messages. Empty: as it is."),
        "5555550100",
        others=("payer phone", "phone number", "telephone", "mobile", "cell", "cell phone", "customer phone",
                "teléfono", "teléfono del pagador", "celular"),
    ),
    Column(
        TOTAL,
        "Amount",
        _("amount"),
        _("US dollars, at least 1.00: 1234.50, 1,234.50 or $1,234.50."),
        "1234.50",
        required=True,
        others=("total", "amount due", "invoice amount", "invoice total", "total amount", "amount usd", "total usd",
                "total due", "usd", "importe", "monto", "importe total"),
    ),
    Column(
        ADDENDA,
        "Description",
        _("description"),
        _("1 to 80 characters; the payer sees it, and it stands on the payments."),
        "Example: this line is never imported",
        required=True,
        others=("invoice description", "subject", "for", "item", "details", "descripción", "concepto"),
    ),
    Column(
        DUE_DATE,
        "Due date",
        _("due date"),
        _("From tomorrow on; a date cell, or 2026-05-15. Empty: none."),
        others=("due", "due on", "due by", "date due", "payment due", "payment due date",
                "fecha de vencimiento", "vencimiento", "vence"),
    ),
    Column(
        NOTE,
        "Note",
        _("note to the payer"),
        _("At most 500 characters. The payer sees it."),
        "Thank you for your business.",
        others=("notes", "note to payer", "note to the payer", "message", "customer note", "nota",
                "nota para el pagador"),
    ),
    Column(
        MEMO,
        "Memo",
        _("private memo"),
        _("At most 484 characters. The payer doesn't see it."),
        others=("private memo", "internal memo", "internal note", "private note", "memo privado", "nota interna"),
    ),
    Column(
        SEND_EMAIL,
        "Send email",
        _("Truss emails the payer"),
        _("yes or no: whether Truss emails the payer when the invoice is sent. Empty: no."),
        "yes",
        others=("truss emails the payer", "email the payer", "notify by email", "send by email", "enviar correo"),
    ),
    Column(
        SEND_SMS,
        "Send text",
        _("Truss texts the payer"),
        _("yes or no: whether Truss texts the payer. Empty: no."),
        "no",
        others=("truss texts the payer", "text the payer", "send text message", "sms", "notify by text",
                "enviar mensaje de texto"),
    ),
)  # fmt: skip

READ_ONLY: Final = (
    Column(
        "status",
        "Status",
        _("status"),
        _("Truss's own word: Pending, PartiallyPaid, Paid, Canceled, or another. Empty before Truss has it."),
    ),
    Column("balance_paid", "Paid", _("paid so far"), _("What has been paid, less what was taken back.")),
    Column(
        "balance_due",
        "Left",
        _("left to pay"),
        _("What is left to pay: 0.00 when canceled, below 0 when too much was paid."),
    ),
    Column(
        "delivery",
        "Delivery",
        _("delivery"),
        _("How sending stands: unsent, queued, sending, unconfirmed, sent or failed."),
    ),
    Column(
        "delivery_error", "Not sent because", _("why it wasn't sent"), _("What Truss said, or what was in the way.")
    ),
    Column("attention", "Needs a person", _("needs a person"), _("What somebody must look at.")),
    Column(COMPANY, "Truss company", _("company"), _("The short name of the company that is paid.")),
    Column(UID, "Truss UID", _("Truss UID"), _("Truss's own name for the invoice.")),
    Column("known_since", "Known since", _("known here since"), _("When it was written here, or found at Truss.")),
    Column("created_at", "Created at", _("created at Truss"), _("When Truss got it.")),
    Column("paid_at", "Paid at", _("paid at"), _("When it was paid in full.")),
    Column("canceled_at", "Canceled at", _("canceled at"), _("When it was canceled.")),
    Column("missing_since", "Missing since", _("missing at Truss since"), _("Since when Truss no longer has it.")),
    Column("fetched_at", "As of", _("as of"), _("When Truss was last asked about it.")),
)
EXPORTED: Final = (*IMPORTED, *READ_ONLY)

IMPORTED_BY_KEY: Final = {key: column for column in IMPORTED for key in column.keys}
READ_ONLY_BY_KEY: Final = {key_of(column.heading): column for column in READ_ONLY}
BY_FIELD: Final = {column.field: column for column in EXPORTED}
