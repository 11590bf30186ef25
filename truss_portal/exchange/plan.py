"""What each line would do to what is known: write a new invoice, change one, nothing, or it can't be done. Pure.

A line becomes what `actions.draft` would make of it; a column that the file doesn't have leaves its field as it is.
"""

import copy
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from truss_portal import actions
from truss_portal.client import InvalidRequestError
from truss_portal.models import Company, Contact, PaymentIntent
from truss_portal.models.contact import name_key
from truss_portal.plain_words import in_words

from . import cells, columns
from .columns import BY_FIELD
from .lines import Problem, Wanted, problem

Delivery = PaymentIntent.Delivery

# Columns of the invoice itself, in the order in which changes are told.
OF_INVOICE: Final = (
    columns.TOTAL, columns.ADDENDA, columns.DUE_DATE, columns.NOTE, columns.MEMO, columns.SEND_EMAIL, columns.SEND_SMS,
)  # fmt: skip
_OF_PAYER: Final = (columns.SECONDARY_EMAIL, columns.PHONE)
_SEPARATOR: Final = "\x1f"


class Kind(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    SKIPPED = "skipped"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Change:
    """`field` is a column's; `was` and `now` are plain: 120.00, 2026-05-15, yes."""

    field: str
    was: str
    now: str

    @property
    def label(self) -> str:
        return str(BY_FIELD[self.field].label)


@dataclass(slots=True)
class Outcome:
    """What one line would do."""

    wanted: Wanted
    kind: Kind
    problems: list[Problem] = field(default_factory=list)
    reason: str = ""
    """Why it is skipped."""
    changes: list[Change] = field(default_factory=list)
    """Of the invoice, where it exists; and of the payer."""
    warning: str = ""
    intent: PaymentIntent | None = None
    """Filled in and valid, to be written; its `contact` may be unsaved, and be shared with other lines."""
    fingerprint: str = ""
    """The same for the same change of the same state: what was seen in a preview is what is written."""

    @property
    def why(self) -> str:
        """Why nothing is written, in sentences."""
        return self.reason or " ".join(str(problem) for problem in self.problems)


@dataclass(slots=True)
class Known:
    """What the database has about the lines of a file."""

    by_reference: dict[str, PaymentIntent] = field(default_factory=dict)
    by_uid: dict[UUID, PaymentIntent] = field(default_factory=dict)
    namesakes: list[Contact] = field(default_factory=list)
    """All payers of the company with one of the names in the file: Truss's first, then the oldest."""


class Planner:
    """Plans lines of one file for one company. Payers that a line brings are there for the lines after it."""

    def __init__(self, company: Company, known: Known, headings: dict[str, tuple[str, int]]) -> None:
        self.company = company
        self.known = known
        self.headings = headings
        self.changed_payers: dict[int, Contact] = {}
        """Payers that exist and get a phone or a secondary email, by primary key."""
        self._payers: dict[tuple[str, str], Contact] = {}
        self._said: dict[tuple[Any, str], tuple[int, str]] = {}
        """What which line has said of a payer."""
        for contact in known.namesakes:
            self._payers.setdefault(_key(contact), contact)

    def plan(self, lines: Iterable[Wanted]) -> list[Outcome]:
        outcomes = [self._outcome(wanted) for wanted in lines]
        self._warn_of_namesakes(outcomes)
        return outcomes

    def _outcome(self, wanted: Wanted) -> Outcome:
        if wanted.passed_over:
            return Outcome(wanted, Kind.SKIPPED, reason=wanted.passed_over)
        intent = self._find(wanted)
        if intent is not None and not intent.is_editable:
            return Outcome(wanted, Kind.SKIPPED, reason=self._why_not_editable(intent, wanted))
        if wanted.problems:
            return Outcome(wanted, Kind.WRONG, list(wanted.problems))
        if intent is None and not wanted.reference:
            text = _("is empty, and no invoice with the line's Truss UID is known here")
            return Outcome(wanted, Kind.WRONG, [self._at(columns.REFERENCE, text)])
        return self._written(wanted, intent)

    def _find(self, wanted: Wanted) -> PaymentIntent | None:
        by_reference = self.known.by_reference
        if wanted.reference:
            return by_reference.get(wanted.reference_as_written) or by_reference.get(wanted.reference)
        uid: UUID | None = wanted.values.get(columns.UID)
        return None if uid is None else self.known.by_uid.get(uid)

    def _at(self, field: str, text: str) -> Problem:
        return problem(self.headings, field, text)

    # --- an invoice that Truss has, or is getting

    def _why_not_editable(self, intent: PaymentIntent, wanted: Wanted) -> str:
        changes = _differences(intent, wanted.values)
        contact = intent.contact
        # An email that Truss has lost, or one that couldn't be read, is no other payer.
        named = wanted.values.get(columns.NAME) and wanted.values.get(columns.EMAIL)
        if contact is not None and named and wanted.payer != _key(contact):
            changes.append(Change(columns.NAME, _called(contact), _named(wanted)))
        unread = [str(problem) for problem in wanted.problems if problem.field in wanted.shown]
        if not changes and not unread:
            return _("Nothing differs.")
        told = [
            _("%(field)s: “%(was)s” here, “%(now)s” in the file.")
            % {"field": capfirst(change.label), "was": change.was, "now": change.now}
            for change in changes
        ]
        match intent.delivery:
            case Delivery.SENT:
                text = _("At Truss already, so the file doesn't change it: change it on its own page.")
            case Delivery.UNCONFIRMED:
                text = _("Sent, and Truss's answer was lost: wait until that is cleared up.")
            case _:
                text = _("Being sent, so the file doesn't change it.")
        return " ".join([text, *told, *unread])

    # --- an invoice that is still ours, or isn't there yet

    def _written(self, wanted: Wanted, known: PaymentIntent | None) -> Outcome:
        row = self._row(wanted, known)
        payer, of_payer, refusal = self._payer(wanted, row)
        if refusal is not None:
            return Outcome(wanted, Kind.WRONG, [refusal])
        if known is None:
            intent = PaymentIntent(company=self.company, reference=wanted.reference)
            intent.balance_paid = Decimal(0)
            changes: list[Change] = []
        else:
            intent = copy.copy(known)
            changes = _differences(known, wanted.values)
            if known.contact is None or known.contact_id != payer.pk:
                changes.insert(0, Change(columns.NAME, _called(known.contact), _named(wanted)))
            if not changes and not of_payer:
                self._take(wanted, payer, row)
                return Outcome(wanted, Kind.SKIPPED, reason=_("Nothing differs."))
        intent.contact = payer
        for name in OF_INVOICE:
            if name in wanted.values and (known is None or any(change.field == name for change in changes)):
                setattr(intent, name, wanted.values[name])
        try:
            actions.validate(intent)
        except InvalidRequestError as error:
            broken = [self._at(rule.field.removeprefix("contact."), in_words(rule.rule)) for rule in error.errors]
            return Outcome(wanted, Kind.WRONG, broken)
        intent.contact = self._take(wanted, payer, row)
        return Outcome(
            wanted,
            Kind.NEW if known is None else Kind.CHANGED,
            changes=[*changes, *of_payer],
            intent=intent,
            fingerprint=_fingerprint(wanted, known, changes),
        )

    def _row(self, wanted: Wanted, known: PaymentIntent | None) -> Contact | None:
        """The payer as far as it is known, as `contacts.row_for` finds it; one that the invoice has and that is called
        the same stays.
        """
        contact = known.contact if known is not None else None
        if contact is not None and _key(contact) == wanted.payer:
            return self.changed_payers.get(contact.pk, contact)
        return self._payers.get(wanted.payer)

    def _payer(self, wanted: Wanted, row: Contact | None) -> tuple[Contact, list[Change], Problem | None]:
        """The payer as the line wants it, what that changes, and why it can't be had. Nothing is changed yet."""
        values = wanted.values
        given = _of_payer(wanted)
        for name, value in given.items():
            line, said = self._said.get((_identity(wanted, row), name), (0, value))
            if said != value:
                text = _("differs from line %(line)d, which is about the same payer (“%(said)s”): make them the same")
                return Contact(), [], self._at(name, text % {"line": line, "said": said})
        if row is None:
            name, email = values[columns.NAME], values[columns.EMAIL]
            new = Contact(company=self.company, name=name, name_key=name_key(name), email=email, **given)
            return new, [], None
        changes = [
            Change(name, getattr(row, name), value)
            for name, value in given.items()
            if value not in {getattr(row, name), cells.as_phone(getattr(row, name))}
        ]
        if not changes:
            return row, [], None
        if row.uid is not None:
            text = _("differs from what Truss has (“%(was)s”): change it on the payer's page first, or leave it empty")
            return row, [], self._at(changes[0].field, text % {"was": changes[0].was or _("nothing")})
        wished = copy.copy(row)
        for change in changes:
            setattr(wished, change.field, change.now)
        return wished, [] if row._state.adding else changes, None

    def _take(self, wanted: Wanted, payer: Contact, row: Contact | None) -> Contact:
        """From now on the payer is as the line wants it, and one object for all the lines that name it."""
        for name, value in _of_payer(wanted).items():
            self._said.setdefault((_identity(wanted, row), name), (wanted.line, value))
        if payer is row:
            return payer
        if row is not None and row._state.adding:
            # The lines before this one hold the object that is going to be saved.
            for name in _OF_PAYER:
                setattr(row, name, getattr(payer, name))
            return row
        if row is not None:
            self.changed_payers[payer.pk] = payer
        if row is self._payers.get(wanted.payer):
            self._payers[wanted.payer] = payer
        return payer

    # --- what sending would refuse

    def _warn_of_namesakes(self, outcomes: list[Outcome]) -> None:
        """Truss tells customers apart by name: see `contacts.same_name_traps`, which says so again before sending."""
        by_name: dict[str, list[Contact]] = {}
        for contact in [*self.known.namesakes, *(payer for payer in self._payers.values() if payer._state.adding)]:
            by_name.setdefault(contact.name_key, []).append(contact)
        for outcome in outcomes:
            payer = outcome.intent.contact if outcome.intent else None
            if payer is None or payer.uid is not None:
                continue
            other = next((it for it in by_name.get(payer.name_key, ()) if not it.has_email(payer.email)), None)
            if other is not None:
                outcome.warning = _(
                    "Can't be sent as it is: another payer is named “%(name)s”, too (%(other)s), and Truss tells "
                    "customers apart by name. Give one of them another name, such as “%(name)s (2)”."
                ) % {"name": payer.name, "other": other.email or _("no email")}


def _key(contact: Contact) -> tuple[str, str]:
    return contact.name_key, contact.email.casefold()


def _of_payer(wanted: Wanted) -> dict[str, str]:
    """What the line says of its payer besides name and email. Nothing said leaves it as it is."""
    return {name: wanted.values[name] for name in _OF_PAYER if wanted.values.get(name)}


def _identity(wanted: Wanted, row: Contact | None) -> Any:
    return wanted.payer if row is None or row._state.adding else row.pk


def _differences(intent: PaymentIntent, values: dict[str, Any]) -> list[Change]:
    return [
        Change(name, _as_text(getattr(intent, name)), _as_text(values[name]))
        for name in OF_INVOICE
        if name in values and _as_text(getattr(intent, name)) != _as_text(values[name])
    ]


def _as_text(value: Any) -> str:
    """Comparable, storable, and plain to read."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return f"{value:.2f}" if value == round(value, 2) else str(value)
        case date():
            return value.isoformat()
    return cells.tidy(str(value))


def _called(contact: Contact | None) -> str:
    return f"{contact.name} ({contact.email})" if contact is not None else ""


def _named(wanted: Wanted) -> str:
    return f"{wanted.values[columns.NAME]} ({wanted.values[columns.EMAIL]})"


def _fingerprint(wanted: Wanted, known: PaymentIntent | None, changes: Iterable[Change]) -> str:
    """The payer's phone and secondary email aren't in it: the first of several lines brings them for all."""
    parts = [
        "" if known is None else str(known.pk),
        wanted.reference,
        *wanted.payer,
        *(f"{name}={_as_text(wanted.values[name])}" for name in OF_INVOICE if name in wanted.values),
        *(f"{change.field}:{change.was}" for change in changes),
    ]
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()[:16]
