"""What people do about invitations, with why not, and the words around it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from truss_portal.trustist import actions, keys, sync
from truss_portal.trustist.client import TrustistClient
from truss_portal.trustist.models import Invitation

Delivery = Invitation.Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing that people do about invitations. `name` is its address."""

    name: str
    permission: str
    why_not: Callable[[Invitation], str | None]
    do: Callable[[Invitation], None] | None = None
    """What only writes here."""
    look: Callable[[Invitation, TrustistClient], object] | None = None
    """What asks Trustist for something to read."""
    wakes: bool = False
    """Whether they are to be sent afterwards."""
    title: Any
    explained: Any
    promise: Any = None
    """What somebody must have ticked before it is done."""
    done: Any
    log: Any


def why_not_look(invitation: Invitation) -> str | None:
    if invitation.invitation_id is None:
        return _("Trustist doesn't have it, as far as is known.")
    return None


def why_not_fetch(invitation: Invitation) -> str | None:
    if why := why_not_look(invitation):
        return why
    return _("It isn't found at Trustist any more.") if invitation.missing_since else None


def why_not_seen_to(invitation: Invitation) -> str | None:
    return None if invitation.needs_person else _("It needs nobody.")


REFRESH: Final = Verb(
    name="refresh",
    permission="refresh_invitation",
    why_not=why_not_look,
    look=sync.refresh,
    title=gettext_lazy("Refresh from Trustist"),
    explained=gettext_lazy("Trustist is asked how each stands. Nothing is changed there."),
    done=ngettext_lazy("%(count)d invitation was looked at.", "%(count)d invitations were looked at.", "count"),
    log=gettext_lazy("Looked at Trustist."),
)
FETCH_KEYS: Final = Verb(
    name="fetch_keys",
    permission="fetch_merchantkey",
    why_not=why_not_fetch,
    look=keys.fetch,
    title=gettext_lazy("Ask for the merchant's keys"),
    explained=gettext_lazy(
        "Trustist is asked for the keys. New ones are kept encrypted, and those that they replace stay as former ones."
    ),
    done=ngettext_lazy("Keys of %(count)d merchant were asked for.", "Keys of %(count)d merchants were asked for.",
                       "count"),
    log=gettext_lazy("Keys asked for."),
)  # fmt: skip
TRY_AGAIN: Final = Verb(
    name="try_again",
    permission="retry_invitation",
    why_not=actions.why_not_try_again,
    do=lambda invitation: actions.try_again(invitation, wait=False),
    wakes=True,
    title=gettext_lazy("Try again"),
    explained=gettext_lazy("Trustist is asked again. Do this once the cause is mended. Nobody is invited twice."),
    done=ngettext_lazy("%(count)d invitation is tried again.", "%(count)d invitations are tried again.", "count"),
    log=gettext_lazy("Tried again."),
)
SEND_AGAIN: Final = Verb(
    name="send_again",
    permission="settle_invitation",
    why_not=actions.why_not_settle,
    do=lambda invitation: actions.send_again(invitation, wait=False),
    wakes=True,
    title=gettext_lazy("It is not there, send again"),
    explained=gettext_lazy(
        "Trustist's answer was lost, so Trustist may have it. Usually a complete sync decides that by itself. First "
        "look in Trustist's own pages for an invitation to this email: if it is there, the client would get a second "
        "one."
    ),
    promise=gettext_lazy("I have looked at Trustist, and it is not there."),
    done=ngettext_lazy("%(count)d invitation is sent again.", "%(count)d invitations are sent again.", "count"),
    log=gettext_lazy("Said not to be at Trustist, and sent again."),
)
SEEN_TO: Final = Verb(
    name="seen_to",
    permission="retry_invitation",
    why_not=why_not_seen_to,
    do=actions.seen_to,
    title=gettext_lazy("I have seen to it"),
    explained=gettext_lazy("Trustist is not asked for anything. It stays in this list, and calls for nobody any more."),
    done=ngettext_lazy("%(count)d invitation was seen to.", "%(count)d invitations were seen to.", "count"),
    log=gettext_lazy("Seen to."),
)
WITHDRAW: Final = Verb(
    name="withdraw",
    permission="retry_invitation",
    why_not=actions.why_not_withdraw,
    do=actions.withdraw,
    title=gettext_lazy("Withdraw"),
    explained=gettext_lazy("Trustist hasn't been asked, or has refused. The email may then be invited anew."),
    done=ngettext_lazy("%(count)d invitation was withdrawn.", "%(count)d invitations were withdrawn.", "count"),
    log=gettext_lazy("Withdrawn."),
)
VERBS: Final = (REFRESH, FETCH_KEYS, TRY_AGAIN, SEND_AGAIN, SEEN_TO, WITHDRAW)


def may(request: HttpRequest, verb: Verb) -> bool:
    """Whoever may do something about an invitation may see it, too."""
    has = request.user.has_perm
    return has("truss_trustist.view_invitation") and has(f"truss_trustist.{verb.permission}")


class Tool(NamedTuple):
    title: Any


def tools(request: HttpRequest, invitation: Invitation, next_url: str) -> list[dict[str, Any]]:
    """The buttons for what this person may do about it now: an address and a title each."""
    query = urlencode({"ids": str(invitation.pk), "next": next_url})
    found: list[dict[str, Any]] = [
        {"url": f"{reverse(f'admin:truss_trustist_invitation_{verb.name}')}?{query}", "verb": verb}
        for verb in VERBS
        if may(request, verb) and verb.why_not(invitation) is None
    ]
    if may(request, SEND_AGAIN) and actions.candidates(invitation):
        url = reverse("admin:truss_trustist_invitation_which", args=[invitation.pk])
        found.append({"url": url, "verb": Tool(_("Say which one it is"))})
    return found


def notices(invitation: Invitation) -> list[tuple[str, str]]:
    """What somebody should know first: a heading and a text each."""
    error = invitation.error
    found: list[tuple[str, str]] = []
    match invitation.delivery:
        case Delivery.UNCONFIRMED:
            text = _("A complete sync looks for the email in Trustist's list before anything is sent again.")
            found.append((_("Trustist's answer was lost"), f"{error} {text}"))
        case Delivery.FAILED:
            text = _("Try again once that is mended; or withdraw it, and invite anew.")
            found.append((_("Nobody was invited"), f"{error} {text}"))
        case Delivery.QUEUED:
            text = _("trustist_sync asks Trustist by itself.")
            found.append((_("It waits to be sent"), f"{error} {text}".strip()))
        case Delivery.SENT if invitation.needs_person:
            found.append((_("Look at it"), error))
    if invitation.missing_since:
        text = _("It is kept as it was last known. The email may be invited anew.")
        found.append((_("Trustist doesn't know this invitation any more"), text))
    return found
