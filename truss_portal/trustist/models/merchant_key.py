import json
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from truss_portal import encryption

from .invitation import Invitation


class MerchantKeyQuerySet(models.QuerySet["MerchantKey"]):
    def current(self) -> "MerchantKeyQuerySet":
        return self.filter(until=None)


class MerchantKey(models.Model):
    """A key of a merchant's, as Trustist told it, encrypted. One that changed is kept beside the one that follows.

    `api_key` and `item` decrypt, and touch nothing else. Whoever has them keeps them out of logs and pages.
    """

    invitation = models.ForeignKey(
        Invitation, on_delete=models.PROTECT, related_name="merchant_keys", verbose_name=_("invitation")
    )
    # The whole item as JSON, encrypted: see `truss_portal.encryption`.
    sealed = models.TextField(editable=False)
    since = models.DateTimeField(_("since"), default=timezone.now, editable=False)
    seen_at = models.DateTimeField(_("last told"), default=timezone.now, editable=False)
    until = models.DateTimeField(_("until"), null=True, editable=False)

    objects = MerchantKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("merchant key")
        verbose_name_plural = _("merchant keys")
        ordering = ["-pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["invitation", "until"], name="trustist_key_current")]
        permissions = [
            ("fetch_merchantkey", _("Can have merchants' keys asked for at Trustist")),
            ("reveal_merchantkey", _("Can see merchants' keys in plain text, with the password entered again")),
        ]

    def __str__(self) -> str:
        return f"{self.invitation}, {timezone.localtime(self.since):%Y-%m-%d %H:%M}"

    @property
    def is_current(self) -> bool:
        return self.until is None

    @property
    def item(self) -> dict[str, Any]:
        """All that Trustist told of it. Raises EncryptionKeysError and UndecryptableError."""
        found: dict[str, Any] = json.loads(encryption.open_sealed(self.sealed, what=what(self)))
        return found

    @property
    def api_key(self) -> str:
        """The key in plain text; "" where Trustist told none. Raises as `item` does."""
        key = self.item.get("apiKey")
        return key if isinstance(key, str) else ""


def what(key: MerchantKey) -> str:
    """Names a key in errors."""
    return str(_("the Trustist key of %(merchant)s") % {"merchant": key.invitation})


def sealed_item(item: dict[str, Any]) -> str:
    """For the column. Raises EncryptionKeysError."""
    return encryption.seal(json.dumps(item, separators=(",", ":"), sort_keys=True))
