"""The books of a business that has sent very many invoices, in bulk: what the console's timings are taken on.

For a million invoices, over five years up to today, with a fixed seed:

- three companies with 70, 25 and 5 % of the invoices, each with payers of its own: one for every fifty invoices;
- 550 invoices a day, due 30 days later, of $1 to $30,000, most of them a few hundred;
- of each hundred, three are canceled. Of the others three quarters are paid within a fortnight around the due date,
  15 % within a month after it, 7 % within two, 2 % within four, and 1 % never. So about 4 % are open: 40,000;
- one in ten of what is open is partially paid;
- a payment on each paid and partially paid invoice, two on each twentieth; 0.5 % have come back, half of them marked
  on the payment, half by an entry of their own;
- nine in ten were sent from here, with a request to Truss each. 200 requests need a person, 50 aren't confirmed,
  20 invoices are marked for a person, 1,000 aren't sent yet.

The other numbers shrink with the number of invoices. Uids come in order, unlike Truss's: that only makes loading fast.
"""

import random
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from django.db import connection, models, transaction
from django.utils import timezone

from truss_portal.memo import ALPHABET, LENGTH
from truss_portal.models import Company, Contact, Operation, PaymentIntent, Transaction

DAYS: Final = 1825
TERM: Final = timedelta(days=30)
SHARES: Final = (0.70, 0.25, 0.05)
AT_ONCE: Final = 10_000


def fill(count: int) -> None:
    """So many invoices and what belongs to them, into empty tables."""
    books = _Books(count)
    with transaction.atomic():
        _insert(Company, books.companies())
        _insert(Contact, books.contacts())
        _insert(PaymentIntent, books.invoices())
        _insert(Transaction, books.payments)
        _insert(Operation, books.requests())
    if connection.vendor == "postgresql":
        # As it does by itself, in time. SQLite never does, and isn't told to here.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


class _Books:
    def __init__(self, count: int) -> None:
        self.count = count
        self.random = random.Random(20260302)  # noqa: S311 - no secret
        self.payments: list[dict[str, Any]] = []
        self.today = timezone.localdate()
        self.uids = 0
        self.payers = max(9, count // 50)

    def share(self, of_a_million: int) -> int:
        return max(1, of_a_million * self.count // 1_000_000)

    def uid(self) -> uuid.UUID:
        self.uids += 1
        return uuid.UUID(int=self.uids << 80, version=4)

    def moment(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=self.random.randrange(86_400))

    def companies(self) -> Iterator[dict[str, Any]]:
        for pk, _share in enumerate(SHARES, 1):
            yield {
                "id": pk, "slug": f"company-{pk}", "name": f"Company {pk}", "environment": "local",
                "checkout_link_id": f"link-{pk}", "listed_at": timezone.now(),
            }  # fmt: skip

    def contacts(self) -> Iterator[dict[str, Any]]:
        for pk in range(1, self.payers + 1):
            yield {
                "id": pk, "company_id": 1 + pk % 3, "uid": self.uid(), "name": f"Payer {pk}", "name_key": f"payer {pk}",
                "email": f"accounts-{pk}@payer.example",
            }  # fmt: skip

    def invoices(self) -> Iterator[dict[str, Any]]:
        unsent = self.share(1000)
        step = max(1, self.count // self.share(20))
        for pk in range(1, self.count + 1):
            day = self.today - timedelta(days=DAYS - DAYS * pk // self.count)
            company = self.random.choices((1, 2, 3), SHARES)[0]
            row = {
                "id": pk,
                "company_id": company,
                "contact_id": self.random.randrange(1, self.payers // 3) * 3 + company - 1,
                "reference": f"INV-{pk:07}",
                "addenda": f"Invoice {pk:07}",
                "memo_reference": _mark(pk),
                "total": Decimal(min(3_000_000, max(100, int(self.random.lognormvariate(10.5, 1.1))))) / 100,
                "due_date": day + TERM,
                "known_since": self.moment(day),
            }
            if pk > self.count - unsent:
                yield row
                continue
            at_truss = {"uid": self.uid(), "delivery": "sent", "created_at": row["known_since"],
                        "fetched_at": timezone.now(), "discovered": pk % 10 == 0}  # fmt: skip
            attention = {"attention": "Truss has this invoice twice."} if pk % step == 0 else {}
            yield row | at_truss | attention | self._paid(row)

    def _paid(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.random.random() < 0.03:
            return {"status": "Canceled", "canceled_at": row["known_since"] + timedelta(days=3)}
        kind = self.random.random()
        late = (
            self.random.randint(-14, 14) if kind < 0.75 else self.random.randint(1, 30) if kind < 0.9
            else self.random.randint(31, 60) if kind < 0.97 else self.random.randint(61, 120) if kind < 0.99 else 36_500
        )  # fmt: skip
        paid_on = row["due_date"] + timedelta(days=late)
        if paid_on < self.today:
            paid_at = self.moment(paid_on)
            self._payments(row, row["total"], paid_at)
            return {"status": "Paid", "balance_paid": row["total"], "paid_at": paid_at}
        if self.random.random() < 0.1 and row["known_since"].date() < self.today:
            part = (row["total"] / 2).quantize(Decimal("0.01"))
            self._payments(row, part, row["known_since"] + timedelta(hours=6))
            return {"status": "PartiallyPaid", "balance_paid": part}
        return {"status": "Pending"}

    def _payments(self, row: dict[str, Any], amount: Decimal, at: datetime) -> None:
        first = (amount / 3).quantize(Decimal("0.01"))
        for part in (first, amount - first) if self.random.random() < 0.05 else (amount,):
            payment = {
                "company_id": row["company_id"], "payment_intent_id": row["id"], "uid": self.uid(), "amount": part,
                "type": "transaction", "payment_method": self.random.choice(("ach", "ach", "ach", "credit_card")),
                "status": "ProcessedCredit", "direction": 0, "date": at, "fetched_at": at,
                "settled_at": at + timedelta(days=2),
            }  # fmt: skip
            back = self.random.random()
            if back < 0.0025:
                payment |= {"returned_at": at + timedelta(days=4), "status": "ReturnedTransaction"}
            self.payments.append(payment)
            if 0.0025 < back < 0.005:
                self.payments.append(payment | {"uid": self.uid(), "direction": 1, "status": "ReturnTransaction"})

    def requests(self) -> Iterator[dict[str, Any]]:
        person, unconfirmed = self.share(200), self.share(50)
        step = max(1, self.count // (person + unconfirmed))
        for number, pk in enumerate(pk for pk in range(1, self.count + 1) if pk % 10):
            turn = number // step if number % step == 0 else None
            state = "done" if turn is None else "unconfirmed" if turn < unconfirmed else "refused"
            yield {"company_id": 1 + pk % 3, "payment_intent_id": pk, "kind": "create", "state": state,
                   "needs_person": state == "refused", "requested_at": timezone.now()}  # fmt: skip


def _mark(number: int) -> str:
    digits = ""
    for _place in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def _insert(model: type[models.Model], rows: Iterable[dict[str, Any]]) -> None:
    """Without model instances, which would take most of the time."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    defaults = {
        field.attname: field.get_db_prep_save(field.get_default(), connection)
        for field in fields
        if not field.primary_key
    }

    def prepared() -> Iterator[list[Any]]:
        for row in rows:
            yield [
                field.get_db_prep_save(row[field.attname], connection)
                if field.attname in row
                else defaults[field.attname]
                for field in kept
            ]

    rows = iter(rows)
    first = next(rows)
    kept = [field for field in fields if not field.primary_key or field.attname in first]
    rows = (row for some in ([first], rows) for row in some)
    quote = connection.ops.quote_name
    table, columns = quote(model._meta.db_table), ", ".join(quote(str(field.column)) for field in kept)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for values in prepared():
                    copy.write_row(values)
            return
        marks = ", ".join(["%s"] * len(kept))
        lines = prepared()
        while some := list(islice(lines, AT_ONCE)):
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", some)  # noqa: S608
