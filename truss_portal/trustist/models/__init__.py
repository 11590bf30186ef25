"""What we remember: one noun per file."""

from .invitation import Invitation
from .merchant_key import MerchantKey
from .sync_run import SyncRun
from .webhook_event import WebhookEvent

__all__ = ["Invitation", "MerchantKey", "SyncRun", "WebhookEvent"]
