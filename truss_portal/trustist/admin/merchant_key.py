"""Merchants' keys: masked everywhere, and shown to whoever may, once, after entering their password again."""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.auth import authenticate
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from truss_portal.admin.asking import AskingAdmin
from truss_portal.admin.rows import ReadOnlyAdmin, badge, page_link, person
from truss_portal.admin.wording import NOTHING, moment
from truss_portal.database import outside_transactions
from truss_portal.exceptions import EncryptionKeysError
from truss_portal.trustist.conf import conf
from truss_portal.trustist.models import MerchantKey

from .sync_run import CHANGE_FORM, CHANGE_LIST

logger = logging.getLogger("truss_portal.trustist.admin")

# As long for every key: not even its length is told.
MASK: Final = "••••••••••••"
# Wrong passwords of one person, and for how many seconds nothing more is tried.
TRIES: Final = 5
PAUSE: Final = 15 * 60


class PasswordForm(forms.Form):
    password = forms.CharField(
        label=gettext_lazy("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
        error_messages={"required": gettext_lazy("Enter your password.")},
    )


@admin.register(MerchantKey)
class MerchantKeyAdmin(AskingAdmin[MerchantKey], ReadOnlyAdmin[MerchantKey]):
    change_list_template = CHANGE_LIST
    change_form_template = CHANGE_FORM
    list_display = ("merchant", "masked", "standing", "since", "seen_at", "until", "reveal_link")
    list_display_links = ("masked",)
    list_filter = (("until", admin.EmptyFieldListFilter), "since")
    list_select_related = ("invitation",)
    search_fields = ("invitation__name", "invitation__email", "invitation__invitation_id")
    search_help_text = gettext_lazy("Merchant, email, or Trustist ID")
    empty_text = gettext_lazy(
        "No merchant's key is known yet. Trustist tells them when an invitation is complete, and trustist_sync asks."
    )
    fields = ("merchant", "masked", "standing", "since", "seen_at", "until", "reveal_link")

    def get_queryset(self, request: HttpRequest) -> QuerySet[MerchantKey]:
        return super().get_queryset(request).filter(invitation__environment=conf.environment).defer("sealed")

    def has_reveal_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm("truss_trustist.reveal_merchantkey")

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display if self.has_reveal_permission(request) else self.list_display[:-1]

    def get_fields(self, request: HttpRequest, obj: MerchantKey | None = None) -> Any:
        return self.fields if self.has_reveal_permission(request) else self.fields[:-1]

    @admin.display(description=gettext_lazy("merchant"), ordering="invitation__name")
    def merchant(self, key: MerchantKey) -> SafeString | str:
        return page_link(key.invitation)

    @admin.display(description=gettext_lazy("key"))
    def masked(self, key: MerchantKey) -> SafeString:
        return masked()

    @admin.display(description=gettext_lazy("state"), ordering="until")
    def standing(self, key: MerchantKey) -> SafeString:
        return standing(key)

    @admin.display(description=gettext_lazy("plain text"))
    def reveal_link(self, key: MerchantKey) -> SafeString:
        return format_html('<a href="{}">{}</a>', reveal_url(key), _("Reveal"))

    # --- the page

    def get_urls(self) -> list[URLPattern]:
        view: Callable[..., HttpResponse] = outside_transactions(self.admin_site.admin_view(self.reveal_view))
        return [path("<int:pk>/reveal/", view, name="truss_trustist_merchantkey_reveal"), *super().get_urls()]

    @method_decorator(sensitive_post_parameters("password"))
    @method_decorator(sensitive_variables())
    def reveal_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_reveal_permission(request):
            raise PermissionDenied
        key = self.get_queryset(request).defer(None).select_related("invitation").filter(pk=pk).first()
        if key is None:
            raise Http404
        user = person(request)
        form = PasswordForm(request.POST if request.method == "POST" else None)
        problem = "" if user.has_usable_password() else _NO_PASSWORD
        shown: dict[str, str] = {}
        if not problem and form.is_valid():
            problem = _why_not(request, user, form.cleaned_data["password"])
            if not problem:
                # Written before anybody sees it: what can't be written isn't shown.
                self.log_change(request, key, _("Key revealed."))
                try:
                    shown = _lines(key)
                except EncryptionKeysError as error:
                    problem = str(error)
        response = self.page(
            request,
            "truss_trustist/reveal.html",
            title=_("Reveal a key"),
            key_row=key,
            standing=standing(key),
            form=PasswordForm(),
            errors=form.errors.get("password", ""),
            problem=problem,
            can_try=user.has_usable_password() and not shown,
            shown=shown,
            back=reverse("admin:truss_trustist_invitation_change", args=[key.invitation_id]),
        )
        response["Cache-Control"] = "no-store, private"
        response["Referrer-Policy"] = "same-origin"
        response["X-Robots-Tag"] = "noindex"
        return response


_NO_PASSWORD: Final = gettext_lazy(
    "Your account has no password on this site, as you sign in by another service: so nobody can tell that it is you "
    "who asks. Ask for a password here, or let somebody with one look."
)


@sensitive_variables("password")
def _why_not(request: HttpRequest, user: AbstractBaseUser, password: str) -> str:
    """Why this isn't taken for the person who has signed in."""
    counted = f"truss_trustist.reveal.{user.pk}"
    if cache.get(counted, 0) >= TRIES:
        return _("Too many wrong passwords. Try again in a quarter of an hour.")
    found = authenticate(request, username=user.get_username(), password=password)
    if found is None or found.pk != user.pk:
        cache.add(counted, 0, PAUSE)
        cache.incr(counted)
        logger.warning("A wrong password was entered by user %s to reveal a merchant's key.", user.pk)
        return _("That is not your password. Nothing was shown.")
    cache.delete(counted)
    return ""


def _lines(key: MerchantKey) -> dict[str, str]:
    """Each field of the item by its name: which ones the payments API needs isn't published."""
    item = key.item
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in item.items()}


def masked() -> SafeString:
    return format_html('<span class="truss-mark" aria-label="{}">{}</span>', _("hidden"), MASK)


def standing(key: MerchantKey) -> SafeString:
    if key.is_current:
        return format_html('<strong class="truss-badge truss-good">{}</strong>', _("Current"))
    return badge(_("Former"))


def from_when_to_when(key: MerchantKey) -> str:
    if key.until is None:
        return _("since %(since)s") % {"since": moment(key.since)}
    return _("from %(since)s to %(until)s") % {"since": moment(key.since), "until": moment(key.until)}


def reveal_url(key: MerchantKey) -> str:
    return reverse("admin:truss_trustist_merchantkey_reveal", args=[key.pk]) if key.pk else NOTHING
