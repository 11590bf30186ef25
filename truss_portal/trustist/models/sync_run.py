from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SyncRun(models.Model):
    """One run of the sync, and what it counted."""

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        ABANDONED = "abandoned", _("Ended without a word")

    environment = models.CharField(_("environment"), max_length=16)
    # The environment while it runs, else NULL: of two that begin together the database lets one.
    lease = models.CharField(max_length=16, null=True, unique=True, editable=False)  # noqa: DJ001
    lease_until = models.DateTimeField(null=True, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField(_("started"), default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    # Whether absence from the list means anything.
    complete = models.BooleanField(_("complete listing"), default=False)
    listed = models.PositiveIntegerField(_("listed"), default=0)
    created = models.PositiveIntegerField(_("new"), default=0)
    updated = models.PositiveIntegerField(_("changed"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    missing = models.PositiveIntegerField(_("missing"), default=0)
    rejected = models.PositiveIntegerField(_("unreadable"), default=0)
    sent = models.PositiveIntegerField(_("invited"), default=0)
    keys = models.PositiveIntegerField(_("new keys"), default=0)
    problems = models.JSONField(_("problems"), default=list, blank=True)

    class Meta:
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        ordering = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{timezone.localtime(self.started_at):%Y-%m-%d %H:%M}"

    def as_dict(self) -> dict[str, Any]:
        """The run as `trustist_sync --json` prints it. Times are ISO 8601, counts are plain numbers."""
        counts = ("listed", "created", "updated", "unchanged", "missing", "rejected", "sent", "keys")
        return {
            "environment": self.environment,
            "state": self.state,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "complete": self.complete,
            **{name: getattr(self, name) for name in counts},
            "problems": list(self.problems),
        }
