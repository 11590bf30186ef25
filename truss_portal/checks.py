"""System checks of the settings. Each id is used once and carries a hint. They ask nobody: that is `truss_check`."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from truss_portal.conf import DEFAULTS, ENVIRONMENTS, conf, is_loopback, is_token
from truss_portal.encryption import is_key


@register
def check_settings(**_arguments: Any) -> list[CheckMessage]:
    """Everything in TRUSS_PORTAL that can't work, and a hint for each."""
    raw: object = getattr(settings, "TRUSS_PORTAL", {})
    if not settings.USE_TZ:
        return [
            Error(
                "USE_TZ is off.",
                hint="Truss's times are instants, and are kept and compared as such: set USE_TZ = True.",
                id="truss_portal.E010",
            )
        ]
    if not isinstance(raw, dict):
        return [Error("TRUSS_PORTAL must be a dict.", hint="See docs/reference/settings.md.", id="truss_portal.E001")]
    found = [*_unknown(raw), *_environment()]
    if any(message.is_serious() for message in found):
        return found
    return [
        *found,
        *_access_token(raw),
        *_addresses(raw),
        *_return_url(),
        *_numbers(raw),
        *_cancel_path(),
        *_oauth(raw),
        *_encryption_keys(raw),
        *_webhook_secrets(raw),
    ]


def _unknown(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    for key in sorted(raw.keys() - DEFAULTS.keys()):
        yield checks.Warning(
            f"TRUSS_PORTAL has no setting {key!r}.",
            hint=f"Known are: {', '.join(sorted(DEFAULTS))}.",
            id="truss_portal.W001",
        )


def _environment() -> Iterator[CheckMessage]:
    if conf.environment not in ENVIRONMENTS:
        yield Error(
            f'TRUSS_PORTAL["ENVIRONMENT"] is {conf.environment!r}.',
            hint=f"It must be one of {', '.join(ENVIRONMENTS)}.",
            id="truss_portal.E002",
        )


def _access_token(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    """The token itself is never shown."""
    if raw.get("ACCESS_TOKEN") and not is_token(raw["ACCESS_TOKEN"]):
        yield Error(
            'TRUSS_PORTAL["ACCESS_TOKEN"] has a character that can\'t be sent.',
            hint="It must be exactly as Truss gave it: printable ASCII, without a space, or a line break at its end.",
            id="truss_portal.E017",
        )


def _addresses(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    if (raw.get("ACCESS_TOKEN") or raw.get("CLIENT_ID")) and not conf.api_url:
        yield Error(
            f'TRUSS_PORTAL["API_URL"] is not set for the environment {conf.environment!r}.',
            hint="Truss publishes no API host: ask Truss for it, or set ENVIRONMENT to local for the sandbox app.",
            id="truss_portal.E003",
        )
    for key in ("API_URL", "AUTH_URL", "PORTAL_URL"):
        value = raw.get(key)
        if value and not _is_safe_url(value):
            yield Error(
                f'TRUSS_PORTAL["{key}"] is {value!r}.',
                hint="It must be an absolute https address; plain http is for this machine's own addresses only.",
                id="truss_portal.E004",
            )


def _return_url() -> Iterator[CheckMessage]:
    url = conf.return_url
    if url and (not _is_safe_url(url) or urlsplit(url).fragment):
        yield Error(
            f'TRUSS_PORTAL["RETURN_URL"] is {url!r}.',
            hint="It must be the absolute https address of this site's return view, as Truss has it on its allowlist.",
            id="truss_portal.E005",
        )
    if conf.return_url_allowlisted and not url:
        yield checks.Warning(
            'TRUSS_PORTAL["RETURN_URL_ALLOWLISTED"] is on, and "RETURN_URL" is not set.',
            hint="Payers stay at Truss after paying. Set RETURN_URL to the address that Truss has allowlisted.",
            id="truss_portal.W002",
        )


def _numbers(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    for key in ("PAGE_SIZE", "CONCURRENCY"):
        value = raw.get(key, DEFAULTS[key])
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield Error(
                f'TRUSS_PORTAL["{key}"] is {value!r}.',
                hint="It must be a whole number from 1 on.",
                id="truss_portal.E006",
            )
    for key in ("UNCONFIRMED_GRACE", "WEBHOOK_TOLERANCE"):
        value = raw.get(key, DEFAULTS[key])
        if not _is_seconds(value):
            yield Error(f'TRUSS_PORTAL["{key}"] is {value!r}.', hint="It must be seconds.", id="truss_portal.E007")
    timeout = raw.get("TIMEOUT", DEFAULTS["TIMEOUT"])
    pair = isinstance(timeout, tuple | list) and len(timeout) == 2  # noqa: PLR2004 - connect and read
    if not pair or not all(_is_seconds(value) and value > 0 for value in timeout):
        yield Error(
            f'TRUSS_PORTAL["TIMEOUT"] is {timeout!r}.',
            hint="It must be two numbers of seconds: to connect, and between two bytes of an answer, such as (5, 30).",
            id="truss_portal.E008",
        )


def _cancel_path() -> Iterator[CheckMessage]:
    path = conf.cancel_path
    if path is not None and not (isinstance(path, str) and path.startswith("/") and "{uid}" in path):
        yield Error(
            f'TRUSS_PORTAL["CANCEL_PATH"] is {path!r}.',
            hint='It must be a path with "{uid}" in it, or None to switch canceling off.',
            id="truss_portal.E009",
        )


def _oauth(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    if bool(raw.get("CLIENT_ID")) != bool(raw.get("CLIENT_SECRET")):
        missing = "CLIENT_SECRET" if raw.get("CLIENT_ID") else "CLIENT_ID"
        yield Error(
            f'TRUSS_PORTAL["{missing}"] is not set, and its counterpart is.',
            hint="Truss gives both on request. Without both of them no company can be connected.",
            id="truss_portal.E012",
        )
    scopes, delimiter = (raw.get(key, DEFAULTS[key]) for key in ("OAUTH_SCOPES", "OAUTH_SCOPE_DELIMITER"))
    if not (isinstance(delimiter, str) and delimiter and _are_texts(scopes)) or any(
        not scope or delimiter in scope for scope in scopes
    ):
        yield Error(
            f'TRUSS_PORTAL["OAUTH_SCOPES"] is {scopes!r}, and "OAUTH_SCOPE_DELIMITER" is {delimiter!r}.',
            hint="The scopes must be a list of texts, without the text that is to stand between them.",
            id="truss_portal.E013",
        )
    path = raw.get("OAUTH_AUTHORIZE_PATH", DEFAULTS["OAUTH_AUTHORIZE_PATH"])
    if not (isinstance(path, str) and path.startswith("/") and not {"#", "?", " "} & set(path)):
        yield Error(
            f'TRUSS_PORTAL["OAUTH_AUTHORIZE_PATH"] is {path!r}.',
            hint="It must be a path that begins with a slash, such as /oauth2/authorize: where Truss asks for consent.",
            id="truss_portal.E014",
        )


def _encryption_keys(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    """The keys themselves are never shown, nor is what somebody took for one."""
    keys = raw.get("ENCRYPTION_KEYS", DEFAULTS["ENCRYPTION_KEYS"])
    problem = ""
    if not isinstance(keys, list | tuple):
        problem = f"is not a list, but of the type {type(keys).__name__}"
    elif wrong := [str(number) for number, key in enumerate(keys, start=1) if not is_key(key)]:
        problem = f"has {len(keys)} keys, and of these number {', '.join(wrong)} is not a Fernet key"
    if problem:
        yield Error(
            f'TRUSS_PORTAL["ENCRYPTION_KEYS"] {problem}.',
            hint="It must be a list of keys, the newest first. Make one with: python -c "
            '"from truss_portal.encryption import new_key; print(new_key())"',
            id="truss_portal.E011",
        )


def _webhook_secrets(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    secrets = raw.get("WEBHOOK_SECRETS", DEFAULTS["WEBHOOK_SECRETS"])
    encoding = raw.get("WEBHOOK_SECRET_ENCODING", DEFAULTS["WEBHOOK_SECRET_ENCODING"])
    if encoding not in {"text", "hex"}:
        yield Error(
            f'TRUSS_PORTAL["WEBHOOK_SECRET_ENCODING"] is {encoding!r}.',
            hint="It must be text or hex: which bytes of the secret key the signature.",
            id="truss_portal.E016",
        )
    if not _are_texts(secrets) or not all(secrets) or (encoding == "hex" and not all(map(_is_hex, secrets))):
        yield Error(
            'TRUSS_PORTAL["WEBHOOK_SECRETS"] is not a list of secrets.',
            hint="It must be a list of texts, each a secret as Truss gave it: 64 hexadecimal digits.",
            id="truss_portal.E015",
        )


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _is_hex(text: str) -> bool:
    return bool(re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text))


def _is_safe_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(value)))


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
