"""Asking a token endpoint for a token. Authlib writes the form, our transport carries it.

The client's credentials travel in the form body, not in Basic authentication.
https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
"""

from collections.abc import Mapping

from authlib.oauth2.rfc6749.parameters import prepare_token_request

from truss_portal.client import json_fields, resources
from truss_portal.client.answers import Answer
from truss_portal.client.exceptions import FieldError, InvalidRequestError, RefusedError
from truss_portal.client.json_fields import UnreadableError
from truss_portal.client.resources import Token
from truss_portal.client.transport import NoHeader, Transport

# What a token endpoint refuses a grant with: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
GRANT_REFUSED = frozenset({400, 401, 403})


def request_token(
    transport: Transport,
    url: str,
    grant_type: str,
    *,
    name: str,
    public: Mapping[str, str],
    secret: Mapping[str, str],
) -> tuple[Token, Answer]:
    """The token, and the answer that it came with. Sent once.

    `name` is the path for messages; `secret` are the fields that nobody may read. Raises InvalidRequestError for a
    field that is empty, and ProviderError.
    """
    fields = {**public, **secret}
    check_present(fields)
    answer = transport.send_form(
        url,
        prepare_token_request(grant_type, **fields),
        {"Content-Type": "application/x-www-form-urlencoded"},
        name=name,
        auth=NoHeader(*secret.values()),
    )
    try:
        payload = json_fields.parse_json(answer.whole_body())
        # Token endpoints exist that refuse with status 200. The body isn't shown: it may hold a token all the same.
        if isinstance(payload, dict) and "error" in payload and "access_token" not in payload:
            raise answer.provider.error(
                RefusedError,
                f"{answer.provider.name} refused to give a token: {answer.cleaner()(str(payload['error']))[:100]}",
                request=answer.request,
                status=answer.status,
            )
        return resources.parse_token(payload), answer
    except UnreadableError as error:
        unreadable = answer.unreadable(str(error))
    raise unreadable


def check_present(fields: Mapping[str, str]) -> None:
    if missing := [name for name, value in fields.items() if not value]:
        raise InvalidRequestError([FieldError(name, "is missing") for name in missing])
