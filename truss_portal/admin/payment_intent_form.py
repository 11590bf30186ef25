"""Writing an invoice while it is still ours."""

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from truss_portal import actions, memo
from truss_portal.client import InvalidRequestError
from truss_portal.client.request_bodies import ADDENDA_MAX, NOTE_MAX
from truss_portal.connection import default_company
from truss_portal.models import Company, Contact, PaymentIntent

from .wording import broken_rule, payer

if TYPE_CHECKING:
    _PayerField = forms.ModelChoiceField[Contact]
    _Form = forms.ModelForm[PaymentIntent]
else:
    _PayerField = forms.ModelChoiceField
    _Form = forms.ModelForm


# Where Django's own words are for programmers.
PLAINLY: Final[dict[str, dict[str, Any]]] = {
    "total": {
        "invalid": _("Write an amount in US dollars, such as 1200.00."),
        "max_decimal_places": _("Write whole cents: at most two digits after the point."),
        "max_digits": _("This amount is too large: at most twelve digits before the point."),
        "max_whole_digits": _("This amount is too large: at most twelve digits before the point."),
    },
    "due_date": {"invalid": _("Write a date, such as 2030-01-31.")},
}


def say_plainly(fields: dict[str, forms.Field]) -> None:
    for name, messages in PLAINLY.items():
        if name in fields:
            fields[name].error_messages |= messages


def only_company() -> Company | None:
    """The one company of this site; None when people must choose. Raises NotConnectedError when there is none."""
    companies = list(Company.objects.all()[:2])
    if len(companies) > 1:
        return None
    return companies[0] if companies else default_company()


class PayerSelect(AutocompleteSelect):
    """Searches payers at the address that answers with their emails too, and knows where to ask about namesakes."""

    url_name = "%s:truss_portal_contact_choices"

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        attrs = super().build_attrs(base_attrs, extra_attrs)
        return attrs | {"data-truss-hints": reverse("admin:truss_portal_contact_hints")}


class PayerField(_PayerField):
    def label_from_instance(self, obj: Contact) -> str:
        return payer(obj)


class PaymentIntentForm(_Form):
    """Says at each field which of Truss's rules it breaks, before anything is saved."""

    class Meta:
        model = PaymentIntent
        fields = (*actions.WRITTEN_BY_PEOPLE, "company")
        help_texts: ClassVar = {
            "total": _("US dollars, at least 1.00."),
            "addenda": _("1 to 80 characters; also stands on the payments made on it."),
            "due_date": _("From tomorrow on, or empty for none."),
            "note": _("Up to 500 characters. The payer sees it."),
            "memo": _("Up to 484 characters. The payer doesn't see it."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, limit in (("addenda", ADDENDA_MAX), ("note", NOTE_MAX), ("memo", memo.MAX_LENGTH)):
            if name in self.fields:
                self.fields[name].widget.attrs["maxlength"] = limit
        if "contact" in self.fields:
            self.fields["contact"].required = True
            # Who writes an invoice may add a payer, or mend one, and doesn't come to delete one.
            self.fields["contact"].widget.can_delete_related = False
        say_plainly(self.fields)

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        given = self.cleaned_data
        filled = copy.copy(self.instance)
        for name, value in given.items():
            setattr(filled, name, value)
        if not filled.company_id:
            company = only_company()
            if company is None:
                return given
            filled.company = self.instance.company = company
        self._check_payer(filled)
        self._check_number(filled)
        self._check_rules(filled)
        return given

    def _check_payer(self, filled: PaymentIntent) -> None:
        if filled.contact and filled.contact.company_id != filled.company_id:
            self.add_error("contact", _("This payer belongs to another company."))

    def _check_number(self, filled: PaymentIntent) -> None:
        """Django checks a constraint only where all its columns are on the form, and the company may not be."""
        same = PaymentIntent.objects.filter(company_id=filled.company_id, reference=filled.reference or None)
        if filled.reference and same.exclude(pk=filled.pk).exists():
            self.add_error("reference", _("Another invoice has this number already."))

    def _check_rules(self, filled: PaymentIntent) -> None:
        # A field that couldn't be read has its own message already, and stands here as it was before.
        unread = set(self.fields) - self.cleaned_data.keys()
        if "total" in unread:
            filled.total = actions.LEAST_LEFT
        try:
            actions.validate(filled)
        except InvalidRequestError as error:
            for rule in error.errors:
                name, sentence = broken_rule(rule)
                if name not in unread:
                    self.add_error(name if name in self.fields else None, sentence)
