"""The tests' site as `db_worker` runs it: on the database and the pretend Truss of the test that started it."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["SITE_DATABASE"]
TRUSS_PORTAL = {"ENVIRONMENT": "local", "API_URL": os.environ["SITE_TRUSS"], "ACCESS_TOKEN": "sandbox-token"}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
