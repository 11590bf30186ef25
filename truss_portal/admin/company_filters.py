"""Which companies a list is about, where there are several."""

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from truss_portal.models import Company

Environment = Company.Environment


class EnvironmentFilter(admin.SimpleListFilter):
    title = _("environment")
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return Environment.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in Environment.values:
            return queryset
        # The companies are few, the rows are many: a join would cost more than naming them.
        ours = Company.objects.filter(environment=self.value()).values_list("pk", flat=True)
        return queryset.filter(company__in=list(ours))


def company_filters(request: HttpRequest) -> list[Any]:
    """What a list has to offer besides its own filters, where there is a choice or a link has made one."""
    there = list(Company.objects.order_by().values_list("environment", flat=True))
    filters: list[Any] = ["company"] if len(there) > 1 else []
    if len(set(there)) > 1 or EnvironmentFilter.parameter_name in request.GET:
        filters.append(EnvironmentFilter)
    return filters


COMPANY: Final = "company__id__exact"
"""The parameter by which these lists are narrowed down to one company."""
