"""The pages with many checkout links: to copy, to download; and what a copy leaves behind."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal import exchange, timeline
from truss_portal.database import outside_transactions
from truss_portal.models import PaymentIntent, TimelineEntry

from . import checkout_links
from .asking import IDS, named, together
from .left_out import LeftOut, grouped
from .payment_intent_pages import PaymentIntentPages
from .rows import copy_button, person
from .wording import money, number

Page = Callable[[HttpRequest], HttpResponse | StreamingHttpResponse]
PREFIX: Final = "admin:truss_portal_paymentintent_"


class PaymentIntentLinks(PaymentIntentPages):
    """Every page asks for the permission to view invoices and for the one to copy links."""

    at_once = 500
    """How many links one page shows. More are downloaded, as many as `most_asked`."""

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Page) -> URLPattern:
            wrapped = outside_transactions(self.admin_site.admin_view(view))
            return path(f"links/{name}/", wrapped, name=f"truss_portal_paymentintent_links_{name}")

        return [page("csv", self.links_csv_view), page("copied", self.links_copied_view), *super().get_urls()]

    def copy_button(self, text: str, what: object, ids: str, **words: Any) -> SafeString:
        """A button that copies, and lets the timelines of these invoices know."""
        return copy_button(text, what=what, record=reverse(f"{PREFIX}links_copied"), ids=ids, **words)

    def links_page(self, request: HttpRequest, queryset: QuerySet[PaymentIntent], back: str) -> HttpResponse:
        """The links of up to `at_once` invoices; of more how many there are, to be downloaded."""
        chosen = list(queryset.order_by("pk").values_list("pk", flat=True)[: self.most_asked])
        fits = len(chosen) <= self.at_once
        links: list[checkout_links.Link] = []
        payable: list[int] = []
        left_out: list[LeftOut] = []
        total = Decimal(0)
        for found, others in self._links(request, chosen):
            payable += [link.intent.pk for link in found]
            left_out += [(intent.pk, str(intent), reason) for intent, reason in others]
            total += sum((link.intent.balance_due for link in found), Decimal(0))
            links += found if fits else []
        ids = ",".join(map(str, payable))
        count = {"count": number(len(payable))}
        words = ngettext("%(count)s checkout link", "%(count)s checkout links", len(payable)) % count
        return self.page(
            request,
            "truss_portal/admin/checkout_links.html",
            title=_("Copy checkout links"),
            fits=fits,
            at_once=number(self.at_once),
            count=len(payable),
            words=words,
            total=money(total),
            links=[self._row(link) for link in links],
            copy_all=self.copy_button(checkout_links.as_text(links), words, ids, label=_("Copy all")),
            ids=ids,
            headings=checkout_links.headings(),
            left_out=grouped(left_out),
            left_out_count=len(left_out),
            back=back,
            csv_url=reverse(f"{PREFIX}links_csv"),
        )

    def _row(self, link: checkout_links.Link) -> dict[str, Any]:
        button = self.copy_button(link.url, link.intent, str(link.intent.pk))
        return {"link": link, "amount": money(link.intent.balance_due), "button": button}

    def _links(
        self, request: HttpRequest, chosen: Iterable[int]
    ) -> Iterator[tuple[list[checkout_links.Link], list[tuple[PaymentIntent, str]]]]:
        """Links, and what is left out, some at a time: no more rows than that are held."""
        rows = self.get_queryset(request).select_related("company", "contact").order_by("pk")
        for some in together(chosen):
            yield checkout_links.of(rows.filter(pk__in=some))

    def links_csv_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Download them. POST only: who downloads is written in the timelines."""
        chosen = self._asked_for_links(request, self.most_asked)
        if chosen is None:
            return HttpResponseNotAllowed(["POST"])

        def rows() -> Iterator[Sequence[Any]]:
            for links, _left_out in self._links(request, chosen):
                self._record_copies(request, [link.intent for link in links])
                for link in links:
                    yield link.cells()

        name = f"checkout-links-{timezone.localdate():%Y-%m-%d}.csv"
        return StreamingHttpResponse(
            exchange.rows_as_csv(checkout_links.headings(), rows()),
            content_type=exchange.CSV_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    def links_copied_view(self, request: HttpRequest) -> HttpResponse:
        """A browser tells that somebody copied links there."""
        chosen = self._asked_for_links(request, self.at_once)
        if chosen is None:
            return HttpResponseNotAllowed(["POST"])
        for links, _left_out in self._links(request, chosen):
            self._record_copies(request, [link.intent for link in links])
        return HttpResponse(status=204)

    def _asked_for_links(self, request: HttpRequest, most: int) -> list[int] | None:
        if not self.has_link_permission(request):
            raise PermissionDenied
        return named(request.POST.get(IDS, ""), most) if request.method == "POST" else None

    def _record_copies(self, request: HttpRequest, intents: Iterable[PaymentIntent]) -> None:
        kind = TimelineEntry.Kind.LINK_COPIED
        timeline.write([timeline.entry(intent, kind, actor_id=person(request).pk) for intent in intents])
