"""The pages of requests to Truss that aren't Django's own: confirm and do what a person decides about them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import memo
from truss_portal.client import InvalidRequestError
from truss_portal.database import outside_transactions
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Operation

from .asking import IDS, AskingAdmin, named
from .left_out import grouped
from .operation_verbs import VERBS, Verb, may
from .operation_words import standing
from .reports import REQUESTS, Report
from .rows import ReadOnlyAdmin, copy_button, page_link, person
from .wording import NOTHING, money, number, payer, why

Kind = Operation.Kind
PROMISE: Final = "promise"
TOO_MANY: Final = gettext_lazy(
    "%(count)d requests are chosen, and at most %(limit)d fit. Choose fewer; or choose the invoices in their own list, "
    "where ten thousand fit."
)


class OperationPages(AskingAdmin[Operation], ReadOnlyAdmin[Operation]):
    """Every page asks for the permission to view requests and for its own."""

    at_once = 200
    """How many requests one action may be about."""

    # --- permissions, as Django asks for them by the name in `@admin.action(permissions=…)`

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_portal.retry_operation")

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_portal.settle_operation")

    # --- addresses

    def get_urls(self) -> list[URLPattern]:
        def page(verb: Verb) -> URLPattern:
            wrapped = outside_transactions(self.admin_site.admin_view(self._verb_view(verb)))
            return path(f"{verb.name.replace('_', '-')}/", wrapped, name=f"truss_portal_operation_{verb.name}")

        return [*(page(verb) for verb in VERBS), *super().get_urls()]

    def _verb_view(self, verb: Verb) -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            if not may(request, verb):
                raise PermissionDenied
            asked = request.POST if request.method == "POST" else request.GET
            rows = self.get_queryset(request).filter(pk__in=named(asked.get(IDS, ""), self.at_once))
            if request.method != "POST":
                return self.confirm(request, verb, rows)
            if verb.promise and PROMISE not in request.POST:
                self.message_user(request, _("Tick that you have looked at Truss first."), messages.ERROR)
                return self.confirm(request, verb, rows)
            return self._do(request, verb, list(self.chosen(rows)))

        return view

    def chosen(self, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        related = ("company", "contact", "payment_intent__company", "payment_intent__contact")
        return queryset.select_related(*related).prefetch_related("payment_intent__transactions").order_by("pk")

    def _next(self, request: HttpRequest, operations: Sequence[Operation]) -> str:
        """Where the person came from; else the page of one, or the list."""
        if len(operations) == 1:
            return self.next_url(request, page_of(operations[0]))
        return self.next_url(request, reverse("admin:truss_portal_operation_changelist"))

    # --- confirm, do, tell

    def confirm(
        self, request: HttpRequest, verb: Verb, queryset: QuerySet[Operation], next_url: str = ""
    ) -> HttpResponse:
        """Say what would be done and what it means, what would be left out and why."""
        operations = list(self.chosen(queryset))
        reasons = {operation.pk: reason for operation in operations if (reason := verb.why_not(operation))}
        going = [operation for operation in operations if operation.pk not in reasons]
        count = len(going)
        return self.page(
            request,
            "truss_portal/admin/operation_confirm.html",
            title=str(verb.title),
            verb=verb,
            sum_words=verb.sum % {"number": count, "count": number(count)} if going else "",
            action=reverse(f"admin:truss_portal_operation_{verb.name}"),
            ids=",".join(str(operation.pk) for operation in going),
            next=next_url or self._next(request, operations),
            going=[self._row(verb, operation) for operation in going],
            left_out=grouped((each.pk, str(each), reasons[each.pk]) for each in operations if each.pk in reasons),
            left_out_count=len(reasons),
        )

    def _row(self, verb: Verb, operation: Operation) -> dict[str, Any]:
        intent = operation.payment_intent
        mark = memo.join("", intent.memo_reference) if intent and verb.promise else ""
        return {
            "row": operation,
            "subject": page_link(intent or operation.contact),
            "payer": payer(intent.contact if intent else operation.contact),
            "amount": money(intent.total) if intent else NOTHING,
            "standing": standing(operation),
            "mark": mark,
            "copy": copy_button(mark, what=intent, label=_("Copy mark")) if mark else "",
        }

    def _do(self, request: HttpRequest, verb: Verb, operations: list[Operation]) -> HttpResponse:
        url = self._next(request, operations)
        report, now = self._asked(request, verb, operations) if verb.ask else self._settled(request, verb, operations)
        self.tell(request, report, verb.done, REQUESTS)
        if len(operations) == len(now) == 1 and url == page_of(operations[0]):
            # What was finished stays in the history: the new try has a page of its own.
            url = page_of(now[0])
        return HttpResponseRedirect(url)

    def _asked(self, request: HttpRequest, verb: Verb, operations: list[Operation]) -> tuple[Report, list[Operation]]:
        """Record all, carry out what the page may wait for."""
        report = Report()
        asked: list[Operation] = []
        for operation in operations:
            try:
                asked.append(verb.ask(operation, actor=person(request), wait=False))  # type: ignore[misc]
            except (ActionRefusedError, InvalidRequestError) as error:
                report.failed.append((operation, why(error)))
        rows = Operation.objects.filter(pk__in=[operation.pk for operation in asked])
        self.carry_out(rows)
        now = list(self.chosen(rows))
        for operation in now:
            report.note(operation, operation)
        self._log(request, verb, now)
        return report, now

    def _settled(self, request: HttpRequest, verb: Verb, operations: list[Operation]) -> tuple[Report, list[Operation]]:
        report = Report()
        done: list[Operation] = []
        for operation in operations:
            # One by one: what another person or a push has changed meanwhile is told apart.
            if verb.settle and verb.settle([operation.pk], person(request)):
                done.append(operation)
            else:
                operation.refresh_from_db()
                report.failed.append((operation, verb.why_not(operation) or ""))
        report.done = [*done]
        self._log(request, verb, done)
        return report, done

    def _log(self, request: HttpRequest, verb: Verb, operations: Iterable[Operation]) -> None:
        for operation in operations:
            text = f"{verb.log}: {operation.get_kind_display()}."
            self.log_each(request, [operation.payment_intent or operation], text)


def page_of(operation: Operation) -> str:
    return reverse("admin:truss_portal_operation_change", args=[operation.pk])
