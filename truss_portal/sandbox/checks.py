from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning  # noqa: A004
from django.db import router

from truss_portal.sandbox import conf, signatures
from truss_portal.sandbox.routers import ALIAS


def check_router(**_: Any) -> list[CheckMessage]:
    """W001: a database is set aside for the sandbox, but nothing leads the sandbox's tables there."""
    company = apps.get_model("truss_sandbox", "Company")
    if ALIAS not in settings.DATABASES or router.db_for_write(company) == ALIAS:
        return []
    return [
        Warning(
            f"The database {ALIAS!r} is configured, but the sandbox's tables don't go there.",
            hint='Add "truss_portal.sandbox.routers.SandboxRouter" to DATABASE_ROUTERS.',
            id="truss_sandbox.W001",
        )
    ]


def check_deploy(**_: Any) -> list[CheckMessage]:
    """W002: the pretend Truss has no place on a site that real people use."""
    if settings.DEBUG:
        return []
    return [
        Warning(
            "The Truss sandbox is installed on a site that doesn't run in debug mode. Its pages show every code that "
            "it sends and pay invoices with no money.",
            hint='Take "truss_portal.sandbox" out of INSTALLED_APPS and its addresses out of the URLs in production.',
            id="truss_sandbox.W002",
        )
    ]


def check_settings(**_: Any) -> list[CheckMessage]:
    """W003: a key of TRUSS_SANDBOX that nothing reads. W004: a webhook secret that can't be one."""
    unknown = sorted(set(getattr(settings, "TRUSS_SANDBOX", {})) - set(conf.DEFAULTS))
    found: list[CheckMessage] = [
        Warning(
            f"TRUSS_SANDBOX has the key {key!r}, which nothing reads.",
            hint=f"Known keys: {', '.join(conf.DEFAULTS)}.",
            id="truss_sandbox.W003",
        )
        for key in unknown
    ]
    if not signatures.is_secret(str(conf.get("WEBHOOK_SECRET"))):
        found.append(
            Warning(
                "TRUSS_SANDBOX['WEBHOOK_SECRET'] isn't a webhook secret.",
                hint="Truss's have 64 hex digits, in lower case. Leave it empty to have webhooks sent unsigned.",
                id="truss_sandbox.W004",
            )
        )
    return found
