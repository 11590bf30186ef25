"""Trustist: where it is, and what is said where it doesn't do what was asked. No I/O.

https://trustisttransfer.com/docs/partner-api/
"""

from typing import Final

from truss_portal.client.exceptions import (
    HeldBackError,
    MethodNotAllowedError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    NotReachedError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    ServerError,
    UnansweredError,
    UnreadableAnswerError,
)
from truss_portal.client.providers import Provider

SANDBOX_URL: Final = "https://partnersapi-sandbox.trustist.com"
PRODUCTION_URL: Final = "https://partnersapi.trustist.com"

TRUSTIST: Final = Provider(
    name="Trustist",
    messages={
        ProviderError: "Trustist couldn't be asked, or didn't do what was asked.",
        RefusedError: "Trustist refused the request.",
        # "Authentication failed or user does not have permissions": one status for both.
        NotAuthenticatedError: (
            "Trustist doesn't let us in, even with a new access token: the client has been closed, or it has no "
            "permission for this. Ask Trustist."
        ),
        NotAllowedError: "Trustist doesn't allow this to our client. Ask Trustist.",
        NotFoundError: "Trustist has nothing at this address: the id belongs to another partner or environment.",
        MethodNotAllowedError: "Trustist knows this address but not this method on it: is our address of it right?",
        RateLimitedError: "Trustist asks for fewer requests. Nothing was done; try again later.",
        HeldBackError: "Trustist has asked us to slow down, so nothing was asked now; try again later.",
        NotReachedError: "Trustist could not be reached. Nothing was sent; try again later.",
        UnansweredError: ("Trustist was asked but its answer didn't arrive, so it is not known whether it was done."),
        ServerError: "Trustist failed while it worked on the request, so it is not known whether it was done.",
        UnreadableAnswerError: "Trustist's answer can't be understood, so it is not known whether it was done.",
    },
)
