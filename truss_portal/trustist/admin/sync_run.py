"""Runs of the sync."""

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from truss_portal.admin.rows import ReadOnlyAdmin, badge
from truss_portal.admin.wording import NOTHING
from truss_portal.trustist.models import SyncRun

CHANGE_LIST = "admin/truss_portal/change_list.html"
CHANGE_FORM = "admin/truss_portal/change_form.html"


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin[SyncRun]):
    change_list_template = CHANGE_LIST
    change_form_template = CHANGE_FORM
    list_display = ("started_at", "outcome", "listed", "created", "updated", "missing", "sent", "keys", "rejected")
    list_filter = ("state", "started_at")
    empty_text = _("No sync has run yet. Run manage.py trustist_sync, and let cron run it every quarter of an hour.")
    fields = (
        "environment", "started_at", "finished_at", "outcome", "complete", "listed", "created", "updated", "unchanged",
        "missing", "rejected", "sent", "keys", "told",
    )  # fmt: skip

    @admin.display(description=_("state"), ordering="state")
    def outcome(self, run: SyncRun) -> SafeString | str:
        fine = run.state in {SyncRun.State.DONE, SyncRun.State.RUNNING}
        return run.get_state_display() if fine else badge(run.get_state_display())

    @admin.display(description=_("problems"))
    def told(self, run: SyncRun) -> SafeString | str:
        return format_html_join("", "{}<br>", ((problem,) for problem in run.problems)) or NOTHING
