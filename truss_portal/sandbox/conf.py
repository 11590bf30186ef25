"""The setting `TRUSS_SANDBOX`: a dict, read live, every key optional.

`TOKEN` ["sandbox-token"]: the fixed bearer token that gives access to the default company.
`COMPANY_NAME` ["Sandbox Company"]: what payers read at the top of the portal.
`CHECKOUT_LINK_ID` ["sandbox"]: the default company's checkout link; empty means that no portal has been set up.
`ALLOWED_REDIRECTS` [()]: where payers may be sent back to, each as Truss asks for it: scheme, host and path.
`CLIENT_ID` ["sandbox-client"], `CLIENT_SECRET` ["sandbox-secret"]: the partner's credentials at the token endpoint.
`PARTNER_NAME` ["Sandbox Partner"]: what a company's user reads on the consent page.
`OAUTH_REDIRECT_URIS` [()]: where the consent page may send a company's user back to, to the letter; none means any
address on this machine.
`OAUTH_SCOPE_DELIMITER` [" "]: what stands between scopes; Truss doesn't publish it.
`WEBHOOK_URL` [""]: where the default company's webhooks are sent; empty means that none are made.
`WEBHOOK_SECRET` [a well-known one]: what webhooks are signed with, 64 hex digits; empty means that they aren't signed.
`TRUSTIST_CLIENT_ID` ["trustist-client"], `TRUSTIST_CLIENT_SECRET` ["trustist-secret"]: of the default partner, who
invites clients to Trustist.
`TRUSTIST_WEBHOOK_URL` [""]: where that partner's webhooks are sent; empty means that none are made.
`TRUSTIST_MOVES_AFTER` [None]: seconds after which an invitation takes its next step by itself; None means never.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

DEFAULTS: Mapping[str, Any] = {
    "TOKEN": "sandbox-token",
    "COMPANY_NAME": "Sandbox Company",
    "CHECKOUT_LINK_ID": "sandbox",
    "ALLOWED_REDIRECTS": (),
    "CLIENT_ID": "sandbox-client",
    "CLIENT_SECRET": "sandbox-secret",
    "PARTNER_NAME": "Sandbox Partner",
    "OAUTH_REDIRECT_URIS": (),
    "OAUTH_SCOPE_DELIMITER": " ",
    "WEBHOOK_URL": "",
    "WEBHOOK_SECRET": "0123456789abcdef" * 4,
    "TRUSTIST_CLIENT_ID": "trustist-client",
    "TRUSTIST_CLIENT_SECRET": "trustist-secret",
    "TRUSTIST_WEBHOOK_URL": "",
    "TRUSTIST_MOVES_AFTER": None,
}


def get(key: str) -> Any:
    """The value of one key of `TRUSS_SANDBOX`, or its default."""
    return getattr(settings, "TRUSS_SANDBOX", {}).get(key, DEFAULTS[key])
