"""The questions that people ask of a list of requests to Truss."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import figures


class NeedsFilter(admin.SimpleListFilter):
    title = gettext_lazy("what is to be done")
    parameter_name = "needs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [
            ("person", gettext_lazy("Needs a person")),
            ("stuck", gettext_lazy("Doesn't get on by itself")),
            ("waiting", gettext_lazy("Waiting")),
            ("unconfirmed", gettext_lazy("Not confirmed")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "person":
                return queryset.for_a_person()
            case "stuck":
                return figures.stuck(queryset)
            case "waiting":
                return queryset.under_way()
            case "unconfirmed":
                return figures.unconfirmed(queryset)
        return queryset


class BatchFilter(admin.SimpleListFilter):
    """Reached by a link from the batch's page; shown only then, so that it can be taken away."""

    title = gettext_lazy("batch")
    parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        chosen = request.GET.get(self.parameter_name, "")
        return [(chosen, _("Batch %(number)s") % {"number": chosen})] if chosen.isdecimal() else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.value() or ""
        return queryset.filter(batch=int(chosen[:18])) if chosen.isdecimal() else queryset
