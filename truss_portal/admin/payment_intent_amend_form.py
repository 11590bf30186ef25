"""The form in which an invoice at Truss is amended: Truss's rules beside each field, and what has changed meanwhile."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from truss_portal import actions, memo, outbox
from truss_portal.client import FieldError, UpdateInboundPaymentIntentRequest
from truss_portal.client.request_bodies import ADDENDA_MAX, NOTE_MAX
from truss_portal.models import PaymentIntent

from .payment_intent_form import say_plainly
from .timeline import field_name
from .wording import NOTHING, broken_rule, day, money

if TYPE_CHECKING:
    _Form = forms.ModelForm[PaymentIntent]
else:
    _Form = forms.ModelForm

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
        say_plainly(self.fields)

    def _post_clean(self) -> None:
        """Writes nothing into a row: the answer from Truss does."""

    def given(self, name: str) -> Any:
        """What was typed, as a row has it. Raises ValidationError where it can't be read."""
        field = self.fields[name]
        value = field.to_python(field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name)))
        return _lines(value) if isinstance(value, str) else value

    def seen(self, name: str) -> Any:
        """What it was when the page was made."""
        return read(name, self.data.get(SEEN + name), as_it_is(self.intent, name))

    def is_changed(self, name: str) -> bool:
        try:
            return bool(self.given(name) != self.seen(name))
        except ValidationError:
            return True

    def changes(self) -> dict[str, Any]:
        """What the invoice is asked to become, in its own order; without what it is already."""
        wanted = {name: self.given(name) for name in self.fields if self.is_changed(name)}
        return {name: value for name, value in wanted.items() if value != as_it_is(self.intent, name)}

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


def _rules(intent: PaymentIntent) -> dict[str, str]:
    """Truss's rules, beside each field.

    https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/patch/v1/payment-intents/inbound/uid
    """
    return {
        "total": _least(intent),
        "due_date": _("From tomorrow on, or empty for none."),
        "addenda": _("1 to %(limit)d characters; also stands on the payments made on it.") % {"limit": ADDENDA_MAX},
        "note": _("Up to %(limit)d characters. The payer sees it.") % {"limit": NOTE_MAX},
        "memo": _("Up to %(limit)d characters. The payer never sees it.") % {"limit": _memo_max(intent)},
    }


def _least(intent: PaymentIntent) -> str:
    names = {"least": money(intent.balance_paid + actions.LEAST_LEFT), "paid": money(intent.balance_paid)}
    if intent.balance_paid <= 0:
        return _("What the payer is asked for in all: at least %(least)s.") % names
    text = _(
        "What the payer is asked for in all: at least %(least)s, since %(paid)s is paid and Truss wants at "
        "least $1.00 left to pay."
    )
    return text % names


def _too_little(intent: PaymentIntent) -> str:
    names = {"least": money(intent.balance_paid + actions.LEAST_LEFT), "paid": money(intent.balance_paid)}
    if intent.balance_paid <= 0:
        return _("The amount must be at least %(least)s.") % names
    return _("%(paid)s is paid already, and Truss wants at least $1.00 left to pay: at least %(least)s.") % names


def _memo_max(intent: PaymentIntent) -> int:
    """Our mark needs a place in the memo of an invoice that is ours."""
    return memo.TRUSS_MAX if intent.discovered else memo.MAX_LENGTH


# --- what has changed since the page was made


def news(form: AmendForm) -> list[str]:
    """What else has changed meanwhile, and stays as it is: payments, and fields that this person hasn't touched."""
    intent = form.intent
    told = []
    was = read(PAID, form.data.get(SEEN + PAID), intent.balance_paid)
    if was != intent.balance_paid:
        text = _("Meanwhile a payment changed what is paid, from %(was)s to %(now)s. Look at the amount once more.")
        told.append(text % {"was": money(was), "now": money(intent.balance_paid)})
    for name in form.fields:
        was, now = form.seen(name), as_it_is(intent, name)
        if was != now and not form.is_changed(name):
            names = {"field": field_name(name), "was": for_people(name, was), "now": for_people(name, now)}
            told.append(_("Meanwhile changed: %(field)s, from %(was)s to %(now)s. It stays so.") % names)
    gone = [name for name in AmendForm.Meta.fields if name in form.data and name not in form.fields]
    if gone:
        text = _("Meanwhile the invoice became %(status)s: Truss doesn't change this any more: %(fields)s.")
        names = {"status": intent.status_label.lower(), "fields": ", ".join(field_name(name) for name in gone)}
        told.append(text % names)
    return told


def conflicts(form: AmendForm) -> dict[str, str]:
    """The fields that this person and somebody else have changed, each to something else."""
    text = _("Meanwhile this became %(now)s. To have yours all the same, go on; else write %(now)s here.")
    found = {}
    for name in form.fields:
        was, now = form.seen(name), as_it_is(form.intent, name)
        if was != now and form.is_changed(name) and not _is(form, name, now):
            found[name] = text % {"now": for_people(name, now)}
    return found


def _is(form: AmendForm, name: str, value: Any) -> bool:
    try:
        return bool(form.given(name) == value)
    except ValidationError:
        return False


def brought_up_to_date(form: AmendForm) -> dict[str, Any]:
    """What was typed, over what the invoice is now: an untouched field follows the invoice."""
    data = {}
    for name, field in form.fields.items():
        now = getattr(form.intent, name)
        typed = form.data.get(name, "")
        data[name] = typed if form.is_changed(name) else field.widget.format_value(field.prepare_value(now)) or ""
        data[SEEN + name] = written(now)
    return data | {SEEN + PAID: written(form.intent.balance_paid)}


# --- values


def written(value: Any) -> str:
    """For a hidden field: read again by `_read`, whatever the language of the page."""
    return value.isoformat() if isinstance(value, date) else "" if value is None else str(value)


def read(name: str, text: str | None, otherwise: Any) -> Any:
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


def as_it_is(intent: PaymentIntent, name: str) -> Any:
    """What the invoice is, as a browser would give it back."""
    value = getattr(intent, name)
    return _lines(value) if isinstance(value, str) else value


def _lines(text: str) -> str:
    """Browsers end lines with two characters, and Django's fields take spaces from the ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def as_told(intent: PaymentIntent, changes: Mapping[str, Any]) -> list[dict[str, str]]:
    """As it is, and as it would be."""
    return [
        {
            "name": capfirst(field_name(name)),
            "was": for_people(name, getattr(intent, name)),
            "now": for_people(name, value),
        }
        for name, value in changes.items()
    ]


def for_people(name: str, value: Any) -> str:
    if isinstance(value, Decimal):
        return money(value)
    return day(value) if name == "due_date" else quoted(value)


def quoted(text: str) -> str:
    return f"“{text}”" if text else NOTHING
