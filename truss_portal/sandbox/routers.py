"""Keeps the pretend Truss's data apart from the site's, as the real one's is."""

from typing import Any

from django.conf import settings
from django.db.models import Model

ALIAS = "truss_sandbox"
_APP_LABEL = "truss_sandbox"


class SandboxRouter:
    """Puts the sandbox's tables into the database `truss_sandbox` where one is configured, and nothing else in there.

    Add it to `DATABASE_ROUTERS` and run `migrate --database truss_sandbox`.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return self._alias_for(model._meta.app_label)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return self._alias_for(model._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if ALIAS not in settings.DATABASES:
            return None
        if app_label == _APP_LABEL:
            return db == ALIAS
        return False if db == ALIAS else None

    def _alias_for(self, app_label: str) -> str | None:
        return ALIAS if app_label == _APP_LABEL and ALIAS in settings.DATABASES else None
