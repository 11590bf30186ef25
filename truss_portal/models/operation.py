from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .batch import Batch
from .company import Company
from .contact import Contact
from .payment_intent import PaymentIntent


class OperationQuerySet(models.QuerySet["Operation"]):
    def for_a_person(self) -> Self:
        """What doesn't get on without somebody, or could with somebody's help."""
        return self.filter(Q(needs_person=True) | Q(state=Operation.State.UNCONFIRMED))

    def under_way(self) -> Self:
        """What waits or is being asked."""
        return self.filter(state__in=[Operation.State.QUEUED, Operation.State.SENDING])


class Operation(models.Model):
    """A change, or a look, asked of Truss: written before Truss is asked, and with the answer afterwards."""

    class Kind(models.TextChoices):
        CREATE = "create", _("Send")
        AMEND = "amend", _("Amend")
        RESEND_EMAIL = "resend_email", _("Resend the email")
        CANCEL = "cancel", _("Cancel")
        UPDATE_CONTACT = "update_contact", _("Change the payer")
        # Changes nothing at Truss: one of many invoices that are looked at in one go.
        REFRESH = "refresh", _("Refresh")

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        SENDING = "sending", _("Being asked")
        DONE = "done", _("Done")
        REFUSED = "refused", _("Refused")
        UNCONFIRMED = "unconfirmed", _("Not confirmed")
        GIVEN_UP = "given_up", _("Given up")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="operations", verbose_name=_("company"))
    payment_intent = models.ForeignKey(
        PaymentIntent,
        on_delete=models.CASCADE,
        related_name="operations",
        verbose_name=_("invoice"),
        null=True,
        blank=True,
    )
    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="operations", verbose_name=_("payer"), null=True, blank=True
    )
    kind = models.CharField(_("what"), max_length=16, choices=Kind)
    body = models.JSONField(_("changes"), default=dict, blank=True)
    # The unique key that allows one open create per invoice; NULL once it is done or refused. (A conditional unique
    # constraint would say the same and doesn't exist on MariaDB.)
    open_create_of = models.OneToOneField(
        PaymentIntent, on_delete=models.CASCADE, related_name="+", null=True, blank=True, editable=False
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("asked by"),
    )
    batch = models.ForeignKey(
        Batch, on_delete=models.SET_NULL, related_name="operations", null=True, blank=True, verbose_name=_("batch")
    )
    requested_at = models.DateTimeField(_("asked"), default=timezone.now)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.QUEUED)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    # While being asked: until then nobody else touches it. Past that, whoever was asking is taken for dead.
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.CharField(max_length=32, blank=True, db_index=True, editable=False)
    next_attempt_at = models.DateTimeField(_("next try"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    unconfirmed_at = models.DateTimeField(_("unconfirmed since"), null=True, blank=True)
    # Until somebody has seen to it, or asked for something newer.
    needs_person = models.BooleanField(_("needs a person"), default=False)
    response_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    response_body = models.TextField(_("Truss's answer"), blank=True)
    error = models.TextField(_("what happened"), blank=True)

    objects = OperationQuerySet.as_manager()

    class Meta:
        verbose_name = _("request to Truss")
        verbose_name_plural = _("requests to Truss")
        ordering = ["-pk"]
        default_permissions = ("view",)
        indexes = [
            # With the company: counted by company from the index alone.
            models.Index(fields=["state", "next_attempt_at", "company"], name="truss_operation_state"),
            models.Index(fields=["batch", "state"], name="truss_operation_batch"),
            models.Index(fields=["needs_person", "company"], name="truss_operation_person"),
        ]
        permissions = [
            ("retry_operation", _("Can try requests to Truss again, and withdraw those that wait")),
            ("settle_operation", _("Can say that an unconfirmed invoice isn't at Truss, and have it sent again")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.payment_intent or self.contact}"
