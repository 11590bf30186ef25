"""What the database has about the lines of a file, in a few statements for thousands of them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from truss_portal.models import Company, Contact, PaymentIntent
from truss_portal.models.contact import name_key

from . import columns
from .lines import Wanted
from .plan import Known

T = TypeVar("T")

# Of what is asked for in one statement: databases bound how many values it may have.
TOGETHER: Final = 1000


def load_known(company: Company, lines: Sequence[Wanted], *, lock: bool = False) -> Known:
    """`lock` keeps others from changing the invoices until the transaction ends."""
    lines = [line for line in lines if not line.passed_over]
    references = {text for line in lines for text in (line.reference, line.reference_as_written) if text}
    uids = {line.values[columns.UID] for line in lines if not line.reference and line.values.get(columns.UID)}
    names = {name_key(line.values[columns.NAME]) for line in lines if line.values.get(columns.NAME)}
    known = Known()
    for intent in _intents(company, "reference", references, lock=lock):
        known.by_reference[str(intent.reference)] = intent
    for intent in _intents(company, "uid", uids, lock=lock):
        if intent.uid is not None:
            known.by_uid[intent.uid] = intent
    for some in in_parts(sorted(names)):
        known.namesakes += Contact.objects.filter(company=company, name_key__in=some)
    known.namesakes.sort(key=lambda contact: (contact.uid is None, contact.pk))
    return known


def _intents(company: Company, field: str, values: Collection[Any], *, lock: bool) -> Iterator[PaymentIntent]:
    for some in in_parts(sorted(values)):
        rows = PaymentIntent.objects.filter(company=company, **{f"{field}__in": some}).order_by("pk")
        if lock:
            # Alone: a database may not lock what is joined, where that may be absent.
            list(rows.select_for_update().values_list("pk"))
        yield from rows.select_related("contact")


def in_parts(values: Iterable[T], size: int = TOGETHER) -> Iterator[list[T]]:
    remaining = iter(values)
    while part := list(islice(remaining, size)):
        yield part
