"""System checks of the settings. Each id is used once and carries a hint. They ask nobody."""

import re
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from truss_portal.client import addresses
from truss_portal.conf import ENVIRONMENTS
from truss_portal.trustist.conf import DEFAULTS, conf

TOKEN_MIN: Final = 24
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~-]+")
_NEW: Final = 'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'


@register
def check_settings(**_arguments: Any) -> list[CheckMessage]:
    """Everything in TRUSTIST that can't work. Secrets are never shown."""
    raw: object = getattr(settings, "TRUSTIST", {})
    if not isinstance(raw, dict):
        return [Error("TRUSTIST must be a dict.", hint="See docs/reference/settings.md.", id="truss_trustist.E001")]
    return [*_unknown(raw), *_environment(), *_address(raw), *_credentials(raw), *_timeout(raw), *_tokens(raw)]


def _unknown(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    for key in sorted(raw.keys() - DEFAULTS.keys()):
        yield checks.Warning(
            f"TRUSTIST has no setting {key!r}.",
            hint=f"Known are: {', '.join(sorted(DEFAULTS))}.",
            id="truss_trustist.W001",
        )


def _environment() -> Iterator[CheckMessage]:
    if conf.environment not in ENVIRONMENTS:
        yield Error(
            f'TRUSTIST["ENVIRONMENT"] is {conf.environment!r}.',
            hint=f"It must be one of {', '.join(ENVIRONMENTS)}.",
            id="truss_trustist.E002",
        )


def _address(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    if not raw.get("API_URL"):
        return
    try:
        addresses.check_base(conf.api_url, provider="Trustist")
    except ValueError as error:
        yield Error(
            f'TRUSTIST["API_URL"] can\'t be used. {error}',
            hint="It must be an absolute https address; plain http is for this machine's own addresses only.",
            id="truss_trustist.E003",
        )


def _credentials(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    given = {key: raw.get(key) for key in ("CLIENT_ID", "CLIENT_SECRET")}
    for key, value in given.items():
        if value is not None and not isinstance(value, str):
            yield Error(f'TRUSTIST["{key}"] is not a text.', hint="Write it in quotes.", id="truss_trustist.E005")
    if missing := [key for key, value in given.items() if not value]:
        hint = "Trustist gives both to its partners. Until then nobody can be invited."
        what = " and ".join(f'"{key}"' for key in missing)
        if len(missing) == 1:
            yield Error(f"TRUSTIST[{what}] is not set, and its counterpart is.", hint=hint, id="truss_trustist.E004")
        else:
            yield checks.Warning(f"TRUSTIST has no {what}.", hint=hint, id="truss_trustist.W002")


def _timeout(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    timeout = raw.get("TIMEOUT", DEFAULTS["TIMEOUT"])
    pair = isinstance(timeout, tuple | list) and len(timeout) == 2  # noqa: PLR2004 - connect and read
    if not pair or not all(isinstance(n, int | float) and not isinstance(n, bool) and n > 0 for n in timeout):
        yield Error(
            f'TRUSTIST["TIMEOUT"] is {timeout!r}.',
            hint="It must be two numbers of seconds: to connect, and between two bytes of an answer, such as (5, 30).",
            id="truss_trustist.E006",
        )


def _tokens(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    given = raw.get("WEBHOOK_TOKEN") or ()
    tokens = [given] if isinstance(given, str) else given
    if not isinstance(tokens, list | tuple) or not all(
        isinstance(token, str) and _TOKEN.fullmatch(token) for token in tokens
    ):
        yield Error(
            'TRUSTIST["WEBHOOK_TOKEN"] can\'t be the end of an address.',
            hint=f"It must be a text of letters, digits, - and _; or a list of such texts. {_NEW}",
            id="truss_trustist.E007",
        )
    elif any(len(token) < TOKEN_MIN for token in tokens):
        yield checks.Warning(
            f'TRUSTIST["WEBHOOK_TOKEN"] has fewer than {TOKEN_MIN} characters.',
            hint=f"Trustist signs nothing: the address is all that keeps strangers out. {_NEW}",
            id="truss_trustist.W003",
        )
