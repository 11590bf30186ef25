from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .company import Company


class SyncRun(models.Model):
    """One run of the sync, and what it counted."""

    class Kind(models.TextChoices):
        ALL = "all", _("Everything")
        OPEN = "open", _("What can still change")

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        ABANDONED = "abandoned", _("Ended without a word")

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="sync_runs", verbose_name=_("company"))
    kind = models.CharField(_("what"), max_length=8, choices=Kind)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RUNNING, db_index=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    # Whether the listing was whole and nothing moved while it was read: only then does absence mean anything.
    complete = models.BooleanField(_("complete listing"), default=False)
    listed = models.PositiveIntegerField(_("listed"), default=0)
    created = models.PositiveIntegerField(_("new"), default=0)
    updated = models.PositiveIntegerField(_("changed"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    detailed = models.PositiveIntegerField(_("looked at one by one"), default=0)
    missing = models.PositiveIntegerField(_("missing"), default=0)
    rejected = models.PositiveIntegerField(_("unreadable"), default=0)
    problems = models.JSONField(_("problems"), default=list, blank=True)

    class Meta:
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        ordering = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        started = timezone.localtime(self.started_at) if timezone.is_aware(self.started_at) else self.started_at
        return f"{self.company.slug} {started:%Y-%m-%d %H:%M}"

    def as_dict(self) -> dict[str, Any]:
        """The run as `truss_sync --json` prints it. Times are ISO 8601, counts are plain numbers."""
        return {
            "company": self.company.slug,
            "kind": self.kind,
            "state": self.state,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "complete": self.complete,
            "listed": self.listed,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "detailed": self.detailed,
            "missing": self.missing,
            "rejected": self.rejected,
            "problems": list(self.problems),
        }
