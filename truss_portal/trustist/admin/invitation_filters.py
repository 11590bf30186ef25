"""How the list of invitations is narrowed."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from truss_portal.trustist.models import Invitation, MerchantKey


class PersonFilter(admin.SimpleListFilter):
    title = _("needs")
    parameter_name = "needs"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("person", _("a person")), ("gone", _("a look: not found at Trustist"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> QuerySet[Invitation]:
        if self.value() == "person":
            return queryset.filter(needs_person=True)
        if self.value() == "gone":
            return queryset.filter(missing_since__isnull=False)
        return queryset


class KeysFilter(admin.SimpleListFilter):
    title = _("keys")
    parameter_name = "keys"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("known")), ("missing", _("complete, and none known yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> QuerySet[Invitation]:
        known = Exists(MerchantKey.objects.filter(invitation=OuterRef("pk"), until=None))
        if self.value() == "yes":
            return queryset.filter(known)
        if self.value() == "missing":
            return queryset.filter(~known, stage=Invitation.Stage.COMPLETE)
        return queryset
