"""What a payer fills in."""

from decimal import Decimal

from django import forms
from django.http import QueryDict

METHODS = [("ach", "Bank account (ACH)"), ("credit_card", "Card")]


class EmailForm(forms.Form):
    email = forms.EmailField(
        label="Email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})
    )

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()


class CodeForm(forms.Form):
    code = forms.RegexField(
        r"\A\s*[0-9]{6}\s*\Z",
        label="Code",
        error_messages={"invalid": "The code has six digits."},
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )


class PaymentForm(forms.Form):
    payment_method = forms.ChoiceField(
        label="Payment method", choices=METHODS, initial="ach", widget=forms.RadioSelect(attrs={"class": "methods"})
    )
    amount = forms.DecimalField(
        label="Amount",
        min_value=Decimal("0.01"),
        max_digits=14,
        decimal_places=2,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )


class InvoicePaymentForm(PaymentForm):
    def __init__(self, data: QueryDict | None, *, remaining: Decimal) -> None:
        super().__init__(data, initial={"amount": f"{remaining:.2f}"})
        self.remaining = remaining

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if amount > self.remaining:
            raise forms.ValidationError(f"Only ${self.remaining:,.2f} is left to pay.")
        return amount


class CustomPaymentForm(PaymentForm):
    addenda = forms.CharField(label="What is it for?", max_length=80)
    field_order = ["addenda", "amount", "payment_method"]
