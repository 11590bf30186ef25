"""Payers who may be meant where no payer has the email that somebody signs in with."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower, Replace
from django.utils.translation import gettext as _

from truss_portal.models import Contact

MOST: Final = 10
# How many that come close are fetched to be compared letter by letter.
COMPARED: Final = 500
# A shorter word is part of too many names.
SHORTEST_WORD: Final = 4
# Where everybody may have an address: to share one of these says nothing.
PUBLIC_DOMAINS: Final = frozenset(
    {
        "aol.com", "att.net", "comcast.net", "cox.net", "fastmail.com", "gmail.com", "gmx.com", "gmx.net",
        "hotmail.com", "icloud.com", "live.com", "mac.com", "mail.com", "me.com", "msn.com", "outlook.com",
        "pm.me", "proton.me", "protonmail.com", "sbcglobal.net", "verizon.net", "yahoo.ca", "yahoo.com",
        "ymail.com", "zoho.com",
    }
)  # fmt: skip


class Likeness(IntEnum):
    """How it resembles what was typed, the closest first."""

    ONE_TYPO = 1
    SAME_NAME = 2
    SAME_DOMAIN = 3

    @property
    def label(self) -> str:
        return {
            Likeness.ONE_TYPO: _("differs in one place"),
            Likeness.SAME_NAME: _("the name fits"),
            Likeness.SAME_DOMAIN: _("same domain"),
        }[self]


@dataclass(frozen=True, slots=True)
class LookAlike:
    contact: Contact
    email: str
    """Which of the contact's two."""
    likeness: Likeness


def look_alikes(email: str, contacts: QuerySet[Contact]) -> list[LookAlike]:
    """The closest few. In one statement, which reads all of these contacts: for when nobody has that very email."""
    local, _at, domain = email.lower().rpartition("@")
    if not local or not domain:
        return []
    rows = contacts.annotate(
        low_email=Lower("email"), low_secondary=Lower("secondary_email"), squeezed=Replace("name_key", Value(" "))
    )
    close = Q()
    for column in ("low_email", "low_secondary"):
        for likely in _places(column, local, domain):
            close |= likely
    words = _words(local, domain)
    for word in words:
        close |= Q(squeezed__contains=word)
    rows = rows.filter(close).select_related("company").order_by("pk")[:COMPARED]
    found = sorted((alike for row in rows for alike in _compared(row, local, domain, words)), key=_closeness)
    return found[:MOST]


def _places(column: str, local: str, domain: str) -> Iterator[Q]:
    """Where addresses are found that differ in one place: one half is the same, and of the other a third.

    One typo touches two neighbouring letters at most, so either the first or the last third stands as it was. One or
    two letters at a public domain are like everybody's: only its spelling is looked at then.
    """
    third = len(local) // 3
    at_domain = Q(**{f"{column}__endswith": f"@{domain}"})
    if domain not in PUBLIC_DOMAINS:
        yield at_domain
    elif third:
        yield at_domain & Q(**{f"{column}__startswith": local[:third]})
        yield Q(**{f"{column}__endswith": f"{local[-third:]}@{domain}"})
    yield Q(**{f"{column}__startswith": f"{local}@"})


def _words(local: str, domain: str) -> list[str]:
    """What a payer of this address may be called: jane.doe@… as Jane Doe, …@ortegabakery.example as Ortega Bakery."""
    words = ["".join(filter(str.isalnum, local))]
    if domain not in PUBLIC_DOMAINS:
        words.append(domain.partition(".")[0])
    return [word for word in words if len(word) >= SHORTEST_WORD]


def _compared(contact: Contact, local: str, domain: str, words: list[str]) -> Iterator[LookAlike]:
    """The better one of the contact's emails; nothing where the database found something that doesn't count."""
    squeezed = "".join(contact.name_key.split())
    fits = any(word in squeezed for word in words)
    alike = []
    for email in filter(None, (contact.email, contact.secondary_email)):
        if is_one_typo(f"{local}@{domain}", email.lower()):
            alike.append(LookAlike(contact, email, Likeness.ONE_TYPO))
        elif fits:
            alike.append(LookAlike(contact, email, Likeness.SAME_NAME))
        elif domain not in PUBLIC_DOMAINS and email.lower().rpartition("@")[2] == domain:
            alike.append(LookAlike(contact, email, Likeness.SAME_DOMAIN))
    if alike:
        yield min(alike, key=_closeness)


def _closeness(alike: LookAlike) -> tuple[int, str, int]:
    return alike.likeness, alike.contact.name_key, alike.contact.pk


def is_one_typo(one: str, other: str) -> bool:
    """Whether one letter too many, too few, or another, or two neighbours that swapped places, make the difference.

    Two that are the same count, too: databases don't agree on what letter case is outside of A to Z.
    """
    if len(one) > len(other):
        one, other = other, one
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    swapped = one[at : at + 2] == other[at : at + 2][::-1] and one[at + 2 :] == other[at + 2 :]
    return one[at + 1 :] == other[at + 1 :] or swapped
