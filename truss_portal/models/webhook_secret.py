from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .company import Company


class WebhookSecret(models.Model):
    """A secret by which Truss signs a company's webhooks; several while it is being rotated."""

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="webhook_secrets", verbose_name=_("company")
    )
    # Encrypted: see `truss_portal.encryption`.
    secret = models.TextField(editable=False)
    added_at = models.DateTimeField(_("set on"), default=timezone.now, editable=False)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        editable=False,
        verbose_name=_("set by"),
    )

    class Meta:
        verbose_name = _("webhook secret")
        verbose_name_plural = _("webhook secrets")
        ordering = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.company}: {self.added_at:%Y-%m-%d}"
