from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from truss_portal.trustist.client import CARDS, is_complete, is_opened, normalized
from truss_portal.trustist.conf import conf


def email_key(email: str) -> str:
    """What two spellings of one email have in common."""
    return email.strip().casefold()


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def of_this_environment(self) -> Self:
        """Those of the environment that the settings name: sandbox and production never mix."""
        return self.filter(environment=conf.environment)

    def at_trustist(self) -> Self:
        return self.exclude(invitation_id=None)

    def of_id(self, *ids: str) -> Self:
        """Those with these IDs of Trustist's, whatever the letters' case, in each database."""
        return self.alias(id_lower=Lower("invitation_id")).filter(id_lower__in={each.lower() for each in ids})

    def for_a_person(self) -> Self:
        """What doesn't get on without somebody."""
        return self.filter(needs_person=True)

    def due(self, now: datetime) -> Self:
        """Those that wait to be sent and may be; oldest first."""
        ready = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
        return self.filter(ready, delivery=Invitation.Delivery.QUEUED).order_by("pk")

    def keys_due(self, now: datetime) -> Self:
        """Those whose merchant's keys may be asked for now; complete ones first. Who hasn't begun has none."""
        ready = Q(keys_next_at=None) | Q(keys_next_at__lte=now)
        begun = self.at_trustist().exclude(stage=Invitation.Stage.INVITED)
        return begun.filter(ready, missing_since=None).order_by("stage", "pk")


class Invitation(models.Model):
    """Somebody who was asked to become a merchant. What Trustist says of it is written by `mirror` alone."""

    class Delivery(models.TextChoices):
        """Our own state: what became of asking Trustist to invite."""

        QUEUED = "queued", _("Waiting")
        SENDING = "sending", _("Being asked")
        UNCONFIRMED = "unconfirmed", _("Not confirmed")
        SENT = "sent", _("At Trustist")
        FAILED = "failed", _("Failed")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    class Stage(models.TextChoices):
        """How far the merchant is, by the words that are published. Complete ones come first in order."""

        COMPLETE = "complete", _("Complete")
        INVITED = "invited", _("Invited")
        OPENED = "opened", _("Opened")
        UNKNOWN = "unknown", _("Other")

    environment = models.CharField(_("environment"), max_length=16, editable=False)
    # Trustist's `id`, which Django's own name stands in the way of. NULL until Trustist has it.
    invitation_id = models.CharField(_("Trustist ID"), max_length=200, null=True, editable=False)  # noqa: DJ001
    name = models.CharField(_("name"), max_length=255, blank=True)
    email = models.CharField(_("email"), max_length=254, blank=True)
    email_lower = models.CharField(max_length=254, blank=True, db_index=True, editable=False)
    # Who holds the email: nobody else can be invited by it. NULL for what is withdrawn, and for a second one that
    # Trustist has.
    email_key = models.CharField(max_length=254, null=True, editable=False)  # noqa: DJ001
    payment_types = models.JSONField(_("payment types"), default=list, blank=True)

    status = models.CharField(_("status at Trustist"), max_length=100, blank=True, editable=False)
    stage = models.CharField(_("stage"), max_length=10, choices=Stage, default=Stage.INVITED, editable=False)
    merchant_id = models.CharField(_("merchant ID"), max_length=200, blank=True, editable=False)
    opened_at = models.DateTimeField(_("first seen opened"), null=True, editable=False)
    completed_at = models.DateTimeField(_("first seen complete"), null=True, editable=False)
    extra = models.JSONField(_("other fields"), default=dict, blank=True, editable=False)
    known_since = models.DateTimeField(_("known since"), default=timezone.now, editable=False)
    # Taken before the request went out: an older answer never overwrites a newer one.
    fetched_at = models.DateTimeField(_("as of"), null=True, editable=False)
    detailed_at = models.DateTimeField(null=True, editable=False)
    missing_since = models.DateTimeField(_("missing since"), null=True, editable=False)

    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("invited by"),
    )
    requested_at = models.DateTimeField(_("asked for"), null=True, editable=False)
    delivery = models.CharField(_("delivery"), max_length=12, choices=Delivery, default=Delivery.QUEUED, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0, editable=False)
    # While being asked: until then nobody else touches it. Past that, whoever was asking is taken for dead.
    claimed_until = models.DateTimeField(null=True, editable=False)
    claim_token = models.CharField(max_length=32, blank=True, db_index=True, editable=False)
    next_attempt_at = models.DateTimeField(_("next try"), null=True, editable=False)
    unconfirmed_at = models.DateTimeField(_("unconfirmed since"), null=True, editable=False)
    needs_person = models.BooleanField(_("needs a person"), default=False, editable=False)
    response_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, editable=False)
    error = models.TextField(_("what happened"), blank=True, editable=False)

    keys_attempts = models.PositiveIntegerField(default=0, editable=False)
    keys_next_at = models.DateTimeField(_("keys asked for next"), null=True, editable=False)
    keys_fetched_at = models.DateTimeField(_("keys as of"), null=True, editable=False)
    keys_error = models.TextField(_("about its keys"), blank=True, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-pk"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["environment", "invitation_id"], name="trustist_invitation_id"),
            models.UniqueConstraint(fields=["environment", "email_key"], name="trustist_invitation_email"),
        ]
        indexes = [
            models.Index(fields=["environment", "delivery", "next_attempt_at"], name="trustist_delivery"),
            models.Index(fields=["environment", "stage", "keys_next_at"], name="trustist_stage"),
        ]
        permissions = [
            ("invite_invitation", _("Can invite merchants to Trustist")),
            ("refresh_invitation", _("Can look at invitations at Trustist")),
            ("retry_invitation", _("Can try invitations again, and withdraw those that wait")),
            ("settle_invitation", _("Can say that an unconfirmed invitation isn't at Trustist, or which one it is")),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.invitation_id or str(self.pk)

    @property
    def offers_cards(self) -> bool:
        return CARDS in self.payment_types


def stage_of(status: str) -> "Invitation.Stage":
    """What isn't known never counts as done."""
    if is_complete(status):
        return Invitation.Stage.COMPLETE
    if is_opened(status):
        return Invitation.Stage.OPENED
    known: Any = {"SENT", "PENDING"}
    return Invitation.Stage.INVITED if normalized(status) in known else Invitation.Stage.UNKNOWN
