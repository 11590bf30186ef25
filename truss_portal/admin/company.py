"""Companies at Truss that are paid through this site."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from truss_portal.conf import conf
from truss_portal.exceptions import NotPayableError
from truss_portal.models import Company

from .rows import TrussAdmin, copy_button


@admin.register(Company)
class CompanyAdmin(TrussAdmin[Company]):
    """Its name here is ours; the portal link is Truss's."""

    list_display = ("slug", "name", "environment", "portal_link", "listed_at")
    list_display_links = ("slug", "name")
    search_fields = ("slug", "name", "checkout_link_id")
    empty_text = _(
        'No company yet. Set TRUSS_PORTAL["ACCESS_TOKEN"] and run manage.py truss_sync: it makes the company by itself.'
    )
    fields = ("slug", "name", "environment", "checkout_link_id", "portal_link", "listed_at")

    class Media:
        js = ["truss_portal/copy.js"]

    def get_readonly_fields(self, request: HttpRequest, obj: Company | None = None) -> list[str]:
        """Sandbox and production never mix: the environment stands once something belongs to the company."""
        fixed = ["portal_link", "listed_at"]
        used = obj is not None and (obj.payment_intents.exists() or obj.contacts.exists())
        return [*fixed, "environment"] if used else fixed

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"environment": conf.environment, **super().get_changeform_initial_data(request)}

    @admin.display(description=_("payment portal"))
    def portal_link(self, company: Company) -> SafeString | str:
        try:
            url = company.portal_url()
        except NotPayableError as error:
            return str(error)
        return format_html('<span class="truss-url">{}</span> {}', url, copy_button(url, what=company))
