"""The tests' site with Celery, as `docs/howto/workers.md` says, on the database and pretend Truss of a test.

SITE_RUN names queue, exchange and keys, so that nothing else on this broker is touched.
"""

import os

from kombu import Exchange, Queue

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

DATABASES["default"]["NAME"] = os.environ["SITE_DATABASE"]
TRUSS_PORTAL = {"ENVIRONMENT": "local", "API_URL": os.environ["SITE_TRUSS"], "ACCESS_TOKEN": "sandbox-token"}
INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks_fennel"]
TASKS: dict[str, dict[str, object]] = {"default": {"BACKEND": "django_tasks_fennel.CeleryBackend"}}
CELERY_BROKER_URL = os.environ["SITE_BROKER"]
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_WORKER_PREFETCH_MULTIPLIER = 1

_RUN = os.environ["SITE_RUN"]
if CELERY_BROKER_URL.startswith("redis:"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 3, "global_keyprefix": _RUN}
CELERY_TASK_QUEUES = [Queue(_RUN, Exchange(_RUN), routing_key=_RUN, alias="default")]
# The worker asks whether the name under which a task has come is one of these.
TASKS["default"]["QUEUES"] = ["default", _RUN]
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_EVENT_EXCHANGE = f"{_RUN}.events"
CELERY_CONTROL_EXCHANGE = f"{_RUN}.control"
