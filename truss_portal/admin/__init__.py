"""Finance staff's pages in Django admin: one file per noun. They translate into `actions` and decide nothing."""

from .batch import BatchAdmin
from .company import CompanyAdmin
from .contact import ContactAdmin
from .operation import OperationAdmin
from .payer_return import PayerReturnAdmin
from .payment_intent import PaymentIntentAdmin
from .sync_run import SyncRunAdmin
from .transaction import TransactionAdmin
from .webhook_event import WebhookEventAdmin

__all__ = [
    "BatchAdmin",
    "CompanyAdmin",
    "ContactAdmin",
    "OperationAdmin",
    "PayerReturnAdmin",
    "PaymentIntentAdmin",
    "SyncRunAdmin",
    "TransactionAdmin",
    "WebhookEventAdmin",
]
