"""Runs of the sync."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from truss_portal.models import SyncRun

from .rows import ReadOnlyAdmin, badge
from .wording import NOTHING


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin[SyncRun]):
    list_display = (
        "started_at",
        "company",
        "kind",
        "outcome",
        "lasted",
        "listed",
        "created",
        "updated",
        "missing",
        "rejected",
    )
    list_filter = ("state", "kind", "started_at", "company")
    list_select_related = ("company",)
    empty_text = _("No sync has run yet. Run manage.py truss_sync, and let cron run it every few minutes.")
    fields = (
        "company", "kind", "outcome", "started_at", "lasted", "complete", "listed", "created", "updated", "unchanged",
        "detailed", "missing", "rejected", "all_problems",
    )  # fmt: skip

    @admin.display(description=_("outcome"), ordering="state")
    def outcome(self, run: SyncRun) -> SafeString | str:
        if run.state in {SyncRun.State.FAILED, SyncRun.State.ABANDONED}:
            return badge(run.get_state_display())
        return run.get_state_display()

    @admin.display(description=_("took"))
    def lasted(self, run: SyncRun) -> str:
        if run.finished_at is None:
            return NOTHING
        return _("%(seconds)d s") % {"seconds": (run.finished_at - run.started_at).total_seconds()}

    @admin.display(description=_("problems"))
    def all_problems(self, run: SyncRun) -> SafeString | str:
        items = format_html_join("", "<li>{}</li>", ((problem,) for problem in run.problems))
        return format_html("<ul>{}</ul>", items) if items else NOTHING
