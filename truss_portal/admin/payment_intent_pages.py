"""The invoices' pages that aren't Django's own: confirm and do, checkout links, and what a copy leaves behind."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from truss_portal import actions, tasks, timeline
from truss_portal.client import InvalidRequestError
from truss_portal.database import outside_transactions
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Batch, Operation, PaymentIntent, TimelineEntry

from . import checkout_links
from .asking import IDS, AskingAdmin, named, together
from .left_out import grouped
from .payment_intent_verbs import VERBS, Patience, Verb, refresh
from .reports import INVOICES, Report
from .rows import copy_button, person
from .selection import loaded, sum_up
from .wording import NOTHING, money, number, why, written_to

LEFT_OUT: Final = "left_out"
TOO_MANY: Final = gettext_lazy(
    "%(count)d invoices are chosen, and at most %(limit)d fit. Choose fewer: filters and the search help."
)
State = Operation.State


class PaymentIntentPages(AskingAdmin[PaymentIntent]):
    """Every page asks for the permission to view invoices and for its own."""

    at_once = 500
    """How many invoices one page may refresh, or show the links of."""
    most_asked = 10_000
    """How many may be sent, or canceled, in one go."""

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
            if verb.kind is None:
                if request.method != "POST":
                    return HttpResponseNotAllowed(["POST"])
                intents = self._chosen(request, request.POST.get(IDS, ""))
                self.refresh(request, intents)
                return HttpResponseRedirect(self._next(request, [intent.pk for intent in intents]))
            if request.method == "POST":
                return self._ask(request, verb)
            return self.confirm(request, verb, self._visible(request, request.GET.get(IDS, "")))

        return view

    def _chosen(self, request: HttpRequest, ids: str) -> list[PaymentIntent]:
        """The invoices of a list such as "3,5,8" that this person may see."""
        return list(self.chosen(self.get_queryset(request).filter(pk__in=named(ids, self.at_once))))

    def _visible(self, request: HttpRequest, ids: str) -> list[int]:
        """Those of them that this person may see, of very many."""
        rows = self.get_queryset(request).order_by("pk").values_list("pk", flat=True)
        return [pk for some in together(named(ids, self.most_asked)) for pk in rows.filter(pk__in=some)]

    def chosen(self, queryset: QuerySet[PaymentIntent]) -> QuerySet[PaymentIntent]:
        return queryset.select_related("company", "contact").order_by("pk")

    def _next(self, request: HttpRequest, chosen: Sequence[int]) -> str:
        """Where the person came from; else the page of one, or the list."""
        if len(chosen) == 1:
            return self.next_url(request, reverse("admin:truss_portal_paymentintent_change", args=chosen))
        return self.next_url(request, reverse("admin:truss_portal_paymentintent_changelist"))

    # --- confirm, do, tell

    def confirm(self, request: HttpRequest, verb: Verb, chosen: Collection[int], next_url: str = "") -> HttpResponse:
        """Sum up what would be done, what would be left out and why, and who would be written to by Truss."""
        summed = sum_up(verb, chosen)
        going = len(summed.going)
        sum_words = verb.sum % {"number": going, "count": number(going), "total": money(summed.total)} if going else ""
        return self.page(
            request,
            "truss_portal/admin/confirm.html",
            title=str(verb.title),
            verb=verb,
            sum_words=sum_words,
            action=reverse(f"admin:truss_portal_paymentintent_{verb.name}"),
            ids=_joined(summed.going),
            left_out_ids=_joined(pk for pk, _name, _reason in summed.left_out),
            next=next_url or self._next(request, [*chosen]),
            going=[
                {
                    "intent": intent,
                    "payer": intent.contact.name if intent.contact else NOTHING,
                    "amount": money(intent.balance_due),
                    "written_to": written_to(intent),
                }
                for intent in summed.shown
            ],
            more=going - len(summed.shown),
            count=going,
            emailed=summed.emailed,
            texted=summed.texted,
            left_out=grouped(summed.left_out),
            left_out_count=len(summed.left_out),
            at_once=self._at_once(verb, going),
        )

    def _at_once(self, verb: Verb, going: int) -> str:
        """What becomes of so many."""
        if tasks.in_background() and going > 1:
            return _("Workers ask Truss for them; the next page shows how far they are.")
        return verb.at_once % {"count": self.wait_for} if going > self.wait_for else ""

    def _ask(self, request: HttpRequest, verb: Verb) -> HttpResponse:
        """Record all, carry out what the page may wait for, write the admin log, tell what came of it."""
        chosen = self._visible(request, request.POST.get(IDS, ""))
        if len(chosen) <= 1:
            report = self._ask_one(request, verb, chosen)
            self.tell(request, report, verb.done, INVOICES)
            return HttpResponseRedirect(self._next(request, chosen))
        known = self._left_out(verb, self._visible(request, request.POST.get(LEFT_OUT, "")))
        workers = tasks.in_background()
        batch = actions.ask_for_many(verb.kind, chosen, left_out=known, actor=person(request), wait=workers)  # type: ignore[arg-type]
        if not workers:
            self.carry_out(Operation.objects.filter(batch=batch))
        self._log_batch(request, verb, batch)
        return self._after(request, verb, batch, surprises=batch.left_out[len(known) :])

    def _ask_one(self, request: HttpRequest, verb: Verb, chosen: list[int]) -> Report:
        report = Report()
        intent = next((intent for intents in loaded(chosen) for intent in intents), None)
        if intent is None or verb.ask is None:
            return report
        # What changed since the page was shown is told like any other refusal.
        report.failed = [(intent, reason) for reason in verb.why_not([intent]).values()]
        if report:
            return report
        try:
            report.note(intent, verb.ask(intent, actor=person(request)))
        except (ActionRefusedError, InvalidRequestError) as error:
            report.failed.append((intent, why(error)))
        self.log_each(request, report.done, str(verb.log))
        self.log_each(request, [intent for intent, _why in report.waiting], _asked(verb))
        return report

    def _left_out(self, verb: Verb, left_out: list[int]) -> list[tuple[int, str, str]]:
        """What the page before has said to leave out stays left out, whatever has changed since."""
        changed = _("It was left out when this was confirmed, and could be asked for now: choose it again.")
        found = []
        for intents in loaded(left_out):
            reasons = verb.why_not(intents)
            found += [(intent.pk, str(intent), reasons.get(intent.pk, changed)) for intent in intents]
        return found

    def _log_batch(self, request: HttpRequest, verb: Verb, batch: Batch) -> None:
        states = dict(batch.operations.values_list("payment_intent", "state"))
        for some in together(states):
            intents = PaymentIntent.objects.filter(pk__in=some).only("reference", "addenda").order_by("pk")
            done = [intent for intent in intents if states[intent.pk] == State.DONE]
            waiting = [intent for intent in intents if states[intent.pk] not in {State.DONE, State.REFUSED}]
            self.log_each(request, done, str(verb.log))
            self.log_each(request, waiting, _asked(verb))

    def _after(self, request: HttpRequest, verb: Verb, batch: Batch, surprises: list[list[Any]]) -> HttpResponse:
        """A small batch that is finished is told where the person came from; another has a page of its own."""
        settled = not batch.operations.exclude(state__in=[State.DONE, State.REFUSED]).exists()
        small = batch.operations.count() <= self.wait_for
        if not (small and settled) and request.user.has_perm("truss_portal.view_batch"):
            return HttpResponseRedirect(reverse("admin:truss_portal_batch_change", args=[batch.pk]))
        report = Report(failed=[(name, reason) for _pk, name, reason in surprises])
        for operation in batch.operations.select_related("payment_intent").order_by("pk"):
            report.note(operation.payment_intent, operation)
        self.tell(request, report, verb.done, INVOICES)
        return HttpResponseRedirect(self._next(request, []))

    def refresh(self, request: HttpRequest, intents: Iterable[PaymentIntent]) -> None:
        verb = next(verb for verb in VERBS if verb.kind is None)
        self.tell(request, refresh(intents, Patience(self.wait_for, self.wait_seconds)), verb.done, INVOICES)

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
        return self.page(
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
            left_out=grouped((intent.pk, str(intent), reason) for intent, reason in left_out),
            left_out_count=len(left_out),
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


def _joined(pks: Iterable[int]) -> str:
    return ",".join(str(pk) for pk in pks)


def _asked(verb: Verb) -> str:
    return _("%(action)s: asked, not done yet.") % {"action": verb.title}
