"""“Truss overview”: what is owed, what came in, what needs a person; each figure links to the rows that it counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import django
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from truss_portal import figures
from truss_portal.conf import conf
from truss_portal.figures import Figure, Period, Scope
from truss_portal.models import Company, Operation, PaymentIntent

from .company_filters import COMPANY, EnvironmentFilter
from .rows import TrussAdmin
from .wording import listed, moment, money, number

URL_NAME: Final = "admin:truss_portal_paymentintent_overview"
STALE_AFTER: Final = timedelta(days=1)
THIRTY_DAYS: Final = "30-days"
# In the select, and on the figure.
PERIODS: Final[dict[str, tuple[Promise, Promise]]] = {
    THIRTY_DAYS: (gettext_lazy("Last 30 days"), gettext_lazy("Paid in the last 30 days")),
    "month": (gettext_lazy("This month"), gettext_lazy("Paid this month")),
    "last-month": (gettext_lazy("Last month"), gettext_lazy("Paid last month")),
    "quarter": (gettext_lazy("This quarter"), gettext_lazy("Paid this quarter")),
    "year": (gettext_lazy("This year"), gettext_lazy("Paid this year")),
}
AGES: Final[dict[str, Promise]] = {
    "current": gettext_lazy("Not due yet"),
    "1-30": gettext_lazy("1 to 30 days overdue"),
    "31-60": gettext_lazy("31 to 60 days overdue"),
    "61-90": gettext_lazy("61 to 90 days overdue"),
    "over-90": gettext_lazy("More than 90 days overdue"),
}
MEDIA: Final = forms.Media(
    css={"all": ["truss_portal/admin.css", "truss_portal/overview.css"]},
    js=[
        forms.Script("truss_portal/vendor/chart.js/chart.umd.min.js", defer=True),  # type: ignore[list-item]
        forms.Script("truss_portal/overview.js", defer=True),  # type: ignore[list-item]
    ],
)


@dataclass(frozen=True, slots=True)
class Card:
    """One figure: what it is, how much, and what there is to say about it."""

    name: str
    label: object
    shown: str
    links: list[tuple[str, str]]
    """What it counts, and where these rows are; no address where there are none."""
    note: str = ""
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table beside a chart."""

    label: str
    figure: Figure
    url: str
    share: str = ""
    begin: date | None = None
    """Where it is a time: the chart has no room for more."""

    @property
    def count(self) -> str:
        return number(self.figure.count)

    @property
    def amount(self) -> str:
        return money(self.figure.total)


class Asked:
    """What somebody asks for, as the address says it; what makes no sense is taken for not said."""

    def __init__(self, request: HttpRequest) -> None:
        self.known = list(Company.objects.all())
        there = {company.environment for company in self.known}
        wanted = request.GET.get(EnvironmentFilter.parameter_name, "")
        self.company = next((company for company in self.known if company.slug == request.GET.get("company")), None)
        if wanted in there:
            self.environment = wanted
        elif self.company:
            self.environment = self.company.environment
        else:
            # Money of the sandbox and of production never meets in one sum.
            self.environment = conf.environment if conf.environment in there or not there else min(there)
        self.companies = [company for company in self.known if company.environment == self.environment]
        if self.company not in self.companies:
            self.company = None
        period = request.GET.get("period", "")
        self.period = period if period in PERIODS else THIRTY_DAYS
        self.environments = [(name, label) for name, label in Company.Environment.choices if name in there]
        ours = (self.company,) if self.company else tuple(self.companies)
        self.scope = Scope(ours, everything=len(ours) == len(self.known))

    @property
    def narrowed(self) -> dict[str, object]:
        """By what a list is narrowed down to the same companies."""
        if self.scope.everything:
            return {}
        return {COMPANY: self.company.pk} if self.company else {EnvironmentFilter.parameter_name: self.environment}

    def url(self, name: str, **query: object) -> str:
        """Of a list, such as "transaction"."""
        return f"{reverse(f'admin:truss_portal_{name}_changelist')}?{urlencode(query | self.narrowed)}"

    def payments(self, period: Period) -> str:
        begin, end = period.moments()
        return self.url("transaction", stage="received", date__gte=begin, date__lt=end)


class OverviewPage(TrussAdmin[PaymentIntent]):
    """Who may view invoices may see it: payments and requests to Truss only with the permission to view those."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.overview_view)
        return [path("overview/", view, name="truss_portal_paymentintent_overview"), *super().get_urls()]

    def overview_view(self, request: HttpRequest) -> HttpResponse:
        """At most ten statements, those of Django's own included."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        asked = Asked(request)
        today = timezone.localdate()
        owed = figures.get_owed(asked.scope, today)
        cards = _owed_cards(asked, owed, today)
        tables = {"ages": _ages(asked, owed)}
        nothing = not owed.parts
        may_see_payments = request.user.has_perm("truss_portal.view_transaction")
        if may_see_payments:
            period = figures.periods(today)[asked.period]
            received = figures.get_received(asked.scope, period, figures.weeks(today))
            cards.append(_paid_card(asked, period, received.period))
            tables["weeks"] = _weeks(asked, received.weeks)
            nothing = nothing and not any(row.figure.count for row in tables["weeks"])
        cards += self._waiting_cards(request, asked)
        return TemplateResponse(
            request,
            "truss_portal/admin/overview.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": MEDIA,
                "crumbs_are_a_list": django.VERSION >= (6, 1),
                "title": _("Truss overview"),
                "asked": asked,
                "periods": [(name, labels[0]) for name, labels in PERIODS.items()] if may_see_payments else [],
                "first_steps": self._first_steps(request, asked) if nothing else None,
                "cards": cards,
                "ages": tables["ages"],
                "weeks": tables.get("weeks"),
                "charts": {name: _chart(rows) for name, rows in tables.items()},
                "syncs": (syncs := [_sync(company) for company in asked.scope.companies]),
                "stale": listed((str(sync["company"]) for sync in syncs if sync["warning"]), limit=5),
                "may_see_runs": request.user.has_perm("truss_portal.view_syncrun"),
                "as_of": moment(timezone.now()),
            },
        )

    def _first_steps(self, request: HttpRequest, asked: Asked) -> dict[str, Any] | None:
        """What to do first, and where; None where there is something, though nothing to count."""
        if not asked.known:
            text = _("No company is connected to Truss yet: that comes first.")
            url = reverse("admin:truss_portal_company_changelist")
            may = request.user.has_perm("truss_portal.view_company")
            return {"text": text, "links": [(_("Companies"), url)] if may else []}
        if PaymentIntent.objects.filter(company__in=asked.scope.ids).exists():
            return None
        url = reverse("admin:truss_portal_paymentintent_add")
        links = [(_("Add invoice"), url)] if self.has_add_permission(request) else []
        return {"text": self.empty_text, "links": links}

    def _waiting_cards(self, request: HttpRequest, asked: Asked) -> list[Card]:
        wanted: list[Any] = [figures.marked(PaymentIntent.objects.all())]
        may_see_requests = request.user.has_perm("truss_portal.view_operation")
        if may_see_requests:
            requests = Operation.objects.all()
            wanted += [figures.stuck(requests), figures.unconfirmed(requests)]
        marked, *counts = figures.get_counts(asked.scope, *wanted)
        cards = []
        parts = [(marked, _invoices(marked), asked.url("paymentintent", attention="note"))]
        if may_see_requests:
            stuck, unconfirmed = counts
            cards.append(_unconfirmed_card(asked, unconfirmed))
            parts = [(stuck, _requests(stuck), asked.url("operation", needs="stuck")), *parts]
        number_of_all = sum(count for count, _text, _url in parts)
        links = [(text, url) for count, text, url in parts if count] or [(parts[0][1], "")]
        note = _("They don't get on by themselves.") if number_of_all else _("All goes on by itself.")
        alarm = bool(number_of_all)
        cards.append(Card("person", _("Needs a person"), number(number_of_all), links, note, alarm))
        return cards


def _owed_cards(asked: Asked, owed: figures.Owed, today: date) -> list[Card]:
    def card(name: str, label: object, figure: Figure, note: str, *, alarm: bool = False) -> Card:
        return Card(name, label, money(figure.total), [_rows(asked, name, figure)], note, alarm)

    week = Period(today, today + figures.SOON - timedelta(days=1))
    overdue = _("%(share)s of what is outstanding") % {"share": _share(owed.overdue, owed.outstanding)}
    return [
        card("owed", _("Outstanding"), owed.outstanding, _("left to pay at Truss")),
        card("overdue", _("Overdue"), owed.overdue, overdue, alarm=bool(owed.overdue.count)),
        card("soon", _("Due this week"), owed.this_week, _days(week)),
    ]


def _rows(asked: Asked, part: str, figure: Figure) -> tuple[str, str]:
    return _invoices(figure.count), asked.url("paymentintent", due=part) if figure.count else ""


def _paid_card(asked: Asked, period: Period, paid: Figure) -> Card:
    text = ngettext("%(count)s payment", "%(count)s payments", paid.count) % {"count": number(paid.count)}
    link = (text, asked.payments(period) if paid.count else "")
    return Card("paid", PERIODS[asked.period][1], money(paid.total), [link], _days(period))


def _unconfirmed_card(asked: Asked, count: int) -> Card:
    link = (_requests(count), asked.url("operation", needs="unconfirmed") if count else "")
    note = _("Nobody knows yet whether Truss has done them.") if count else _("Truss has answered all.")
    return Card("unconfirmed", _("Not confirmed"), number(count), [link], note, alarm=bool(count))


def _ages(asked: Asked, owed: figures.Owed) -> list[Row]:
    return [
        Row(str(AGES[age]), figure, _rows(asked, age, figure)[1], _share(figure, owed.outstanding))
        for age, figure in owed.ages.items()
    ]


def _weeks(asked: Asked, weeks: Mapping[Period, Figure]) -> list[Row]:
    return [
        Row(_days(week), figure, asked.payments(week) if figure.count else "", begin=week.first)
        for week, figure in weeks.items()
    ]


def _chart(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """For the script, which draws what the table says."""
    return [
        {"label": row.label, "begin": row.begin, "amount": row.figure.total, "shown": row.amount, "url": row.url}
        for row in rows
    ]


def _sync(company: Company) -> dict[str, Any]:
    """When all of the company's invoices were last looked at, without a gap."""
    at = company.listed_at
    stale = at is None or timezone.now() - at > STALE_AFTER
    runs = reverse("admin:truss_portal_syncrun_changelist")
    return {
        "company": company,
        "at": moment(at),
        "age": _("%(time)s ago") % {"time": timesince(at)} if at else "",
        "warning": (_("Older than a day") if at else _("Never")) if stale else "",
        "url": f"{runs}?{urlencode({COMPANY: company.pk})}",
    }


def _share(part: Figure, whole: Figure) -> str:
    return _("%(number)d%%") % {"number": round(100 * part.total / whole.total) if whole.total else 0}


def _invoices(count: int) -> str:
    return ngettext("%(count)s invoice", "%(count)s invoices", count) % {"count": number(count)}


def _requests(count: int) -> str:
    return ngettext("%(count)s request", "%(count)s requests", count) % {"count": number(count)}


def _days(period: Period) -> str:
    """Without the year, which goes without saying here."""
    first, last = (date_format(each, "MONTH_DAY_FORMAT") for each in (period.first, period.last))
    return _("%(first)s to %(last)s") % {"first": first, "last": last}
