"""“Invite many”: a CSV or XLSX file, looked at line by line before anybody is invited."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from truss_portal import exchange
from truss_portal.admin.rows import person
from truss_portal.admin.wording import listed
from truss_portal.client import InvalidRequestError
from truss_portal.exceptions import ActionRefusedError
from truss_portal.exchange import cells
from truss_portal.exchange.columns import key_of
from truss_portal.plain_words import told
from truss_portal.trustist import actions
from truss_portal.trustist.client import OPEN_BANKING, CreateInvitationRequest
from truss_portal.trustist.exceptions import InvitedBeforeError
from truss_portal.trustist.models import Invitation
from truss_portal.trustist.models.invitation import email_key

from .invitation_pages import InvitationPages, list_url

if TYPE_CHECKING:
    _File = UploadedFile[bytes]
else:
    _File = UploadedFile

LINES_MAX: Final = 500
SALT: Final = "truss_portal.trustist.invite_many"
SECONDS: Final = 60 * 60
PLAN: Final = "plan"
HEADINGS: Final = ("Name", "Email", "Cards")
EXAMPLE: Final = ("Fern & Moss Florists", "hello@fernandmoss.example", "yes")
_KEYS: Final = {
    "name": {"name", "client", "clientname", "merchant", "company"},
    "email": {"email", "emailaddress", "mail"},
    "cards": {"cards", "card", "cardpayments"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one line of the file comes to. `why` says why nobody would be invited by it."""

    number: int
    name: str
    email: str
    cards: bool
    kind: str
    """new, skipped or wrong."""
    why: str = ""


class FileForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("CSV or XLSX, at most 500 lines. Nobody is invited yet."),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.xlsx"}),
        error_messages={
            "required": gettext_lazy("Choose a file first."),
            "empty": gettext_lazy("The file is empty."),
        },
    )

    def clean_file(self) -> _File:
        file: _File = self.cleaned_data["file"]
        if file.size is not None and file.size > exchange.SIZE_MAX:
            raise forms.ValidationError(exchange.too_big(file.size))
        return file


class InvitationImport(InvitationPages):
    """Asks for the permission to invite."""

    def get_urls(self) -> list[URLPattern]:
        return [
            self.own_page("invite-many/", self.many_view, "invite_many"),
            self.own_page("invite-many/template/", self.template_view, "invite_template"),
            self.own_page("invite-many/confirm/", self.confirm_many_view, "invite_confirm"),
            *super().get_urls(),
        ]

    def many_view(self, request: HttpRequest) -> HttpResponse:
        """The file, and what it would do: both on this page, and nothing is written."""
        self._refuse_strangers(request)
        posted = request.method == "POST"
        form = FileForm(request.POST if posted else None, request.FILES if posted else None)
        lines: list[Line] = []
        notes: list[str] = []
        if form.is_valid():
            file: _File = form.cleaned_data["file"]
            try:
                lines, notes = plan(file.name or "", file.read())
            except exchange.UnreadableFileError as error:
                form.add_error("file", str(error))
        good = [line for line in lines if line.kind == "new"]
        return self.page(
            request,
            "truss_trustist/invite_many.html",
            title=_("Invite many"),
            form=form,
            lines=lines,
            notes=notes,
            good=len(good),
            wrong=sum(line.kind == "wrong" for line in lines),
            without_cards=sum(not line.cards for line in good),
            plan=signing.dumps(
                {"for": str(person(request).pk), "lines": [[each.name, each.email, each.cards] for each in good]},
                salt=SALT,
                compress=True,
            ),
            back=list_url(),
        )

    def template_view(self, request: HttpRequest) -> HttpResponse:
        self._refuse_strangers(request)
        return HttpResponse(
            b"".join(exchange.rows_as_csv(HEADINGS, [EXAMPLE])),
            content_type=exchange.CSV_TYPE,
            headers={"Content-Disposition": 'attachment; filename="invitations-template.csv"'},
        )

    def confirm_many_view(self, request: HttpRequest) -> HttpResponse:
        self._refuse_strangers(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        again = HttpResponseRedirect(reverse("admin:truss_trustist_invitation_invite_many"))
        try:
            kept = signing.loads(request.POST.get(PLAN, ""), salt=SALT, max_age=SECONDS)
        except signing.BadSignature:
            kept = {"for": None}
        if kept["for"] != str(person(request).pk):
            self.message_user(request, _("That preview is too old. Upload the file again."), messages.WARNING)
            return again
        rows: list[Invitation] = []
        problems: list[str] = []
        for name, email, cards in kept["lines"]:
            try:
                rows.append(actions.invite(name=name, email=email, cards=cards, actor=person(request), wait=False))
            except (InvalidRequestError, ActionRefusedError) as error:
                problems.append(told(error))
        self.log_invited(request, rows)
        actions.wake(rows)
        self.tell_invited(request, rows)
        if problems:
            text = ngettext("%(count)d was left out:", "%(count)d were left out:", len(problems))
            head = text % {"count": len(problems)}
            self.message_user(request, " ".join([head, *listed(problems, 5)]), messages.WARNING)
        return HttpResponseRedirect(list_url())

    def _refuse_strangers(self, request: HttpRequest) -> None:
        if not self.has_invite_permission(request):
            raise PermissionDenied


# --- the file


def plan(name: str, data: bytes) -> tuple[list[Line], list[str]]:
    """What each line would do, and what a person should know about the file. Raises UnreadableFileError."""
    table = exchange.read_file(name, data)
    places = _places([cells.shown(cell) for cell in table.heading.cells])
    if len(table.lines) > LINES_MAX:
        text = _("The file has more than %(limit)d lines. Split it.")
        raise exchange.UnreadableFileError(text % {"limit": LINES_MAX})
    seen: dict[str, int] = {}
    return [_line(line.number, line.cells, places, seen) for line in table.lines], table.notes


def _places(headings: list[str]) -> dict[str, int]:
    """Where each column stands. Raises UnreadableFileError where one that is needed is missing."""
    found: dict[str, int] = {}
    for place, heading in enumerate(headings):
        for field, keys in _KEYS.items():
            if key_of(heading) in keys:
                found.setdefault(field, place)
    if missing := [heading for field, heading in (("name", "Name"), ("email", "Email")) if field not in found]:
        text = _("The first line must have the headings “Name” and “Email”; missing: %(missing)s.")
        raise exchange.UnreadableFileError(text % {"missing": ", ".join(missing)})
    return found


def _line(number: int, row: Any, places: dict[str, int], seen: dict[str, int]) -> Line:
    read: dict[str, Any] = {"name": "", "email": "", "cards": True}
    shown = {field: cells.shown(row[place]) for field, place in places.items() if place < len(row)}
    try:
        for field, place in places.items():
            cell = row[place] if place < len(row) else ""
            if field != "cards":
                read[field] = cells.tidy(cells.as_text(cell))
            elif cells.as_text(cell).strip():
                read[field] = cells.as_flag(cell)
    except cells.CellError as error:
        heading = dict(zip(_KEYS, HEADINGS, strict=True))[field]
        return Line(
            number=number,
            name=shown.get("name", ""),
            email=shown.get("email", ""),
            cards=read["cards"],
            kind="wrong",
            why=f"{heading} {error}.",
        )
    kind, why = _judged(number, read, seen)
    return Line(number=number, kind=kind, why=why, **read)


def _judged(number: int, read: dict[str, Any], seen: dict[str, int]) -> tuple[str, str]:
    if (read["name"], read["email"]) == EXAMPLE[:2]:
        return "skipped", _("The template's example is never imported.")
    try:
        CreateInvitationRequest(name=read["name"], email=read["email"], payment_types=[OPEN_BANKING]).validate()
        key = email_key(read["email"])
        if key in seen:
            return "skipped", _("The same email stands in line %(line)d already.") % {"line": seen[key]}
        seen[key] = number
        actions.refuse_known(key)
    except InvitedBeforeError as error:
        return "skipped", str(error)
    except InvalidRequestError as error:
        return "wrong", told(error)
    if len(read["name"]) > actions.NAME_MAX:
        return "wrong", _("The name must have at most %(most)d characters.") % {"most": actions.NAME_MAX}
    return "new", ""
