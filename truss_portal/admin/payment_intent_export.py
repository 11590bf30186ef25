"""Export: what the list shows, filtered as it is, as a file."""

import copy
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from import_export.signals import post_export

from truss_portal import exchange
from truss_portal.models import PaymentIntent

from .payment_intent_pages import PaymentIntentPages
from .wording import number

LIST: Final = "admin:truss_portal_paymentintent_changelist"
PAGE: Final = "admin:truss_portal_paymentintent_"
Selected = QuerySet[PaymentIntent]
CSV: Final = "csv"
XLSX: Final = "xlsx"


class _Unpaged:
    """A list of which only the filters are wanted: no page of it is read, and nothing counted."""

    def get_results(self, request: HttpRequest) -> None:
        return


class PaymentIntentExport(PaymentIntentPages):
    """Asks for the permission to export invoices, and for the one to view them."""

    xlsx_max = exchange.XLSX_MAX
    """How many invoices fit into an Excel file. More are left out of it; a CSV file has no end."""

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "export")

    def get_urls(self) -> list[URLPattern]:
        view, file_view = (
            self.admin_site.admin_view(self.export_view),
            self.admin_site.admin_view(self.export_file_view),
        )
        return [
            path("export/", view, name="truss_portal_paymentintent_export"),
            path("export/<str:kind>/", file_view, name="truss_portal_paymentintent_export_file"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        told = {"has_export_permission": self.has_export_permission(request)}
        return super().changelist_view(request, told | (extra_context or {}))

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """How many, as what, and what is in it."""
        found = self._found(request)
        if isinstance(found, HttpResponse):
            return found
        # Counted no further than matters.
        count = found.values("pk")[: self.xlsx_max + 1].count()
        query = request.META.get("QUERY_STRING", "")
        return self.page(
            request,
            "truss_portal/admin/export.html",
            title=_("Export invoices"),
            count=min(count, self.xlsx_max),
            count_shown=number(min(count, self.xlsx_max)),
            fits=count <= self.xlsx_max,
            is_filtered=bool(request.GET),
            files=[
                {"kind": kind, "url": f"{reverse(PAGE + 'export_file', args=[kind])}?{query}"}
                for kind in (CSV, XLSX)
                if kind == CSV or count <= self.xlsx_max
            ],
            back=f"{reverse(LIST)}?{query}",
            imported=exchange.IMPORTED,
            read_only=exchange.READ_ONLY,
        )

    def export_file_view(self, request: HttpRequest, kind: str) -> HttpResponse | StreamingHttpResponse:
        if kind not in {CSV, XLSX}:
            raise Http404
        found = self._found(request)
        return found if isinstance(found, HttpResponse) else self.export_file(kind, found)

    def _found(self, request: HttpRequest) -> Selected | HttpResponse:
        """What the list shows with this query, all pages of it; or where to go instead."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        like_me = copy.copy(self)
        unpaged = type("UnpagedChangeList", (_Unpaged, self.get_changelist(request)), {})
        like_me.get_changelist = lambda *_args, **_kwargs: unpaged  # type: ignore[method-assign]
        try:
            found: Selected = like_me.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse(LIST))
        return found

    def export_file(self, kind: str, queryset: Selected) -> StreamingHttpResponse:
        if kind == CSV:
            content_type, file = exchange.CSV_TYPE, exchange.as_csv(queryset)
        else:
            content_type, file = exchange.XLSX_TYPE, exchange.as_xlsx(queryset, self.xlsx_max)
        post_export.send(sender=None, model=PaymentIntent)
        name = f"invoices-{timezone.localdate():%Y-%m-%d}.{kind}"
        return StreamingHttpResponse(
            file,
            content_type=content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    @admin.action(permissions=["export"], description=gettext_lazy("Export as CSV"))
    def export_csv(self, request: HttpRequest, queryset: Selected) -> StreamingHttpResponse:
        return self.export_file(CSV, queryset)

    @admin.action(permissions=["export"], description=gettext_lazy("Export as XLSX"))
    def export_xlsx(self, request: HttpRequest, queryset: Selected) -> StreamingHttpResponse:
        return self.export_file(XLSX, queryset)
