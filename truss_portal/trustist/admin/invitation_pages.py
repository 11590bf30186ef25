"""The pages of invitations that are not Django's own: invite one, do what a person decides, say which one it is."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal.admin.asking import IDS, AskingAdmin, named
from truss_portal.admin.left_out import grouped
from truss_portal.admin.rows import ReadOnlyAdmin, person
from truss_portal.admin.wording import listed
from truss_portal.client import InvalidRequestError
from truss_portal.database import outside_transactions
from truss_portal.exceptions import ActionRefusedError, TrussPortalError
from truss_portal.plain_words import told
from truss_portal.trustist import actions
from truss_portal.trustist.client import TrustistError
from truss_portal.trustist.connection import connect
from truss_portal.trustist.exceptions import InvitedBeforeError
from truss_portal.trustist.models import Invitation

from .invitation_verbs import VERBS, Verb, may

PROMISE: Final = "promise"
NAME: Final = "truss_trustist_invitation"
TOO_MANY: Final = gettext_lazy("%(count)d invitations are chosen, and at most %(limit)d fit. Choose fewer.")
Delivery = Invitation.Delivery


class InviteForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=actions.NAME_MAX, help_text=gettext_lazy("What the client is called.")
    )
    email = forms.EmailField(
        label=gettext_lazy("Email"), max_length=254, help_text=gettext_lazy("Trustist writes to this address at once.")
    )
    openbanking = forms.BooleanField(
        label=gettext_lazy("Bank payments (open banking)"),
        initial=True,
        disabled=True,
        required=False,
        help_text=gettext_lazy("Mandatory: Trustist offers them to every merchant."),
    )
    cards = forms.BooleanField(
        label=gettext_lazy("Card payments"),
        initial=True,
        required=False,
        help_text=gettext_lazy("Without this the merchant is never offered card payments, and isn't told of them."),
    )


class InvitationPages(AskingAdmin[Invitation], ReadOnlyAdmin[Invitation]):
    """Every page asks for the permission to view invitations, or to invite, and for its own."""

    at_once = 200
    """How many invitations one action may be about."""

    # --- permissions, as Django asks for them by the name in `@admin.action(permissions=…)`

    def has_invite_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm("truss_trustist.invite_invitation")

    def has_refresh_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_trustist.refresh_invitation")

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_trustist.fetch_merchantkey")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_trustist.retry_invitation")

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("truss_trustist.settle_invitation")

    # --- addresses

    def own_page(self, at: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """A page that may ask Trustist."""
        return path(at, outside_transactions(self.admin_site.admin_view(view)), name=f"{NAME}_{name}")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.own_page("invite/", self.invite_view, "invite"),
            self.own_page("<int:pk>/which/", self.which_view, "which"),
            *(self.own_page(f"{verb.name.replace('_', '-')}/", self._verb_view(verb), verb.name) for verb in VERBS),
            *super().get_urls(),
        ]

    # --- invite one

    def invite_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_invite_permission(request):
            raise PermissionDenied
        form = InviteForm(request.POST if request.method == "POST" else None)
        first = None
        if form.is_valid():
            given = form.cleaned_data
            try:
                row = actions.invite(
                    name=given["name"], email=given["email"], cards=given["cards"], actor=person(request)
                )
            except InvitedBeforeError as error:
                form.add_error("email", str(error))
                first = page_of(error.first)
            except (InvalidRequestError, ActionRefusedError) as error:
                form.add_error(None, told(error))
            else:
                self.log_invited(request, [row])
                self.tell_invited(request, [row])
                return HttpResponseRedirect(page_of(row.pk))
        return self.page(
            request, "truss_trustist/invite.html", title=_("Invite a merchant"), form=form, first=first, back=list_url()
        )

    def log_invited(self, request: HttpRequest, rows: Sequence[Invitation]) -> None:
        LogEntry.objects.log_actions(person(request).pk, rows, ADDITION, _("Invited."))

    def tell_invited(self, request: HttpRequest, rows: Sequence[Invitation]) -> None:
        now = Invitation.objects.filter(pk__in=[row.pk for row in rows])
        counts = {state: now.filter(delivery=state).count() for state in Delivery}
        if sent := counts[Delivery.SENT]:
            self.message_user(request, _("Invited at Trustist: %(count)d.") % {"count": sent}, messages.SUCCESS)
        if waiting := counts[Delivery.QUEUED] + counts[Delivery.SENDING]:
            text = _("Waiting to be sent: %(count)d. Workers or trustist_sync ask Trustist by themselves.")
            self.message_user(request, text % {"count": waiting}, messages.WARNING)
        if lost := counts[Delivery.UNCONFIRMED]:
            text = _("Trustist's answer was lost: %(count)d. A later sync looks for them; nobody is invited twice.")
            self.message_user(request, text % {"count": lost}, messages.WARNING)
        for row in now.filter(delivery=Delivery.FAILED)[:10]:
            self.message_user(request, f"{row}: {row.error}", messages.ERROR)

    # --- confirm, do, tell

    def confirm_selected(self, request: HttpRequest, verb: Verb, queryset: QuerySet[Invitation]) -> HttpResponse | None:
        if self.too_many(request, queryset.count(), self.at_once, TOO_MANY):
            return None
        return self.confirm(request, verb, queryset, request.get_full_path())

    def _verb_view(self, verb: Verb) -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            if not may(request, verb):
                raise PermissionDenied
            asked = request.POST if request.method == "POST" else request.GET
            rows = self.get_queryset(request).filter(pk__in=named(asked.get(IDS, ""), self.at_once)).order_by("pk")
            if request.method != "POST":
                return self.confirm(request, verb, rows)
            if verb.promise and PROMISE not in request.POST:
                self.message_user(request, _("Tick that you have looked at Trustist first."), messages.ERROR)
                return self.confirm(request, verb, rows)
            return self._do(request, verb, list(rows))

        return view

    def confirm(
        self, request: HttpRequest, verb: Verb, queryset: QuerySet[Invitation], next_url: str = ""
    ) -> HttpResponse:
        rows = list(queryset)
        reasons = {row.pk: reason for row in rows if (reason := verb.why_not(row))}
        return self.page(
            request,
            "truss_trustist/confirm.html",
            title=str(verb.title),
            verb=verb,
            action=reverse(f"admin:{NAME}_{verb.name}"),
            going=[row for row in rows if row.pk not in reasons],
            ids=",".join(str(row.pk) for row in rows if row.pk not in reasons),
            left_out=grouped((row.pk, str(row), reasons[row.pk]) for row in rows if row.pk in reasons),
            next=next_url or self._next(request, rows),
        )

    def _next(self, request: HttpRequest, rows: Sequence[Invitation]) -> str:
        return self.next_url(request, page_of(rows[0].pk) if len(rows) == 1 else list_url())

    def _do(self, request: HttpRequest, verb: Verb, rows: list[Invitation]) -> HttpResponse:
        done: list[Invitation] = []
        problems: list[str] = []
        try:
            self._each(verb, rows, done, problems)
        except TrussPortalError as error:
            problems.append(str(error))
        self.log_each(request, done, str(verb.log))
        if done:
            self.message_user(request, verb.done % {"count": len(done)}, messages.SUCCESS)
        if verb.wakes and done:
            actions.wake(done)
            self.tell_invited(request, done)
        for line in listed(problems):
            self.message_user(request, line, messages.ERROR)
        if not done and not problems:
            self.message_user(request, _("No invitation was chosen."), messages.WARNING)
        return HttpResponseRedirect(self._next(request, rows))

    def _each(self, verb: Verb, rows: list[Invitation], done: list[Invitation], problems: list[str]) -> None:
        """Raises NotConfiguredError."""
        if verb.do is not None:
            for row in rows:
                try:
                    verb.do(row)
                except ActionRefusedError as error:
                    problems.append(f"{row}: {error}")
                else:
                    done.append(row)
            return
        until = time.monotonic() + self.wait_seconds
        with connect(hurried=True) as client:
            for number, row in enumerate(rows):
                if time.monotonic() >= until or len(problems) >= 3:  # noqa: PLR2004 - Trustist is not well
                    left = len(rows) - number
                    problems.append(_("Not asked about any more: %(count)d. Choose them again.") % {"count": left})
                    return
                if why := verb.why_not(row):
                    problems.append(f"{row}: {why}")
                    continue
                try:
                    verb.look(row, client)  # type: ignore[misc]
                except (TrustistError, TrussPortalError) as error:
                    problems.append(f"{row}: {told(error)}")
                else:
                    done.append(row)

    # --- which one it is

    def which_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Of those at Trustist one is the invitation whose answer was lost."""
        if not self.has_view_permission(request) or not self.has_settle_permission(request):
            raise PermissionDenied
        row = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        found = actions.candidates(row)
        if request.method == "POST":
            chosen = next((each for each in found if str(each.pk) == request.POST.get("which")), None)
            if problem := self._settled(request, row, chosen):
                self.message_user(request, problem, messages.ERROR)
            else:
                self.message_user(request, _("It is settled."), messages.SUCCESS)
                return HttpResponseRedirect(page_of(row.pk))
        return self.page(
            request,
            "truss_trustist/which.html",
            title=_("Say which one it is"),
            row=row,
            found=found,
            back=page_of(row.pk),
        )

    def _settled(self, request: HttpRequest, row: Invitation, chosen: Invitation | None) -> str:
        """Why it isn't; "" where it is."""
        if chosen is None:
            return _("Choose one of them first.")
        text = _("Said to be %(id)s at Trustist.") % {"id": chosen.invitation_id}
        try:
            actions.this_is_it(row, chosen)
        except ActionRefusedError as error:
            return str(error)
        self.log_change(request, row, text)
        return ""


def page_of(pk: int) -> str:
    return reverse(f"admin:{NAME}_change", args=[pk])


def list_url() -> str:
    return reverse(f"admin:{NAME}_changelist")
