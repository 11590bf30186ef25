"""What people do about requests that don't get on by themselves, with why not, and the words around it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from truss_portal import actions
from truss_portal.models import Operation

Kind = Operation.Kind
State = Operation.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing that people do about requests here. `name` is its address."""

    name: str
    permission: str
    """The first part of the permission's name, `retry` of `retry_operation`."""
    why_not: Callable[[Operation], str | None]
    ask: Callable[..., Operation] | None = None
    """The action for one, which asks Truss for something."""
    settle: Callable[[list[int], Any], int] | None = None
    """What asks Truss for nothing, by primary keys and who does it. Returns how many."""
    title: Any
    sum: Any
    explained: tuple[Any, ...]
    """What it means, in paragraphs, read before it is done."""
    promise: Any = None
    """What somebody must have ticked before it is done."""
    button: Any
    done: Any
    log: Any


def why_not_withdraw(operation: Operation) -> str | None:
    if operation.state == State.QUEUED:
        return None
    if operation.state == State.SENDING:
        return _("Truss is being asked at this moment.")
    return _("Only what waits can be withdrawn.")


def why_not_dismiss(operation: Operation) -> str | None:
    if operation.needs_person:
        return None
    if operation.state == State.UNCONFIRMED:
        return _("It isn't settled: the next complete sync shows whether Truss has it.")
    return _("It needs nobody.")


TRY_AGAIN: Final = Verb(
    name="try_again",
    permission="retry",
    why_not=actions.why_not_try_again,
    ask=actions.try_again,
    title=gettext_lazy("Try again"),
    sum=ngettext_lazy(
        "Truss is asked again for %(count)s request.", "Truss is asked again for %(count)s requests.", "number"
    ),
    explained=(
        gettext_lazy("Do this once the cause is mended, or when the next try is too long to wait for."),
        gettext_lazy(
            "An invoice that is at Truss is never sent twice. An email that may have gone out already may reach the "
            "payer twice."
        ),
    ),
    button=gettext_lazy("Try again"),
    done=ngettext_lazy("Truss has done it: %(count)d request.", "Truss has done them: %(count)d requests.", "count"),
    log=gettext_lazy("Tried again"),
)
SEND_AGAIN: Final = Verb(
    name="send_again",
    permission="settle",
    why_not=actions.why_not_send_again,
    ask=actions.send_again,
    title=gettext_lazy("It is not there, send again"),
    sum=ngettext_lazy("%(count)s invoice is sent once more.", "%(count)s invoices are sent once more.", "number"),
    explained=(
        gettext_lazy(
            "Truss's answer was lost, so Truss may have it. Usually a complete sync decides that by itself: do this "
            "only where none can be had."
        ),
        gettext_lazy(
            "First look in Truss's own pages for an invoice to this payer over this amount, made at about the time "
            "that stands below. If it is this one, its private memo has the mark that stands below."
        ),
        gettext_lazy(
            "If it is there, don't send it again: the payer would be asked for the money twice. The next sync finds "
            "it. If you aren't sure, wait."
        ),
    ),
    promise=gettext_lazy("I have looked at Truss, and it is not there."),
    button=gettext_lazy("It is not there, send again"),
    done=ngettext_lazy("%(count)d invoice was sent to Truss.", "%(count)d invoices were sent to Truss.", "count"),
    log=gettext_lazy("Said not to be at Truss, and sent again"),
)
DISMISS: Final = Verb(
    name="dismiss",
    permission="retry",
    why_not=why_not_dismiss,
    # Who did so is in the admin log: an operation has no place for it.
    settle=lambda ids, _person: actions.dismiss(ids),
    title=gettext_lazy("I have seen to it"),
    sum=ngettext_lazy("%(count)s request needs nobody any more.", "%(count)s requests need nobody any more.", "number"),
    explained=(
        gettext_lazy("Truss is not asked for anything. It stays in this list, and no longer calls for a person."),
    ),
    button=gettext_lazy("I have seen to it"),
    done=ngettext_lazy("%(count)d request was seen to.", "%(count)d requests were seen to.", "count"),
    log=gettext_lazy("Seen to"),
)
WITHDRAW: Final = Verb(
    name="withdraw",
    permission="retry",
    why_not=why_not_withdraw,
    settle=lambda ids, person: actions.withdraw(ids, actor=person),
    title=gettext_lazy("Withdraw"),
    sum=ngettext_lazy("%(count)s request is taken back.", "%(count)s requests are taken back.", "number"),
    explained=(
        gettext_lazy(
            "Truss has not been asked for it and isn't asked any more. An invoice that wasn't sent can then be "
            "changed, deleted or sent later."
        ),
    ),
    button=gettext_lazy("Withdraw"),
    done=ngettext_lazy("%(count)d request was withdrawn.", "%(count)d requests were withdrawn.", "count"),
    log=gettext_lazy("Withdrawn before Truss was asked"),
)
VERBS: Final = (TRY_AGAIN, SEND_AGAIN, DISMISS, WITHDRAW)


def may(request: HttpRequest, verb: Verb) -> bool:
    """Whoever may do something about a request may see it, too."""
    has = request.user.has_perm
    return has("truss_portal.view_operation") and has(f"truss_portal.{verb.permission}_operation")


def tools(request: HttpRequest, operation: Operation, next_url: str) -> list[dict[str, Any]]:
    """The buttons for what this person may do about it now: an address and a title each."""
    if operation.state in {State.DONE, State.WITHDRAWN, State.SENDING}:
        return []
    query = urlencode({"ids": str(operation.pk), "next": next_url})
    return [
        {"url": f"{reverse(f'admin:truss_portal_operation_{verb.name}')}?{query}", "verb": verb}
        for verb in VERBS
        if may(request, verb) and verb.why_not(operation) is None
    ]
