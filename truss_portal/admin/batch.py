"""What was asked for many invoices in one go: how far it is, what went wrong, what was left out."""

from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from truss_portal import actions, exchange, tasks
from truss_portal.database import outside_transactions
from truss_portal.models import Batch, Operation

from .asking import TOGETHER, AskingAdmin, together
from .batch_progress import Progress
from .batch_results import Results, headings
from .left_out import grouped
from .operation_words import standing
from .payment_intent_verbs import VERBS
from .rows import ReadOnlyAdmin, badge, page_link, person
from .wording import moment, number

Kind = Operation.Kind
State = Operation.State
View = Callable[[HttpRequest, int], HttpResponse]

# Names that one fold of the page shows; the rest is a number.
NAMED: Final = 200
FILES: Final = ("csv", "xlsx")


class KindFilter(admin.SimpleListFilter):
    title = gettext_lazy("what")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(verb.kind, verb.kind.label) for verb in VERBS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Batch]) -> QuerySet[Batch]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class WhoFilter(admin.RelatedOnlyFieldListFilter):
    """Those who have asked for a batch; nobody is the site's own code."""

    def choices(self, changelist: Any) -> Any:
        self.empty_value_display = escape(_("The site's own code"))
        return super().choices(changelist)


@admin.register(Batch)
class BatchAdmin(AskingAdmin[Batch], ReadOnlyAdmin[Batch]):
    """Seen with the permission to view batches. What changes something asks for its own besides."""

    list_display = ("what", "requested_at", "requested_by", "chosen_count", "outcome")
    list_filter = (KindFilter, ("requested_by", WhoFilter), "requested_at")
    list_select_related = ("requested_by",)
    empty_text = gettext_lazy(
        "No batches yet. Choose several invoices in their list and send them: how far they are is shown here."
    )

    class Media:
        js = ["truss_portal/batch.js"]

    # --- the list

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        return with_counts(super().get_queryset(request)).defer("left_out")

    @admin.display(description=gettext_lazy("what"), ordering="kind")
    def what(self, batch: Batch) -> str:
        return title_of(batch)

    @admin.display(description=gettext_lazy("invoices chosen"), ordering="chosen")
    def chosen_count(self, batch: Batch) -> str:
        return number(batch.chosen)

    @admin.display(description=gettext_lazy("outcome"))
    def outcome(self, batch: Any) -> SafeString | str:
        if batch.for_a_person:
            text = ngettext("%(count)s needs a person", "%(count)s need a person", batch.for_a_person)
            return badge(text % {"count": number(batch.for_a_person)})
        if batch.unfinished:
            text = ngettext("%(count)s waits", "%(count)s wait", batch.unfinished)
            return text % {"count": number(batch.unfinished)}
        return _("Finished")

    # --- addresses

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: View) -> URLPattern:
            wrapped = outside_transactions(self.admin_site.admin_view(view))
            return path(f"<int:pk>/{name.replace('_', '-')}/", wrapped, name=f"truss_portal_batch_{name}")

        pages = {"progress": self.progress_view, "go_on": self.go_on_view, "withdraw": self.withdraw_view}
        result = path(
            "<int:pk>/result/<str:kind>/",
            self.admin_site.admin_view(self.result_view),
            name="truss_portal_batch_result",
        )
        return [*(page(name, view) for name, view in pages.items()), result, *super().get_urls()]

    def _batch(self, request: HttpRequest, pk: int) -> Batch:
        batch = self.get_queryset(request).select_related("requested_by").filter(pk=pk).first()
        if not self.has_view_permission(request, batch):
            raise PermissionDenied
        if batch is None:
            raise Http404
        return batch

    def may_go_on(self, request: HttpRequest, batch: Batch) -> bool:
        """Who may ask for such a thing may go on with it; so may who may try requests again."""
        own = next((verb.name for verb in VERBS if verb.kind == batch.kind), None)
        may = request.user.has_perm
        return may("truss_portal.retry_operation") or bool(own and may(f"truss_portal.{own}_paymentintent"))

    def may_withdraw(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_portal.retry_operation")

    def may_see_invoices(self, request: HttpRequest) -> bool:
        """Which invoices they are, and why something didn't work, is for who may see invoices."""
        return request.user.has_perm("truss_portal.view_paymentintent")

    # --- the page of one

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        batch = self.get_object(request, object_id)
        if batch is None or not self.has_view_permission(request, batch):
            return super().change_view(request, object_id, form_url, extra_context)
        told = self._told(request, batch)
        progress: Progress = told["progress"]
        left_out = batch.left_out if told["may_see_invoices"] else []
        return self.page(
            request,
            "truss_portal/admin/batch.html",
            title=title_of(batch),
            left_out=grouped(((pk, name, reason) for pk, name, reason in left_out), examples=NAMED),
            left_out_count=len(batch.left_out),
            lost=0 if progress.being_written else progress.missing,
            files=[
                {"kind": kind.upper(), "url": reverse("admin:truss_portal_batch_result", args=[batch.pk, kind])}
                for kind in FILES
            ],
            chosen=number(batch.chosen),
            asked_at=moment(batch.requested_at),
            **told,
        )

    def _told(self, request: HttpRequest, batch: Batch) -> dict[str, Any]:
        """What the page says and what comes anew while somebody watches."""
        progress = Progress(batch)
        may_see_invoices = self.may_see_invoices(request)
        problems = progress.problems if may_see_invoices else []
        operations = reverse("admin:truss_portal_operation_changelist")
        of_batch = {"batch": batch.pk}
        return {
            "batch": batch,
            "progress": progress,
            "may_see_invoices": may_see_invoices,
            "problems": [
                {
                    "row": operation,
                    "subject": page_link(operation.payment_intent),
                    "standing": standing(operation),
                }
                for operation in problems
            ],
            "more_problems": number(progress.problem_count - len(problems))
            if problems and progress.problem_count > len(problems)
            else "",
            "may_see_operations": request.user.has_perm("truss_portal.view_operation"),
            "operations_url": f"{operations}?{urlencode(of_batch)}",
            "problems_url": f"{operations}?{urlencode(of_batch | {'needs': 'person'})}",
            "may_go_on": progress.queued and self.may_go_on(request, batch),
            "go_on_words": _("Wake the workers") if tasks.in_background() else _("Go on now"),
            "wait_for": self.wait_for,
            "in_background": tasks.in_background(),
            "may_withdraw": progress.queued and self.may_withdraw(request),
        }

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes, for the script on it."""
        told = self._told(request, self._batch(request, pk))
        return TemplateResponse(request, "truss_portal/admin/batch_progress.html", told)

    def result_view(self, request: HttpRequest, pk: int, kind: str) -> StreamingHttpResponse:
        """What came of each so far, as a file."""
        # Not from the list's queryset, which puts the largest column off.
        batch = Batch.objects.filter(pk=pk).first()
        if not (self.has_view_permission(request, batch) and self.may_see_invoices(request)):
            raise PermissionDenied
        if batch is None or kind not in FILES:
            raise Http404
        rows = Results(batch).rows()
        if kind == "csv":
            file, content_type = exchange.rows_as_csv(headings(), rows), exchange.CSV_TYPE
        else:
            file, content_type = exchange.rows_as_xlsx(title_of(batch), headings(), rows), exchange.XLSX_TYPE
        name = f"batch-{batch.pk}-{timezone.localtime(batch.requested_at):%Y-%m-%d}.{kind}"
        return StreamingHttpResponse(
            file,
            content_type=content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    # --- what can be done with it

    def go_on_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Carry out the next part while the page waits, or wake the workers again."""
        batch = self._batch(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.may_go_on(request, batch):
            raise PermissionDenied
        waiting = Operation.objects.filter(batch=batch, state=State.QUEUED)
        before = waiting.count()
        if not waiting.filter(next_attempt_at=None).exists():
            # All of them wait for their next try, and a person says that it is time.
            for operation in waiting.order_by("pk")[: self.wait_for]:
                actions.try_again(operation, actor=person(request), wait=False)
        reached = self.carry_out(Operation.objects.filter(batch=batch))
        if not reached:
            text = _("The workers can't be reached. Nothing is lost: truss_push asks Truss by itself.")
            self.message_user(request, text, messages.WARNING)
        elif tasks.in_background():
            self.message_user(request, _("The workers are told to go on."), messages.SUCCESS)
        elif before and waiting.count() == before:
            text = _("Truss could not be asked just now. %(why)s") % {"why": Progress(batch).in_the_way}
            self.message_user(request, text.strip(), messages.WARNING)
        return HttpResponseRedirect(reverse("admin:truss_portal_batch_change", args=[batch.pk]))

    def withdraw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take back what waits, after a confirmation."""
        batch = self._batch(request, pk)
        if not self.may_withdraw(request):
            raise PermissionDenied
        back = reverse("admin:truss_portal_batch_change", args=[batch.pk])
        waiting = Operation.objects.filter(batch=batch, state=State.QUEUED)
        if request.method != "POST":
            return self.page(
                request,
                "truss_portal/admin/batch_withdraw.html",
                title=_("Withdraw what waits"),
                batch=batch,
                batch_title=title_of(batch),
                progress=Progress(batch),
                back=back,
            )
        withdrawn = 0
        for ids in together(list(waiting.order_by("pk").values_list("pk", flat=True)), TOGETHER):
            withdrawn += actions.withdraw(ids, actor=person(request))
            taken = Operation.objects.filter(pk__in=ids, state=State.WITHDRAWN).select_related("payment_intent")
            subjects = [operation.payment_intent for operation in taken if operation.payment_intent]
            self.log_each(request, subjects, _("Withdrawn before Truss was asked."))
        text = ngettext("%(count)s request was withdrawn.", "%(count)s requests were withdrawn.", withdrawn)
        self.message_user(request, text % {"count": number(withdrawn)}, messages.SUCCESS)
        return HttpResponseRedirect(back)


def title_of(batch: Batch) -> str:
    """Such as "Send: batch 5"."""
    what = Kind(batch.kind).label if batch.kind in Kind.values else batch.kind
    return _("%(what)s: batch %(number)s") % {"what": what, "number": batch.pk}


def with_counts(batches: QuerySet[Batch]) -> QuerySet[Batch]:
    """With how many aren't finished, and how many need a person."""

    def counted(chosen: Q) -> Subquery:
        theirs = Operation.objects.filter(chosen, batch=OuterRef("pk")).order_by().values("batch")
        return Subquery(theirs.annotate(count=Count("pk")).values("count"))

    return batches.annotate(
        unfinished=counted(Q(state__in=[State.QUEUED, State.SENDING])),
        for_a_person=counted(Q(needs_person=True) | Q(state=State.UNCONFIRMED)),
    )
