"""An invoice as somebody types it, and what the form says to it."""

from typing import Any

from tests import make
from truss_portal.models import Contact


def payer(**given: Any) -> Contact:
    columns = {"company": make.company(), "name": "Acme", "email": "ap@acme.test"} | given
    made: Contact = Contact.objects.create(**columns)
    return made


def form(**given: Any) -> dict[str, Any]:
    filled = {"total": "120.00", "addenda": "Catering", "reference": "", "due_date": "", "note": "", "memo": ""} | given
    return {name: value.pk if hasattr(value, "pk") else value for name, value in filled.items()}


def errors(answer: Any) -> dict[str, list[str]]:
    return {name: [*found] for name, found in answer.context["adminform"].form.errors.items()}
