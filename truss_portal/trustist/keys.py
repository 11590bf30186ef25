"""Merchants' keys: asked for when there should be some, gently before that, and kept by `mirror`."""

import logging
from datetime import timedelta
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal.exceptions import EncryptionKeysError
from truss_portal.plain_words import told
from truss_portal.trustist import mirror
from truss_portal.trustist.client import TrustistClient, TrustistError
from truss_portal.trustist.models import Invitation

logger = logging.getLogger("truss_portal.trustist.keys")

# When keys become available isn't published. After the merchant is complete: 1, 2, 4 … minutes, at most an hour.
SOON: Final = timedelta(minutes=1)
AT_LATEST: Final = timedelta(hours=1)
# Before that: 1, 2, 4 … hours, at most a day.
GENTLY: Final = timedelta(hours=1)
# Known ones are looked at again, as nobody is told when they change.
AGAIN: Final = timedelta(days=1)


def fetch(invitation: Invitation, client: TrustistClient) -> int:
    """Ask for the keys of the merchant behind it, and keep them. Returns how many are new.

    None there yet is no error. Raises TrustistError, and EncryptionKeysError where they can't be kept: both are written
    on the invitation, too.
    """
    if invitation.invitation_id is None:
        return 0
    asked_at = timezone.now()
    try:
        keys = client.fetch_merchant_keys(invitation.invitation_id)
        new = mirror.write_keys(invitation, keys, asked_at=asked_at)
    except (TrustistError, EncryptionKeysError) as error:
        _note(invitation, told(error), has_keys=False)
        raise
    has_keys = bool(keys) or invitation.merchant_keys.exists()
    _note(invitation, _not_told() if has_keys and not keys else "", has_keys=has_keys)
    if new:
        logger.info("Trustist told %d new keys of the merchant behind invitation %s.", new, invitation.pk)
    return new or 0


def _not_told() -> str:
    return _("Trustist told none when it was last asked. The last known ones are kept.")


def _note(invitation: Invitation, error: str, *, has_keys: bool) -> None:
    doublings = min(invitation.keys_attempts, 10)
    if has_keys:
        wait = AGAIN
    elif invitation.stage == Invitation.Stage.COMPLETE:
        wait = min(SOON * 2**doublings, AT_LATEST)
    else:
        wait = min(GENTLY * 2**doublings, AGAIN)
    # Unless the merchant has just become complete: then they are asked for at once.
    mine = Invitation.objects.filter(pk=invitation.pk, stage=invitation.stage)
    mine.update(
        keys_attempts=0 if has_keys else invitation.keys_attempts + 1,
        keys_next_at=timezone.now() + wait,
        keys_error=error,
    )
