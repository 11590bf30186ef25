"""For templates that show amounts, the site's own too: `{% load truss_words %}`, `{{ payment_intent.total|money }}`."""

from django import template

from truss_portal import plain_words

register = template.Library()
register.filter("money", plain_words.money)
