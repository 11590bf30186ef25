"""The example site's settings, all from the environment. With none set it runs on this machine, against the sandbox.

`DEBUG` [on], `SECRET_KEY`, `ALLOWED_HOSTS`, `CSRF_TRUSTED_ORIGINS`, `DATABASE_URL`, `SANDBOX_DATABASE_URL`,
`STATIC_ROOT` and `LOG_LEVEL` are Django's. `SITE_URL` [http://127.0.0.1:8000] is where this site is reached from
outside, and `BEHIND_TLS_PROXY` says that a proxy in front of it sets X-Forwarded-Proto. With DEBUG off, SECRET_KEY is
required and SITE_URL has no default.

Each key of `TRUSS_PORTAL` is read from the variable of its name with `TRUSS_` before it: `TRUSS_ENVIRONMENT`,
`TRUSS_API_URL`, `TRUSS_ACCESS_TOKEN` and so on; lists with commas between their items. A real site sets at least those
three, and `TRUSS_RETURN_URL_ALLOWLISTED=on` once Truss has confirmed that SITE_URL/truss/return/ is on its allowlist.
"""

from pathlib import Path
from typing import Any

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DEBUG = env.bool("DEBUG", default=True)
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000" if DEBUG else "").rstrip("/")


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(item) for item in _comma_separated(text))


def _path_or_none(text: str) -> str | None:
    """Empty switches off what the path is for."""
    return text or None


def _flag(text: str) -> bool:
    return text.strip().lower() in env.BOOLEAN_TRUE_STRINGS


_TRUSS_TYPES: dict[str, Any] = {
    "ENVIRONMENT": str,
    "API_URL": str,
    "AUTH_URL": str,
    "PORTAL_URL": str,
    "ACCESS_TOKEN": str,
    "CLIENT_ID": str,
    "CLIENT_SECRET": str,
    "OAUTH_SCOPES": _comma_separated,
    "OAUTH_AUTHORIZE_PATH": str,
    "OAUTH_SCOPE_DELIMITER": str,
    "OAUTH_PKCE": _flag,
    "WEBHOOK_SECRETS": _comma_separated,
    "WEBHOOK_SECRET_ENCODING": str,
    "WEBHOOK_TOLERANCE": int,
    "RETURN_URL": str,
    "RETURN_URL_ALLOWLISTED": _flag,
    "CANCEL_PATH": _path_or_none,
    "TIMEOUT": _seconds,
    "PAGE_SIZE": int,
    "CONCURRENCY": int,
    "UNCONFIRMED_GRACE": float,
    "ENCRYPTION_KEYS": _comma_separated,
}
_from_environment = {
    key: convert(env.str(f"TRUSS_{key}")) for key, convert in _TRUSS_TYPES.items() if f"TRUSS_{key}" in env
}
USES_SANDBOX = _from_environment.get("ENVIRONMENT", "local") == "local"

TRUSS_PORTAL: dict[str, Any] = {"RETURN_URL": f"{SITE_URL}/truss/return/" if SITE_URL else None}
if USES_SANDBOX:
    TRUSS_PORTAL |= {
        "ENVIRONMENT": "local",
        "API_URL": f"{SITE_URL}/sandbox",
        "ACCESS_TOKEN": "sandbox-token",
        "RETURN_URL_ALLOWLISTED": True,
    }
TRUSS_PORTAL |= _from_environment
TRUSS_SANDBOX: dict[str, Any] = {
    "COMPANY_NAME": "Harbor Street Supply",
    "CHECKOUT_LINK_ID": "harbor-street",
    "ALLOWED_REDIRECTS": [TRUSS_PORTAL["RETURN_URL"]] if TRUSS_PORTAL["RETURN_URL"] else [],
}

_TRUSTIST_TYPES: dict[str, Any] = {
    "ENVIRONMENT": str,
    "API_URL": str,
    "CLIENT_ID": str,
    "CLIENT_SECRET": str,
    "TIMEOUT": _seconds,
    "WEBHOOK_TOKEN": _comma_separated,
}
TRUSTIST: dict[str, Any] = {}
if USES_SANDBOX:
    TRUSTIST |= {
        "ENVIRONMENT": "local",
        "API_URL": f"{SITE_URL}/sandbox/trustist",
        "CLIENT_ID": "trustist-client",
        "CLIENT_SECRET": "trustist-secret",
    }
TRUSTIST |= {
    key: convert(env.str(f"TRUSTIST_{key}")) for key, convert in _TRUSTIST_TYPES.items() if f"TRUSTIST_{key}" in env
}

# A key that everybody can read is good enough for a site that only this machine can reach.
SECRET_KEY = env.str("SECRET_KEY", default="insecure: for this machine only") if DEBUG else env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if not DEBUG:
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 60 * 60)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    if env.bool("BEHIND_TLS_PROXY", default=False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "truss_portal",
    "truss_portal.trustist",
    "example_project.orders",
]
if USES_SANDBOX:
    INSTALLED_APPS += ["truss_portal.sandbox", "example_project.demo"]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the apps' own: templates/truss_portal/base.html puts the payer's return page into the shop's dress.
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
DATABASE_ROUTERS: list[str] = []
if USES_SANDBOX:
    # The pretend Truss keeps its data apart from the site's, as the real one does.
    DATABASES["truss_sandbox"] = env.db_url("SANDBOX_DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'sandbox.sqlite3'}")
    DATABASE_ROUTERS.append("truss_portal.sandbox.routers.SandboxRouter")
for _database in DATABASES.values():
    if _database["ENGINE"] == "django.db.backends.sqlite3":
        # A transaction takes its lock when it begins, and waits for it, instead of failing halfway.
        _database["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "America/New_York"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
