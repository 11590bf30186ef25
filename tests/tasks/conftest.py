"""Workers as processes of their own, on the test's own database and pretend Truss."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from django.db import connection, connections
from django.test import Client

from truss_portal.testing.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """The site's other processes. What was started is ended with the test, with all its children."""

    def __init__(self, truss: Sandbox, folder: Path) -> None:
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.tasks.site_with_db_worker",
            "SITE_DATABASE": str(connection.settings_dict["NAME"]),
            "SITE_TRUSS": truss.url,
        }
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`python ARGUMENTS`, at work on its own."""
        log = (self._folder / f"process_{len(self._started)}.log").open("wb")
        self._logs.append(log)
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def until(self, is_so: Callable[[], Any], seconds: float = 180) -> None:
        """Returns when it is so; fails with what the processes have printed when that takes too long."""
        end = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds} seconds\n" + "\n".join(map(self._printed, self._started)))
            time.sleep(0.05)

    def _printed(self, process: subprocess.Popen[bytes]) -> str:
        return Path(self._logs[self._started.index(process)].name).read_text()

    def finish(self, process: subprocess.Popen[bytes], seconds: float = 180) -> str:
        """Wait until it has ended by itself, well. Returns what it printed."""
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            status = None
        printed = self._printed(process)
        assert status == 0, f"{process.args!r}: exit status {status}\n{printed}"
        return printed

    def run(self, *arguments: str, seconds: float = 180) -> str:
        return self.finish(self.start(*arguments), seconds)

    def stop(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.terminate()
        for process in self._started:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for log in self._logs:
            log.close()


@pytest.fixture
def site(truss: Sandbox, tmp_path: Path) -> Iterator[Site]:
    running = Site(truss, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def shop(client: Client, settings: Any) -> Iterator[Client]:
    """Somebody at a site that wraps each request in a transaction; its page is `sell/`."""
    settings.ROOT_URLCONF = "tests.tasks.shop"
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = True
    client.raise_request_exception = False
    yield client
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = False
