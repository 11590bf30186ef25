"""Invitations: the list with its funnel, and the page of one."""

import json
from typing import Any, Final

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal.admin.rows import badge, breakable, two_lines
from truss_portal.admin.wording import NOTHING, moment
from truss_portal.trustist.models import Invitation
from truss_portal.trustist.models.invitation import InvitationQuerySet

from .invitation_filters import KeysFilter, PersonFilter
from .invitation_import import InvitationImport
from .invitation_verbs import (
    FETCH_KEYS,
    REFRESH,
    SEEN_TO,
    SEND_AGAIN,
    TRY_AGAIN,
    WITHDRAW,
    Verb,
    notices,
    tools,
)
from .merchant_key import from_when_to_when, masked, reveal_url
from .merchant_key import standing as standing_of_key
from .sync_run import CHANGE_FORM

Delivery = Invitation.Delivery
Stage = Invitation.Stage
LIST: Final = "admin:truss_trustist_invitation_changelist"


@admin.register(Invitation)
class InvitationAdmin(InvitationImport):
    change_list_template = "admin/truss_trustist/invitation/change_list.html"
    change_form_template = CHANGE_FORM
    list_display = ("who", "standing", "offered", "keys_held", "asked", "as_of")
    list_filter = ("stage", "delivery", PersonFilter, KeysFilter, "requested_at")
    list_select_related = ("invited_by",)
    search_fields = ("name", "email", "invitation_id", "merchant_id")
    search_help_text = gettext_lazy("Name, email, invitation ID or merchant ID")
    actions = (  # type: ignore[assignment]
        "refresh_selected", "fetch_keys_selected", "try_again_selected", "send_again_selected", "seen_to_selected",
        "withdraw_selected",
    )  # fmt: skip
    empty_text = gettext_lazy(
        "Nobody is invited yet. Choose “Invite” for one client, or “Invite many” for a file; trustist_sync brings what "
        "Trustist has already."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        keys = Count("merchant_keys", filter=Q(merchant_keys__until=None))
        rows: InvitationQuerySet = super().get_queryset(request)  # type: ignore[assignment]
        return rows.of_this_environment().annotate(current_keys=keys)

    # --- the list

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        told = {
            "funnel": funnel(),
            "may_invite": self.has_invite_permission(request),
            "waiting": Invitation.objects.of_this_environment().exclude(delivery=Delivery.SENT).exclude(
                delivery=Delivery.WITHDRAWN
            ).count(),
        }  # fmt: skip
        return super().changelist_view(request, told | (extra_context or {}))

    @admin.display(description=gettext_lazy("merchant"), ordering="name")
    def who(self, invitation: Invitation) -> SafeString:
        return two_lines(invitation.name or _("Name not told"), breakable(invitation.email or _("email not told")))

    @admin.display(description=gettext_lazy("state"), ordering="stage")
    def standing(self, invitation: Invitation) -> SafeString | str:
        return standing(invitation)

    @admin.display(description=gettext_lazy("payment types"))
    def offered(self, invitation: Invitation) -> str:
        if not invitation.payment_types:
            return _("not told")
        return _("Bank and cards") if invitation.offers_cards else _("Bank only, no cards")

    @admin.display(description=gettext_lazy("keys"), ordering="current_keys")
    def keys_held(self, invitation: Invitation) -> SafeString | str:
        count: int = vars(invitation)["current_keys"]
        if count:
            return str(count)
        return badge(_("not yet")) if invitation.stage == Stage.COMPLETE else NOTHING

    @admin.display(description=gettext_lazy("asked for"), ordering="requested_at")
    def asked(self, invitation: Invitation) -> SafeString | str:
        if invitation.requested_at is None:
            return _("at Trustist, not here")
        return two_lines(moment(invitation.requested_at), invitation.invited_by or "")

    @admin.display(description=gettext_lazy("as of"), ordering="fetched_at")
    def as_of(self, invitation: Invitation) -> str:
        return moment(invitation.fetched_at)

    # --- the list's actions

    def _selected(self, request: HttpRequest, verb: Verb, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        return self.confirm_selected(request, verb, queryset)

    @admin.action(permissions=["refresh"], description=REFRESH.title)
    def refresh_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        return self._selected(request, REFRESH, queryset)

    @admin.action(permissions=["fetch"], description=FETCH_KEYS.title)
    def fetch_keys_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        return self._selected(request, FETCH_KEYS, queryset)

    @admin.action(permissions=["retry"], description=TRY_AGAIN.title)
    def try_again_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        return self._selected(request, TRY_AGAIN, queryset)

    @admin.action(permissions=["settle"], description=SEND_AGAIN.title)
    def send_again_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        return self._selected(request, SEND_AGAIN, queryset)

    @admin.action(permissions=["retry"], description=SEEN_TO.title)
    def seen_to_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        return self._selected(request, SEEN_TO, queryset)

    @admin.action(permissions=["retry"], description=WITHDRAW.title)
    def withdraw_selected(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        return self._selected(request, WITHDRAW, queryset)

    # --- the page of one

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Invitation | None:
        """Who looks decides what its columns show: the admin itself is shared by all requests."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            vars(found)["may_reveal"] = request.user.has_perm("truss_trustist.reveal_merchantkey")
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        at_trustist = ("invitation_id", "status", "merchant_id", "times", "as_of", "others")
        asking = ("delivery", "invited_by", "requested_at", "attempts", "next_attempt_at", "response_status", "error")
        sections = [
            (None, {"fields": ("name", "email", "standing", "offered_explained")}),
            (_("At Trustist"), {"fields": at_trustist}),
        ]
        if request.user.has_perm("truss_trustist.view_merchantkey"):
            sections.append((_("Keys"), {"fields": ("keys_shown", "keys_fetched_at", "keys_next_at", "keys_error")}))
        return [*sections, (_("How it was asked for"), {"fields": asking})]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        invitation = self.get_object(request, object_id) if object_id else None
        told: dict[str, Any] = {}
        if invitation is not None:
            told = {"tools": tools(request, invitation, request.path), "notices": notices(invitation)}
        return super().changeform_view(request, object_id, form_url, (extra_context or {}) | told)

    @admin.display(description=gettext_lazy("payment types"))
    def offered_explained(self, invitation: Invitation) -> str:
        if not invitation.payment_types:
            return _("Trustist doesn't tell.")
        if invitation.offers_cards:
            return _("Bank payments (mandatory) and card payments")
        return _("Bank payments (mandatory) only: this merchant is never offered card payments")

    @admin.display(description=gettext_lazy("times"))
    def times(self, invitation: Invitation) -> SafeString | str:
        named = [
            (_("known since"), invitation.known_since),
            (_("first seen opened"), invitation.opened_at),
            (_("first seen complete"), invitation.completed_at),
            (_("missing since"), invitation.missing_since),
        ]
        return format_html_join("", "{}: {}<br>", [(name, moment(value)) for name, value in named if value])

    @admin.display(description=gettext_lazy("other fields"))
    def others(self, invitation: Invitation) -> SafeString | str:
        if not invitation.extra:
            return NOTHING
        return format_html("<pre>{}</pre>", json.dumps(invitation.extra, indent=2, ensure_ascii=False))

    @admin.display(description=gettext_lazy("keys"))
    def keys_shown(self, invitation: Invitation) -> SafeString | str:
        """Masked, with from when to when each is the one; the newest first."""
        keys = invitation.merchant_keys.defer("sealed").select_related("invitation").order_by("until", "-pk")
        rows = [(masked(), standing_of_key(key), from_when_to_when(key), reveal_url(key)) for key in keys]
        rows.sort(key=lambda row: row[2].startswith(_("from")))
        if not rows:
            return _("None yet. They are asked for by themselves, and often when the invitation is complete.")
        if not vars(invitation).get("may_reveal"):
            return format_html_join("", "{} {} {}<br>", (row[:3] for row in rows))
        shown = ((*row, _("Reveal")) for row in rows)
        return format_html_join("", '{} {} {} <a href="{}">{}</a><br>', shown)


def standing(invitation: Invitation) -> SafeString | str:
    """How it stands, in one word, with a color where somebody should look."""
    if invitation.missing_since:
        return badge(_("Not found at Trustist"))
    if invitation.delivery != Delivery.SENT:
        label = invitation.get_delivery_display()
        quiet = {Delivery.QUEUED, Delivery.SENDING, Delivery.WITHDRAWN}
        return label if invitation.delivery in quiet and not invitation.needs_person else badge(label)
    if invitation.needs_person:
        return badge(_("Needs a person"))
    if invitation.stage == Stage.COMPLETE:
        return format_html('<strong class="truss-badge truss-good">{}</strong>', _("Complete"))
    if invitation.stage == Stage.UNKNOWN:
        return format_html('<span class="truss-badge">{}</span>', invitation.status)
    return format_html('<span class="truss-badge">{}</span>', invitation.get_stage_display())


def funnel() -> list[dict[str, Any]]:
    """Of those that Trustist has: how many were invited, how many of these have begun, how many are through."""
    complete = Q(stage=Stage.COMPLETE)
    counted = (
        Invitation.objects.of_this_environment()
        .at_trustist()
        .filter(missing_since=None)
        .aggregate(
            invited=Count("pk"),
            opened=Count("pk", filter=complete | Q(opened_at__isnull=False) | Q(stage=Stage.OPENED)),
            complete=Count("pk", filter=complete),
        )
    )
    everybody = counted["invited"]
    steps = [("invited", _("Invited"), ""), ("opened", _("Opened"), ""), ("complete", _("Complete"), "?stage=complete")]
    return [
        {
            "label": label,
            "count": counted[name],
            "share": round(100 * counted[name] / everybody) if everybody else 0,
            "url": f"{reverse(LIST)}{query}" if query else "",
        }
        for name, label, query in steps
    ]
