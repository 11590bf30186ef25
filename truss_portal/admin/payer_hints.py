"""While somebody chooses or types a payer: who is there already, and the trap of two payers with one name."""

from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from truss_portal import contacts
from truss_portal.models import Company, Contact
from truss_portal.models.contact import name_key

from .asking import named
from .rows import TrussAdmin
from .wording import payer

HINTS_URL: Final = "admin:truss_portal_contact_hints"
SHOWN: Final = 5
# Fewer letters than that are the beginning of too many names.
ENOUGH: Final = 3


class PayerHints(TrussAdmin[Contact]):
    """Posted, though it changes nothing: an email is never part of an address, which ends up in logs."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.hints_view)
        return [path("hints/", view, name="truss_portal_contact_hints"), *super().get_urls()]

    @method_decorator(sensitive_post_parameters("name", "email"))
    def hints_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        given = {name: request.POST.get(name, "").strip() for name in ("contact", "pk", "company", "name", "email")}
        if "contact" in request.POST:
            chosen = self._row(request, given["contact"])
            trap = contacts.same_name_trap(chosen) if chosen else None
            return JsonResponse({"warning": trap or "", "heading": "", "similar": []})
        typed = self._row(request, given["pk"])
        company = typed.company if typed else _company(given["company"])
        others = self.get_queryset(request).exclude(pk__in=[typed.pk] if typed else [])
        if company is not None:
            others = others.filter(company=company)
        answer = {"warning": "" if typed and typed.uid else namesake_warning(others, given["name"], given["email"])}
        return JsonResponse(answer | _similar(others, given["name"], given["email"]))

    def _row(self, request: HttpRequest, text: str) -> Contact | None:
        return self.get_queryset(request).select_related("company").filter(pk__in=named(text, 1)).first()


def hints_url() -> str:
    return reverse(HINTS_URL)


def namesake_warning(others: QuerySet[Contact], name: str, email: str) -> str:
    """What would go wrong with a payer of that name beside these; "" where nothing would.

    Truss tells customers apart by their names: two of one name would overwrite each other's email.
    """
    if not name:
        return ""
    namesakes = others.filter(name_key=name_key(name))
    other = next((each for each in namesakes if email and each.has_email(email)), None)
    if other is not None:
        return _("This payer is here already: %(payer)s. Use that one.") % {"payer": payer(other)}
    other = namesakes.first()
    if other is None:
        return ""
    text = _(
        "There is a payer of this name already: %(payer)s. Truss tells customers apart by name and would "
        "overwrite one's email with the other's. Use that one, or another name, such as “%(name)s (2)”."
    )
    return text % {"payer": payer(other), "name": name}


def _similar(others: QuerySet[Contact], name: str, email: str) -> dict[str, Any]:
    """The payers whose name or email begins like what was typed so far."""
    alike = Q()
    if len(name) >= ENOUGH:
        alike |= Q(name_key__startswith=name_key(name))
    if len(email) >= ENOUGH:
        alike |= Q(lower_email__startswith=email.lower()) | Q(lower_secondary__startswith=email.lower())
    if not alike:
        return {"heading": "", "similar": []}
    # Whether a comparison minds letter case is each database's own business.
    lowered = others.annotate(lower_email=Lower("email"), lower_secondary=Lower("secondary_email"))
    found = [
        {"text": payer(row), "url": reverse("admin:truss_portal_contact_change", args=[row.pk])}
        for row in lowered.filter(alike).order_by("name", "pk")[:SHOWN]
    ]
    return {"heading": _("Payers that are here already:") if found else "", "similar": found}


def _company(text: str) -> Company | None:
    return Company.objects.filter(pk__in=named(text, 1)).first()
