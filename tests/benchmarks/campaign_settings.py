"""The campaign's site: of several processes, none of which is ever woken. Only cron's commands get anything done."""

import django

from tests.process_settings import *  # noqa: F403 - a settings module is its names

# Django has Tasks since 6.0; on 5.2 they come from a package of their own.
_TASKS = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
TASKS = {"default": {"BACKEND": f"{_TASKS}.backends.dummy.DummyBackend"}}
