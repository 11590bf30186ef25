from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .payment_intent import PaymentIntent


class TimelineEntryQuerySet(models.QuerySet["TimelineEntry"]):
    def undelivered(self, now: datetime) -> Self:
        """Entries whose signal hasn't been taken by every receiver yet, and whose turn it is; oldest first."""
        due = Q(signal_after=None) | Q(signal_after__lte=now)
        return self.filter(due, signal_due=True).order_by("pk")


class TimelineEntry(models.Model):
    """Something that happened to an invoice; written in the same transaction as the change itself."""

    class Kind(models.TextChoices):
        DRAFTED = "drafted", _("Written")
        QUEUED = "queued", _("To be sent")
        SENT = "sent", _("Sent to Truss")
        DISCOVERED = "discovered", _("Found at Truss")
        UNCONFIRMED = "unconfirmed", _("Sent, but Truss's answer was lost")
        ABSENT = "absent", _("Not at Truss; to be sent again")
        REFUSED = "refused", _("Refused by Truss")
        GIVEN_UP = "given_up", _("Not sent: Truss couldn't be asked")
        WITHDRAWN = "withdrawn", _("Withdrawn before it was sent")
        AMENDED = "amended", _("Changed")
        EMAIL_RESENT = "email_resent", _("Email sent again")
        LINK_COPIED = "link_copied", _("Checkout link copied")
        PAYER_RETURNED = "payer_returned", _("Payer came back")
        PAYMENT_RECEIVED = "payment_received", _("Payment received")
        PAYMENT_SETTLED = "payment_settled", _("Payment settled")
        PAYMENT_RETURNED = "payment_returned", _("Payment taken back")
        PAID = "paid", _("Paid in full")
        CANCELED = "canceled", _("Canceled")
        STATUS_CHANGED = "status_changed", _("Status changed")
        MISSING = "missing", _("No longer found at Truss")
        FOUND_AGAIN = "found_again", _("Found at Truss again")
        ATTENTION = "attention", _("Needs a person")

    payment_intent = models.ForeignKey(
        PaymentIntent, on_delete=models.CASCADE, related_name="timeline", verbose_name=_("invoice")
    )
    kind = models.CharField(_("what"), max_length=20, choices=Kind)
    at = models.DateTimeField(_("when"), default=timezone.now)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("who"),
    )
    data = models.JSONField(_("details"), default=dict, blank=True)
    signal_due = models.BooleanField(default=False, editable=False)
    # A receiver that keeps failing is told again less and less often, so that it holds up no other entry.
    signal_attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    signal_after = models.DateTimeField(null=True, editable=False)

    objects = TimelineEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("timeline entry")
        verbose_name_plural = _("timeline")
        ordering = ["pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["signal_due"], name="truss_timeline_signal_due")]

    def __str__(self) -> str:
        return self.get_kind_display()
