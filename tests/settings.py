"""The tests' own site: everything installed, the sandbox beside it in a database of its own.

TEST_DATABASE chooses where the app's tables live: "sqlite" (the default), "postgresql" or "mariadb", on this machine's
usual port; TEST_DATABASE_USER and TEST_DATABASE_PASSWORD name the account.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

SECRET_KEY = "not-a-secret-tests-only"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "America/New_York"
LANGUAGE_CODE = "en-us"
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_tasks_db",
    "truss_portal",
    "truss_portal.sandbox",
    "truss_portal.trustist",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file: a live server answers in threads, and the one connection of an in-memory database can't be shared by
# transactions. Of this process alone: several test runs may be under way.
_FILE = str(Path(tempfile.gettempdir()) / f"truss_portal_{os.getpid()}.sqlite3")
_SERVERS: dict[str, dict[str, Any]] = {
    "sqlite": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _FILE,
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY;"},
        "TEST": {"NAME": _FILE},
    },
    "postgresql": {"ENGINE": "django.db.backends.postgresql", "NAME": "truss_portal", "HOST": "127.0.0.1"},
    "mariadb": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "truss_portal",
        "HOST": "127.0.0.1",
        "OPTIONS": {"charset": "utf8mb4"},
        "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"},
    },
}
_USERS = {"sqlite": "", "postgresql": "postgres", "mariadb": "root"}
_chosen = os.environ.get("TEST_DATABASE", "sqlite")
DATABASES = {
    "default": _SERVERS[_chosen]
    | {
        "USER": os.environ.get("TEST_DATABASE_USER", _USERS[_chosen]),
        "PASSWORD": os.environ.get("TEST_DATABASE_PASSWORD", ""),
    },
}

TRUSS_PORTAL = {
    "ENVIRONMENT": "local",
    "API_URL": "http://127.0.0.1:1",  # nobody listens there: the `truss` fixture puts the sandbox's address here
    "ACCESS_TOKEN": "sandbox-token",
}
TRUSTIST = {
    "ENVIRONMENT": "local",
    "API_URL": "http://127.0.0.1:1/trustist",  # as above: the `trustist` fixture puts the sandbox's address here
    "CLIENT_ID": "trustist-client",
    "CLIENT_SECRET": "trustist-secret",
}
