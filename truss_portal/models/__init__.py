"""What we remember: one noun per file."""

from .batch import Batch
from .company import Company
from .connection import Connection
from .contact import Contact
from .operation import Operation
from .payer_return import PayerReturn
from .payment_intent import PaymentIntent
from .sync_run import SyncRun
from .timeline_entry import TimelineEntry
from .transaction import Transaction
from .webhook_event import WebhookEvent
from .webhook_secret import WebhookSecret

__all__ = [
    "Batch",
    "Company",
    "Connection",
    "Contact",
    "Operation",
    "PayerReturn",
    "PaymentIntent",
    "SyncRun",
    "TimelineEntry",
    "Transaction",
    "WebhookEvent",
    "WebhookSecret",
]
