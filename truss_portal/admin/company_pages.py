"""A company's pages that aren't Django's own: disconnect, try again, and its webhook secrets."""

import re
from collections.abc import Callable
from typing import Any, Final

import django
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from truss_portal import encryption, sealed_columns
from truss_portal.conf import conf
from truss_portal.connection import joining
from truss_portal.database import outside_transactions
from truss_portal.exceptions import EncryptionKeysError, NotConnectedError
from truss_portal.models import Company, Operation, WebhookSecret

from . import company_panels as panels
from .rows import person
from .setup import SetupPage

# https://docs.trusspayments.com/guides/webhooks/signature-verification
_SECRET: Final = re.compile(r"[0-9a-fA-F]{64}")


class SecretForm(forms.Form):
    """Takes a secret and never gives one back: the field is empty also after a mistake."""

    secret = forms.CharField(
        label=gettext_lazy("New webhook secret"),
        max_length=255,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "size": 70}),
        help_text=gettext_lazy("64 hexadecimal digits, as Truss gave them. It can't be seen again afterwards."),
    )

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.company = company

    @sensitive_variables("secret")
    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if not _SECRET.fullmatch(secret):
            raise forms.ValidationError(
                _("Truss's webhook secrets are 64 hexadecimal digits (0-9, a-f). Was all of it copied?")
            )
        if any(_opens_to(row, secret) for row in self.company.webhook_secrets.all()):
            raise forms.ValidationError(_("This secret is set already."))
        return secret


@sensitive_variables()
def _opens_to(row: WebhookSecret, secret: str) -> bool:
    try:
        return sealed_columns.WEBHOOK_SECRET.open(row) == secret
    except EncryptionKeysError:
        return False


class CompanyPages(SetupPage):
    """Every page asks for the permission to view companies and for its own; what it changes is in the admin log."""

    def has_connect_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_portal.connect_company")

    def has_secrets_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_portal.secrets_company")

    # --- addresses

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, name: str, view: Callable[..., HttpResponse]) -> URLPattern:
            wrapped = outside_transactions(self.admin_site.admin_view(view))
            return path(f"<int:pk>/{route}/", wrapped, name=f"truss_portal_company_{name}")

        return [
            page("disconnect", "disconnect", self.disconnect_view),
            page("try-again", "try_again", self.try_again_view),
            page("secrets", "secrets", self.secrets_view),
            page("secrets/<int:secret_pk>/remove", "remove_secret", self.remove_secret_view),
            *super().get_urls(),
        ]

    def tools(self, request: HttpRequest, company: Company) -> list[dict[str, Any]]:
        """The buttons at the top of the company's page."""
        row = panels.connection_of(company)
        links: list[tuple[str, str, bool]] = []
        if self.has_connect_permission(request):
            title = _("Connect to Truss") if row is None else _("Reconnect")
            if url := connect_url(company):
                links.append((title, url, False))
            if row is not None and row.refused_at:
                links.append((_("Try again"), _url("try_again", company.pk), True))
            if row is not None:
                links.append((_("Disconnect"), _url("disconnect", company.pk), False))
        if self.has_secrets_permission(request):
            links.append((_("Webhook secrets"), _url("secrets", company.pk), False))
        return [{"verb": {"title": title}, "url": url, "posted": posted} for title, url, posted in links]

    def _found(self, request: HttpRequest, pk: int, *, allowed: bool) -> Company:
        company = self.get_object(request, str(pk))
        if company is None:
            raise Http404
        if not allowed or not self.has_view_or_change_permission(request, company):
            raise PermissionDenied
        return company

    # --- the connection

    def disconnect_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        company = self._found(request, pk, allowed=self.has_connect_permission(request))
        if request.method == "POST":
            if joining.disconnect(company):
                self.log_change(request, company, _("Disconnected from Truss."))
                text = _("%(company)s is disconnected: its tokens are deleted here. To take the consent back at Truss, "
                         "too, ask its user.")  # fmt: skip
                self.message_user(request, text % {"company": company}, messages.SUCCESS)
            return HttpResponseRedirect(_url("change", company.pk))
        waiting = Operation.objects.filter(company=company, state=Operation.State.QUEUED).count()
        facts = [
            _("Its access token and its refresh token are deleted here."),
            _("Invoices, payers, payments, timelines and webhook secrets stay."),
            _("Nothing is asked of Truss for it any more, until somebody connects it again."),
        ]
        if waiting:
            text = ngettext(
                "%(count)d request to Truss waits, and stays waiting.",
                "%(count)d requests to Truss wait, and stay waiting.",
                waiting,
            )
            facts.append(text % {"count": waiting})
        return self._confirm(request, company, _("Disconnect from Truss"), facts, _("Yes, disconnect"))

    def try_again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Renew now, as the cause of the refusal may have been our own. Touches the network."""
        company = self._found(request, pk, allowed=self.has_connect_permission(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self.log_change(request, company, _("Renewal of the access tried again."))
        try:
            joining.try_again(company)
        except NotConnectedError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            text = _("%(company)s is connected to Truss. What waits is sent with the next push.")
            self.message_user(request, text % {"company": company}, messages.SUCCESS)
        return HttpResponseRedirect(_url("change", company.pk))

    # --- its webhook secrets

    @method_decorator(sensitive_post_parameters("secret"))
    def secrets_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        company = self._found(request, pk, allowed=self.has_secrets_permission(request))
        form = SecretForm(request.POST if request.method == "POST" else None, company=company)
        if form.is_valid():
            try:
                sealed = encryption.seal(form.cleaned_data["secret"])
            except EncryptionKeysError as error:
                form.add_error("secret", str(error))
            else:
                WebhookSecret.objects.create(company=company, secret=sealed, added_by_id=person(request).pk)
                self.log_change(request, company, _("Webhook secret set."))
                self.message_user(request, _("The webhook secret is set."), messages.SUCCESS)
                return HttpResponseRedirect(_url("secrets", company.pk))
        return self._company_page(
            request,
            company,
            "company_secrets",
            title=_("Webhook secrets"),
            form=form,
            secrets=[
                (panels.set_on(row), _url("remove_secret", company.pk, row.pk))
                for row in company.webhook_secrets.select_related("added_by")
            ],
            in_settings=bool(conf.webhook_secrets),
        )

    def remove_secret_view(self, request: HttpRequest, pk: int, secret_pk: int) -> HttpResponse:
        company = self._found(request, pk, allowed=self.has_secrets_permission(request))
        row = company.webhook_secrets.select_related("added_by").filter(pk=secret_pk).first()
        back = _url("secrets", company.pk)
        if row is None:
            return HttpResponseRedirect(back)
        if request.method == "POST":
            row.delete()
            self.log_change(request, company, _("Webhook secret removed: %(which)s.") % {"which": panels.set_on(row)})
            self.message_user(request, _("The webhook secret is removed."), messages.SUCCESS)
            return HttpResponseRedirect(back)
        facts = [panels.set_on(row), _("Webhooks that Truss still signs with it will be refused.")]
        return self._confirm(request, company, _("Remove a webhook secret"), facts, _("Yes, remove it"), back=back)

    # --- pages

    def _confirm(
        self, request: HttpRequest, company: Company, title: str, facts: list[str], button: str, *, back: str = ""
    ) -> HttpResponse:
        return self._company_page(
            request, company, "company_confirm", title=title, facts=facts, button=button,
            back=back or _url("change", company.pk),
        )  # fmt: skip

    def _company_page(self, request: HttpRequest, company: Company, template: str, **context: Any) -> HttpResponse:
        shown = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "crumbs_are_a_list": django.VERSION >= (6, 1),
            "company": company,
            "back": _url("change", company.pk),
            **context,
        }
        response = TemplateResponse(request, f"truss_portal/admin/{template}.html", shown)
        response["Cache-Control"] = "no-store"
        return response


def connect_url(company: Company | None) -> str:
    """The page that leads to Truss; "" on a site that hasn't included our addresses."""
    try:
        url = reverse("truss_portal:connect")
    except NoReverseMatch:
        return ""
    return f"{url}?company={company.slug}" if company else url


def _url(name: str, *ids: int) -> str:
    return reverse(f"admin:truss_portal_company_{name}", args=ids)
