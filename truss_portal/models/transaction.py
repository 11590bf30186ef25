from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from .company import Company
from .payment_intent import PaymentIntent

INBOUND: Final = 0
OUTBOUND: Final = 1

# Truss says that a payment settles within 3 business days. One that still hasn't after two months is left to the
# listing, which shows when the balance changes.
MOVING_FOR: Final = timedelta(days=60)
EXTERNAL: Final = "external"
# The names that say by themselves that nothing more will happen; the meaning of the single statuses isn't published.
NEVER_CAME: Final = ("CanceledTransaction", "Error")
ENDED: Final = ("ReturnedTransaction", "RefundedTransaction", "ExternalCredit", *NEVER_CAME)


class TransactionQuerySet(models.QuerySet["Transaction"]):
    def still_moving(self, now: datetime) -> Self:
        """Payments that haven't settled or come back yet, as far as one can tell."""
        return self.filter(settled_at=None, returned_at=None, missing_since=None, date__gt=now - MOVING_FOR).exclude(
            models.Q(type=EXTERNAL) | models.Q(status__in=ENDED)
        )


class Transaction(models.Model):
    """A payment on an invoice, or what took it back. Written by `mirror` alone.

    https://docs.trusspayments.com/api-references/model/PaymentIntentTransaction
    """

    company = models.ForeignKey(
        Company, on_delete=models.PROTECT, related_name="transactions", verbose_name=_("company")
    )
    payment_intent = models.ForeignKey(
        PaymentIntent, on_delete=models.PROTECT, related_name="transactions", verbose_name=_("invoice")
    )
    uid = models.UUIDField(_("Truss UID"))
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    addenda = models.TextField(_("description"), blank=True)
    type = models.CharField(_("type"), max_length=64)
    payment_method = models.CharField(_("method"), max_length=64, db_index=True)
    status = models.CharField(_("status"), max_length=64, db_index=True)
    direction = models.SmallIntegerField(_("direction"))
    date = models.DateTimeField(_("date"), db_index=True)
    preprocessed_at = models.DateTimeField(_("preprocessed"), null=True)
    processed_at = models.DateTimeField(_("processed"), null=True)
    posted_at = models.DateTimeField(_("posted"), null=True)
    settled_at = models.DateTimeField(_("settled"), null=True)
    returned_at = models.DateTimeField(_("returned"), null=True)
    extra = models.JSONField(_("further fields"), default=dict, blank=True)
    fetched_at = models.DateTimeField(_("as of"))
    missing_since = models.DateTimeField(_("missing at Truss since"), null=True)

    objects = TransactionQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ["-date", "-pk"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["company", "uid"], name="truss_transaction_uid")]
        indexes = [
            models.Index(fields=["settled_at", "returned_at", "date"], name="truss_transaction_moving"),
            # With all that `figures` asks of them, so that a year of payments is read from the index alone.
            models.Index(
                fields=["direction", "date", "returned_at", "missing_since", "status", "amount", "company"],
                name="truss_transaction_received",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.signed_amount} {self.payment_method}"

    @property
    def signed_amount(self) -> Decimal:
        """What it adds to the invoice's `balance_paid`; negative for a return or refund."""
        return -self.amount if self.direction == OUTBOUND else self.amount

    @property
    def is_payment(self) -> bool:
        """Whether money came in by it: not what takes money back, nor what was canceled or failed on the way."""
        return self.direction != OUTBOUND and self.status not in NEVER_CAME

    @property
    def stage(self) -> str:
        """Where the money stands, from the published timestamps; never from a status whose meaning isn't published."""
        if self.returned_at:
            return str(_("Returned"))
        if self.direction == OUTBOUND:
            return str(_("Paid back"))
        if self.settled_at:
            return str(_("Settled"))
        if self.type == EXTERNAL:
            return str(_("Recorded by hand"))
        return str(_("On its way"))
