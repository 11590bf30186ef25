"""`truss_demo`, as a person runs it."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

Demo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    """Runs the command with databases of its own, which last for the test."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        settings = ("DJANGO_SETTINGS_MODULE", "DEBUG", "SECRET_KEY", "SITE_URL", "DATABASE_URL")
        environment = {key: value for key, value in os.environ.items() if key not in settings and "TRUSS_" not in key}
        environment |= {
            "DATABASE_URL": f"sqlite:///{tmp_path / 'site.sqlite3'}",
            "SANDBOX_DATABASE_URL": f"sqlite:///{tmp_path / 'truss.sqlite3'}",
        }
        command = [sys.executable, "-W", "error", "manage.py", "truss_demo", "--no-serve", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.mark.slow
def test_two_runs_prove_everything_and_double_nothing(demo: Demo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = demo("--orders", "12", "--port", str(taken.getsockname()[1]))
    assert first.returncode == 0, first.stdout + first.stderr
    assert "can't be had" in first.stdout
    assert "12 new ones, 0 it had already" in first.stdout

    second = demo("--orders", "12", "--port", "0")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "0 new ones, 12 it had already" in second.stdout
    assert "0 are sent to Truss now" in second.stdout
    for run in (first, second):
        assert re.search(r"All \d\d claims were proved\.", run.stdout)
        assert "✗" not in run.stdout
        assert run.stderr == ""


@pytest.mark.slow
def test_what_does_not_hold_is_said_and_ends_with_status_1(demo: Demo, tmp_path: Path) -> None:
    assert demo("--orders", "2", "--port", "0").returncode == 0
    for file in tmp_path.glob("truss.sqlite3*"):
        file.unlink()

    forgotten = demo("--orders", "2", "--port", "0")

    assert forgotten.returncode == 1
    assert "✗ Truss holds each of them exactly once. NOT SO." in forgotten.stdout
    assert "claims were not proved:" in forgotten.stdout


def test_the_demo_is_not_for_a_site_that_people_use(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "shop.example")
    result = subprocess.run(
        [sys.executable, "manage.py", "truss_demo", "--no-serve"],
        cwd=ROOT,
        env=os.environ
        | {
            "DEBUG": "off",
            "SECRET_KEY": "x" * 60,
            "SITE_URL": "https://shop.example",
            "TRUSS_ENVIRONMENT": "production",
        }
        | {"DJANGO_SETTINGS_MODULE": "example_project.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "Unknown command: 'truss_demo'" in result.stderr
