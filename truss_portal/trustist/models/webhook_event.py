from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self, now: datetime) -> Self:
        """Those that wait to be processed, or whose processing died; oldest first."""
        ready = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
        free = Q(claimed_until=None) | Q(claimed_until__lte=now)
        return self.filter(ready, free, state=WebhookEvent.State.WAITING).order_by("pk")

    def about(self, subject_id: str) -> Self:
        """Whatever the letters' case."""
        return self.alias(subject_lower=Lower("subject_id")).filter(subject_lower=subject_id.lower())

    def of_merchant(self, merchant_id: str) -> Self:
        return self.alias(merchant_lower=Lower("merchant_id")).filter(merchant_lower=merchant_id.lower())


class WebhookEvent(models.Model):
    """Something that somebody who knows our address told us. It proves nothing: it only says "look again"."""

    class Kind(models.TextChoices):
        INVITATION = "InvitationStatusChanged", _("Invitation moved on")
        PAYMENT = "PaymentStatusChanged", _("Merchant's payment")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        PROCESSED = "processed", _("Processed")
        NOTED = "noted", _("Noted, not confirmed")
        GIVEN_UP = "given_up", _("Given up")

    environment = models.CharField(_("environment"), max_length=16, editable=False)
    # A digest of kind, id and status, as there is no event id.
    key = models.CharField(max_length=64, editable=False)
    kind = models.CharField(_("event"), max_length=100, editable=False)
    subject_id = models.CharField(_("about"), max_length=200, blank=True, db_index=True, editable=False)
    status = models.CharField(_("status"), max_length=100, blank=True, editable=False)
    merchant_id = models.CharField(_("merchant ID"), max_length=200, blank=True, db_index=True, editable=False)
    # Without a currency: none is told.
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2, null=True, editable=False)
    told_at = models.DateTimeField(_("changed at Trustist"), null=True, editable=False)
    payload = models.JSONField(_("content"), default=dict, editable=False)
    received_at = models.DateTimeField(_("received"), default=timezone.now, db_index=True, editable=False)
    times = models.PositiveIntegerField(_("times received"), default=1, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING, editable=False)
    processed_at = models.DateTimeField(_("processed"), null=True, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0, editable=False)
    next_attempt_at = models.DateTimeField(_("next try"), null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    error = models.TextField(_("what happened"), blank=True, editable=False)

    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["-pk"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["environment", "key"], name="trustist_webhook_key")]
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="trustist_webhook_state")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id} {self.status}".strip()
