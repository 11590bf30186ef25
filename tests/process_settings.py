"""The tests' own site for a process of its own, beside the one that has made the database and started the sandbox.

Besides TEST_DATABASE (tests/settings.py) the environment gives TEST_DATABASE_NAME, the database's own name or path, and
TEST_TRUSS, a JSON object that is laid over TRUSS_PORTAL.
"""

import json
import os

from tests.settings import *  # noqa: F403 - a settings module is its names
from tests.settings import DATABASES, TRUSS_PORTAL

DATABASES["default"] |= {"NAME": os.environ["TEST_DATABASE_NAME"]}
if os.environ.get("TEST_DATABASE", "sqlite") == "sqlite":
    # A process that is killed in the middle of a transaction leaves it to the next one to roll back, from the journal.
    # A journal in memory is gone with the process, and the database is broken.
    DATABASES["default"] |= {"OPTIONS": {"timeout": 30, "init_command": "PRAGMA synchronous=OFF;"}}
TRUSS_PORTAL |= json.loads(os.environ["TEST_TRUSS"])
