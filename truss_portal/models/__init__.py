"""What we remember: one noun per file."""

from .company import Company
from .contact import Contact
from .operation import Operation
from .payer_return import PayerReturn
from .payment_intent import PaymentIntent
from .sync_run import SyncRun
from .timeline_entry import TimelineEntry
from .transaction import Transaction

__all__ = [
    "Company",
    "Contact",
    "Operation",
    "PayerReturn",
    "PaymentIntent",
    "SyncRun",
    "TimelineEntry",
    "Transaction",
]
