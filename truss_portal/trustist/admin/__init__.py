"""The partner's pages in Django admin: one file per noun. They translate into `actions` and decide nothing."""

from .invitation import InvitationAdmin
from .merchant_key import MerchantKeyAdmin
from .sync_run import SyncRunAdmin
from .webhook_event import WebhookEventAdmin

__all__ = ["InvitationAdmin", "MerchantKeyAdmin", "SyncRunAdmin", "WebhookEventAdmin"]
