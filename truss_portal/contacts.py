"""Payers as callers name them → the one row that stands for each."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext as _

from truss_portal.client import FieldError, InvalidRequestError
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Company, Contact


def row_for(company: Company, given: Contact | Mapping[str, Any]) -> Contact:
    """The row for a payer: the one that is known by that uid, or by that name and email, or a new one."""
    if isinstance(given, Contact):
        return given
    unknown = given.keys() - {"uid", "name", "email", "secondary_email", "phone"}
    if unknown:
        raise InvalidRequestError([FieldError("contact", _("has no field of that name"), ", ".join(sorted(unknown)))])
    rows = Contact.objects.filter(company=company)
    if given.get("uid"):
        return _by_uid(rows, given["uid"])
    name, email = str(given.get("name") or ""), str(given.get("email") or "")
    if not name or not email:
        raise InvalidRequestError([FieldError("contact", _("needs a uid, or a name and an email"), name or email)])
    row = rows.filter(name__iexact=name, email__iexact=email).order_by(F("uid").asc(nulls_last=True), "pk").first()
    row = row or Contact(company=company, name=name, email=email)
    for field in ("secondary_email", "phone"):
        value = str(given.get(field) or "")
        if value and row.uid and value != getattr(row, field):
            raise ActionRefusedError(
                _("Truss knows %(name)s with another %(field)s: change it with actions.update_contact first.")
                % {"name": name, "field": Contact._meta.get_field(field).verbose_name}
            )
        if value and row.uid is None:
            setattr(row, field, value)
    if row.uid is None:
        row.save()
    return row


def _by_uid(rows: Any, uid: UUID | str) -> Contact:
    try:
        row = rows.filter(uid=UUID(str(uid))).first()
    except ValueError:
        row = None
    if row is None:
        raise InvalidRequestError([FieldError("contact.uid", _("isn't a payer known here; run truss_sync"), uid)])
    found: Contact = row
    return found
