"""We speak to Truss: the network, and nothing else. Imports neither Django nor anything else of truss_portal.

    with TrussClient("https://…", token) as truss:
        for page in truss.list_payment_intents(): ...

Requests are checked before they are sent (`request_bodies`), answers are parsed into frozen resources (`resources`),
and whatever goes wrong is an exception that says whether Truss did what was asked (`exceptions`). After a 429 the whole
process leaves that host alone for a while (`pacing`). A company is connected by OAuth (`oauth`). What Truss sends by
itself is verified and read (`webhooks`).
"""

from truss_portal.client.exceptions import (
    FieldError,
    HeldBackError,
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
    SignatureError,
    SignatureProblem,
    TrussError,
    UnansweredError,
    UnreadableAnswerError,
)
from truss_portal.client.json_fields import UnreadableError
from truss_portal.client.links import checkout_url, portal_url
from truss_portal.client.oauth import authorize_url, code_challenge, ends_connection, exchange_code, refresh_token
from truss_portal.client.pacing import LONGEST_REST, SHORTEST_REST
from truss_portal.client.request_bodies import (
    UNSET,
    CreateInboundPaymentIntentRequest,
    CreateOrUpdateContactRequest,
    Unset,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)
from truss_portal.client.resources import (
    Company,
    Contact,
    Page,
    PaymentIntent,
    Rejected,
    Token,
    Transaction,
    WebhookEvent,
)
from truss_portal.client.truss import TrussClient
from truss_portal.client.webhooks import SIGNATURE_HEADER, parse_event, verify_signature

__all__ = [
    "LONGEST_REST",
    "SHORTEST_REST",
    "SIGNATURE_HEADER",
    "UNSET",
    "Company",
    "Contact",
    "CreateInboundPaymentIntentRequest",
    "CreateOrUpdateContactRequest",
    "FieldError",
    "HeldBackError",
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
    "SignatureError",
    "SignatureProblem",
    "Token",
    "Transaction",
    "TrussClient",
    "TrussError",
    "UnansweredError",
    "UnreadableAnswerError",
    "UnreadableError",
    "Unset",
    "UpdateContactRequest",
    "UpdateInboundPaymentIntentRequest",
    "WebhookEvent",
    "authorize_url",
    "checkout_url",
    "code_challenge",
    "ends_connection",
    "exchange_code",
    "parse_event",
    "portal_url",
    "refresh_token",
    "verify_signature",
]
