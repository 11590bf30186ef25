"""Under the two themes that sites dress the admin in: nothing of ours is missing, and all can be clicked."""

import os
import subprocess
import sys

import pytest

THEMES = ("unfold", "jazzmin")


def run(theme: str, *arguments: str) -> None:
    """These tests once more, in a process of its own: settings are read once."""
    command = [sys.executable, "-m", "pytest", "-q", f"--ds=tests.themes.{theme}", "-p", "no:randomly", *arguments]
    left_out = ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, f"{ended.stdout[-6000:]}\n{ended.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
def test_each_page_under_the_theme(theme: str) -> None:
    run(theme, "tests/themes/test_dressed.py")


@pytest.mark.browser
@pytest.mark.parametrize("theme", THEMES)
def test_clicking_under_the_theme(theme: str) -> None:
    run(theme, "-m", "browser", "tests/browser/test_main_jobs.py")
