"""What was asked of Truss, and what came of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from truss_portal.models import Operation

from .rows import ReadOnlyAdmin, page_link
from .timeline import field_name
from .wording import NOTHING


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin[Operation]):
    list_display = (
        "requested_at", "kind", "subject", "state", "short_error", "requested_by", "attempts", "next_attempt_at",
    )  # fmt: skip
    list_filter = ("state", "kind", "requested_at")
    list_select_related = ("payment_intent", "contact", "requested_by")
    search_fields = ("payment_intent__reference", "payment_intent__addenda", "contact__name", "contact__email")
    search_help_text = _("Invoice, payer, email, or Truss UID")
    uid_fields = ("payment_intent__uid", "contact__uid")
    empty_text = _("Nothing has been asked of Truss yet. Send an invoice: the request and Truss's answer stand here.")
    fields = (
        "kind", "subject", "changes", "state", "requested_by", "requested_at", "attempts", "next_attempt_at",
        "finished_at", "unconfirmed_at", "response_status", "response_body", "error",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operation]:
        return super().get_queryset(request).select_related("payment_intent", "contact")

    @admin.display(description=_("about"))
    def subject(self, operation: Operation) -> SafeString | str:
        return page_link(operation.payment_intent or operation.contact)

    @admin.display(description=_("what happened"))
    def short_error(self, operation: Operation) -> str:
        return Truncator(operation.error).chars(80)

    @admin.display(description=_("changes"))
    def changes(self, operation: Operation) -> SafeString | str:
        rows: list[tuple[str, Any]] = [(field_name(name), value) for name, value in operation.body.items()]
        return format_html_join("", "{}: {}<br>", rows) or NOTHING
