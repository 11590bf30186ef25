"""What the portal shows to whoever signs in with an email, and everything else of that payer with the reason."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Case, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Lower

from truss_portal.conf import conf
from truss_portal.models import Company, Contact, Operation, PaymentIntent

from .look_alikes import LookAlike, look_alikes
from .obstacles import Obstacle, obstacles, same_address, shown_to, signs_in_with

MOST: Final = 200
"""So many invoices of each sort, and so many payers, are named. All are counted."""
# Long enough that a sync by cron has failed, rather than being due soon.
STALE_AFTER: Final = timedelta(days=1)

_EMAILS: Final = frozenset({"email", "secondary_email"})
State = Operation.State
_WAITING: Final = (State.QUEUED, State.SENDING, State.UNCONFIRMED)
_STUCK: Final = (State.REFUSED, State.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class Hidden:
    intent: PaymentIntent
    obstacles: list[Obstacle]


@dataclass(slots=True, kw_only=True)
class Answer:
    """For one email. Invoices have `company` and `contact` at hand."""

    email: str
    payers: list[Contact] = field(default_factory=list)
    """Who is let in by this email, in whichever company."""
    others: list[Contact] = field(default_factory=list)
    """Who has another email and may be the same payer: of one name in one company, asked about, or to get this one."""
    look_alikes: list[LookAlike] = field(default_factory=list)
    """Who may be meant; looked for where nobody is let in."""
    changes: list[Operation] = field(default_factory=list)
    """Changes of these payers' emails which Truss hasn't made yet."""
    about: Hidden | None = None
    """The invoice that was asked about; without obstacles where the portal shows it."""
    shown: list[PaymentIntent] = field(default_factory=list)
    shown_count: int = 0
    left: Decimal = Decimal(0)
    """What is left to pay on all that is shown, in US dollars."""
    hidden: list[Hidden] = field(default_factory=list)
    hidden_count: int = 0
    companies: list[Company] = field(default_factory=list)
    """Whose portals the payer may have opened: of this environment alone."""

    def invoices(self) -> Iterator[PaymentIntent]:
        """All that are named, each once, the one that was asked about first."""
        named = [self.about.intent] if self.about else []
        yield from {
            intent.pk: intent for intent in (*named, *self.shown, *(each.intent for each in self.hidden))
        }.values()

    def is_old(self, intent: PaymentIntent, now: datetime) -> bool:
        """Whether Truss may have changed it since it was last looked at."""
        return intent.uid is not None and _is_old(intent.known_as_of, now)

    def not_listed_lately(self, now: datetime) -> list[Company]:
        """Of these companies those whose invoices may be others by now: no complete sync for a day, or none at all."""
        return [company for company in self.companies if _is_old(company.listed_at, now)]


def look(
    email: str,
    *,
    contacts: QuerySet[Contact],
    intents: QuerySet[PaymentIntent],
    about: PaymentIntent | None = None,
    payer: Contact | None = None,
) -> Answer:
    """In a few statements, among these payers and invoices. `about` and `payer` are what the question came from."""
    contacts, intents = contacts.select_related("company"), intents.select_related("company", "contact")
    answer = Answer(email=email, payers=_let_in(email, contacts))
    waiting = _waiting_changes()
    asked = payer or (about.contact if about else None)
    meant = [change.contact for change in waiting if change.contact and _changes_to(change, email)]
    answer.others = _namesakes([*answer.payers, *([asked] if asked else []), *meant], email, contacts)
    everybody = [*answer.payers, *answer.others]
    known = {contact.pk for contact in everybody}
    answer.changes = [change for change in waiting if change.contact_id in known]
    if not answer.payers:
        answer.look_alikes = [alike for alike in look_alikes(email, contacts) if alike.contact.pk not in known]
    if about is not None:
        answer.about = Hidden(about, obstacles(about, email))
    _count_and_name(answer, intents.filter(contact__in=known))
    answer.companies = _companies(everybody)
    return answer


def _let_in(email: str, contacts: QuerySet[Contact]) -> list[Contact]:
    """The database may fold more letters than A to Z: what it finds is compared once more."""
    low = Lower(Value(email))
    found = contacts.annotate(low_email=Lower("email"), low_secondary=Lower("secondary_email")).filter(
        Q(low_email=low) | Q(low_secondary=low)
    )
    return [contact for contact in found.order_by("name", "pk")[:MOST] if signs_in_with(contact, email)]


def _namesakes(known: list[Contact], email: str, contacts: QuerySet[Contact]) -> list[Contact]:
    names = {(contact.company_id, contact.name_key) for contact in known}
    if not names:
        return []
    alike = contacts.filter(company__in={pk for pk, _name in names}, name_key__in={name for _pk, name in names})
    return [
        contact
        for contact in alike.order_by("name", "pk")[: 2 * MOST]
        if (contact.company_id, contact.name_key) in names and not signs_in_with(contact, email)
    ][:MOST]


def _waiting_changes() -> list[Operation]:
    """Of payers' emails, wherever: few at any time. What is done, withdrawn or seen to is no change to come.

    By their state, which has an index, and in no order: else SQLite goes through all that was ever asked of Truss.
    """
    unfinished = Operation.objects.filter(kind=Operation.Kind.UPDATE_CONTACT, state__in=[*_WAITING, *_STUCK])
    some = unfinished.filter(Q(state__in=_WAITING) | Q(needs_person=True)).select_related("contact").order_by()[:MOST]
    return [operation for operation in some if _EMAILS & operation.body.keys()]


def _changes_to(change: Operation, email: str) -> bool:
    return any(same_address(change.body.get(name) or "", email) for name in _EMAILS)


def _count_and_name(answer: Answer, theirs: QuerySet[PaymentIntent]) -> None:
    seen = shown_to([contact.pk for contact in answer.payers])
    payable = Q(status__in=PaymentIntent.Status.PAYABLE, total__gt=F("balance_paid"))
    counted = theirs.aggregate(
        all=Count("pk"),
        shown=Count("pk", filter=seen),
        left=Sum(F("total") - F("balance_paid"), filter=seen & payable),
    )
    answer.shown_count, answer.left = counted["shown"], counted["left"] or Decimal(0)
    answer.hidden_count = counted["all"] - counted["shown"]
    if answer.shown_count:
        first = Case(When(payable, then=Value(0)), default=Value(1))
        answer.shown = list(theirs.filter(seen).order_by(first, "-pk")[:MOST])
    if answer.hidden_count:
        rest = theirs.exclude(seen).order_by("-pk")[:MOST]
        answer.hidden = [Hidden(intent, obstacles(intent, answer.email)) for intent in rest]


def _companies(payers: Iterable[Contact]) -> list[Company]:
    """Of this environment: those of the payers; where they have none there, all that could be meant."""
    found = {contact.company_id: contact.company for contact in payers}
    here = [company for company in found.values() if company.environment == conf.environment]
    return here or list(Company.objects.of_this_environment())


def _is_old(known: datetime | None, now: datetime) -> bool:
    return known is None or known < now - STALE_AFTER
