"""We speak to Trustist: the network, and nothing else. Imports no Django, and of ours only `truss_portal.client`.

    with TrustistClient(SANDBOX_URL, client_id, client_secret) as trustist:
        trustist.create_invitation(name="Fern & Moss", email="hello@fernandmoss.example", payment_types=["cards"])

Transport, pacing, redaction and errors are those of `truss_portal.client`: what goes wrong is an exception that says
whether Trustist did what was asked. `TrustistError` is the root of them all.
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
    UnansweredError,
    UnreadableAnswerError,
)
from truss_portal.client.exceptions import ProviderError as TrustistError
from truss_portal.client.json_fields import UnreadableError
from truss_portal.client.pacing import LONGEST_REST
from truss_portal.trustist.client.events import (
    Event,
    InvitationStatusChanged,
    PaymentStatusChanged,
    UnknownEvent,
    parse_event,
)
from truss_portal.trustist.client.provider import PRODUCTION_URL, SANDBOX_URL
from truss_portal.trustist.client.request_bodies import CARDS, OPEN_BANKING, PAYMENT_TYPES, CreateInvitationRequest
from truss_portal.trustist.client.resources import Invitation, Listing, MerchantKey, Rejected
from truss_portal.trustist.client.statuses import is_complete, is_opened, normalized
from truss_portal.trustist.client.tokens import Token, TokenMemory, TokenStore
from truss_portal.trustist.client.trustist import TrustistClient

__all__ = [
    "CARDS",
    "LONGEST_REST",
    "OPEN_BANKING",
    "PAYMENT_TYPES",
    "PRODUCTION_URL",
    "SANDBOX_URL",
    "CreateInvitationRequest",
    "Event",
    "FieldError",
    "HeldBackError",
    "InvalidRequestError",
    "Invitation",
    "InvitationStatusChanged",
    "Listing",
    "MerchantKey",
    "MethodNotAllowedError",
    "NotAllowedError",
    "NotAuthenticatedError",
    "NotFoundError",
    "NotReachedError",
    "Outcome",
    "PaymentStatusChanged",
    "RateLimitedError",
    "RefusedError",
    "Rejected",
    "ServerError",
    "Token",
    "TokenMemory",
    "TokenStore",
    "TrustistClient",
    "TrustistError",
    "UnansweredError",
    "UnknownEvent",
    "UnreadableAnswerError",
    "UnreadableError",
    "is_complete",
    "is_opened",
    "normalized",
    "parse_event",
]
