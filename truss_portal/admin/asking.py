"""What pages share that ask Truss while somebody waits: how long they wait, what they log, what they tell."""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final, TypeVar

import django
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe

from truss_portal import outbox, tasks
from truss_portal.exceptions import TrussPortalError
from truss_portal.models import Company, Operation

from .reports import Report, Words
from .rows import TrussAdmin, person
from .wording import listed

M = TypeVar("M", bound=models.Model)
T = TypeVar("T")

IDS: Final = "ids"
NEXT: Final = "next"
# Rows read together: no database has too many parameters then, and no page holds them all.
TOGETHER: Final = 500
_PK: Final = re.compile(r"[0-9]{1,18}")
State = Operation.State


class AskingAdmin(TrussAdmin[M]):
    """A page asks Truss as long as somebody may wait for it. The rest stays queued, and is never lost."""

    wait_for = 25
    """How many requests to Truss a page waits for."""
    wait_seconds = 20.0
    """After so long no further request is begun."""

    def carry_out(self, among: QuerySet[Operation]) -> bool:
        """Have these carried out: by workers where there are any, else here, as far as the page may wait.

        It stops at the first one that Truss hasn't decided: what is wrong then is wrong for the others, too. False
        when the workers can't be reached.
        """
        waiting = among.filter(state=State.QUEUED)
        if tasks.in_background():
            return tasks.wake_outbox(list(waiting.order_by("pk").values_list("pk", flat=True)))
        until, requests = time.monotonic() + self.wait_seconds, self.wait_for
        for company in Company.objects.filter(operations__in=waiting).distinct():
            seconds = until - time.monotonic()
            if requests <= 0 or seconds <= 0:
                break
            try:
                pushed = outbox.push(company, among=among, limit=requests, seconds=seconds)
                # Closed where it is left early: what was asked for is written, what wasn't goes back into the queue.
                with closing(pushed):  # type: ignore[type-var]
                    for operation in pushed:
                        requests -= 1
                        if operation.state not in {State.DONE, State.REFUSED}:
                            return True
            except TrussPortalError as error:
                waiting.filter(company=company).update(error=str(error))
        return True

    def log_each(self, request: HttpRequest, subjects: Iterable[models.Model], message: str) -> None:
        """An entry in Django's admin log for each, written together."""
        for some in together(subjects):
            LogEntry.objects.log_actions(person(request).pk, some, CHANGE, message)

    def tell(self, request: HttpRequest, report: Report, done: Any, words: Words) -> None:
        if report.done:
            self.message_user(request, done % {"count": len(report.done)}, messages.SUCCESS)
        if report.waiting:
            reasons = [(subject, reason) for subject, reason in report.waiting if reason]
            head = words.waiting % {"count": len(report.waiting)}
            self._tell_each(request, head, reasons, messages.WARNING)
        if report.failed:
            head = words.failed % {"count": len(report.failed)}
            self._tell_each(request, head, report.failed, messages.ERROR)
        if report.left:
            self.message_user(request, words.left % {"count": len(report.left)}, messages.WARNING)
        if not report:
            self.message_user(request, str(words.nothing), messages.WARNING)

    def _tell_each(self, request: HttpRequest, head: str, reasons: Sequence[tuple[object, str]], level: int) -> None:
        lines = listed(f"{subject}: {reason}" for subject, reason in reasons)
        self.message_user(
            request, format_html_join(mark_safe("<br>"), "{}", ((line,) for line in [head, *lines])), level
        )

    def too_many(self, request: HttpRequest, count: int, limit: int, text: Any) -> bool:
        """Whether that is too many for one page; says so, too. `text` takes `count` and `limit`."""
        if count <= limit:
            return False
        self.message_user(request, text % {"count": count, "limit": limit}, messages.ERROR)
        return True

    def next_url(self, request: HttpRequest, otherwise: str) -> str:
        """Where to go afterwards: where the person came from, on this site."""
        url = request.POST.get(NEXT) or request.GET.get(NEXT) or ""
        safe = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
        return url if safe else otherwise

    def page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """A page of ours in the admin's dress."""
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": self.media,
                "crumbs_are_a_list": django.VERSION >= (6, 1),
                **context,
            },
        )


def named(ids: str, limit: int) -> list[int]:
    """The primary keys in a list such as "3,5,8": the first so many, each once, in order."""
    return sorted({int(pk) for pk in ids.split(",")[:limit] if _PK.fullmatch(pk)})


def together(things: Iterable[T], size: int = TOGETHER) -> Iterator[list[T]]:
    """So many at a time."""
    remaining = iter(things)
    while some := list(islice(remaining, size)):
        yield some
