"""Why can't my payer see it? What Truss's portal shows to whoever signs in with an email, and why not the rest.

It goes by the mirror: nobody is asked, nothing is changed. After Truss's own words on what the portal shows,
https://docs.trusspayments.com/guides/resources/payment-intents, and its three pieces of advice (the right email, no
previewing as the customer, no test invoices),
https://articles.trusspayments.com/en/articles/7125377-how-does-the-payment-portal-work.
"""

from .answer import MOST, STALE_AFTER, Answer, Hidden, look
from .look_alikes import LookAlike, look_alikes
from .obstacles import Obstacle, Reason, emails_of, is_test_site, obstacles, same_address, shown_to, signs_in_with

__all__ = [
    "MOST",
    "STALE_AFTER",
    "Answer",
    "Hidden",
    "LookAlike",
    "Obstacle",
    "Reason",
    "emails_of",
    "is_test_site",
    "look",
    "look_alikes",
    "obstacles",
    "same_address",
    "shown_to",
    "signs_in_with",
]
