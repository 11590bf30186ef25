"""What Truss has told, and what became of it."""

import json
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from truss_portal import tasks, webhooks
from truss_portal.database import alias
from truss_portal.models import PaymentIntent, WebhookEvent

from .rows import ReadOnlyAdmin, badge, page_link
from .wording import NOTHING

State = WebhookEvent.State


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin[WebhookEvent]):
    actions = ("process_again",)  # type: ignore[assignment]
    list_display = (
        "received_at", "event_name", "invoice", "company", "outcome", "short_error", "attempts", "next_attempt_at",
    )  # fmt: skip
    list_filter = ("state", "event_name", "company", "received_at")
    list_select_related = ("company",)
    search_fields = ("event_name", "error")
    search_help_text = _("Event ID, Truss UID, event, or what happened")
    uid_fields = ("event_id", "payment_intent_uid")
    empty_text = _(
        "Truss hasn't told anything yet. Give Truss the address of this site's webhook, and enter the secret that you "
        "get for it."
    )
    fields = (
        "event_name", "event_id", "invoice", "payment_intent_uid", "company", "event_created_at", "received_at",
        "outcome", "processed_at", "attempts", "next_attempt_at", "error", "content",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        """With the invoice that each is about, where it is known here; a list shows no payloads."""
        invoice = PaymentIntent.objects.filter(company=OuterRef("company"), uid=OuterRef("payment_intent_uid"))
        named = invoice.annotate(name=Coalesce("reference", "addenda"))
        return (
            super()
            .get_queryset(request)
            .defer("payload")
            .annotate(invoice_pk=Subquery(invoice.values("pk")), invoice_name=Subquery(named.values("name")))
        )

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_portal.retry_webhookevent")

    @admin.action(description=_("Process again"), permissions=["retry"])
    def process_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        events = list(queryset)
        count = webhooks.make_due(WebhookEvent.objects.filter(pk__in=[event.pk for event in events]))
        for event in events:
            self.log_change(request, event, str(_("Asked to be processed again.")))
        for company_id in {event.company_id for event in events}:
            # Truss is asked outside of a transaction, also where the site puts one around each request.
            transaction.on_commit(partial(tasks.wake, tasks.process_webhooks, company_id), using=alias())
        text = ngettext("%(count)d webhook is processed again.", "%(count)d webhooks are processed again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    @admin.display(description=_("state"), ordering="state")
    def outcome(self, event: WebhookEvent) -> SafeString | str:
        if event.state == State.GIVEN_UP:
            return badge(event.get_state_display())
        return event.get_state_display()

    @admin.display(description=_("what happened"))
    def short_error(self, event: WebhookEvent) -> str:
        return Truncator(event.error).chars(80) or NOTHING

    @admin.display(description=_("invoice"))
    def invoice(self, event: WebhookEvent) -> SafeString | str:
        found: dict[str, Any] = vars(event)
        if found["invoice_pk"] is None:
            return NOTHING
        return page_link(PaymentIntent(pk=found["invoice_pk"]), found["invoice_name"])

    @admin.display(description=_("content"))
    def content(self, event: WebhookEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.payload, indent=2, ensure_ascii=False))
