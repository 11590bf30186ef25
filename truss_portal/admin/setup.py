"""“Set-up”: the go-live checklist as a page, beside the companies. Touches the network."""

from typing import Any

import django
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from truss_portal import checklist
from truss_portal.connection import companies
from truss_portal.database import outside_transactions
from truss_portal.models import Company

from .rows import TrussAdmin


class SetupPage(TrussAdmin[Company]):
    """Who may view companies may see it. It changes nothing."""

    def get_urls(self) -> list[URLPattern]:
        view = outside_transactions(self.admin_site.admin_view(self.setup_view))
        return [path("setup/", view, name="truss_portal_company_setup"), *super().get_urls()]

    def setup_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        parts: list[dict[str, Any]] = [{"title": _("This site"), "points": checklist.site_points()}]
        for company in companies():
            points = checklist.company_points(company, hurried=True)
            parts.append({"title": str(company), "company": company, "points": points})
        if len(parts) == 1:
            parts[0]["points"].append(checklist.no_company())
        open_points = [point for part in parts for point in part["points"] if point.verdict != checklist.Verdict.OK]
        return TemplateResponse(
            request,
            "truss_portal/admin/setup.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": self.media,
                "crumbs_are_a_list": django.VERSION >= (6, 1),
                "title": _("Set-up"),
                "parts": parts,
                "open_count": len(open_points),
            },
        )
