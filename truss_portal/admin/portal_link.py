"""A company's general portal link, to hand out: to copy, to print as a QR code, and in a text for payers."""

from typing import Any
from urllib.parse import quote

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal.exceptions import NotPayableError
from truss_portal.models import Company

from .asking import AskingAdmin
from .qr_code import PRINTED, as_file, drawn
from .rows import copy_button

URL_NAME = "admin:truss_portal_company_portal_link"
TYPES = {"svg": "image/svg+xml", "png": "image/png"}


class PortalLinkPages(AskingAdmin[Company]):
    """Who may view companies may have it: it is meant for everybody.

    https://articles.trusspayments.com/en/articles/7125377-how-does-the-payment-portal-work
    """

    class Media:
        css = {"all": ["truss_portal/visibility.css"]}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        name = "truss_portal_company_portal_link"
        return [
            path("<int:pk>/portal-link/", wrap(self.portal_link_view), name=name),
            path("<int:pk>/portal-link/qr.<str:kind>", wrap(self.portal_qr_view), name=f"{name}_qr"),
            *super().get_urls(),
        ]

    def portal_link_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        company = self._company(request, pk)
        told: dict[str, Any] = {
            "title": _("Portal link to hand out"),
            "company": company,
            "back": reverse("admin:truss_portal_company_change", args=[pk]),
        }
        try:
            url = company.portal_url()
        except NotPayableError as error:
            return self.page(request, "truss_portal/admin/portal_link.html", **told, problem=str(error))
        return self.page(request, "truss_portal/admin/portal_link.html", **told, **_to_hand_out(company, url))

    def portal_qr_view(self, request: HttpRequest, pk: int, kind: str) -> HttpResponse:
        company = self._company(request, pk)
        if kind not in TYPES:
            raise Http404
        try:
            code = as_file(company.portal_url(), kind)
        except NotPayableError as error:
            raise Http404(str(error)) from error
        saved_as = f'attachment; filename="{company.slug}-portal.{kind}"'
        return HttpResponse(code, content_type=TYPES[kind], headers={"Content-Disposition": saved_as})

    def _company(self, request: HttpRequest, pk: int) -> Company:
        company = self.get_queryset(request).filter(pk=pk).first()
        if not self.has_view_or_change_permission(request, company):
            raise PermissionDenied
        if company is None:
            raise Http404
        return company


def hand_out(company: Company) -> SafeString:
    """A link to the page where it is handed out."""
    url = reverse(URL_NAME, args=[company.pk])
    return format_html('<a class="truss-next" href="{}">{}</a>', url, _("QR code and texts to hand out"))


def _to_hand_out(company: Company, url: str) -> dict[str, Any]:
    subject, body, message = _texts(company, url)
    qr = f"{URL_NAME}_qr"
    return {
        "url": url,
        "subject": subject,
        "body": body,
        "message": message,
        "mailto": f"mailto:?subject={quote(subject, safe='')}&body={quote(body, safe='')}",
        "qr": drawn(url, says=_("QR code of the payment portal of %s") % company, error=PRINTED),
        "qr_svg": reverse(qr, args=[company.pk, "svg"]),
        "qr_png": reverse(qr, args=[company.pk, "png"]),
        "copy_link": copy_button(url, what=company),
        "copy_subject": copy_button(subject, what=_("the email's subject"), label=_COPY),
        "copy_body": copy_button(body, what=_("the email's text"), label=_COPY),
        "copy_message": copy_button(message, what=_("the message"), label=_COPY),
        "test": company.environment != Company.Environment.PRODUCTION,
        "environment": company.get_environment_display(),
        "nameless": not company.name,
    }


_COPY = gettext_lazy("Copy text")


def _texts(company: Company, url: str) -> tuple[str, str, str]:
    """An email's subject and text, and a message. Each names the email to sign in with, which is what goes wrong."""
    names = {"company": company, "url": url}
    subject = _("Your invoices from %(company)s: see and pay them online") % names
    body = _(
        "Hello,\n\n"
        "you can see and pay all your invoices from %(company)s here:\n\n"
        "%(url)s\n\n"
        "Please sign in with the email address that your invoices were sent to: with another one the list stays empty. "
        "You get a code by email, and need no account and no password.\n\n"
        "Kind regards\n"
        "%(company)s"
    )
    message = _(
        "%(company)s: see and pay your invoices at %(url)s - please sign in with the email address that they were "
        "sent to."
    )
    return subject, body % names, message % names
