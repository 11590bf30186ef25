"""What all pages share: rows that are only read, a search that knows uids, links between them, a button that copies."""

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from truss_portal.models import Company

from .wording import NOTHING

M = TypeVar("M", bound=models.Model)

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
else:
    # Django's own class takes no type arguments when it runs.
    class _ModelAdmin(admin.ModelAdmin):
        def __class_getitem__(cls, _model):
            return cls


UID: Final = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


class TrussAdmin(_ModelAdmin[M]):
    """A list with a sentence where it is empty, and a search that finds a uid however it is written."""

    empty_text: Any = ""
    """What to do first, shown where nothing is there yet."""
    uid_fields: tuple[str, ...] = ()
    """Where a uid in the search is looked for."""
    show_full_result_count = False
    list_per_page = 50
    # django-unfold shows the link to add one only where it is told to.
    show_add_link = True

    class Media:
        css = {"all": ["truss_portal/admin.css"]}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        """Databases store UUIDs with dashes or without: a uid is compared as one. A pasted link has one in it, too."""
        found = UID.search(search_term)
        if found and self.uid_fields:
            wanted = Q()
            for field in self.uid_fields:
                wanted |= Q(**{field: UUID(found[0])})
            return queryset.filter(wanted), len(self.uid_fields) > 1
        return super().get_search_results(request, queryset, search_term)


class ReadOnlyAdmin(TrussAdmin[M]):
    """Rows that the app alone writes."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


def only_one_company() -> bool:
    """Whether a company needn't be named, nor chosen."""
    return Company.objects.count() <= 1


def person(request: HttpRequest) -> AbstractBaseUser:
    """Who is at it: the admin lets in nobody without an account."""
    return cast("AbstractBaseUser", request.user)


def page_link(row: models.Model | None, text: object = None) -> SafeString | str:
    """A link to the row's own page in this admin."""
    if row is None:
        return NOTHING
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', url, text or row)


def badge(text: object) -> SafeString:
    """What a person should notice: in words, and in color."""
    return format_html('<strong class="truss-badge truss-bad">{}</strong>', text)


def two_lines(first: object, second: object) -> SafeString:
    """A cell whose second line is less important."""
    return format_html('{}<span class="truss-quiet truss-below">{}</span>', first, second)


def breakable(email: str) -> SafeString:
    """An email that a narrow cell breaks at its @, and not in the middle of a word."""
    name, at, host = email.partition("@")
    return format_html("{}{}<wbr>{}", name, at, host)


def copy_button(
    text: str, *, what: object, record: str = "", ids: object = "", label: object = _("Copy link")
) -> SafeString:
    """A button that copies `text`. `what` is said aloud with it; `record` is the address that is told of the `ids`."""
    return format_html(
        '<button type="button" class="truss-copy" data-truss-copy="{}" data-truss-what="{}" data-truss-record="{}" '
        'data-truss-ids="{}" aria-label="{}">{}</button>',
        text,
        what,
        record,
        ids,
        f"{label}: {what}",
        label,
    )
