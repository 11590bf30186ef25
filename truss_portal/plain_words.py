"""What the client says, in people's language: it knows no Django, and speaks English.

    told(error)        # a sentence or two for a page, from any of the client's exceptions, or of ours
    sentence(rule)     # “The amount must be at least 1.00.”

For logs and the terminal there is `str(error)`, which also names the request.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from truss_portal.client import FieldError, InvalidRequestError
from truss_portal.client.exceptions import ProviderError

# What the fields of a request are called.
FIELDS: Final[Mapping[str, Promise]] = {
    "addenda": gettext_lazy("The description"),
    "total": gettext_lazy("The amount"),
    "due_date": gettext_lazy("The due date"),
    "note": gettext_lazy("The note"),
    "memo": gettext_lazy("The memo"),
    "contact.name": gettext_lazy("The payer's name"),
    "contact.email": gettext_lazy("The payer's email"),
    "contact.secondary_email": gettext_lazy("The payer's secondary email"),
    "contact.phone": gettext_lazy("The payer's phone"),
    "name": gettext_lazy("The name"),
    "email": gettext_lazy("The email"),
    "secondary_email": gettext_lazy("The secondary email"),
    "phone": gettext_lazy("The phone"),
    "request": gettext_lazy("The request"),
}

# The rules, each as it goes on after the field's name.
RULES: Final = (
    gettext_noop("is missing"),
    gettext_noop("is required for a contact without a uid"),
    gettext_noop("must be a date without a time"),
    gettext_noop("must be an amount with at most 12 digits before the point and 2 after it, such as 120.00"),
    gettext_noop("must be an email address"),
    gettext_noop("must be at least %(least)s"),
    gettext_noop("must be later than %(day)s"),
    gettext_noop("must be text"),
    gettext_noop("must change at least one field"),
    gettext_noop("must differ from email"),
    gettext_noop("must have 1 to %(most)s digits and nothing else"),
    gettext_noop("must have at most %(most)s characters, not %(length)s"),
    gettext_noop("must not be empty"),
    gettext_noop("must not be negative"),
    gettext_noop("must not have control characters"),
)

# Why Truss couldn't be asked, or didn't do what was asked.
CAUSES: Final = (
    gettext_noop("Truss couldn't be asked, or didn't do what was asked."),
    gettext_noop("Truss would refuse this, so it was not sent."),
    gettext_noop("Truss refused the request."),
    gettext_noop(
        "Truss doesn't accept the access token: it is wrong, expired or withdrawn. Connect the company again."
    ),
    gettext_noop(
        "The access token doesn't allow this. A scope may be missing: connect the company again with all scopes."
    ),
    gettext_noop(
        "Truss has nothing at this address: the uid belongs to another company or environment, or it was removed."
    ),
    gettext_noop("Truss knows this address but not this method on it: a configured path or method is probably wrong."),
    gettext_noop("Truss asks for fewer requests. Nothing was done; try again later."),
    gettext_noop("Truss has asked us to slow down, so nothing was asked now; try again later."),
    gettext_noop("Truss could not be reached. Nothing was sent; try again later."),
    gettext_noop("Truss was asked but its answer didn't arrive, so it is not known whether it was done."),
    gettext_noop("Truss failed while it worked on the request, so it is not known whether it was done."),
    gettext_noop("Truss's answer can't be understood, so it is not known whether it was done."),
    gettext_noop("The claim ran out before Truss could be asked."),
    gettext_noop("Truss's answer can't be used: %(problem)s."),
    gettext_noop("Truss's answer is longer than %(limit)s bytes."),
    gettext_noop("Truss's answer broke off: %(problem)s"),
    gettext_noop("Truss sent us to another address, which is not followed: is the configured address right?"),
    gettext_noop("Truss refused to give a token: %(problem)s"),
)

# Why a webhook isn't trusted.
SIGNATURES: Final = (
    gettext_noop(
        "The webhook is not signed. Truss leaves the signature out where it has no secret for the address: ask Truss "
        "for one."
    ),
    gettext_noop("The webhook's signature can't be read."),
    gettext_noop(
        "The webhook's signature was made with none of our secrets: it isn't from Truss, or the secret or its encoding "
        "isn't the one that Truss uses."
    ),
    gettext_noop("The webhook's signature is from another time."),
    gettext_noop(
        "The webhook's signature is %(seconds)s seconds old, and %(allowed)s are allowed. Is the clock of this machine "
        "right?"
    ),
    gettext_noop(
        "The webhook's signature is %(seconds)s seconds ahead of our clock, and %(allowed)s are allowed. Is the clock "
        "of this machine right?"
    ),
    gettext_noop(
        "No webhook secret is set, so nobody can tell whether a webhook is from Truss: ask Truss for the secret."
    ),
    gettext_noop(
        'A webhook secret is not made of 64 hex digits, as the encoding "hex" needs it: enter it just as Truss gave '
        'it, or use the encoding "text".'
    ),
)

# The default messages of our own exceptions, which are their docstrings.
OUR_SIDE: Final = (
    gettext_noop("Something is in the way on this side; Truss was not asked."),
    gettext_noop(
        'This company has no connection to Truss: connect it in the admin, or set TRUSS_PORTAL["ACCESS_TOKEN"].'
    ),
    gettext_noop(
        "Truss doesn't renew this company's access any more: somebody must connect it again. Nothing is lost."
    ),
    gettext_noop(
        "This company's access has run out and couldn't be renewed just now. It is tried again; nothing is lost."
    ),
    gettext_noop("The company could not be connected to Truss. Nothing was changed."),
    gettext_noop('TRUSS_PORTAL["ENCRYPTION_KEYS"] has something in it that isn\'t a Fernet key.'),
    gettext_noop("A secret that is kept here can't be decrypted: no key of this site opens it."),
    gettext_noop("That can't be done with this invoice as it stands."),
    gettext_noop("A payer couldn't use a checkout link of this invoice."),
    gettext_noop("Another sync of this company is running."),
    gettext_noop("Truss doesn't answer any more; the rest is left to the next run."),
    gettext_noop(
        "Truss knows none of the invoices that it was asked for. Is the address right, and the token this company's?"
    ),
    gettext_noop("This file can't be read as a table of invoices."),
    gettext_noop(
        "This import isn't kept any more: it is done already, or too old. Upload the file again to see how things are."
    ),
)

TEXTS: Final = (*RULES, *CAUSES, *SIGNATURES, *OUR_SIDE)
_NAME: Final = re.compile(r"%\((\w+)\)s")
_known: Final = set(TEXTS)


def learn(texts: Iterable[str]) -> None:
    """For an app beside this one that speaks to another provider: its texts, marked with `gettext_noop`."""
    _known.update(texts)
    _patterns.cache_clear()


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Each text as it comes when it is filled in. Longest first: what is exact goes before what takes anything."""
    return [(_pattern(text), text) for text in sorted(_known, key=lambda text: (-len(_NAME.sub("", text)), text))]


def _pattern(text: str) -> re.Pattern[str]:
    fixed_and_names = _NAME.split(text)
    parts = (f"(?P<{part}>.+)" if at % 2 else re.escape(part) for at, part in enumerate(fixed_and_names))
    return re.compile("".join(parts), re.DOTALL)


def in_words(text: str) -> str:
    """One of the known texts, filled in or not, in the language of this moment. Any other stays as it is."""
    for pattern, known in _patterns():
        found = pattern.fullmatch(text)
        if found:
            return _(known) % found.groupdict() if found.groupdict() else _(known)
    return text


def sentence(broken: FieldError) -> str:
    """A broken rule, with the field's name for people, where it has one."""
    name = FIELDS.get(broken.field, broken.field)
    return _("%(name)s %(rule)s.") % {"name": name, "rule": in_words(broken.rule)}


def told(error: Exception) -> str:
    """What went wrong, for a page: the cause, the HTTP status, and what Truss said about it."""
    if isinstance(error, InvalidRequestError):
        return " ".join(sentence(broken) for broken in error.errors)
    if not isinstance(error, ProviderError):
        return in_words(str(error))
    text = in_words(error.message)
    if error.status:
        text = _("%(text)s (HTTP status %(status)s)") % {"text": text, "status": error.status}
    if error.said:
        text = _("%(text)s %(provider)s says: %(said)s") % {
            "text": text, "provider": error.provider, "said": error.said,
        }  # fmt: skip
    return text


def money(amount: Decimal) -> str:
    """US dollars, to the cent: $1,234.50.

    Written so in every language: Truss has no other currency and writes it so to the payer, forms and files take the
    point, and $1.500 for 1,500 dollars would be a mistake waiting to happen.
    """
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def number(count: int) -> str:
    """With separators, the same as in amounts: 10,000."""
    return f"{count:,}"
