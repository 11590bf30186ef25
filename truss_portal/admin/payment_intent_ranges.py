"""Filters that one types into: from an amount to another, from a day to another, and a payer."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from truss_portal.exchange.cells import CellError, as_amount
from truss_portal.models import Contact, PaymentIntent
from truss_portal.models.contact import name_key

from .wording import number, payer

Rows = QuerySet[PaymentIntent]
PAYER_ID: Final = "contact__id__exact"
"""The parameter by which a payer's page narrows the list down to that payer."""
ISO: Final = re.compile(r"\d{4}-\d\d-\d\d")
OFFERED: Final = 10
MOST: Final = 200
"""Of more payers than that somebody must type more: theirs are not the invoices that anybody looks for."""
"""So many payers are named to choose from, where several match what is typed."""


class AmountField(forms.CharField):
    """As people write amounts: 1250.5, 1,250.50, $1,250.50."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            amount = as_amount(text)
        except CellError:
            amount = None
        if amount is None or amount < 0 or amount != round(amount, 2):
            raise forms.ValidationError(_("“%(text)s” is no amount. Write it like 1234.50."), params={"text": text})
        return amount


class DayField(forms.DateField):
    default_error_messages = {"invalid": _("“%(text)s” is no date. Write it like 2026-11-30.")}

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except forms.ValidationError as error:
            raise forms.ValidationError(error.message, params={"text": value}) from error


class TypedFilter(admin.ListFilter):
    """Fields in a form of its own, that keeps whatever else the list is narrowed down by.

    What can't be understood shows no rows: nobody acts upon those that they haven't meant.
    """

    template = "truss_portal/admin/typed_filter.html"
    names: tuple[str, ...] = ()
    """Its parameters."""

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.used_parameters: dict[str, str] = {
            name: params.pop(name)[-1].strip() for name in self.names if name in params
        }  # type: ignore[assignment]
        self.form = self.make_form({name: self.used_parameters.get(name, "") for name in self.names})
        self.form.full_clean()
        self.kept: list[tuple[str, str]] = []
        self.without = ""

    @property
    def parameter_name(self) -> str:
        """As Django's own filters have one: django-unfold wants to know it."""
        return self.names[0]

    def make_form(self, typed: dict[str, str]) -> forms.Form:
        raise NotImplementedError

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return [*self.names]

    @property
    def is_used(self) -> bool:
        return any(self.used_parameters.values())

    @property
    def problems(self) -> list[str]:
        """What is wrong, with the name of the field that it is wrong in."""
        told = []
        for name, errors in self.form.errors.items():
            label = self.form[name].label if name in self.form.fields else ""
            told += [f"{self.title_shown}, {label}: {error}" if label else str(error) for error in errors]
        return told

    @property
    def title_shown(self) -> str:
        return str(self.title).capitalize()

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        return queryset.filter(self.wanted(self.form.cleaned_data)) if self.form.is_valid() else queryset.none()

    def wanted(self, given: dict[str, Any]) -> Q:
        raise NotImplementedError

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """What the form has to keep. There may be nothing to click on."""
        ours = self.expected_parameters()
        self.without = changelist.get_query_string(remove=ours)
        others = {name: values for name, values in changelist.filter_params.items() if name not in ours}
        self.kept = [(name, value) for name, values in others.items() for value in values]
        yield from ()


class RangeForm(forms.Form):
    """Both ends belong to it; an end that isn't given is open."""

    def __init__(self, typed: dict[str, str], ends: tuple[str, str], kind: type[forms.Field], wrong: Any) -> None:
        super().__init__(typed, auto_id="truss_%s")
        self._ends, self._wrong = ends, wrong
        for name, label in zip(ends, (_("From"), _("To")), strict=True):
            self.fields[name] = kind(label=label, required=False, widget=_input(kind, typed[name]))

    def clean(self) -> dict[str, Any]:
        first, last = (self.cleaned_data.get(name) for name in self._ends)
        if first is not None and last is not None and first > last:
            self.add_error(self._ends[1], self._wrong)
        return self.cleaned_data


def _input(kind: type[forms.Field], typed: str) -> forms.TextInput:
    if kind is AmountField:
        return forms.TextInput({"inputmode": "decimal", "autocomplete": "off"})
    # A browser would hide what is no date, and it is to be put right.
    return forms.DateInput({"type": "date" if not typed or ISO.fullmatch(typed) else "text"}, format="%Y-%m-%d")


class AmountFilter(TypedFilter):
    title = _("amount")
    names = ("amount_from", "amount_to")

    def make_form(self, typed: dict[str, str]) -> forms.Form:
        return RangeForm(typed, ("amount_from", "amount_to"), AmountField, _("This is less than what it begins with."))

    def wanted(self, given: dict[str, Any]) -> Q:
        return _between("total", given["amount_from"], given["amount_to"])


class DueDateFilter(TypedFilter):
    title = _("due date")
    names = ("dated_from", "dated_to")

    def make_form(self, typed: dict[str, str]) -> forms.Form:
        return RangeForm(typed, ("dated_from", "dated_to"), DayField, _("This is before the day it begins with."))

    def wanted(self, given: dict[str, Any]) -> Q:
        return _between("due_date", given["dated_from"], given["dated_to"])


def _between(column: str, first: Decimal | date | None, last: Decimal | date | None) -> Q:
    wanted = Q() if first is None else Q(**{f"{column}__gte": first})
    return wanted if last is None else wanted & Q(**{f"{column}__lte": last})


class PayerForm(forms.Form):
    payer = forms.CharField(label=_("Name or email"), required=False, widget=forms.TextInput({"autocomplete": "off"}))


class PayerFilter(TypedFilter):
    """Part of a name or an email; where several payers match, they are named to choose from."""

    title = _("payer")
    names = ("payer",)

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        chosen = params.pop(PAYER_ID, [""])[-1]
        if chosen:
            self.used_parameters[PAYER_ID] = chosen
        self._named: list[Contact] | None = None

    def make_form(self, typed: dict[str, str]) -> forms.Form:
        return PayerForm(typed, auto_id="truss_%s")

    def expected_parameters(self) -> list[str | None]:
        return [*self.names, PAYER_ID]

    @property
    def named(self) -> list[Contact]:
        """Those that match, and at most one more than may be."""
        if self._named is None:
            rows = Contact.objects.only("name", "email")
            if chosen := self.used_parameters.get(PAYER_ID):
                rows = rows.filter(pk=chosen) if chosen.isascii() and chosen.isdecimal() else rows.none()
            else:
                rows = rows.filter(matches(self.form.cleaned_data["payer"]))
            self._named = list(rows[: MOST + 1]) if self.is_used else []
        return self._named

    @property
    def chosen(self) -> str:
        """Whom the list is narrowed down to, where it is one."""
        return payer(self.named[0]) if len(self.named) == 1 else ""

    @property
    def problems(self) -> list[str]:
        if not self.is_used or self.form.errors or 0 < len(self.named) <= MOST:
            return super().problems
        if self.named:
            text = _("Payer: more than %(count)s payers have “%(text)s” in their name or email. Type more of it.")
            return [text % {"count": number(MOST), "text": self.form.cleaned_data["payer"]}]
        if PAYER_ID in self.used_parameters:
            return [str(_("Payer: there is no such payer."))]
        return [_("Payer: no name and no email has “%(text)s” in it.") % {"text": self.form.cleaned_data["payer"]}]

    def wanted(self, given: dict[str, Any]) -> Q:
        if not self.is_used:
            return Q()
        return Q(contact__in=[contact.pk for contact in self.named] if len(self.named) <= MOST else [])

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield from super().choices(changelist)
        if 1 < len(self.named) <= OFFERED:
            for contact in self.named:
                only = changelist.get_query_string({PAYER_ID: contact.pk}, ["payer"])
                yield {"selected": False, "query_string": only, "display": payer(contact)}


def matches(text: str) -> Q:
    """Payers whose name or one of whose emails has it somewhere, letter case aside."""
    return Q(name_key__contains=name_key(text)) | Q(email__icontains=text) | Q(secondary_email__icontains=text)
