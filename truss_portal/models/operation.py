from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .company import Company
from .contact import Contact
from .payment_intent import PaymentIntent


class Operation(models.Model):
    """A change asked of Truss: written before Truss is asked, and with the answer afterwards."""

    class Kind(models.TextChoices):
        CREATE = "create", _("Send")
        AMEND = "amend", _("Amend")
        RESEND_EMAIL = "resend_email", _("Resend the email")
        CANCEL = "cancel", _("Cancel")
        UPDATE_CONTACT = "update_contact", _("Change the payer")

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        SENDING = "sending", _("Being asked")
        DONE = "done", _("Done")
        REFUSED = "refused", _("Refused")
        UNCONFIRMED = "unconfirmed", _("Not confirmed")

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
    requested_at = models.DateTimeField(_("asked"), default=timezone.now)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.QUEUED)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    # While being asked: until then nobody else touches it. Past that, whoever was asking is taken for dead.
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.CharField(max_length=32, blank=True, db_index=True, editable=False)
    next_attempt_at = models.DateTimeField(_("next try"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    unconfirmed_at = models.DateTimeField(_("unconfirmed since"), null=True, blank=True)
    response_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    response_body = models.TextField(_("Truss's answer"), blank=True)
    error = models.TextField(_("what happened"), blank=True)

    class Meta:
        verbose_name = _("request to Truss")
        verbose_name_plural = _("requests to Truss")
        ordering = ["-pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="truss_operation_state")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.payment_intent or self.contact}"
