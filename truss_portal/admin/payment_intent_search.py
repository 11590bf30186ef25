"""Finding invoices among very many: by what an index knows first, and inside the texts where that finds nothing."""

from typing import Any, Final
from uuid import UUID

from django.db import connections
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.text import smart_split, unescape_string_literal

from truss_portal import memo
from truss_portal.models import Contact, PaymentIntent, Transaction

from .payment_intent_filters import newest, of_all_companies
from .payment_intent_ranges import matches
from .rows import UID

Rows = QuerySet[PaymentIntent]

INSIDE: Final = "*"
"""What a search begins with that looks inside numbers and descriptions, too."""
NAMED: Final = 2000
"""So many that are found are named to the database from then on: it looks for them once."""
_LAST_CHARACTER: Final = chr(0x10FFFF)
_ONLY_BEGINNINGS: Final = "_truss_only_beginnings"


def find(request: HttpRequest, rows: Rows, text: str, always_inside: int) -> Rows:
    """Those of the rows that match. Up to `always_inside` invoices every search looks inside the texts."""
    inside = text.startswith(INSIDE)
    text = text.removeprefix(INSIDE).strip()
    if not text:
        return rows
    if marks := memo.marks(text):
        return rows.filter(memo_reference__in=marks)
    if uid := UID.search(text):
        return rows.filter(_of_uid(request, UUID(uid[0])))
    found = _begins_with(rows, text) if newest(request) > always_inside and not inside else None
    if found is None:
        return _inside(rows, text)
    vars(request)[_ONLY_BEGINNINGS] = True
    return found


def only_beginnings(request: HttpRequest) -> bool:
    """Whether more may be found inside the texts than this request has looked at."""
    return bool(vars(request).get(_ONLY_BEGINNINGS))


def _of_uid(request: HttpRequest, uid: UUID) -> Q:
    """An invoice's, or that of one of its payments. Databases store them with dashes or without: compared as one."""
    ours = of_all_companies(request)
    paid = Transaction.objects.filter(ours, uid=uid).values_list("payment_intent", flat=True)
    return (ours & Q(uid=uid)) | Q(pk__in=[*paid])


def _begins_with(rows: Rows, text: str) -> Rows | None:
    """By the beginning of the number or of the description, or by the payer; None where nothing is."""
    parts = (
        _begins(rows.db, "reference", text),
        _begins(rows.db, "addenda", text),
        Q(contact__in=_payers(_words(text))),
    )
    plain = rows.order_by().values_list("pk", flat=True)
    first, *others = (plain.filter(part) for part in parts)
    found = [*first.union(*others, all=True)[: NAMED + 1]]
    if len(found) > NAMED:
        # So many that the newest of them are found without an index; SQLite would take one and sort them all.
        return rows.filter(Q(reference__startswith=text) | Q(addenda__startswith=text) | parts[-1])
    return rows.filter(pk__in=found) if found else None


def _begins(alias: str, column: str, text: str) -> Q:
    """As it is typed, in capitals or in small letters: each database in the way that its indexes help with."""
    wanted = Q()
    for begin in _cases(text):
        match connections[alias].vendor:
            case "sqlite":
                wanted |= Q(**{f"{column}__gte": begin, f"{column}__lt": begin + _LAST_CHARACTER})
            case "postgresql":
                wanted |= Q(**{f"{column}__startswith": begin})
            case _:
                wanted |= Q(**{f"{column}__istartswith": begin})
    return wanted


def _inside(rows: Rows, text: str) -> Rows:
    """Each word somewhere in the number, in the description, or in the payer's name or emails."""
    wanted = Q()
    for word in _words(text):
        somewhere = Q(contact__in=_payers([word]))
        # On MariaDB and MySQL it is the column's collation that says whether letter case matters.
        for written in _cases(word) if connections[rows.db].vendor == "mysql" else {word}:
            somewhere |= Q(reference__icontains=written) | Q(addenda__icontains=written)
        wanted &= somewhere
    matching = rows.filter(wanted)
    found = [*matching.order_by().values_list("pk", flat=True)[: NAMED + 1]]
    return matching if len(found) > NAMED else rows.filter(pk__in=found)


def _cases(text: str) -> set[str]:
    return {text, text.upper(), text.lower(), text.capitalize()}


def _payers(words: list[str]) -> QuerySet[Contact, Any]:
    return Contact.objects.filter(*(matches(word) for word in words)).order_by().values("pk")


def _words(text: str) -> list[str]:
    """Words, or several of them between quotation marks, as elsewhere in the admin."""
    return [
        unescape_string_literal(word) if word[0] in "\"'" and word[0] == word[-1] else word
        for word in smart_split(text)
    ]
