"""One of the campaign's workers: cron's commands, one after the other, until it is killed or the campaign has ended.

A command that breaks off leaves a line and its traceback on standard error, and the next one begins, as in cron.
"""

import io
import os
import random
import sys
import time
import traceback

import django
from django.core.management import call_command

BROKE_OFF = "Broke off:"
COMMANDS = (
    ("truss_push",),
    ("truss_push", "--limit=20"),
    ("truss_push", "--limit=100"),
    ("truss_sync",),
)


def main() -> None:
    campaign = os.getppid()
    django.setup()
    while os.getppid() == campaign:
        name, *options = random.choices(COMMANDS, weights=(3, 2, 2, 1))[0]  # noqa: S311 - no secret
        try:
            call_command(name, *options, "--no-progress", stdout=io.StringIO(), stderr=io.StringIO())
        except SystemExit:
            pass  # some of it failed, which is what the campaign is for
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told at the end
            print(f"{BROKE_OFF} {name}: {type(error).__name__}: {str(error).splitlines()[:1]}", file=sys.stderr)
            traceback.print_exc()
        time.sleep(random.uniform(0, 0.5))  # noqa: S311


if __name__ == "__main__":
    main()
