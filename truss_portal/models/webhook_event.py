from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .company import Company


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self, now: datetime) -> Self:
        """Those that wait to be processed, or whose processing died; oldest first."""
        ready = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
        free = Q(claimed_until=None) | Q(claimed_until__lte=now)
        return self.filter(ready, free, state=WebhookEvent.State.WAITING).order_by("pk")


class WebhookEvent(models.Model):
    """Something that Truss told us, verified. It carries no truth: it only says "look again"."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        PROCESSED = "processed", _("Processed")
        GIVEN_UP = "given_up", _("Given up")

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="webhook_events", verbose_name=_("company")
    )
    event_id = models.UUIDField(_("event ID"), editable=False)
    event_name = models.CharField(_("event"), max_length=255, blank=True, editable=False)
    event_created_at = models.DateTimeField(_("made at Truss"), null=True, editable=False)
    payment_intent_uid = models.UUIDField(_("Truss UID"), null=True, editable=False)
    payload = models.JSONField(_("content"), default=dict, editable=False)
    received_at = models.DateTimeField(_("received"), default=timezone.now, editable=False, db_index=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING, editable=False)
    processed_at = models.DateTimeField(_("processed"), null=True, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0, editable=False)
    next_attempt_at = models.DateTimeField(_("next try"), null=True, editable=False)
    # While it is being processed; past that, whoever was at it is taken for dead.
    claimed_until = models.DateTimeField(null=True, editable=False)
    error = models.TextField(_("what happened"), blank=True, editable=False)

    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["-pk"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["company", "event_id"], name="truss_webhook_event_id")]
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="truss_webhook_state")]
        permissions = [("retry_webhookevent", _("Can process webhooks again"))]

    def __str__(self) -> str:
        return f"{self.event_name or '?'} {self.event_id}"
