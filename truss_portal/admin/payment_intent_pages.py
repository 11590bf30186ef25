"""The invoices' pages that ask Truss for something: confirm, do, tell what came of it."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from truss_portal import actions, tasks
from truss_portal.client import InvalidRequestError
from truss_portal.database import outside_transactions
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Batch, Operation, PaymentIntent

from .asking import IDS, AskingAdmin, named, together
from .left_out import grouped
from .payment_intent_verbs import REFRESH, RESEND, SEND, VERBS, Patience, Verb, refresh
from .reports import INVOICES, Report
from .rows import page_link, person
from .selection import loaded, recipients, sum_up, who_is_written_to
from .wording import NOTHING, money, number, why

LEFT_OUT: Final = "left_out"
CONFIRMATION: Final = "confirmation"
_CONFIRMATION: Final = re.compile("[0-9a-f]{32}")
TOO_MANY: Final = gettext_lazy(
    "%(count)d invoices are chosen, and at most %(limit)d fit. Choose fewer: filters and the search help."
)
State = Operation.State


class PaymentIntentPages(AskingAdmin[PaymentIntent]):
    """Every page asks for the permission to view invoices and for its own."""

    most_asked = 10_000
    """How many may be asked for in one go."""

    # --- permissions, as Django asks for them by the name in `@admin.action(permissions=…)`

    def has_send_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "send")

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "resend")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "cancel")

    def has_refresh_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "refresh")

    def _may(self, request: HttpRequest, what: str) -> bool:
        allowed = request.user.has_perm(f"truss_portal.{what}_paymentintent")
        return allowed and self.has_view_or_change_permission(request)

    def has_link_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "link")

    # --- addresses

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Callable[[HttpRequest], HttpResponse]) -> URLPattern:
            wrapped = outside_transactions(self.admin_site.admin_view(view))
            return path(f"{name}/", wrapped, name=f"truss_portal_paymentintent_{name.replace('/', '_')}")

        return [*(page(verb.name, self._verb_view(verb)) for verb in VERBS), *super().get_urls()]

    def _verb_view(self, verb: Verb) -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            if not self._may(request, verb.name):
                return self._refused(request, verb)
            if request.method == "POST":
                return self._ask(request, verb)
            return self.confirm(request, verb, self._visible(request, request.GET.get(IDS, "")))

        return view

    def _refused(self, request: HttpRequest, verb: Verb) -> HttpResponse:
        """Somebody may have lost the permission since the page before was shown: say that nothing was done."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        answer = self.page(
            request, "truss_portal/admin/not_allowed.html", title=str(verb.title), back=self._next(request, [])
        )
        answer.status_code = 403
        return answer

    def _visible(self, request: HttpRequest, ids: str) -> list[int]:
        """Those of them that this person may see, of very many."""
        rows = self.get_queryset(request).order_by("pk").values_list("pk", flat=True)
        return [pk for some in together(named(ids, self.most_asked)) for pk in rows.filter(pk__in=some)]

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
            written_to=who_is_written_to(verb, summed),
            names_recipients=verb in {SEND, RESEND},
            action=reverse(f"admin:truss_portal_paymentintent_{verb.name}"),
            ids=_joined(summed.going),
            left_out_ids=_joined(pk for pk, _name, _reason in summed.left_out),
            next=next_url or self._next(request, [*chosen]),
            going=[
                {
                    "intent": intent,
                    "payer": intent.contact.name if intent.contact else NOTHING,
                    "amount": money(intent.balance_due),
                    "written_to": recipients(verb, intent),
                }
                for intent in summed.shown
            ],
            more=going - len(summed.shown),
            count=going,
            confirmation=uuid4().hex,
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
        ids = request.POST.get(IDS, "")
        chosen = self._visible(request, ids)
        self._tell_of_deleted(request, len(named(ids, self.most_asked)) - len(chosen))
        given = request.POST.get(CONFIRMATION, "")
        confirmation = given if _CONFIRMATION.fullmatch(given) else None
        # A second email does harm where a second send, or cancel, doesn't: one is confirmed like many.
        if not chosen or (len(chosen) == 1 and not (verb is RESEND and confirmation)):
            report = self._ask_one(request, verb, chosen)
            self.tell(request, report, verb.done, INVOICES)
            return HttpResponseRedirect(self._next(request, chosen))
        before = Batch.objects.filter(confirmation=confirmation).first() if confirmation else None
        if before is not None:
            return self._asked_before(request, before, chosen)
        known = self._left_out(verb, self._visible(request, request.POST.get(LEFT_OUT, "")))
        workers = tasks.in_background()
        batch = actions.ask_for_many(
            verb.kind, chosen, left_out=known, actor=person(request), wait=workers, confirmation=confirmation
        )
        if not workers:
            self.carry_out(Operation.objects.filter(batch=batch))
        self._log_batch(request, verb, batch)
        return self._after(request, verb, batch, chosen, surprises=batch.left_out[len(known) :])

    def _tell_of_deleted(self, request: HttpRequest, count: int) -> None:
        if count > 0:
            text = ngettext(
                "%(count)s of the chosen invoices is no longer there: somebody has deleted it.",
                "%(count)s of the chosen invoices are no longer there: somebody has deleted them.",
                count,
            )
            self.message_user(request, text % {"count": number(count)}, messages.WARNING)

    def _asked_before(self, request: HttpRequest, batch: Batch, chosen: Sequence[int]) -> HttpResponse:
        """Two clicks, or the back button."""
        text = _("This was confirmed already, and is not asked for a second time.")
        self.message_user(request, text, messages.WARNING)
        if request.user.has_perm("truss_portal.view_batch"):
            return HttpResponseRedirect(reverse("admin:truss_portal_batch_change", args=[batch.pk]))
        return HttpResponseRedirect(self._next(request, chosen))

    def _ask_one(self, request: HttpRequest, verb: Verb, chosen: list[int]) -> Report:
        report = Report()
        intent = next((intent for intents in loaded(chosen) for intent in intents), None)
        if intent is None:
            return report
        if verb.ask is None:
            return refresh([intent], Patience(self.wait_for, self.wait_seconds))
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
        if verb.log is None:
            return
        states = dict(batch.operations.values_list("payment_intent", "state"))
        for some in together(states):
            intents = PaymentIntent.objects.filter(pk__in=some).only("reference", "addenda").order_by("pk")
            done = [intent for intent in intents if states[intent.pk] == State.DONE]
            waiting = [intent for intent in intents if states[intent.pk] not in {State.DONE, State.REFUSED}]
            self.log_each(request, done, str(verb.log))
            self.log_each(request, waiting, _asked(verb))

    def _after(
        self, request: HttpRequest, verb: Verb, batch: Batch, chosen: Sequence[int], surprises: list[list[str]]
    ) -> HttpResponse:
        """A small batch that is finished is told where the person came from; another has a page of its own."""
        settled = not batch.operations.exclude(state__in=[State.DONE, State.REFUSED]).exists()
        small = batch.operations.count() <= self.wait_for
        may_see = request.user.has_perm("truss_portal.view_batch")
        if not (small and settled) and len(chosen) > 1 and may_see:
            return HttpResponseRedirect(reverse("admin:truss_portal_batch_change", args=[batch.pk]))
        report = Report(failed=[(name, reason) for _pk, name, reason in surprises])
        for operation in batch.operations.select_related("payment_intent").order_by("pk"):
            report.note(operation.payment_intent, operation)
        self.tell(request, report, verb.done, INVOICES)
        if may_see and len(chosen) > 1:
            text = format_html(_("What came of each is kept: {}."), page_link(batch))
            self.message_user(request, text, messages.INFO)
        return HttpResponseRedirect(self._next(request, chosen))

    def refresh(self, request: HttpRequest, intents: Iterable[PaymentIntent]) -> None:
        """Ask Truss for these few while the page waits, and tell what came of it."""
        report = refresh(intents, Patience(self.wait_for, self.wait_seconds))
        self.tell(request, report, REFRESH.done, INVOICES)


def _joined(pks: Iterable[int]) -> str:
    return ",".join(str(pk) for pk in pks)


def _asked(verb: Verb) -> str:
    return _("%(action)s: asked, not done yet.") % {"action": verb.title}
