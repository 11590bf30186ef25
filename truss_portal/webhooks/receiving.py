"""A webhook arrives: verify it, store it, and nothing else. Asks nobody."""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import IntegrityError, connections, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from truss_portal import encryption
from truss_portal.client import (
    SignatureError,
    SignatureProblem,
    UnreadableError,
    parse_event,
    resources,
    verify_signature,
)
from truss_portal.conf import conf
from truss_portal.connection import DEFAULT_SLUG, default_company
from truss_portal.database import alias
from truss_portal.exceptions import EncryptionKeysError, WebhookRefusedError, WebhookUnreadableError
from truss_portal.models import Company, WebhookEvent, WebhookSecret
from truss_portal.plain_words import told

logger = logging.getLogger("truss_portal.webhooks")

State = WebhookEvent.State

# Bytes. An event is one intent without its payments, a few thousand; who can't sign shall not fill our memory.
BODY_MAX: Final = 256 * 1024

# Truss publishes no length. A name that is cut is one that we don't know, and treated as such.
_NAME_MAX: Final = 255

# The two questions of every request, in SQL: for such as these Django takes ten times as long to make the statement as
# the database to answer it.
_SECRETS_OF_COMPANY: Final = (
    "SELECT company.id, company.name, kept.secret "  # noqa: S608 - nothing from outside is in it
    f"FROM {Company._meta.db_table} company "
    f"LEFT JOIN {WebhookSecret._meta.db_table} kept ON kept.company_id = company.id "
    "WHERE company.slug = %s AND company.environment = %s ORDER BY kept.id DESC"
)
_STATE_OF_EVENT: Final = f"SELECT state FROM {WebhookEvent._meta.db_table} WHERE company_id = %s AND event_id = %s"  # noqa: S608


class Addressee(NamedTuple):
    """Whom a webhook is for, and by what to tell whether it is from Truss."""

    company: Company
    sealed: list[str]
    """The company's own webhook secrets, encrypted; none where those of the settings count."""


def addressee(slug: str) -> Addressee | None:
    """The company of this environment that a webhook's address names."""
    rows = _ask(_SECRETS_OF_COMPANY, slug, conf.environment)
    if not rows:
        # With a fixed token the one company exists from the first webhook on.
        first = default_company() if slug == DEFAULT_SLUG and conf.access_token else None
        return Addressee(first, []) if first and first.environment == conf.environment else None
    company = Company(pk=rows[0][0], slug=slug, name=rows[0][1])
    return Addressee(company, [sealed for _pk, _name, sealed in rows if sealed])


def receive(addressee: Addressee, body: bytes, signature: str | None) -> bool:
    """Verify the raw body and store the event. True when there is something to process, False for a mere repeat.

    A repeat of an event whose processing failed makes it due again. Raises WebhookRefusedError for what isn't rightly
    signed and WebhookUnreadableError for what is and can't be read: of both only their count is kept. Raises
    EncryptionKeysError when a secret that could decide can't be decrypted.
    """
    now = timezone.now()
    company = addressee.company
    problem = _why_refused(addressee, body, signature, now)
    # Raised here and not below, so that no traceback leads into frames whose variables hold a secret.
    if isinstance(problem, EncryptionKeysError):
        raise problem
    if problem:
        raise refuse(company, problem)
    try:
        told = parse_event(body)
    except UnreadableError as error:
        why = _("It is signed rightly and can't be read: %(problem)s.") % {"problem": error}
        raise refuse(company, why, WebhookUnreadableError) from None
    return _store(company, told, now)


def refuse(
    company: Company,
    why: str,
    kind: type[WebhookRefusedError] | type[WebhookUnreadableError] = WebhookRefusedError,
) -> WebhookRefusedError | WebhookUnreadableError:
    """Count it, the only trace that it leaves; the exception to raise. `why` is a sentence."""
    longest = Company._meta.get_field("webhooks_refused_why").max_length
    Company.objects.filter(pk=company.pk).update(
        webhooks_refused=F("webhooks_refused") + 1,
        webhooks_refused_at=timezone.now(),
        webhooks_refused_why=why[:longest],
    )
    return kind(_("A webhook for %(company)s was refused. %(why)s") % {"company": company, "why": why})


def _why_refused(
    addressee: Addressee, body: bytes, signature: str | None, now: datetime
) -> str | EncryptionKeysError | None:
    """Why it can't be told to be from Truss, or None. Several secrets are good while they are being rotated."""
    locked: list[EncryptionKeysError] = []
    secrets = list(_opened(addressee, locked)) if addressee.sealed else conf.webhook_secrets
    try:
        verify_signature(
            signature,
            body,
            secrets=secrets,
            encoding=conf.webhook_secret_encoding,
            tolerance=conf.webhook_tolerance,
            now=now,
        )
    except SignatureError as error:
        problem = error
    else:
        return None
    # Perhaps one that can't be decrypted has signed it: that is our fault, and Truss may try again.
    if locked and problem.reason in {SignatureProblem.FORGED, SignatureProblem.NO_SECRET}:
        return locked[0]
    if problem.reason == SignatureProblem.NO_SECRET:
        logger.error(
            "A webhook for %s was refused. %s Enter it in the admin, on the page of the company, or put it into "
            'TRUSS_PORTAL["WEBHOOK_SECRETS"].',
            addressee.company,
            problem,
        )
    return told(problem)


def _opened(addressee: Addressee, locked: list[EncryptionKeysError]) -> Iterator[str]:
    """Those that can be decrypted; what is said of the others is put into `locked`."""
    what = _("a webhook secret of %(company)s") % {"company": addressee.company}
    for sealed in addressee.sealed:
        try:
            yield encryption.open_sealed(sealed, what=what)
        except EncryptionKeysError as error:
            locked.append(error)


def _store(company: Company, told: resources.WebhookEvent, now: datetime) -> bool:
    # Looked for first: a repeat is then cheaper than a new one, and fills no database's log with errors.
    if (again := _received_again(company, told.event_id)) is not None:
        return again
    event = WebhookEvent(
        company=company,
        event_id=told.event_id,
        event_name=told.event_name[:_NAME_MAX],
        event_created_at=told.event_created_at,
        payment_intent_uid=told.payment_intent_uid,
        payload=dict(told.payload),
        received_at=now,
    )
    try:
        with transaction.atomic(using=alias()):
            event.save(force_insert=True)
    except IntegrityError:
        # The same one, at the same moment, in another process.
        if (again := _received_again(company, told.event_id)) is not None:
            return again
        raise
    return True


def _received_again(company: Company, event_id: UUID) -> bool | None:
    """Whether there is something to process once more; None for what is new."""
    field = WebhookEvent._meta.get_field("event_id")
    rows = _ask(_STATE_OF_EVENT, company.pk, field.get_db_prep_value(event_id, connections[alias()]))
    if not rows or rows[0][0] == State.PROCESSED:
        return False if rows else None
    waiting = WebhookEvent.objects.filter(company=company, event_id=event_id).exclude(state=State.PROCESSED)
    return bool(waiting.update(state=State.WAITING, next_attempt_at=None))


def _ask(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
