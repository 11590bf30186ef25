"""What came of asking Truss for several things while a page waited, and the words in which it is told."""

from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from truss_portal import tasks
from truss_portal.models import Operation

State = Operation.State


@dataclass(slots=True)
class Report:
    """What came of each invoice, or of each request."""

    done: list[Any] = field(default_factory=list)
    waiting: list[tuple[Any, str]] = field(default_factory=list)
    """The wish is recorded and not carried out yet; with what is in the way, if anything is."""
    failed: list[tuple[Any, str]] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    """Nobody was asked about these: the page would have waited too long."""

    def note(self, subject: object, operation: Operation) -> None:
        looked_in_vain = operation.kind == Operation.Kind.REFRESH and operation.error
        if operation.state == State.DONE and not looked_in_vain:
            self.done.append(subject)
        elif operation.state == State.UNCONFIRMED and operation.kind == Operation.Kind.CREATE:
            lost = _("Truss's answer was lost. A later sync shows whether it is there; it is not sent twice.")
            self.waiting.append((subject, lost))
        elif operation.state in {State.QUEUED, State.SENDING}:
            self.waiting.append((subject, operation.error))
        else:
            self.failed.append((subject, operation.error))

    def __bool__(self) -> bool:
        return bool(self.done or self.waiting or self.failed or self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How a report on such things is told. All but `nothing` take a `count`."""

    wait_for_cron: Any
    wait_for_workers: Any
    failed: Any
    left: Any
    nothing: Any

    @property
    def waiting(self) -> Any:
        return self.wait_for_workers if tasks.in_background() else self.wait_for_cron


INVOICES: Final = Words(
    wait_for_cron=ngettext_lazy(
        "%(count)d invoice waits: truss_push asks Truss by itself.",
        "%(count)d invoices wait: truss_push asks Truss by itself.",
        "count",
    ),
    wait_for_workers=ngettext_lazy(
        "%(count)d invoice waits: a worker asks Truss for it.",
        "%(count)d invoices wait: workers ask Truss for them.",
        "count",
    ),
    failed=ngettext_lazy("%(count)d invoice was left out:", "%(count)d invoices were left out:", "count"),
    left=ngettext_lazy(
        "%(count)d invoice was not asked about: the page would have taken too long. Choose it again.",
        "%(count)d invoices were not asked about: the page would have taken too long. Choose them again.",
        "count",
    ),
    nothing=gettext_lazy("No invoice was chosen."),
)
REQUESTS: Final = Words(
    wait_for_cron=ngettext_lazy(
        "%(count)d request waits: truss_push asks Truss by itself.",
        "%(count)d requests wait: truss_push asks Truss by itself.",
        "count",
    ),
    wait_for_workers=ngettext_lazy(
        "%(count)d request waits: a worker asks Truss for it.",
        "%(count)d requests wait: workers ask Truss for them.",
        "count",
    ),
    failed=ngettext_lazy("%(count)d request was left out:", "%(count)d requests were left out:", "count"),
    left="",
    nothing=gettext_lazy("No request was chosen."),
)
