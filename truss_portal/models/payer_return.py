from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .payment_intent import PaymentIntent


class PayerReturn(models.Model):
    """A browser that came back from Truss. It proves nothing: it only says "look again"."""

    payment_intent = models.ForeignKey(
        PaymentIntent,
        on_delete=models.CASCADE,
        related_name="payer_returns",
        null=True,
        blank=True,
        verbose_name=_("invoice"),
    )
    at = models.DateTimeField(_("when"), default=timezone.now, db_index=True)
    claimed_result = models.CharField(
        _("claimed result"), max_length=32, blank=True, help_text=_("What the address said; not a proof of anything.")
    )
    status = models.CharField(_("status we knew"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("payer's return")
        verbose_name_plural = _("payers' returns")
        ordering = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        invoice = self.payment_intent or _("no invoice")
        return f"{invoice}: {self.claimed_result or '-'}"
