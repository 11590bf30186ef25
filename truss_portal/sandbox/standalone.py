"""The settings of a sandbox that stands alone."""

import secrets
from pathlib import Path
from typing import Any


def standalone_settings(database: Path, time_zone: str) -> dict[str, Any]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(32),
        "ALLOWED_HOSTS": ["*"],
        "INSTALLED_APPS": ["truss_portal.sandbox"],
        "ROOT_URLCONF": "truss_portal.sandbox.root_urls",
        "USE_TZ": True,
        "TIME_ZONE": time_zone,
        # Django would only mail an error of ours to somebody.
        "LOGGING": {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "loggers": {"django.request": {"handlers": ["stderr"], "level": "ERROR"}},
        },
        # Cookies know no ports: a site on this machine must not share this one.
        "CSRF_COOKIE_NAME": "truss_sandbox_csrf",
        "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        # There are no users here, and REST framework would look for django.contrib.auth.
        "REST_FRAMEWORK": {"UNAUTHENTICATED_USER": None},
        "DATABASES": {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(database),
                "CONN_MAX_AGE": None,
                "OPTIONS": {
                    # Many threads write: they wait for each other from the start of a transaction, instead of failing
                    # in it.
                    "transaction_mode": "IMMEDIATE",
                    "timeout": 30,
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
                },
            }
        },
    }
