"""Import: upload a file, look at what it would do line by line, confirm, and see what came of it."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import get_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from import_export.signals import post_import

from truss_portal import exchange
from truss_portal.database import outside_transactions
from truss_portal.exceptions import NotConnectedError
from truss_portal.exchange import Kind, NotKeptError, Preview, Previewed, Result, columns
from truss_portal.models import Company, PaymentIntent

from .payment_intent_form import only_company
from .payment_intent_pages import PaymentIntentPages
from .rows import only_one_company, person
from .wording import NOTHING, moment, money, number

if TYPE_CHECKING:
    _CompanyField = forms.ModelChoiceField[Company]
    _File = UploadedFile[bytes]
else:
    _CompanyField = forms.ModelChoiceField
    _File = UploadedFile

LIST: Final = "admin:truss_portal_paymentintent_changelist"
PAGE: Final = "admin:truss_portal_paymentintent_"
TOKEN: Final = "file"  # noqa: S105 - the name of a query parameter
KEPT: Final = "truss_portal_imports"
# Of one person's imports, so that what nobody confirms doesn't pile up.
KEPT_MAX: Final = 6
PER_PAGE: Final = 200
BY_KEY_MAX: Final = 200
TEXT_SHOWN: Final = 80
TYPES: Final[dict[str, tuple[str, Callable[..., bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", exchange.template_csv),
    "xlsx": (exchange.XLSX_TYPE, exchange.template_xlsx),
}
WARNED: Final = "warned"
WORDS: Final = {
    Kind.NEW: gettext_lazy("New"),
    Kind.CHANGED: gettext_lazy("Changed"),
    Kind.SKIPPED: gettext_lazy("Skipped"),
    Kind.WRONG: gettext_lazy("Wrong"),
}
MEANINGS: Final = {
    Kind.NEW: gettext_lazy("will be written"),
    Kind.CHANGED: gettext_lazy("will be brought up to date"),
    Kind.SKIPPED: gettext_lazy("stay as they are"),
    Kind.WRONG: gettext_lazy("can't be imported as they are"),
}


class ImportForm(forms.Form):
    company = _CompanyField(Company.objects.none(), label=gettext_lazy("For company"))
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("CSV or XLSX, at most 10,000 lines and 10 MB. Nothing is written yet."),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.xlsx"}),
        error_messages={
            "required": gettext_lazy("Choose a file first."),
            "empty": gettext_lazy("The file is empty."),
        },
    )

    def __init__(self, company: Company | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if company is not None:
            del self.fields["company"]
        else:
            self.fields["company"].queryset = Company.objects.all()  # type: ignore[attr-defined]

    def clean_file(self) -> _File:
        file: _File = self.cleaned_data["file"]
        if file.size is not None and file.size > exchange.SIZE_MAX:
            raise forms.ValidationError(exchange.too_big(file.size))
        return file


class PaymentIntentImport(PaymentIntentPages):
    """Asks for the permissions to add and to change invoices."""

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def get_urls(self) -> list[URLPattern]:
        def page(at: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
            def allowed(request: HttpRequest, **kwargs: Any) -> HttpResponse:
                if not self.has_import_permission(request):
                    raise PermissionDenied
                return view(request, **kwargs)

            # Thousands of lines are written in many transactions: what is written stays, should the rest fail.
            wrapped = outside_transactions(self.admin_site.admin_view(allowed))
            return path(f"import/{at}", wrapped, name=f"truss_portal_paymentintent_{name}")

        return [
            page("", self.import_view, "import"),
            page("template/<str:kind>/", self.import_template_view, "import_template"),
            page("preview/", self.import_preview_view, "import_preview"),
            page("confirm/", self.import_confirm_view, "import_confirm"),
            page("result/", self.import_result_view, "import_result"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        told = {"has_import_permission": self.has_import_permission(request)}
        return super().changelist_view(request, told | (extra_context or {}))

    # --- the file

    def import_view(self, request: HttpRequest) -> HttpResponse:
        try:
            company = only_company()
        except NotConnectedError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse(LIST))
        posted = request.method == "POST"
        form = ImportForm(company, request.POST if posted else None, request.FILES if posted else None)
        if form.is_valid():
            try:
                preview = _preview(company or form.cleaned_data["company"], form.cleaned_data["file"])
            except exchange.UnreadableFileError as error:
                form.add_error("file", str(error))
            else:
                token = exchange.keep_preview(preview, person(request).pk)
                self._remember(request, token)
                return HttpResponseRedirect(f"{reverse(PAGE + 'import_preview')}?{urlencode({TOKEN: token})}")
        return self.page(
            request,
            "truss_portal/admin/import.html",
            title=_("Import invoices"),
            form=form,
            columns=exchange.IMPORTED,
            lines_max=number(exchange.LINES_MAX),
        )

    def import_template_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        if kind not in TYPES:
            raise Http404
        content_type, make = TYPES[kind]
        return HttpResponse(
            make(timezone.localdate()),
            content_type=content_type,
            headers={"Content-Disposition": f'attachment; filename="invoices-template.{kind}"'},
        )

    def _remember(self, request: HttpRequest, token: str) -> None:
        """What this person began before and didn't finish is forgotten in time."""
        kept = [*request.session.get(KEPT, []), token]
        for old in kept[:-KEPT_MAX]:
            _forget(old, request)
        request.session[KEPT] = kept[-KEPT_MAX:]

    # --- the preview

    def import_preview_view(self, request: HttpRequest) -> HttpResponse:
        token = request.GET.get(TOKEN, "")
        try:
            preview = exchange.kept_preview(token, person(request).pk)
        except NotKeptError as error:
            return self._not_kept(request, error)
        show = request.GET.get("show", "")
        chosen = [line for line in preview.lines if _is_shown(line, show)]
        page = Paginator(chosen, PER_PAGE).get_page(request.GET.get("page"))
        good = [line for line in preview.lines if line.is_good]
        return self.page(
            request,
            "truss_portal/admin/import_preview.html",
            title=_("Import invoices: preview"),
            preview=preview,
            company=None if only_one_company() else Company.objects.filter(pk=preview.company).first(),
            at=moment(preview.at),
            token=token,
            sums=[_sum(kind, preview.lines) for kind in Kind],
            tabs=_tabs(preview.lines, show),
            show=show,
            page_obj=page,
            pages=page.paginator.get_elided_page_range(page.number) if page.paginator.num_pages > 1 else [],
            rows=[_row(line) for line in page],
            good=len(good),
            good_shown=number(len(good)),
            total=money(sum((line.total for line in good), Decimal(0))),
            wrong=sum(line.kind == Kind.WRONG for line in preview.lines),
            warned=sum(bool(line.warning) for line in preview.lines),
            numbered_otherwise=any(line.wanted.line != line.wanted.row for line in preview.lines),
        )

    def _not_kept(self, request: HttpRequest, error: NotKeptError) -> HttpResponse:
        self.message_user(request, str(error), messages.WARNING)
        return HttpResponseRedirect(reverse(PAGE + "import"))

    # --- doing it

    def import_confirm_view(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        token = request.POST.get(TOKEN, "")
        try:
            preview = exchange.kept_preview(token, person(request).pk)
            # First of all, so that a second click finds nothing more to do.
            exchange.forget(token, person(request).pk)
        except NotKeptError as error:
            return self._not_kept(request, error)
        result = self._write(request, preview)
        post_import.send(sender=None, model=PaymentIntent)
        done = exchange.keep_result(result, person(request).pk)
        self._remember(request, done)
        return HttpResponseRedirect(f"{reverse(PAGE + 'import_result')}?{urlencode({TOKEN: done})}")

    def _write(self, request: HttpRequest, preview: Preview) -> Result:
        user = person(request)
        said = {
            flag: text % {"file": preview.file}
            for flag, text in ((ADDITION, _("Imported from %(file)s.")), (CHANGE, _("Changed by importing %(file)s.")))
        }

        def log(written: exchange.Written) -> None:
            for flag, intents in ((ADDITION, written.new), (CHANGE, written.changed)):
                LogEntry.objects.log_actions(user.pk, intents, flag, said[flag])

        result = Result(preview.file, preview.company, timezone.now())
        result.skipped = sum(line.kind == Kind.SKIPPED for line in preview.lines)
        result.wrong = [_not_written(line.wanted, line.why) for line in preview.lines if line.kind == Kind.WRONG]
        writer = exchange.Writer(
            Company.objects.get(pk=preview.company), preview.headings, at=result.at, actor=user, told=log
        )
        for written in writer.write([(line.wanted, line.fingerprint) for line in preview.lines if line.is_good]):
            result.new += len(written.new)
            result.changed += [intent.pk for intent in written.changed]
            result.total += written.total
            result.left += [_not_written(left.wanted, left.why) for left in written.left]
        return result

    # --- what came of it

    def import_result_view(self, request: HttpRequest) -> HttpResponse:
        try:
            result = exchange.kept_result(request.GET.get(TOKEN, ""), person(request).pk)
        except NotKeptError as error:
            return self._not_kept(request, error)
        found = f"{reverse(LIST)}?{urlencode({'known_since__exact': result.at.isoformat()})}"
        first = PaymentIntent.objects.filter(company=result.company, known_since=result.at).order_by("pk").first()
        keys = ",".join(str(pk) for pk in result.changed[:BY_KEY_MAX])
        return self.page(
            request,
            "truss_portal/admin/import_result.html",
            title=_("Import invoices: result"),
            result=result,
            new=number(result.new),
            changed=number(len(result.changed)),
            changed_count=len(result.changed),
            written=result.new + len(result.changed),
            total=money(result.total),
            skipped=number(result.skipped),
            new_url=found if result.new else "",
            changed_url=f"{reverse(LIST)}?{urlencode({'id__in': keys})}" if keys else "",
            changed_shown=min(len(result.changed), BY_KEY_MAX),
            first=first if self.has_send_permission(request) else None,
        )


def _preview(company: Company, file: _File) -> Preview:
    """Reads the file and plans it; writes nothing. Raises UnreadableFileError."""
    name = file.name or ""
    table = exchange.read_file(name, file.read())
    reading = exchange.read_lines(table, get_format("DATE_INPUT_FORMATS"), [company.slug, company.name])
    known = exchange.load_known(company, reading.wanted)
    outcomes = exchange.Planner(company, known, reading.headings).plan(reading.wanted)
    return Preview.of(name, company.pk, timezone.now(), reading, outcomes)


def _forget(token: str, request: HttpRequest) -> None:
    try:
        exchange.forget(token, person(request).pk)
    except NotKeptError:
        return


def _not_written(wanted: exchange.Wanted, why: str) -> exchange.NotWritten:
    return exchange.NotWritten(wanted.line, wanted.row, _cell(wanted, columns.REFERENCE), why)


# --- lines in words


def _is_shown(line: Previewed, show: str) -> bool:
    if show == WARNED:
        return bool(line.warning)
    return line.kind == show if show in {*Kind} else True


def _sum(kind: Kind, lines: Sequence[Previewed]) -> dict[str, Any]:
    of_kind = [line for line in lines if line.kind == kind]
    return {
        "kind": kind.value,
        "word": WORDS[kind],
        "meaning": MEANINGS[kind],
        "count": number(len(of_kind)),
        "total": money(sum((line.total for line in of_kind), Decimal(0))),
    }


def _tabs(lines: Sequence[Previewed], show: str) -> list[dict[str, Any]]:
    choices: list[tuple[str, Any]] = [("", _("All")), *((kind.value, WORDS[kind]) for kind in Kind)]
    choices.append((WARNED, _("With a warning")))
    tabs = []
    for value, word in choices:
        count = sum(_is_shown(line, value) for line in lines)
        if count or not value:
            tabs.append({"value": value, "word": word, "count": number(count), "is_chosen": value == show})
    return tabs


def _row(line: Previewed) -> dict[str, Any]:
    wanted = line.wanted
    name, email = _cell(wanted, columns.NAME), _cell(wanted, columns.EMAIL)
    due = wanted.values.get(columns.DUE_DATE)
    return {
        "line": wanted.line,
        "row": wanted.row,
        "kind": line.kind.value,
        "word": WORDS[line.kind],
        "reference": _cell(wanted, columns.REFERENCE) or NOTHING,
        "name": name,
        "email": email,
        "amount": money(line.total) if columns.TOTAL in wanted.values else _cell(wanted, columns.TOTAL),
        "due": due.isoformat() if due else _cell(wanted, columns.DUE_DATE) or NOTHING,
        "description": _cell(wanted, columns.ADDENDA) if line.kind == Kind.NEW else "",
        "changes": [
            {"label": change.label, "was": _value(change.field, change.was), "now": _value(change.field, change.now)}
            for change in line.changes
        ],
        "why": line.why,
        "warning": line.warning,
    }


def _cell(wanted: exchange.Wanted, field: str) -> str:
    """As it was read; where it couldn't be, as it stands in the file."""
    read = wanted.values.get(field)
    return str(read) if read else wanted.shown.get(field, "")


def _value(field: str, text: str) -> str:
    """A value of a change in the words of the admin."""
    if not text:
        return _("nothing")
    if field == columns.TOTAL:
        return money(Decimal(text))
    if field in {columns.SEND_EMAIL, columns.SEND_SMS}:
        return _("yes") if text == "yes" else _("no")
    return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}…"
