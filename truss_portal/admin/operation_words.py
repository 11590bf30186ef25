"""Requests to Truss in the words of finance staff: how one stands, and what to do next."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from truss_portal import tasks
from truss_portal.models import Operation

from .rows import badge
from .wording import NOTHING, moment

Kind = Operation.Kind
State = Operation.State


def standing(operation: Operation) -> SafeString | str:
    """The state, in color where somebody could do something."""
    label = operation.get_state_display()
    return badge(label) if operation.needs_person or operation.state == State.UNCONFIRMED else label


def stands(operation: Operation) -> bool:
    """Whether it isn't history yet: it waits, or somebody could do something about it."""
    return operation.needs_person or operation.state in {State.QUEUED, State.SENDING, State.UNCONFIRMED}


def next_try(operation: Operation) -> str:
    """When Truss is asked again by itself."""
    if operation.state != State.QUEUED:
        return NOTHING
    at = operation.next_attempt_at
    if at is not None and at > timezone.now():
        return moment(at)
    return _("A worker's next turn") if tasks.in_background() else _("The next truss_push")


class Notice(NamedTuple):
    """What somebody should know first, and the buttons for what they may do about it."""

    heading: str
    text: str
    tools: Sequence[dict[str, Any]] = ()


def advice(kind: str, state: str, error: str, tools: Sequence[dict[str, Any]] = ()) -> Notice | None:
    """What to do next about a request; None where there is nothing to say."""
    told = _about_send(State(state)) if kind == Kind.CREATE else _about_change(Kind(kind), State(state))
    if told is None:
        return None
    heading, text = told
    return Notice(heading, f"{_sentence(error)} {text}".strip(), tools)


def _sentence(error: str) -> str:
    """With a full stop, where what it quotes hasn't brought one."""
    return f"{error}." if error[-1:].isalnum() or error.endswith(")") else error


def _about_send(state: State) -> tuple[str, str] | None:
    match state:
        case State.REFUSED:
            return _("Truss refused it"), _("Correct the invoice and send it again.")
        case State.UNCONFIRMED:
            text = _("Whether Truss has it shows in the next complete sync (truss_sync). It will not be sent twice.")
            return _("Truss's answer was lost"), text
        case State.GIVEN_UP:
            return _("Given up"), _("The invoice isn't at Truss. Once Truss can be asked again, try again.")
        case State.WITHDRAWN:
            return _("Withdrawn before it was sent"), _("Truss was not asked. Change it, delete it, or send it anew.")
    return _about_change(Kind.CREATE, state)


def _about_change(kind: Kind, state: State) -> tuple[str, str] | None:
    what = {"what": kind.label}
    if kind == Kind.REFRESH and state in {State.REFUSED, State.GIVEN_UP}:
        heading = _("%(what)s: refused") if state == State.REFUSED else _("%(what)s: given up")
        return heading % what, _("Nothing has changed, and nobody is needed: the next sync looks again.")
    match state:
        case State.QUEUED if tasks.in_background():
            return _("%(what)s: waiting") % what, _("A worker asks Truss; what workers leave, truss_push takes.")
        case State.QUEUED:
            return _("%(what)s: waiting") % what, _("truss_push asks Truss by itself.")
        case State.SENDING:
            return _("%(what)s: being asked") % what, _("Truss is being asked at this moment.")
        case State.REFUSED:
            text = _("Once the cause is mended, try again; or say that you have seen to it.")
            return _("%(what)s: refused") % what, text
        case State.UNCONFIRMED:
            text = _("Ask the payer. Trying again may do it a second time; or say that you have seen to it.")
            return _("%(what)s: not confirmed") % what, text
        case State.GIVEN_UP:
            text = _("Once Truss can be asked again, try again; or say that you have seen to it.")
            return _("%(what)s: given up") % what, text
        case State.WITHDRAWN:
            return _("%(what)s: withdrawn") % what, _("Truss was not asked.")
    return None
