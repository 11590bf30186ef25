"""Be told: a webhook arrives, is verified and stored; later somebody looks at Truss because of it.

    receiving.receive     the request: verify and store; no network, three statements
    claims                who is at which event, and until when nobody else need be
    processing.process    look at Truss, write the answer through `mirror`, settle the events

An event carries no truth, it only says "look again". So the order of events, their loss and their repetition can't
hurt: a look that was begun after an event had come settles it, whatever came before or after.
"""

from .claims import make_due
from .processing import Processed, process
from .receiving import BODY_MAX, Addressee, addressee, receive, refuse

__all__ = [
    "BODY_MAX",
    "Addressee",
    "Processed",
    "addressee",
    "make_due",
    "process",
    "receive",
    "refuse",
]
