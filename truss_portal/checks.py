"""System checks of the settings. Each id is used once and carries a hint. They ask nobody: that is `truss_check`."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from truss_portal.conf import DEFAULTS, ENVIRONMENTS, conf, is_loopback


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
    return [*found, *_addresses(raw), *_return_url(), *_numbers(raw), *_cancel_path()]


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


def _addresses(raw: dict[str, Any]) -> Iterator[CheckMessage]:
    if raw.get("ACCESS_TOKEN") and not conf.api_url:
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
