"""Amending an invoice that is at Truss, in place: Truss's rules beside each field, and a look before it is asked."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from truss_portal import actions, memo, outbox
from truss_portal.actions.changing import FIXED_WHEN_CLOSED
from truss_portal.client import FieldError, InvalidRequestError, UpdateInboundPaymentIntentRequest
from truss_portal.client.request_bodies import ADDENDA_MAX, NOTE_MAX
from truss_portal.database import outside_transactions, write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Operation, PaymentIntent

from .operation_words import Notice
from .payment_intent_buttons import may, why_not_amend
from .payment_intent_notices import notices_of
from .payment_intent_pages import PaymentIntentPages
from .rows import person
from .timeline import field_name
from .wording import NOTHING, broken_rule, day, money, why

if TYPE_CHECKING:
    _Form = forms.ModelForm[PaymentIntent]
else:
    _Form = forms.ModelForm

State = Operation.State
Status = PaymentIntent.Status

# What stands on the page for reading → what is written there instead.
IN_PLACE_OF: Final = {
    "amount": "total",
    "due": "due_date",
    "addenda_shown": "addenda",
    "note_shown": "note",
    "memo_shown": "memo",
}
SEEN: Final = "seen-"
"""With a field's name: what it was when the page was made, so that nobody overwrites what they haven't seen."""
PAID: Final = "balance_paid"
CONFIRMED, EDIT = "_confirmed", "_edit"


class AmendForm(_Form):
    """Judges what somebody has changed, and nothing else: what was there already is Truss's own."""

    class Meta:
        model = PaymentIntent
        fields = tuple(IN_PLACE_OF.values())

    def __init__(self, data: Mapping[str, Any] | None = None, *, intent: PaymentIntent) -> None:
        self.intent = intent
        initial = {name: getattr(intent, name) for name in self.Meta.fields}
        super().__init__(data, initial=initial)
        for name, text in _rules(intent).items():
            if name in self.fields:
                self.fields[name].help_text = text
        for name, limit in (("addenda", ADDENDA_MAX), ("note", NOTE_MAX), ("memo", _memo_max(intent))):
            if name in self.fields:
                self.fields[name].widget.attrs["maxlength"] = limit

    def _post_clean(self) -> None:
        """Writes nothing into a row: the answer from Truss does."""

    def given(self, name: str) -> Any:
        """What was typed, as a row has it. Raises ValidationError where it can't be read."""
        field = self.fields[name]
        value = field.to_python(field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name)))
        return _lines(value) if isinstance(value, str) else value

    def seen(self, name: str) -> Any:
        """What it was when the page was made."""
        return _read(name, self.data.get(SEEN + name), _now(self.intent, name))

    def is_changed(self, name: str) -> bool:
        try:
            return bool(self.given(name) != self.seen(name))
        except ValidationError:
            return True

    def changes(self) -> dict[str, Any]:
        """What the invoice is asked to become, in its own order; without what it is already."""
        wanted = {name: self.given(name) for name in self.fields if self.is_changed(name)}
        return {name: value for name, value in wanted.items() if value != _now(self.intent, name)}

    def clean(self) -> dict[str, Any]:
        for name in [name for name in self.errors if not self.is_changed(name)]:
            del self.errors[name]
        changes = {name: self.given(name) for name in self.fields if name not in self.errors and self.is_changed(name)}
        if not changes:
            return self.cleaned_data
        for name, value in changes.items():
            refusal = actions.why_not_amendable(self.intent, {name: value})
            if refusal:
                self.add_error(name, _too_little(self.intent) if name == "total" else refusal)
            elif name == "memo" and len(value) > _memo_max(self.intent):
                limit = _("must have at most %(limit)d characters") % {"limit": _memo_max(self.intent)}
                self.add_error(name, broken_rule(FieldError.of(name, limit, value))[1])
        for rule in UpdateInboundPaymentIntentRequest(**changes).errors(outbox.today()):
            name, sentence = broken_rule(rule)
            if name not in self.errors:
                self.add_error(name, sentence)
        return self.cleaned_data


class PaymentIntentAmend(PaymentIntentPages):
    """What Truss knows better is never written here: a change is asked of Truss, and comes back as Truss's answer."""

    def get_urls(self) -> list[URLPattern]:
        view = outside_transactions(self.admin_site.admin_view(self.amend_view))
        return [path("<int:pk>/amend/", view, name="truss_portal_paymentintent_amend"), *super().get_urls()]

    def amend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not may(request, "amend"):
            raise PermissionDenied
        intent = self.get_object(request, str(pk))
        if intent is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, str(pk))  # type: ignore[attr-defined,no-any-return]
        refusal = why_not_amend(intent)
        if refusal:
            self.message_user(request, refusal, messages.WARNING)
            return self._to_page(intent)
        if request.method != "POST":
            return self._amend_page(request, intent, self._amend_form(request, intent))
        if CONFIRMED not in request.POST:
            return self._look_over(request, intent, self._amend_form(request, intent, request.POST))
        return self._amend(request, intent)

    # --- look, then ask

    def _look_over(self, request: HttpRequest, intent: PaymentIntent, form: AmendForm) -> HttpResponse:
        """What was typed, judged; where all is well, as it was and as it would be."""
        news = _news(form)
        conflicts = _conflicts(form)
        form = self._amend_form(request, intent, _brought_up_to_date(form))
        for text in news:
            self.message_user(request, text, messages.WARNING)
        if EDIT in request.POST or not form.is_valid():
            return self._amend_page(request, intent, form)
        if conflicts:
            for name, sentence in conflicts.items():
                form.add_error(name, sentence)
            return self._amend_page(request, intent, form)
        changes = form.changes()
        if not changes:
            self.message_user(request, _("Nothing was changed, so Truss was not asked."), messages.INFO)
            return self._to_page(intent)
        return self.page(
            request,
            "truss_portal/admin/amend_confirm.html",
            title=_("Amend at Truss"),
            invoice=intent,
            changes=_shown(intent, changes),
            left=money(changes["total"] - intent.balance_paid) if "total" in changes else "",
            waiting=_waiting(intent),
            hidden=[*form.data.items()],
            back=self._page_url(intent),
        )

    def _amend(self, request: HttpRequest, intent: PaymentIntent) -> HttpResponse:
        """Ask, if the invoice still is what was looked over; nobody changes it between the look and the wish."""
        operation = None
        told: list[str] = []
        with write_transaction():
            intent.refresh_from_db(from_queryset=PaymentIntent.objects.select_for_update())
            form = self._amend_form(request, intent, request.POST)
            news = _news(form) or _conflicts(form) or why_not_amend(intent) or not form.is_valid()
            changes = {} if news else form.changes()
            if changes:
                told = [f"{each['name']}: {each['was']} → {each['now']}" for each in _shown(intent, changes)]
                try:
                    operation = actions.amend(intent, actor=person(request), **changes)
                except (ActionRefusedError, InvalidRequestError) as error:
                    self.message_user(request, why(error), messages.ERROR)
        if operation is None:
            refusal = why_not_amend(intent)
            if refusal:
                self.message_user(request, refusal, messages.WARNING)
                return self._to_page(intent)
            return self._look_over(request, intent, form)
        self._tell_amended(request, intent, operation, told, changes)
        return self._to_page(intent)

    def _tell_amended(
        self,
        request: HttpRequest,
        intent: PaymentIntent,
        operation: Operation,
        told: list[str],
        changes: Mapping[str, Any],
    ) -> None:
        names = {"invoice": intent, "changes": "; ".join(told), "error": operation.error}
        if operation.state == State.DONE:
            self.log_each(request, [intent], _("Amended at Truss. %(changes)s") % names)
            self.message_user(request, _("Truss has amended %(invoice)s. %(changes)s") % names, messages.SUCCESS)
            if any(_now(intent, name) != value for name, value in changes.items()):
                text = _(
                    "Truss took the change of %(invoice)s, but doesn't show it yet. Refresh the invoice to look again."
                )
                self.message_user(request, text % names, messages.WARNING)
        elif operation.state == State.REFUSED:
            text = _("Truss refused to amend %(invoice)s: %(error)s Nothing was changed. It was asked for: %(changes)s")
            self.message_user(request, text % names, messages.ERROR)
        else:
            self.log_each(request, [intent], _("Amend: asked, not done yet. %(changes)s") % names)
            text = _("The change of %(invoice)s waits; Truss is asked by itself. %(changes)s %(error)s")
            self.message_user(request, (text % names).strip(), messages.WARNING)

    # --- the page

    def _amend_form(
        self, request: HttpRequest, intent: PaymentIntent, data: Mapping[str, Any] | None = None
    ) -> AmendForm:
        made: type[AmendForm] = self.get_form(request, intent, form=AmendForm, fields=_open_fields(intent))  # type: ignore[assignment]
        return made(data, intent=intent)

    def _amend_page(self, request: HttpRequest, intent: PaymentIntent, form: AmendForm) -> HttpResponse:
        """The invoice's own page, where what may change stands in fields."""
        writable = set(form.fields)
        fieldsets: list[tuple[Any, dict[str, Any]]] = [
            (title, {"fields": [_in_place(str(name), writable) for name in options["fields"]]})
            for title, options in self.get_fieldsets(request, intent)
        ]
        fieldsets[0][1]["description"] = _about_amending(intent)
        form.instance = intent
        readonly = [name for _title, options in fieldsets for name in options["fields"] if name not in writable]
        adminform = helpers.AdminForm(form, fieldsets, {}, readonly, model_admin=self)
        operations = list(intent.operations.select_related("requested_by")[:10])
        for operation in operations:
            operation.payment_intent = intent
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("Amend %s") % self.opts.verbose_name,
            "subtitle": str(intent),
            "adminform": adminform,
            "object_id": str(intent.pk),
            "original": intent,
            "is_popup": False,
            "to_field": None,
            "media": self.media + adminform.media,
            "inline_admin_formsets": [],
            "errors": helpers.AdminErrorList(form, []),
            "preserved_filters": self.get_preserved_filters(request),
            "amending": True,
            "back": self._page_url(intent),
            "seen": [(SEEN + name, _written(getattr(intent, name))) for name in (*form.fields, PAID)],
            "notices": [*notices_of(request, intent, operations), *waiting_changes(intent)],
        }
        return self.render_change_form(request, context, change=True, obj=intent)

    def _page_url(self, intent: PaymentIntent) -> str:
        return reverse("admin:truss_portal_paymentintent_change", args=[intent.pk])

    def _to_page(self, intent: PaymentIntent) -> HttpResponseRedirect:
        return HttpResponseRedirect(self._page_url(intent))


def waiting_changes(intent: PaymentIntent) -> list[Notice]:
    """What was asked of Truss already, and isn't done: a second change is done after it."""
    waiting = _waiting(intent)
    return [Notice(_("Asked already, not done yet"), "; ".join(waiting))] if waiting else []


def _waiting(intent: PaymentIntent) -> list[str]:
    bodies = (
        intent.operations.under_way().filter(kind=Operation.Kind.AMEND).order_by("pk").values_list("body", flat=True)
    )
    return [
        _("%(field)s becomes %(value)s") % {"field": field_name(name), "value": _as_read(intent, name, value)}
        for body in bodies
        for name, value in body.items()
    ]


def _as_read(intent: PaymentIntent, name: str, value: Any) -> str:
    """A value of a request as people read it."""
    if name == "memo":
        return _quoted(memo.without(value or "", intent.memo_reference))
    return _for_people(name, _read(name, value or "", value))


def _open_fields(intent: PaymentIntent) -> list[str]:
    """What Truss still lets be changed."""
    closed = FIXED_WHEN_CLOSED if intent.status in Status.FINAL else {}
    return [name for name in AmendForm.Meta.fields if name not in closed]


def _in_place(name: str, writable: set[str]) -> str:
    return IN_PLACE_OF[name] if IN_PLACE_OF.get(name) in writable else name


def _about_amending(intent: PaymentIntent) -> str:
    if intent.status not in Status.FINAL:
        return _("What you change here is asked of Truss after you have confirmed it. Truss sends the payer no email.")
    text = _(
        "This invoice is %(status)s: Truss doesn't change its amount, description and note any more. Its due date and "
        "its memo can still be changed."
    )
    return text % {"status": intent.status_label.lower()}


def _rules(intent: PaymentIntent) -> dict[str, str]:
    """Truss's rules, beside each field.

    https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/patch/v1/payment-intents/inbound/uid
    """
    return {
        "total": _least(intent),
        "due_date": _("From tomorrow on, or empty for none. The payer sees it."),
        "addenda": _("1 to %(limit)d characters. The payer sees it, and it stands on payments made from now on.")
        % {"limit": ADDENDA_MAX},
        "note": _("Up to %(limit)d characters. The payer sees it.") % {"limit": NOTE_MAX},
        "memo": _("Up to %(limit)d characters. The payer never sees it.") % {"limit": _memo_max(intent)},
    }


def _least(intent: PaymentIntent) -> str:
    names = {"least": money(intent.balance_paid + actions.LEAST_LEFT), "paid": money(intent.balance_paid)}
    if intent.balance_paid <= 0:
        return _("What the payer is asked for in all, and sees: at least %(least)s.") % names
    text = _(
        "What the payer is asked for in all, and sees: at least %(least)s, since %(paid)s is paid and Truss wants at "
        "least $1.00 left to pay."
    )
    return text % names


def _too_little(intent: PaymentIntent) -> str:
    names = {"least": money(intent.balance_paid + actions.LEAST_LEFT), "paid": money(intent.balance_paid)}
    return _("%(paid)s is paid already, and Truss wants at least $1.00 left to pay: at least %(least)s.") % names


def _memo_max(intent: PaymentIntent) -> int:
    """Our mark needs a place in the memo of an invoice that is ours."""
    return memo.TRUSS_MAX if intent.discovered else memo.MAX_LENGTH


# --- what has changed since the page was made


def _news(form: AmendForm) -> list[str]:
    """What else has changed meanwhile, and stays as it is: payments, and fields that this person hasn't touched."""
    intent = form.intent
    news = []
    was = _read(PAID, form.data.get(SEEN + PAID), intent.balance_paid)
    if was != intent.balance_paid:
        text = _("Meanwhile a payment changed what is paid, from %(was)s to %(now)s. Look at the amount once more.")
        news.append(text % {"was": money(was), "now": money(intent.balance_paid)})
    for name in form.fields:
        was, now = form.seen(name), _now(intent, name)
        if was != now and not form.is_changed(name):
            names = {"field": field_name(name), "was": _for_people(name, was), "now": _for_people(name, now)}
            news.append(_("Meanwhile changed: %(field)s, from %(was)s to %(now)s. It stays so.") % names)
    gone = [name for name in AmendForm.Meta.fields if name in form.data and name not in form.fields]
    if gone:
        text = _("Meanwhile the invoice became %(status)s: Truss doesn't change this any more: %(fields)s.")
        names = {"status": intent.status_label.lower(), "fields": ", ".join(field_name(name) for name in gone)}
        news.append(text % names)
    return news


def _conflicts(form: AmendForm) -> dict[str, str]:
    """The fields that this person and somebody else have changed, each to something else."""
    text = _("Meanwhile this became %(now)s. To have yours all the same, go on; else write %(now)s here.")
    found = {}
    for name in form.fields:
        was, now = form.seen(name), _now(form.intent, name)
        if was != now and form.is_changed(name) and not _is(form, name, now):
            found[name] = text % {"now": _for_people(name, now)}
    return found


def _is(form: AmendForm, name: str, value: Any) -> bool:
    try:
        return bool(form.given(name) == value)
    except ValidationError:
        return False


def _brought_up_to_date(form: AmendForm) -> dict[str, Any]:
    """What was typed, over what the invoice is now: an untouched field follows the invoice."""
    data = {}
    for name, field in form.fields.items():
        now = getattr(form.intent, name)
        typed = form.data.get(name, "")
        data[name] = typed if form.is_changed(name) else field.widget.format_value(field.prepare_value(now)) or ""
        data[SEEN + name] = _written(now)
    return data | {SEEN + PAID: _written(form.intent.balance_paid)}


# --- values


def _written(value: Any) -> str:
    """For a hidden field: read again by `_read`, whatever the language of the page."""
    return value.isoformat() if isinstance(value, date) else "" if value is None else str(value)


def _read(name: str, text: str | None, otherwise: Any) -> Any:
    """A value of a hidden field; `otherwise` where there is none, or nobody wrote it so."""
    if text is None:
        return otherwise
    try:
        if name in {"total", PAID}:
            return Decimal(text)
        if name == "due_date":
            return date.fromisoformat(text) if text else None
    except (InvalidOperation, ValueError):
        return otherwise
    return _lines(text)


def _now(intent: PaymentIntent, name: str) -> Any:
    """What the invoice is, as a browser would give it back."""
    value = getattr(intent, name)
    return _lines(value) if isinstance(value, str) else value


def _lines(text: str) -> str:
    """Browsers end lines with two characters, and Django's fields take spaces from the ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _shown(intent: PaymentIntent, changes: Mapping[str, Any]) -> list[dict[str, str]]:
    """As it is, and as it would be."""
    return [
        {
            "name": capfirst(field_name(name)),
            "was": _for_people(name, getattr(intent, name)),
            "now": _for_people(name, value),
        }
        for name, value in changes.items()
    ]


def _for_people(name: str, value: Any) -> str:
    if isinstance(value, Decimal):
        return money(value)
    return day(value) if name == "due_date" else _quoted(value)


def _quoted(text: str) -> str:
    return f"“{text}”" if text else NOTHING
