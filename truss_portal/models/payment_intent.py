from datetime import date, datetime
from decimal import Decimal
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from truss_portal import checkout
from truss_portal.memo import LENGTH, new_mark

from .company import Company
from .contact import Contact


class Status:
    """Truss's statuses, verbatim. Truss types the field as a plain string: others may come, and are kept.

    https://docs.trusspayments.com/guides/resources/payment-intents
    """

    PENDING = "Pending"
    PARTIALLY_PAID = "PartiallyPaid"
    PAID = "Paid"
    CANCELED = "Canceled"
    DRAFT = "Draft"
    FAILED = "Failed"
    ERRORED = "Errored"

    PAYABLE = (PENDING, PARTIALLY_PAID)
    FINAL = (PAID, CANCELED)


STATUS_LABELS = {
    Status.PENDING: _("Unpaid"),
    Status.PARTIALLY_PAID: _("Partially paid"),
    Status.PAID: _("Paid"),
    Status.CANCELED: _("Canceled"),
    Status.DRAFT: _("Draft at Truss"),
    Status.FAILED: _("Failed"),
    Status.ERRORED: _("Accounting error at Truss"),
}


class PaymentIntentQuerySet(models.QuerySet["PaymentIntent"]):
    def at_truss(self) -> Self:
        return self.filter(uid__isnull=False)

    def open(self) -> Self:
        """What can still change by itself: everything at Truss that is neither paid nor canceled."""
        return self.at_truss().exclude(status__in=Status.FINAL)

    def worth_a_look(self, now: datetime) -> Self:
        """Where Truss's single answer may tell more than we know: details due, or a payment still on its way."""
        from .transaction import Transaction

        moving = Transaction.objects.still_moving(now).values("payment_intent_id")
        return self.at_truss().filter(Q(details_due=True) | Q(pk__in=moving), missing_since=None)

    def overdue(self, today: date) -> Self:
        return self.open().filter(due_date__lt=today)


class PaymentIntent(models.Model):
    """An invoice. Truss's fields have Truss's names and are written by `mirror` alone once Truss has it."""

    class Delivery(models.TextChoices):
        """Where our own sending stands. An invoice that Truss made known to us is `sent`."""

        UNSENT = "unsent", _("Not sent")
        QUEUED = "queued", _("Waiting to be sent")
        SENDING = "sending", _("Being sent")
        UNCONFIRMED = "unconfirmed", _("Not confirmed")
        SENT = "sent", _("Sent")
        # Refused by Truss, or given up: its operation, and `delivery_error`, tell which and why.
        FAILED = "failed", _("Couldn't be sent")

    Status = Status

    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="payment_intents", verbose_name=_("company")
    )
    contact = models.ForeignKey(
        Contact,
        on_delete=models.PROTECT,
        related_name="payment_intents",
        verbose_name=_("payer"),
        null=True,
        blank=True,
    )

    # --- Truss's own: https://docs.trusspayments.com/api-references/model/PaymentIntent
    uid = models.UUIDField(_("Truss UID"), null=True, blank=True, editable=False)
    total = models.DecimalField(
        _("amount"), max_digits=14, decimal_places=2, validators=[MinValueValidator(Decimal("1.00"))]
    )
    addenda = models.CharField(
        _("description"),
        max_length=255,
        db_index=True,
        help_text=_("1 to 80 characters; also stands on the payments made on it."),
    )
    direction = models.SmallIntegerField(_("direction"), default=0, editable=False)
    note = models.TextField(_("note to the payer"), blank=True)
    memo = models.TextField(_("private memo"), blank=True, help_text=_("The payer doesn't see it."))
    due_date = models.DateField(_("due date"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=64, blank=True, editable=False)
    balance_paid = models.DecimalField(
        _("paid so far"), max_digits=14, decimal_places=2, default=Decimal(0), editable=False
    )
    created_at = models.DateTimeField(_("created at Truss"), null=True, editable=False, db_index=True)
    pending_at = models.DateTimeField(_("pending since"), null=True, editable=False)
    paid_at = models.DateTimeField(_("paid at"), null=True, editable=False, db_index=True)
    canceled_at = models.DateTimeField(_("canceled at"), null=True, editable=False)
    extra = models.JSONField(_("further fields"), default=dict, blank=True, editable=False)

    # --- our own
    # NULL where there is none: the unique key lets any number of NULLs stand.
    reference = models.CharField(  # noqa: DJ001
        _("invoice number"),
        max_length=100,
        null=True,
        blank=True,
        db_index=True,
        help_text=_("This site's own number for it."),
    )
    memo_reference = models.CharField(max_length=LENGTH, unique=True, default=new_mark, editable=False)
    send_email = models.BooleanField(_("Truss emails the payer"), default=False)
    send_sms = models.BooleanField(_("Truss texts the payer"), default=False)
    delivery = models.CharField(
        _("delivery"), max_length=12, choices=Delivery, default=Delivery.UNSENT, editable=False, db_index=True
    )
    delivery_error = models.TextField(_("why it wasn't sent"), blank=True, editable=False)
    # Short enough to be indexed everywhere: few rows of very many have one.
    attention = models.CharField(_("needs a person"), max_length=500, blank=True, editable=False)
    known_since = models.DateTimeField(_("known here since"), default=timezone.now, editable=False, db_index=True)
    discovered = models.BooleanField(_("made at Truss"), default=False, editable=False)

    # --- how fresh: see docs/explanation/freshness.md
    fetched_at = models.DateTimeField(_("as of"), null=True, editable=False)
    asked_at = models.DateTimeField(null=True, editable=False)
    detailed_at = models.DateTimeField(_("payments as of"), null=True, editable=False)
    details_due = models.BooleanField(default=False, editable=False)
    missing_since = models.DateTimeField(_("missing at Truss since"), null=True, editable=False, db_index=True)

    objects = PaymentIntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["company", "uid"], name="truss_intent_uid"),
            models.UniqueConstraint(fields=["company", "reference"], name="truss_intent_reference"),
        ]
        indexes = [
            # With all that `figures` adds up, so that what is owed is read from the index alone.
            models.Index(
                fields=["company", "status", "due_date", "missing_since", "total", "balance_paid"],
                name="truss_intent_status",
            ),
            models.Index(fields=["attention"], name="truss_intent_attention"),
            # With all that the list adds up, for the same reason.
            models.Index(fields=["due_date", "total", "balance_paid", "status"], name="truss_intent_due"),
            models.Index(fields=["total", "balance_paid", "status"], name="truss_intent_total"),
            models.Index(fields=["company", "details_due"], name="truss_intent_details_due"),
        ]
        permissions = [
            ("send_paymentintent", _("Can send invoices to Truss")),
            ("amend_paymentintent", _("Can amend invoices at Truss")),
            ("resend_paymentintent", _("Can have Truss email invoices again")),
            ("refresh_paymentintent", _("Can refresh invoices from Truss")),
            ("link_paymentintent", _("Can copy checkout links")),
            ("cancel_paymentintent", _("Can cancel invoices at Truss")),
            ("export_paymentintent", _("Can export invoices")),
        ]

    def __str__(self) -> str:
        return self.reference or self.addenda

    @property
    def balance_due(self) -> Decimal:
        """What is left to pay, in US dollars: computed at each reading; 0 when canceled, below 0 when overpaid."""
        if self.status == Status.CANCELED:
            return Decimal(0)
        return self.total - self.balance_paid

    @property
    def status_label(self) -> str:
        """The status in the words of Truss's dashboard; an unknown one as Truss wrote it; empty before it is sent."""
        return str(STATUS_LABELS.get(self.status, self.status))

    @property
    def known_as_of(self) -> datetime | None:
        """When what we know of it was last known to be Truss's truth."""
        if self.fetched_at is None or self.missing_since or self.company.listed_at is None:
            return self.fetched_at
        return max(self.fetched_at, self.company.listed_at)

    @property
    def is_editable(self) -> bool:
        """Whether it is still ours alone, to be written and rewritten."""
        return self.delivery in {self.Delivery.UNSENT, self.Delivery.FAILED}

    @property
    def is_payable(self) -> bool:
        """Whether `checkout_url()` gives a link."""
        return checkout.why_not_payable(self) is None

    def checkout_url(self, next_url: str = "") -> str:
        """The link that takes the payer straight to this invoice at Truss.

        `next_url`, a path or address of this site, is where the return page offers to go on to. Raises NotPayableError
        with the reason when a payer couldn't use the link. Asks nobody: what decides is what the mirror knows.
        """
        return checkout.checkout_url(self, next_url)
