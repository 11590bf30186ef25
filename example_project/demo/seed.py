"""The shop's orders, from the CSV file that ships with it."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import count, groupby
from pathlib import Path
from typing import Final

from django.db import transaction
from django.utils import timezone

from example_project.orders.models import Customer, Order, OrderLine

ORDERS: Final = Path(__file__).with_name("orders.csv")
# The file's numbers are below; what the story orders anew each time it is told is numbered from here on.
FIRST_NEW_NUMBER: Final = 5001


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOrder:
    number: str
    days_ago: int
    name: str
    email: str
    secondary_email: str
    phone: str
    purchase_order: str
    net_days: int
    lines: tuple[tuple[str, int, Decimal], ...]
    """What, how many, at which price in US dollars."""


def read_orders() -> Iterator[SampleOrder]:
    """One for each order number; the file has a row for each of its lines, and those of an order stand together."""
    with ORDERS.open(newline="", encoding="utf-8") as file:
        for number, rows in groupby(csv.DictReader(file), key=lambda row: row["order"]):
            lines = list(rows)
            first = lines[0]
            yield SampleOrder(
                number=number,
                days_ago=int(first["days_ago"]),
                name=first["customer"],
                email=first["email"],
                secondary_email=first["secondary_email"],
                phone=first["phone"],
                purchase_order=first["purchase_order"],
                net_days=int(first["net_days"]),
                lines=tuple((line["item"], int(line["quantity"]), Decimal(line["unit_price"])) for line in lines),
            )


@transaction.atomic
def place(samples: Iterable[SampleOrder]) -> int:
    """Write those orders that the shop doesn't have yet. Returns how many were new."""
    samples = list(samples)
    known = set(Order.objects.values_list("number", flat=True))
    missing = [sample for sample in samples if sample.number not in known]
    for sample in missing:
        _place(sample)
    return len(missing)


def order_again(sample: SampleOrder) -> Order:
    """The same customer orders the same once more: a new order under the next number."""
    with transaction.atomic():
        taken = set(Order.objects.values_list("number", flat=True))
        number = next(name for name in map("HS-{}".format, count(FIRST_NEW_NUMBER)) if name not in taken)
        return _place(sample, number=number, days_ago=0)


def _place(sample: SampleOrder, *, number: str = "", days_ago: int | None = None) -> Order:
    customer, _new = Customer.objects.get_or_create(
        email=sample.email,
        defaults={"name": sample.name, "secondary_email": sample.secondary_email, "phone": sample.phone},
    )
    order = Order.objects.create(
        number=number or sample.number,
        customer=customer,
        placed_on=timezone.localdate() - timedelta(days=sample.days_ago if days_ago is None else days_ago),
        purchase_order=sample.purchase_order,
        net_days=sample.net_days,
    )
    OrderLine.objects.bulk_create(
        OrderLine(order=order, item=item, quantity=quantity, unit_price=unit_price)
        for item, quantity, unit_price in sample.lines
    )
    return order
