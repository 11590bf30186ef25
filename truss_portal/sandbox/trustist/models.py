"""What the pretend Trustist remembers.

A partner is a company of the sandbox's, so that its webhooks are collected, doubled, lost and delivered as any other's.
"""

import uuid
from typing import Any

from django.db import models
from django.utils import timezone

from truss_portal.sandbox import conf
from truss_portal.sandbox.models import DEFAULT_SLUG, PARTNER_PREFIX, Company

PAYMENT_TYPES = ("openbanking", "cards")
PENDING, SENT, OPENED, COMPLETE = "pending", "sent", "OPENED", "COMPLETE"
STEPS = (PENDING, SENT, OPENED, COMPLETE)
ANSWERS = ("whole", "as_published")
WITHOUT_KEYS = ("not_found", "empty")


class PartnerManager(models.Manager["Partner"]):
    def get_queryset(self) -> models.QuerySet["Partner"]:
        return super().get_queryset().filter(is_partner=True)


class Partner(Company):
    """Somebody who invites clients to Trustist. What has been set is in `overrides`."""

    objects = PartnerManager()  # type: ignore[misc]

    class Meta:
        proxy = True

    @property
    def is_default(self) -> bool:
        return self.slug == PARTNER_PREFIX + DEFAULT_SLUG

    @property
    def client_id(self) -> str:
        own = f"{self.slug.removeprefix(PARTNER_PREFIX)}-client"
        return str(self._get("client_id", conf.get("TRUSTIST_CLIENT_ID") if self.is_default else own))

    @property
    def client_secret(self) -> str:
        own = f"{self.slug.removeprefix(PARTNER_PREFIX)}-secret"
        return str(self._get("client_secret", conf.get("TRUSTIST_CLIENT_SECRET") if self.is_default else own))

    @property
    def moves_after(self) -> float | None:
        """Seconds after which an invitation takes its next step by itself; None: it waits to be told."""
        seconds = self._get("moves_after", conf.get("TRUSTIST_MOVES_AFTER") if self.is_default else None)
        return None if seconds is None else float(seconds)

    @property
    def payment_events(self) -> bool:
        """Whether the partner has asked Trustist to be told of merchants' payments."""
        return bool(self._get("payment_events", False))

    @property
    def answers(self) -> str:
        """What an invitation's answer tells: the "whole" of it, or id and status alone, "as_published"."""
        return str(self._get("answers", "whole"))

    @property
    def without_keys(self) -> str:
        """What the keys' address answers before there are any: 404, "not_found", or an "empty" list."""
        return str(self._get("without_keys", "not_found"))


class PartnerToken(models.Model):
    """An access token by client credentials."""

    access_token = models.CharField(max_length=64, unique=True)
    partner = models.ForeignKey(Company, models.DO_NOTHING, related_name="+")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"partner token {self.pk}"


class Invitation(models.Model):
    """A client who is to become a merchant."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4)
    partner = models.ForeignKey(Company, models.DO_NOTHING, related_name="+")
    name = models.TextField()
    email = models.TextField()
    payment_types = models.JSONField(default=list)
    status = models.CharField(max_length=64, default=PENDING)
    merchant_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    extra = models.JSONField(default=dict, help_text="Laid over the answer: further fields, or nonsense in known ones.")

    def __str__(self) -> str:
        return f"{self.name} ({self.uid})"

    @property
    def next_step(self) -> str | None:
        """None where it is through, or has been forced to a status that nobody knows."""
        known = self.status in STEPS[:-1]
        return STEPS[STEPS.index(self.status) + 1] if known else None


class MerchantKey(models.Model):
    """The API key of the merchant behind an invitation."""

    invitation = models.ForeignKey(Invitation, models.DO_NOTHING, related_name="keys")
    item: Any = models.JSONField(help_text="To the letter as it is answered, apiKey among it.")

    def __str__(self) -> str:
        return f"merchant key {self.pk}"
