"""What Trustist, or somebody who knows our address, has told; and what became of it."""

import json

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from truss_portal.admin.rows import ReadOnlyAdmin, badge, page_link, two_lines
from truss_portal.admin.wording import NOTHING
from truss_portal.trustist.conf import conf
from truss_portal.trustist.models import Invitation, WebhookEvent

from .sync_run import CHANGE_FORM, CHANGE_LIST

State = WebhookEvent.State
Kind = WebhookEvent.Kind


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin[WebhookEvent]):
    change_list_template = CHANGE_LIST
    change_form_template = CHANGE_FORM
    list_display = ("received_at", "what", "about", "status", "shown_amount", "outcome", "short_error")
    list_filter = ("kind", "state", "received_at")
    search_fields = ("subject_id", "merchant_id", "status", "error")
    search_help_text = _("Invitation, payment or merchant ID, or what happened")
    empty_text = _(
        "Trustist hasn't told anything yet. Give Trustist the address of this site's webhook, in its partner dashboard."
    )
    fields = (
        "what", "about", "subject_id", "merchant_id", "status", "shown_amount", "told_at", "received_at", "times",
        "outcome", "processed_at", "attempts", "next_attempt_at", "error", "content",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        return super().get_queryset(request).filter(environment=conf.environment)

    @admin.display(description=_("event"), ordering="kind")
    def what(self, event: WebhookEvent) -> str:
        return str(Kind(event.kind).label) if event.kind in Kind.values else event.kind

    @admin.display(description=_("about"))
    def about(self, event: WebhookEvent) -> SafeString | str:
        here = Invitation.objects.of_this_environment()
        if event.kind == Kind.INVITATION:
            found = here.of_id(event.subject_id).first()
            return page_link(found) if found else event.subject_id
        if event.kind == Kind.PAYMENT and event.merchant_id:
            found = invitation_of(event.merchant_id)
            return two_lines(page_link(found), event.subject_id) if found else event.subject_id
        return event.subject_id or NOTHING

    @admin.display(description=_("amount, no currency told"), ordering="amount")
    def shown_amount(self, event: WebhookEvent) -> str:
        return NOTHING if event.amount is None else number_format(event.amount, 2, use_l10n=True, force_grouping=True)

    @admin.display(description=_("state"), ordering="state")
    def outcome(self, event: WebhookEvent) -> SafeString | str:
        label = event.get_state_display()
        return badge(label) if event.state in {State.GIVEN_UP, State.NOTED} else label

    @admin.display(description=_("what happened"))
    def short_error(self, event: WebhookEvent) -> str:
        return Truncator(event.error).chars(80) or NOTHING

    @admin.display(description=_("content"))
    def content(self, event: WebhookEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.payload, indent=2, ensure_ascii=False))


def invitation_of(merchant_id: str) -> Invitation | None:
    """Whose merchant that is, as Trustist's API says; or else as a webhook has said on completion."""
    here = Invitation.objects.of_this_environment()
    found = here.alias(merchant_lower=Lower("merchant_id")).filter(merchant_lower=merchant_id.lower()).first()
    if found is None:
        told = (
            WebhookEvent.objects.of_merchant(merchant_id)
            .filter(environment=conf.environment, kind=Kind.INVITATION)
            .first()
        )
        found = here.of_id(told.subject_id).first() if told else None
    return found
