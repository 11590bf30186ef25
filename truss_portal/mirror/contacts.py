"""The payers that a page of intents names."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from truss_portal.client import resources
from truss_portal.models import Company, Contact

from . import columns
from .upsert import upsert


def write_contacts(company: Company, intents: Iterable[resources.PaymentIntent]) -> dict[UUID, Contact]:
    """Write the contacts that these intents name; their rows, by uid."""
    newest: dict[UUID, tuple[datetime, resources.Contact]] = {}
    for intent in intents:
        told = intent.contact
        if told and (told.uid not in newest or newest[told.uid][0] < intent.fetched_at):
            newest[told.uid] = (intent.fetched_at, told)
    if not newest:
        return {}
    locked = Contact.objects.select_for_update().filter(company=company)
    rows = {row.uid: row for row in locked.filter(uid__in=newest).order_by("pk") if row.uid}
    # Contacts that so far exist only here, by what Truss would recognise them by.
    names = [contact.name for uid, (_at, contact) in newest.items() if uid not in rows]
    local = {(row.name, row.email): row for row in locked.filter(uid=None, name__in=names)} if names else {}
    new: list[Contact] = []
    changed: list[Contact] = []
    for uid, (fetched_at, contact) in newest.items():
        values = columns.of_contact(contact)
        row = rows.get(uid) or local.pop((values["name"], values["email"]), None)
        if row is None:
            new.append(Contact(company=company, uid=uid, fetched_at=fetched_at, **values))
            row = new[-1]
        elif (row.fetched_at is None or row.fetched_at <= fetched_at) and columns.change(row, values | {"uid": uid}):
            row.fetched_at = fetched_at
            changed.append(row)
        rows[uid] = row
    Contact.objects.bulk_create(new)
    upsert(Contact, changed, (*columns.CONTACT, "uid", "fetched_at"))
    return rows
