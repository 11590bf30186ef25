from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Batch(models.Model):
    """What was asked for many invoices in one go, so that its progress and its outcome can be seen together."""

    kind = models.CharField(_("what"), max_length=16)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("asked by"),
    )
    requested_at = models.DateTimeField(_("asked"), default=timezone.now)
    chosen = models.PositiveIntegerField(_("chosen"), default=0)
    # What a page that asks first carries: sent twice, by two clicks or by a browser, it asks once. NULL where
    # nobody was asked: the unique key lets any number of NULLs stand.
    confirmation = models.CharField(max_length=32, null=True, unique=True, editable=False)  # noqa: DJ001
    left_out = models.JSONField(
        _("left out"), default=list, blank=True, help_text=_("Invoice, its number, and the reason, for each.")
    )

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return _("Batch %(number)s") % {"number": self.pk}
