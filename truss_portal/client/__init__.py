"""We speak to Truss: the network, and nothing else. Imports neither Django nor anything else of truss_portal.

    with TrussClient("https://…", token) as truss:
        for page in truss.list_payment_intents(): ...

Requests are checked before they are sent (`request_bodies`), answers are parsed into frozen resources (`resources`),
and whatever goes wrong is an exception that says whether Truss did what was asked (`exceptions`).
"""

from truss_portal.client.exceptions import (
    FieldError,
    InvalidRequestError,
    MethodNotAllowedError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    NotReachedError,
    Outcome,
    RateLimitedError,
    RefusedError,
    ServerError,
    TrussError,
    UnansweredError,
    UnreadableAnswerError,
)
from truss_portal.client.links import checkout_url, portal_url
from truss_portal.client.oauth import exchange_code, refresh_token
from truss_portal.client.request_bodies import (
    UNSET,
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    Unset,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)
from truss_portal.client.resources import Company, Contact, Page, PaymentIntent, Rejected, Token, Transaction
from truss_portal.client.truss import TrussClient

__all__ = [
    "UNSET",
    "Company",
    "Contact",
    "CreateInboundPaymentIntentRequest",
    "CreateOrUpdateContactRequest",
    "FieldError",
    "InvalidRequestError",
    "MethodNotAllowedError",
    "NotAllowedError",
    "NotAuthenticatedError",
    "NotFoundError",
    "NotReachedError",
    "Outcome",
    "Page",
    "PaymentIntent",
    "RateLimitedError",
    "RefusedError",
    "Rejected",
    "ServerError",
    "Token",
    "Transaction",
    "TrussClient",
    "TrussError",
    "UnansweredError",
    "UnreadableAnswerError",
    "Unset",
    "UpdateContactRequest",
    "UpdateInboundPaymentIntentRequest",
    "checkout_url",
    "exchange_code",
    "portal_url",
    "refresh_token",
]
