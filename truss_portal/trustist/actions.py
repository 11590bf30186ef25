"""Ask: each thing that the app can do for somebody, named once. Nobody is asked whether they may: see the admin.

invitation = actions.invite(name="Fern & Moss", email="hello@fernandmoss.example", cards=True, actor=request.user)
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal.database import alias, write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.trustist import mirror, outbox, tasks
from truss_portal.trustist.client import CARDS, OPEN_BANKING, CreateInvitationRequest
from truss_portal.trustist.conf import conf
from truss_portal.trustist.models import Invitation
from truss_portal.trustist.models.invitation import email_key

Delivery = Invitation.Delivery

NAME_MAX: Final = 255


def invite(*, name: str, email: str, cards: bool = True, actor: Any = None, wait: bool = True) -> Invitation:
    """Record the wish to invite this client, and let the task backend carry it out. Never raises for Trustist's answer.

    Without `cards` the merchant is never offered card payments; bank payments are always offered. With `wait` set to
    False nobody is woken: somebody else carries out many. Raises InvalidRequestError for what Trustist would refuse,
    and InvitedBeforeError where the email has been invited before, whatever its case.
    """
    name, email = name.strip(), email.strip()
    payment_types = [OPEN_BANKING, CARDS] if cards else [OPEN_BANKING]
    CreateInvitationRequest(name=name, email=email, payment_types=payment_types).validate()
    if len(name) > NAME_MAX:
        raise ActionRefusedError(_("The name must have at most %(most)d characters.") % {"most": NAME_MAX})
    key = email_key(email)
    refuse_known(key)
    now = timezone.now()
    invitation = Invitation(
        environment=conf.environment, name=name, email=email, email_lower=key, email_key=key,
        payment_types=payment_types, invited_by_id=getattr(actor, "pk", None), requested_at=now, known_since=now,
    )  # fmt: skip
    try:
        with write_transaction():
            _free_missing(key)
            invitation.save(force_insert=True)
    except IntegrityError:
        refuse_known(key)  # another process was quicker
        raise
    if wait:
        wake([invitation])
        invitation.refresh_from_db()
    return invitation


def refuse_known(key: str) -> None:
    """Raises InvitedBeforeError. An invitation that has vanished from Trustist is in nobody's way."""
    from truss_portal.trustist.exceptions import InvitedBeforeError

    first = Invitation.objects.of_this_environment().filter(email_key=key, missing_since=None).first()
    if first is None:
        return
    stage = first.get_stage_display() if first.delivery == Delivery.SENT else first.get_delivery_display()
    day = f"{timezone.localtime(first.requested_at or first.known_since):%Y-%m-%d}"
    text = _("%(email)s was invited before: %(first)s, %(day)s (%(stage)s). Nobody is invited twice.")
    raise InvitedBeforeError(text % {"email": first.email, "first": first, "day": day, "stage": stage}, first=first.pk)


def _free_missing(key: str) -> None:
    gone = Invitation.objects.of_this_environment().filter(email_key=key, missing_since__isnull=False)
    gone.update(email_key=None)


def wake(invitations: Sequence[Invitation]) -> None:
    """Have these sent, once they are committed: by workers, or right here with the immediate backend."""
    ids = [invitation.pk for invitation in invitations]
    if ids:
        transaction.on_commit(partial(tasks.wake_outbox, ids), using=alias())


def why_not_try_again(invitation: Invitation) -> str | None:
    if invitation.delivery in {Delivery.QUEUED, Delivery.FAILED} and invitation.email_key:
        return None
    if invitation.delivery == Delivery.SENDING:
        return _("Trustist is being asked at this moment.")
    if invitation.delivery == Delivery.UNCONFIRMED:
        return _("Trustist may have it. The next sync looks for it; it is not sent twice.")
    return _("It doesn't wait to be sent.")


def try_again(invitation: Invitation, *, wait: bool = True) -> None:
    """Have one that waits or has failed sent now. Raises ActionRefusedError."""
    if why := why_not_try_again(invitation):
        raise ActionRefusedError(why)
    mine = Invitation.objects.filter(pk=invitation.pk, delivery__in=[Delivery.QUEUED, Delivery.FAILED])
    with write_transaction():
        mine.update(delivery=Delivery.QUEUED, next_attempt_at=None, needs_person=False, attempts=0, error="")
    if wait:
        wake([invitation])
    invitation.refresh_from_db()


def why_not_withdraw(invitation: Invitation) -> str | None:
    if invitation.delivery in {Delivery.QUEUED, Delivery.FAILED}:
        return None
    if invitation.delivery == Delivery.SENDING:
        return _("Trustist is being asked at this moment.")
    if invitation.delivery == Delivery.WITHDRAWN:
        return _("It is withdrawn already.")
    return _("Trustist has it, or may have it, and has no way to take an invitation back.")


def withdraw(invitation: Invitation) -> None:
    """Take back one that Trustist doesn't have; its email may then be invited anew. Raises ActionRefusedError."""
    mine = Invitation.objects.filter(pk=invitation.pk, delivery__in=[Delivery.QUEUED, Delivery.FAILED])
    with write_transaction():
        done = mine.update(
            delivery=Delivery.WITHDRAWN, email_key=None, next_attempt_at=None, needs_person=False, error=""
        )
    invitation.refresh_from_db()
    if not done:
        raise ActionRefusedError(why_not_withdraw(invitation) or "")


def why_not_settle(invitation: Invitation) -> str | None:
    if invitation.delivery == Delivery.UNCONFIRMED:
        return None
    return _("Only one whose answer was lost can be settled.")


def send_again(invitation: Invitation, *, wait: bool = True) -> None:
    """Somebody has looked, and Trustist doesn't have it. Raises ActionRefusedError."""
    with write_transaction():
        done = outbox.queue_again(outbox.unconfirmed().filter(pk=invitation.pk), "")
    invitation.refresh_from_db()
    if not done:
        raise ActionRefusedError(why_not_settle(invitation) or "")
    if wait:
        wake([invitation])
        invitation.refresh_from_db()


def candidates(invitation: Invitation) -> list[Invitation]:
    """Which ones that nobody asked for here an unconfirmed one may be: those with its email, or with none told."""
    if invitation.delivery != Delivery.UNCONFIRMED:
        return []
    found = Invitation.objects.of_this_environment().at_trustist().filter(requested_at=None, missing_since=None)
    return list(found.filter(email_lower__in=["", invitation.email_lower]).order_by("-email_lower", "-pk")[:50])


def this_is_it(invitation: Invitation, found: Invitation) -> None:
    """Somebody has looked: what stands at Trustist as `found` is this one. Raises ActionRefusedError."""
    if found not in candidates(invitation) or not mirror.merge(invitation, found):
        raise ActionRefusedError(_("These two can't be one and the same any more: look again."))
    invitation.refresh_from_db()


def seen_to(invitation: Invitation) -> None:
    """Somebody has looked after it: it stays as it is, and calls for nobody any more."""
    Invitation.objects.filter(pk=invitation.pk).update(needs_person=False)
    invitation.refresh_from_db()
