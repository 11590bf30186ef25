"""Payers as callers name them → the one row that stands for each."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext as _

from truss_portal.client import UNSET, FieldError, InvalidRequestError, UpdateContactRequest
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Company, Contact
from truss_portal.models.contact import name_key

NULLABLE: Final = frozenset({"secondary_email", "phone"})


def broken_rules(contact: Contact, changes: Mapping[str, Any], today: date) -> list[FieldError]:
    """What Truss would refuse of these changes. An empty secondary email or phone is none."""
    if not changes:
        return []
    # Truss compares the two emails: where only one is given, it is checked against the one that stays.
    whole: dict[str, Any] = {"email": contact.email or UNSET, "secondary_email": contact.secondary_email} | dict(
        changes
    )
    whole |= {name: whole[name] or None for name in NULLABLE & whole.keys()}
    alike = whole["email"] and whole["secondary_email"] and whole["email"].lower() == whole["secondary_email"].lower()
    told = changes.keys() | ({"secondary_email"} if alike else set())
    return [error for error in UpdateContactRequest(**whole).errors(today) if error.field in told]


def row_for(company: Company, given: Contact | Mapping[str, Any]) -> Contact:
    """The row for a payer: the one that is known by that uid, or by that name and email, or a new one."""
    if isinstance(given, Contact):
        return _of(company, given)
    unknown = given.keys() - {"uid", "name", "email", "secondary_email", "phone"}
    if unknown:
        raise InvalidRequestError(
            [FieldError.of("contact", _("has no field of that name"), ", ".join(sorted(unknown)))]
        )
    rows = Contact.objects.filter(company=company)
    if given.get("uid"):
        return _by_uid(rows, given["uid"])
    name, email = str(given.get("name") or ""), str(given.get("email") or "")
    if not name or not email:
        raise InvalidRequestError([FieldError.of("contact", _("needs a uid, or a name and an email"), name or email)])
    namesakes = rows.filter(name_key=name_key(name)).order_by(F("uid").asc(nulls_last=True), "pk")
    row = next((row for row in namesakes if row.has_email(email)), None) or Contact(
        company=company, name=name, email=email
    )
    for field, label in (("secondary_email", _("secondary email")), ("phone", _("phone"))):
        value = str(given.get(field) or "")
        if value and row.uid and value != getattr(row, field):
            raise ActionRefusedError(
                _("Truss knows %(name)s with another %(field)s: change it with actions.update_contact first.")
                % {"name": name, "field": label}
            )
        if value and row.uid is None:
            setattr(row, field, value)
    if row._state.adding:
        row.save()
    elif row.uid is None:
        # Nothing else: a listing may be giving this row its uid at this moment.
        row.save(update_fields=["secondary_email", "phone"])
    return row


def _by_uid(rows: Any, uid: UUID | str) -> Contact:
    try:
        row = rows.filter(uid=UUID(str(uid))).first()
    except ValueError:
        row = None
    if row is None:
        raise InvalidRequestError([FieldError.of("contact.uid", _("isn't a payer known here; run truss_sync"), uid)])
    found: Contact = row
    return found


def _of(company: Company, given: Contact) -> Contact:
    if given.company_id == company.pk:
        return given
    raise ActionRefusedError(
        _("%(payer)s belongs to another company: an invoice and its payer must belong to one.") % {"payer": given}
    )


def same_name_trap(contact: Contact) -> str | None:
    """Why this payer can't be sent by name, for people; None when they can."""
    return same_name_traps([contact]).get(contact.pk)


def same_name_traps(contacts: Collection[Contact]) -> dict[int, str]:
    """Of these payers of one company those that can't be sent by name, with the reason, by primary key.

    Truss recognises a customer by the name alone and overwrites the email: two payers of one name would get each
    other's invoices. Only a payer whose uid is known is safe from that.
    https://docs.trusspayments.com/api-references/model/CreateOrUpdateContactRequest
    """
    by_name = {contact.pk: contact for contact in contacts if contact.uid is None}
    if not by_name:
        return {}
    companies = {contact.company_id for contact in by_name.values()}
    names = {contact.name_key for contact in by_name.values()}
    alike = list(Contact.objects.filter(company__in=companies, name_key__in=names).order_by("pk"))
    named: dict[tuple[int, str], list[Contact]] = {}
    for other in alike:
        named.setdefault((other.company_id, other.name_key), []).append(other)
    traps: dict[int, str] = {}
    for pk, contact in by_name.items():
        for other in named.get((contact.company_id, contact.name_key), ()):
            if other.pk != pk and not other.has_email(contact.email):
                traps[pk] = _(
                    "Two payers are named “%(name)s”: %(email)s and %(other)s. Truss tells customers apart by name "
                    "and would overwrite one's email with the other's. Give one of them another name, such as "
                    "“%(name)s (2)”."
                ) % {"name": contact.name, "email": contact.email, "other": other.email or _("no email")}
                break
    return traps
