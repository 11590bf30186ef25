"""The pytest plugin, in a project that isn't this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SITES_TESTS = """
import requests

def test_the_sandbox_answers(truss_sandbox):
    headers = {"Authorization": f"Bearer {truss_sandbox.token}"}
    assert requests.get(f"{truss_sandbox.url}/v1/company/", headers=headers).json()["checkout_link_id"] == "sandbox"
    truss_sandbox.create_many(2)

def test_each_test_finds_it_empty(truss_sandbox, truss_sandbox_process):
    assert truss_sandbox is truss_sandbox_process
    assert truss_sandbox.payment_intents() == []
"""


def run_pytest(directory: Path, *arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:django", "-p", "no:randomly", *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return answer.stdout + answer.stderr


@pytest.mark.parametrize("time_zone", [None, "America/New_York"])
def test_a_sites_tests_use_the_sandbox(tmp_path: Path, time_zone: str | None) -> None:
    (tmp_path / "test_site.py").write_text(SITES_TESTS)
    if time_zone:
        configure = f'from django.conf import settings\nsettings.configure(TIME_ZONE="{time_zone}")\n'
        (tmp_path / "conftest.py").write_text(configure)
    assert "2 passed" in run_pytest(tmp_path, "-p", "truss_portal.testing.plugin")


def test_loading_the_plugin_does_not_load_django(tmp_path: Path) -> None:
    (tmp_path / "test_site.py").write_text(
        "import sys\n\ndef test_nothing_is_loaded():\n    assert not {'django', 'requests'} & set(sys.modules)\n"
    )
    assert "1 passed" in run_pytest(tmp_path, "-p", "truss_portal.testing.plugin")


def test_it_is_the_entry_point(request: pytest.FixtureRequest) -> None:
    plugin = request.config.pluginmanager.get_plugin("truss_portal")
    assert plugin is sys.modules["truss_portal.testing.plugin"]
