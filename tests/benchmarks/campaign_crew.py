"""The campaign's worker processes: started, killed with SIGKILL, replaced; and the waiting that a death leads to."""

import os
import random
import subprocess
import sys
from collections.abc import Collection
from datetime import timedelta
from functools import reduce
from operator import or_
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from tests.benchmarks.campaign_worker import BROKE_OFF
from truss_portal.models import Company, Operation

ROOT = Path(__file__).parents[2]


class Crew:
    """So many workers at all times. Each writes what goes wrong on our side into a file of its own in `folder`."""

    def __init__(self, size: int, folder: Path) -> None:
        self.folder = folder
        self.dead: set[int] = set()
        self.killed = 0
        self._begun = 0
        self._workers = [self._one() for _ in range(size)]

    def _one(self) -> subprocess.Popen[bytes]:
        self._begun += 1
        with (self.folder / f"worker-{self._begun}.log").open("wb") as log:
            command = [sys.executable, "-m", "tests.benchmarks.campaign_worker"]
            worker = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=log, stderr=log)
        self.dead.discard(worker.pid)  # the system may give a number a second time
        return worker

    def kill_one(self) -> None:
        """SIGKILL for one of them, whatever it is doing, and another one in its place."""
        place = random.randrange(len(self._workers))  # noqa: S311 - no secret
        worker = self._workers[place]
        worker.kill()
        worker.wait()
        self.killed += 1
        self.dead.add(worker.pid)
        self._workers[place] = self._one()

    def stop(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
            self.dead.add(worker.pid)

    def broken_off(self) -> list[str]:
        """A line for each command that ended with an error of ours."""
        logs = [path.read_text(errors="replace") for path in sorted(self.folder.glob("worker-*.log"))]
        return [line for log in logs for line in log.splitlines() if line.startswith(BROKE_OFF)]


def pass_time(dead: Collection[int]) -> None:
    """What minutes of waiting do, done at once, and to nothing else.

    Claims and leases of processes that have been killed run out: those of living ones are left alone. What was put off
    until later is due; whoever claims it decides as ever whether it may be asked for. (The grace period isn't
    shortened here: it is a setting, and the campaign waits for it.)
    """
    now = timezone.now()
    past = now - timedelta(days=1)
    if dead:
        theirs = reduce(or_, (Q(claim_token__startswith=f"{pid}-") for pid in dead))
        Operation.objects.filter(theirs, state=Operation.State.SENDING).update(claimed_until=past)
        held = reduce(or_, (Q(sync_token__startswith=f"{pid}-") for pid in dead))
        Company.objects.filter(held).update(sync_until=past)
    Operation.objects.filter(state=Operation.State.QUEUED, next_attempt_at__gt=now).update(next_attempt_at=now)
