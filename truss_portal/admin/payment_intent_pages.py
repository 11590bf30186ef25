"""The invoices' pages that aren't Django's own: confirm and do, checkout links, and what a copy leaves behind."""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import django
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal import timeline
from truss_portal.database import outside_transactions
from truss_portal.models import PaymentIntent, TimelineEntry

from . import checkout_links
from .payment_intent_verbs import VERBS, Patience, Report, Verb, failed_text, left_text, waiting_text
from .rows import TrussAdmin, copy_button, person
from .wording import NOTHING, listed, money, written_to

IDS: Final = "ids"
NEXT: Final = "next"
_PK: Final = re.compile(r"[0-9]{1,18}")
SHOWN: Final = 200
Pairs = Sequence[tuple[PaymentIntent, str]]


class PaymentIntentPages(TrussAdmin[PaymentIntent]):
    """Every page asks for the permission to view invoices and for its own."""

    at_once = 500
    """How many invoices one action may be about."""
    wait_for = 25
    """How many requests to Truss a page waits for; it sends the rest through the outbox, or leaves it."""
    wait_seconds = 20.0
    """After so long no further request is begun."""

    # --- permissions, as Django asks for them by the name in `@admin.action(permissions=…)`

    def has_send_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "send")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "cancel")

    def has_refresh_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "refresh")

    def has_link_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "link")

    def _may(self, request: HttpRequest, what: str) -> bool:
        allowed = request.user.has_perm(f"truss_portal.{what}_paymentintent")
        return allowed and self.has_view_or_change_permission(request)

    # --- addresses

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Callable[[HttpRequest], HttpResponse]) -> URLPattern:
            wrapped = outside_transactions(self.admin_site.admin_view(view))
            return path(f"{name}/", wrapped, name=f"truss_portal_paymentintent_{name.replace('/', '_')}")

        verbs = [page(verb.name, self._verb_view(verb)) for verb in VERBS]
        links = [page("links/csv", self.links_csv_view), page("links/copied", self.links_copied_view)]
        return [*verbs, *links, *super().get_urls()]

    def _verb_view(self, verb: Verb) -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            if not self._may(request, verb.name):
                raise PermissionDenied
            if request.method == "POST":
                intents = self._chosen(request, request.POST.get(IDS, ""))
                return self._do(request, verb, intents)
            if verb.question is None:
                return HttpResponseNotAllowed(["POST"])
            return self.confirm(request, verb, self._chosen(request, request.GET.get(IDS, "")))

        return view

    def _chosen(self, request: HttpRequest, ids: str) -> list[PaymentIntent]:
        """The invoices of a list such as "3,5,8" that this person may see."""
        wanted = [int(pk) for pk in ids.split(",")[: self.at_once] if _PK.fullmatch(pk)]
        return list(self.chosen(self.get_queryset(request).filter(pk__in=wanted)))

    def chosen(self, queryset: QuerySet[PaymentIntent]) -> QuerySet[PaymentIntent]:
        return queryset.select_related("company", "contact").order_by("pk")

    def too_many(self, request: HttpRequest, queryset: QuerySet[PaymentIntent]) -> bool:
        """Says so, too."""
        count = queryset.count()
        if count <= self.at_once:
            return False
        text = _("%(count)d invoices are chosen, and at most %(limit)d fit. Choose fewer: filters and the search help.")
        self.message_user(request, text % {"count": count, "limit": self.at_once}, messages.ERROR)
        return True

    def _next(self, request: HttpRequest, intents: Sequence[PaymentIntent]) -> str:
        """Where to go afterwards: where the person came from, on this site."""
        url = request.POST.get(NEXT) or request.GET.get(NEXT) or ""
        if url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
            return url
        if len(intents) == 1:
            return reverse("admin:truss_portal_paymentintent_change", args=[intents[0].pk])
        return reverse("admin:truss_portal_paymentintent_changelist")

    # --- confirm, do, tell

    def confirm(
        self, request: HttpRequest, verb: Verb, intents: Iterable[PaymentIntent], next_url: str = ""
    ) -> HttpResponse:
        """Sum up what would be done, what would be left out and why, and who would be written to by Truss."""
        going: list[PaymentIntent] = []
        left_out: list[tuple[PaymentIntent, str]] = []
        for intent in intents:
            reason = verb.why_not(intent)
            if reason:
                left_out.append((intent, reason))
            else:
                going.append(intent)
        return self._page(
            request,
            "truss_portal/admin/confirm.html",
            title=str(verb.title),
            verb=verb,
            action=reverse(f"admin:truss_portal_paymentintent_{verb.name}"),
            ids=",".join(str(intent.pk) for intent in going),
            next=next_url or self._next(request, [*going, *(intent for intent, _why in left_out)]),
            going=[
                {
                    "intent": intent,
                    "payer": intent.contact.name if intent.contact else NOTHING,
                    "amount": money(intent.balance_due),
                    "written_to": written_to(intent),
                }
                for intent in going[:SHOWN]
            ],
            more=max(0, len(going) - SHOWN),
            count=len(going),
            total=money(sum((intent.balance_due for intent in going), Decimal(0))),
            emailed=sum(intent.send_email for intent in going),
            texted=sum(intent.send_sms for intent in going),
            left_out=left_out,
            at_once=self.wait_for if len(going) > self.wait_for else None,
        )

    def _do(self, request: HttpRequest, verb: Verb, intents: list[PaymentIntent]) -> HttpResponse:
        url = self._next(request, intents)
        self.perform(request, verb, intents)
        return HttpResponseRedirect(url)

    def perform(self, request: HttpRequest, verb: Verb, intents: Iterable[PaymentIntent]) -> None:
        """Do it, write it in the admin log, tell what came of it."""
        report = verb.perform(intents, person(request), Patience(self.wait_for, self.wait_seconds))
        if verb.log:
            done = {intent.pk for intent in report.done}
            for intent in report.asked:
                waits = _("%(action)s: asked, not done yet.") % {"action": verb.title}
                self.log_change(request, intent, str(verb.log) if intent.pk in done else waits)
        self._tell(request, verb, report)

    def _tell(self, request: HttpRequest, verb: Verb, report: Report) -> None:
        if report.done:
            text = verb.done % {"count": len(report.done)}
            self.message_user(request, text, messages.SUCCESS)
        if report.waiting:
            reasons = [(intent, reason) for intent, reason in report.waiting if reason]
            self._tell_each(request, waiting_text(len(report.waiting)), reasons, messages.WARNING)
        if report.failed:
            self._tell_each(request, failed_text(len(report.failed)), report.failed, messages.ERROR)
        if report.left:
            self.message_user(request, left_text(len(report.left)), messages.WARNING)
        if not report:
            self.message_user(request, _("No invoice was chosen."), messages.WARNING)

    def _tell_each(self, request: HttpRequest, head: str, reasons: Pairs, level: int) -> None:
        lines = listed(f"{intent}: {reason}" for intent, reason in reasons)
        self.message_user(
            request, format_html_join(mark_safe("<br>"), "{}", ((line,) for line in [head, *lines])), level
        )

    # --- checkout links

    def copy_button(self, text: str, what: object, ids: str, **words: Any) -> SafeString:
        """A button that copies, and lets the timelines of these invoices know."""
        record = reverse("admin:truss_portal_paymentintent_links_copied")
        return copy_button(text, what=what, record=record, ids=ids, **words)

    def links_page(self, request: HttpRequest, intents: Iterable[PaymentIntent], back: str) -> HttpResponse:
        links, left_out = checkout_links.of(intents)
        ids = ",".join(str(link.intent.pk) for link in links)
        all_of_them = ngettext("%(count)d checkout link", "%(count)d checkout links", len(links)) % {
            "count": len(links)
        }
        return self._page(
            request,
            "truss_portal/admin/checkout_links.html",
            title=_("Copy checkout links"),
            links=[
                {
                    "link": link,
                    "amount": money(link.intent.balance_due),
                    "button": self.copy_button(link.url, link.intent, str(link.intent.pk)),
                }
                for link in links
            ],
            copy_all=self.copy_button(checkout_links.as_text(links), all_of_them, ids, label=_("Copy all")),
            ids=ids,
            headings=checkout_links.headings(),
            left_out=left_out,
            back=back,
            csv_url=reverse("admin:truss_portal_paymentintent_links_csv"),
        )

    def links_csv_view(self, request: HttpRequest) -> HttpResponse:
        """Download them. POST only: who downloads is written in the timelines."""
        intents = self._asked_for_links(request)
        if intents is None:
            return HttpResponseNotAllowed(["POST"])
        links, _left_out = checkout_links.of(intents)
        self._record_copies(request, [link.intent for link in links])
        name = f"checkout-links-{timezone.localdate():%Y-%m-%d}.csv"
        return HttpResponse(
            checkout_links.as_csv(links),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    def links_copied_view(self, request: HttpRequest) -> HttpResponse:
        """A browser tells that somebody copied links there."""
        intents = self._asked_for_links(request)
        if intents is None:
            return HttpResponseNotAllowed(["POST"])
        self._record_copies(request, [intent for intent in intents if intent.is_payable])
        return HttpResponse(status=204)

    def _asked_for_links(self, request: HttpRequest) -> list[PaymentIntent] | None:
        if not self.has_link_permission(request):
            raise PermissionDenied
        return self._chosen(request, request.POST.get(IDS, "")) if request.method == "POST" else None

    def _record_copies(self, request: HttpRequest, intents: Iterable[PaymentIntent]) -> None:
        kind = TimelineEntry.Kind.LINK_COPIED
        timeline.write([timeline.entry(intent, kind, actor_id=person(request).pk) for intent in intents])

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": self.media,
                "crumbs_are_a_list": django.VERSION >= (6, 1),
                **context,
            },
        )
