"""Companies at Truss that are paid through this site."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from truss_portal.conf import conf
from truss_portal.exceptions import NotPayableError
from truss_portal.models import Company

from . import company_panels as panels
from .company_pages import CompanyPages, connect_url
from .portal_link import PortalLinkPages, hand_out
from .rows import copy_button
from .visibility import LeadsToVisibility


@admin.register(Company)
class CompanyAdmin(CompanyPages, PortalLinkPages, LeadsToVisibility[Company]):
    """Its name here is ours; the portal link is Truss's."""

    list_display = ("slug", "name", "environment", "state", "portal_link", "listed_at")
    list_display_links = ("slug", "name")
    list_select_related = ("connection",)
    search_fields = ("slug", "name", "checkout_link_id")
    empty_text = _(
        'No company yet. Choose “Connect to Truss”; or set TRUSS_PORTAL["ACCESS_TOKEN"] and run manage.py truss_sync, '
        "which makes the company by itself."
    )
    fields = ("slug", "name", "environment", "checkout_link_id", "portal_link", "listed_at")

    class Media:
        js = ["truss_portal/copy.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Company]:
        return super().get_queryset(request).select_related("connection__connected_by")

    def get_readonly_fields(self, request: HttpRequest, obj: Company | None = None) -> list[str]:
        """Sandbox and production never mix: the environment stands once something belongs to the company."""
        fixed = ["portal_link", "listed_at"]
        used = obj is not None and (
            panels.connection_of(obj) is not None or obj.payment_intents.exists() or obj.contacts.exists()
        )
        return [*fixed, "environment"] if used else fixed

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"environment": conf.environment, **super().get_changeform_initial_data(request)}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        url = connect_url(None) if self.has_connect_permission(request) else ""
        return super().changelist_view(request, {"connect_url": url, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        company = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if company is not None and self.has_view_or_change_permission(request, company):
            shown = {
                "tools": self.tools(request, company),
                "notices": panels.notices(company),
                "panels": [panels.connection_panel(company), panels.webhook_panel(request, company)],
            }
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    @admin.display(description=_("connection"))
    def state(self, company: Company) -> SafeString | str:
        return panels.state_of(company)

    @admin.display(description=_("payment portal"))
    def portal_link(self, company: Company) -> SafeString | str:
        try:
            url = company.portal_url()
        except NotPayableError as error:
            return str(error)
        button = copy_button(url, what=company)
        return format_html('<span class="truss-url">{}</span> {} {}', url, button, hand_out(company))
