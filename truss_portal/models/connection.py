from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .company import Company


class Connection(models.Model):
    """The tokens by which this site speaks for a company that has agreed to it. Written by `connection` alone."""

    company = models.OneToOneField(
        Company, on_delete=models.CASCADE, related_name="connection", verbose_name=_("company")
    )
    # Encrypted: see `truss_portal.encryption`.
    access_token = models.TextField(editable=False)
    refresh_token = models.TextField(blank=True, editable=False)
    scope = models.TextField(_("granted"), blank=True, editable=False)
    expires_at = models.DateTimeField(_("access token expires"), null=True, editable=False)
    connected_at = models.DateTimeField(_("connected"), default=timezone.now, editable=False)
    connected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        editable=False,
        verbose_name=_("connected by"),
    )
    renewed_at = models.DateTimeField(_("last renewed"), null=True, editable=False)
    # The lease of the one process that renews: the others go on with the token that is still good.
    renewing_token = models.CharField(max_length=32, blank=True, editable=False)
    renewing_until = models.DateTimeField(null=True, editable=False)
    # Truss has refused to renew: nothing is sent until somebody connects again.
    refused_at = models.DateTimeField(_("refused"), null=True, editable=False)
    refusal = models.TextField(_("why"), blank=True, editable=False)

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.company)
