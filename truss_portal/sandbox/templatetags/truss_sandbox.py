from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def usd(amount: Decimal) -> str:
    """Dollars as Americans write them, whatever language the site speaks."""
    return f"${amount:,.2f}"


@register.filter
def status_label(status: str) -> str:
    """The words that payers and finance staff read for Truss's statuses."""
    return {"Pending": "Unpaid", "PartiallyPaid": "Partially paid"}.get(status, status)
