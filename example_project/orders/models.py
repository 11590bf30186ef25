"""The shop's own books. Nothing here knows of Truss, but that an order's number is its invoice's `reference`."""

import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from truss_portal.models import PaymentIntent


class Customer(models.Model):
    """A business that buys on invoice. Two may bear the same name."""

    # Customers don't sign in here: who has been given the address of their page may see it.
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100, db_index=True)
    email = models.EmailField(unique=True, help_text="Invoices go here, and the customer signs in at Truss with it.")
    secondary_email = models.EmailField(blank=True, help_text="May see and pay the invoices as well.")
    phone = models.CharField(max_length=11, blank=True, help_text="Digits only, in the US or Canada.")

    class Meta:
        ordering = ["name", "email"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("orders:customer", args=[self.key])


class OrderQuerySet(models.QuerySet["Order"]):
    def with_invoice_state(self) -> Self:
        """Adds `invoice_pk`, `invoice_delivery` and `invoice_status`, all None where no invoice has been written."""
        invoice = PaymentIntent.objects.filter(reference=OuterRef("number"))
        return self.annotate(
            invoice_pk=Subquery(invoice.values("pk")[:1]),
            invoice_delivery=Subquery(invoice.values("delivery")[:1]),
            invoice_status=Subquery(invoice.values("status")[:1]),
        )


class Order(models.Model):
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    number = models.CharField(max_length=20, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    placed_on = models.DateField(default=timezone.localdate)
    purchase_order = models.CharField(max_length=40, blank=True, help_text="The customer's own number for it.")
    net_days = models.PositiveSmallIntegerField(
        "terms in days",
        default=30,
        validators=[MinValueValidator(7)],
        help_text="From the invoice to its due date: a week at least.",
    )
    paid_at = models.DateTimeField("paid", null=True, blank=True, editable=False)

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("orders:order", args=[self.key])

    @property
    def total(self) -> Decimal:
        """In US dollars. One query, unless the lines were prefetched."""
        return sum((line.amount for line in self.lines.all()), Decimal("0.00"))

    @property
    def invoice(self) -> PaymentIntent | None:
        """The invoice raised for it, if one was. One query."""
        invoices = PaymentIntent.objects.select_related("company", "contact")
        return invoices.filter(reference=self.number).first()

    def due_date_from(self, day: date) -> date:
        return day + timedelta(days=self.net_days)


class OrderLine(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    item = models.CharField(max_length=100)
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    unit_price = models.DecimalField(max_digits=9, decimal_places=2, validators=[MinValueValidator(Decimal("0.01"))])

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.item}"

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.unit_price
