"""Finance staff's pages in Django admin: one file per noun. They translate into `actions` and decide nothing."""

from .company import CompanyAdmin
from .contact import ContactAdmin
from .operation import OperationAdmin
from .payer_return import PayerReturnAdmin
from .payment_intent import PaymentIntentAdmin
from .sync_run import SyncRunAdmin
from .transaction import TransactionAdmin

__all__ = [
    "CompanyAdmin",
    "ContactAdmin",
    "OperationAdmin",
    "PayerReturnAdmin",
    "PaymentIntentAdmin",
    "SyncRunAdmin",
    "TransactionAdmin",
]
