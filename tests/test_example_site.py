"""The example site under its own settings, each time in a process of its own."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """This Python, with nothing set that isn't given."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR") if key in os.environ}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, timeout=300, check=False
    )


def production(**changes: str) -> dict[str, str]:
    return {
        "DEBUG": "off",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SITE_URL": "https://shop.example",
        "ALLOWED_HOSTS": "shop.example",
        "DATABASE_URL": "sqlite://:memory:",
        "TRUSS_ENVIRONMENT": "production",
        "TRUSS_API_URL": "https://api.truss.example",
        "TRUSS_ACCESS_TOKEN": "a-token",
        "TRUSTIST_CLIENT_ID": "a-client",
        "TRUSTIST_CLIENT_SECRET": "not-a-secret",
    } | changes


@pytest.mark.slow
def test_its_own_tests_pass() -> None:
    result = run("-m", "pytest", "tests/example", "--ds=example_project.settings", "-q")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout


def test_it_starts_with_nothing_set() -> None:
    result = run("manage.py", "check", "--fail-level", "WARNING")
    assert result.returncode == 0, result.stderr


def test_it_has_a_migration_for_every_change() -> None:
    result = run("manage.py", "makemigrations", "--check", "--dry-run", DATABASE_URL="sqlite://:memory:")
    assert result.returncode == 0, result.stdout + result.stderr


def test_it_can_be_deployed() -> None:
    result = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **production())
    assert result.returncode == 0, result.stderr


def test_the_sandbox_is_left_out_of_a_deployed_site() -> None:
    question = (
        "from django.conf import settings as s; from django.urls import resolve, Resolver404\n"
        "print('truss_portal.sandbox' in s.INSTALLED_APPS, 'truss_sandbox' in s.DATABASES)\n"
        "try: resolve('/sandbox/')\n"
        "except Resolver404: print('nowhere')"
    )
    result = run("manage.py", "shell", "-v", "0", "-c", question, **production())
    assert result.stdout.split("\n")[:2] == ["False False", "nowhere"], result.stdout + result.stderr


def test_a_deployed_site_with_the_sandbox_is_warned() -> None:
    result = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **production(TRUSS_ENVIRONMENT="local"))
    assert result.returncode == 1
    assert "truss_sandbox.W002" in result.stderr


def test_a_deployed_site_needs_a_key_of_its_own() -> None:
    settings = production()
    del settings["SECRET_KEY"]
    result = run("manage.py", "check", **settings)
    assert result.returncode == 1
    assert "SECRET_KEY" in result.stderr


def test_every_key_of_truss_portal_comes_from_the_environment() -> None:
    question = (
        "from truss_portal.conf import conf, DEFAULTS; from example_project import settings\n"
        "print(DEFAULTS.keys() ^ settings._TRUSS_TYPES.keys())\n"
        "print(conf.timeout, conf.cancel_path, conf.return_url, conf.return_url_allowlisted, conf.unconfirmed_grace)"
    )
    settings = production(
        TRUSS_TIMEOUT="3, 20.5",
        TRUSS_CANCEL_PATH="",
        TRUSS_RETURN_URL_ALLOWLISTED="on",
        TRUSS_UNCONFIRMED_GRACE="600",
    )
    result = run("manage.py", "shell", "-v", "0", "-c", question, **settings)
    assert result.stdout.splitlines() == [
        "set()",
        "(3.0, 20.5) None https://shop.example/truss/return/ True 600.0",
    ], result.stdout + result.stderr
