"""What was asked of Truss, and what came of it."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext_lazy as _

from truss_portal import memo
from truss_portal.models import Operation

from .company_filters import company_filters
from .operation_filters import BatchFilter, NeedsFilter
from .operation_pages import TOO_MANY, OperationPages
from .operation_verbs import DISMISS, SEND_AGAIN, TRY_AGAIN, WITHDRAW, Verb, tools
from .operation_words import advice, next_try, standing, stands
from .rows import copy_button, page_link, two_lines
from .timeline import field_name
from .wording import NOTHING, moment, payer

Chosen = QuerySet[Operation]
SECTIONS: Final = (
    (None, ("what", "subject", "payer", "changes", "standing", "error", "next_try", "mark")),
    (_("Who and when"), ("asked_by", "requested_at", "batch_link", "attempts", "times")),
    (_("Truss's answer"), ("response_status", "response_body")),
)


@admin.register(Operation)
class OperationAdmin(OperationPages):
    """Looked at; what a person may do about one is asked for in `actions`."""

    list_display = ("what", "subject", "standing", "happened", "next_try", "asked")
    list_filter = (NeedsFilter, BatchFilter, "kind", "state", "requested_at")
    list_select_related = ("payment_intent__contact", "contact", "requested_by")
    search_fields = ("payment_intent__reference", "payment_intent__addenda", "contact__name", "contact__email")
    search_help_text = _("Invoice, payer, email, or Truss UID")
    uid_fields = ("payment_intent__uid", "contact__uid")
    actions = ("try_again_selected", "send_again_selected", "dismiss_selected", "withdraw_selected")  # type: ignore[assignment]
    empty_text = _("Nothing has been asked of Truss yet. Send an invoice: the request and Truss's answer stand here.")

    class Media:
        js = ["truss_portal/copy.js"]

    def get_queryset(self, request: HttpRequest) -> Chosen:
        return super().get_queryset(request).select_related("payment_intent", "contact")

    # --- the list

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*self.list_filter, *company_filters(request)]

    @admin.display(description=_("what"), ordering="kind")
    def what(self, operation: Operation) -> str:
        return operation.get_kind_display()

    @admin.display(description=_("about"), ordering="payment_intent__reference")
    def subject(self, operation: Operation) -> SafeString | str:
        return page_link(operation.payment_intent or operation.contact)

    @admin.display(description=_("state"), ordering="state")
    def standing(self, operation: Operation) -> SafeString | str:
        return standing(operation)

    @admin.display(description=_("what happened"))
    def happened(self, operation: Operation) -> str:
        return Truncator(operation.error).chars(120) or NOTHING

    @admin.display(description=_("next try"), ordering="next_attempt_at")
    def next_try(self, operation: Operation) -> str:
        return next_try(operation)

    @admin.display(description=_("asked"), ordering="requested_at")
    def asked(self, operation: Operation) -> SafeString:
        return two_lines(moment(operation.requested_at), operation.requested_by or "")

    # --- the list's actions

    @admin.action(permissions=["retry"], description=TRY_AGAIN.title)
    def try_again_selected(self, request: HttpRequest, queryset: Chosen) -> HttpResponse | None:
        return self._confirm_selected(request, TRY_AGAIN, queryset)

    @admin.action(permissions=["settle"], description=SEND_AGAIN.title)
    def send_again_selected(self, request: HttpRequest, queryset: Chosen) -> HttpResponse | None:
        return self._confirm_selected(request, SEND_AGAIN, queryset)

    @admin.action(permissions=["retry"], description=DISMISS.title)
    def dismiss_selected(self, request: HttpRequest, queryset: Chosen) -> HttpResponse | None:
        return self._confirm_selected(request, DISMISS, queryset)

    @admin.action(permissions=["retry"], description=WITHDRAW.title)
    def withdraw_selected(self, request: HttpRequest, queryset: Chosen) -> HttpResponse | None:
        return self._confirm_selected(request, WITHDRAW, queryset)

    def _confirm_selected(self, request: HttpRequest, verb: Verb, queryset: Chosen) -> HttpResponse | None:
        if self.too_many(request, queryset.count(), self.at_once, TOO_MANY):
            return None
        return self.confirm(request, verb, queryset, request.get_full_path())

    # --- the page of one

    def get_fieldsets(self, request: HttpRequest, obj: Operation | None = None) -> Any:
        """What says nothing about this one isn't shown."""
        shown = {
            "changes": obj is None or bool(obj.body),
            "next_try": obj is None or obj.state == Operation.State.QUEUED,
            "mark": obj is not None and obj.kind == Operation.Kind.CREATE,
            "batch_link": obj is None or obj.batch_id is not None,
            "response_status": obj is None or obj.response_status is not None,
            "response_body": obj is None or bool(obj.response_body),
            "error": obj is None or bool(obj.error and not stands(obj)),
        }
        kept = [(title, [name for name in names if shown.get(name, True)]) for title, names in SECTIONS]
        return [(title, {"fields": names}) for title, names in kept if names]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        operation = self.get_object(request, object_id) if object_id else None
        told: dict[str, Any] = {}
        if operation is not None:
            notice = advice(operation.kind, operation.state, operation.error)
            told = {
                "tools": tools(request, operation, request.path),
                "notices": [notice] if notice and stands(operation) else [],
            }
        return super().changeform_view(request, object_id, form_url, (extra_context or {}) | told)

    @admin.display(description=_("payer"))
    def payer(self, operation: Operation) -> str:
        return payer(operation.payment_intent.contact if operation.payment_intent else operation.contact)

    @admin.display(description=_("changes"))
    def changes(self, operation: Operation) -> SafeString | str:
        rows: list[tuple[str, Any]] = [(field_name(name), value) for name, value in operation.body.items()]
        return format_html_join("", "{}: {}<br>", rows) or NOTHING

    @admin.display(description=_("mark in Truss's memo"))
    def mark(self, operation: Operation) -> SafeString | str:
        intent = operation.payment_intent
        mark = memo.join("", intent.memo_reference) if intent else ""
        return format_html("{} {}", mark, copy_button(mark, what=intent, label=_("Copy mark"))) if intent else NOTHING

    @admin.display(description=_("asked by"))
    def asked_by(self, operation: Operation) -> str:
        return str(operation.requested_by or NOTHING)

    @admin.display(description=_("batch"))
    def batch_link(self, operation: Operation) -> SafeString | str:
        return page_link(operation.batch)

    @admin.display(description=_("times"))
    def times(self, operation: Operation) -> SafeString | str:
        """Those that there are, with their names."""
        named = [
            (capfirst(str(Operation._meta.get_field(name).verbose_name)), moment(value))  # type: ignore[union-attr]
            for name in ("unconfirmed_at", "finished_at")
            if (value := getattr(operation, name))
        ]
        return format_html_join("", "{}: {}<br>", named) or NOTHING
