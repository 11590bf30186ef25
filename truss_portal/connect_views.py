"""Off to Truss to let a company agree, and back: the two addresses of OAuth's authorization code flow. Staff only.

The admin links here, and these pages lead back to it.
https://docs.trusspayments.com/guides/authentication/oauth-integration-guide
"""

import re
from collections.abc import Callable
from typing import Any, Final, cast

import django
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.generic import View

from truss_portal.conf import conf
from truss_portal.connection import joining
from truss_portal.connection.joining import Attempt, Joined
from truss_portal.database import outside_transactions
from truss_portal.exceptions import ConnectRefusedError
from truss_portal.models import Company

PERMISSION: Final = "truss_portal.connect_company"
SESSION_KEY: Final = "truss_portal.connecting"
# Attempts that one session may have under way: somebody may have begun in several windows.
MOST_ATTEMPTS: Final = 5
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,40}")


@method_decorator([never_cache, csrf_protect], name="dispatch")
class _StaffView(View):
    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        # It sends to the login by itself: to the admin's, the only one that a site with this app surely has.
        view: Callable[..., HttpResponseBase] = login_not_required(outside_transactions(super().as_view(**initkwargs)))
        return view

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not (request.user.is_active and request.user.is_staff):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        response = super().dispatch(request, *args, **kwargs)
        # The address may carry a code: it is nobody else's business. (Without any referrer a browser's POST would name
        # no origin either, and Django's protection against forged requests would refuse it.)
        response["Referrer-Policy"] = "same-origin"
        return response

    def page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        from django.contrib import admin

        shown = {
            **admin.site.each_context(request),
            "opts": Company._meta,
            "media": Media(css={"all": ["truss_portal/admin.css"]}),
            "crumbs_are_a_list": django.VERSION >= (6, 1),
            "environment": _environment(),
            **context,
        }
        return render(request, f"truss_portal/admin/{template}.html", shown)


class ConnectView(_StaffView):
    """What will happen, and the button (GET); off to Truss (POST). `company` is a slug; without it, a new company."""

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest) -> HttpResponse:
        company = _company(request.GET.get("company"))
        return self._start_page(request, company, joining.why_not(company))

    def post(self, request: HttpRequest) -> HttpResponse:
        company = _company(request.POST.get("company"))
        try:
            attempt, url = joining.begin(company, _redirect_uri(request))
        except ConnectRefusedError as error:
            return self._start_page(request, company, str(error))
        begun = [*_attempts(request), attempt][-MOST_ATTEMPTS:]
        request.session[SESSION_KEY] = [each.as_dict() for each in begun]
        return HttpResponseRedirect(url)

    def _start_page(self, request: HttpRequest, company: Company | None, problem: str | None) -> HttpResponse:
        again = company is not None and hasattr(company, "connection")
        return self.page(
            request,
            "connect",
            title=_("Reconnect to Truss") if again else _("Connect to Truss"),
            company=company,
            again=again,
            problem=problem,
            redirect_uri=_redirect_uri(request),
            scopes=conf.oauth_scopes,
            back=_back(request, company),
        )


class ConnectedView(_StaffView):
    """Truss sends the user back here with `code` and `state`, or with `error`. Whatever goes wrong changes nothing.

    Shows no page of its own, so that no address with a code in it stays in a browser or goes into a log of failures.
    """

    http_method_names = ["get", "options"]

    def get(self, request: HttpRequest) -> HttpResponse:
        attempt = _taken(request)
        if attempt is None:
            return self._begin_again(request, None, _why_not_ours(request))
        company = Company.objects.filter(pk=attempt.company).first() if attempt.company else None
        try:
            joined = joining.complete(attempt, _code(request), request.user)
        except ConnectRefusedError as error:
            return self._begin_again(request, company, str(error))
        _log(request, joined)
        _tell(request, joined)
        return HttpResponseRedirect(_back(request, joined.company))

    def _begin_again(self, request: HttpRequest, company: Company | None, problem: str) -> HttpResponse:
        names = {"company": company, "problem": problem}
        text = _("%(company)s was not connected. %(problem)s") if company else _("Nothing was connected. %(problem)s")
        messages.error(request, text % names)
        url = reverse("truss_portal:connect")
        return HttpResponseRedirect(f"{url}?company={company.slug}" if company else url)


def _redirect_uri(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("truss_portal:connected"))


def _environment() -> str:
    return Company(environment=conf.environment).get_environment_display()


def _company(slug: str | None) -> Company | None:
    return get_object_or_404(Company.objects.select_related("connection"), slug=slug) if slug else None


def _attempts(request: HttpRequest) -> list[Attempt]:
    now = timezone.now()
    kept = map(Attempt.from_dict, request.session.get(SESSION_KEY, []))
    return [attempt for attempt in kept if not attempt.is_over(now)]


def _taken(request: HttpRequest) -> Attempt | None:
    """The attempt of this session that the answer belongs to, which can then not be used again."""
    state = request.GET.get("state", "")
    attempts = _attempts(request)
    ours = [attempt for attempt in attempts if constant_time_compare(attempt.state, state)]
    if not ours:
        return None
    request.session[SESSION_KEY] = [attempt.as_dict() for attempt in attempts if attempt not in ours]
    # Before Truss is asked, which takes its time: a second answer with this state finds nothing.
    request.session.save()
    return ours[0]


def _code(request: HttpRequest) -> str:
    """The code; raises ConnectRefusedError where Truss sent something else."""
    error = request.GET.get("error", "")
    if error == "access_denied":
        raise ConnectRefusedError(_("Nobody agreed at Truss, so nothing was changed."))
    if error:
        said = " ".join(filter(None, (error, request.GET.get("error_description", ""))))
        shown = "".join(filter(str.isprintable, said))[:300]
        raise ConnectRefusedError(
            _("Truss didn't let anybody agree. It says: “%(said)s”. Nothing was changed.") % {"said": shown}
        )
    code = request.GET.get("code", "")
    if not code:
        raise ConnectRefusedError(_("Truss sent neither a code nor an error. Nothing was changed."))
    return code


def _why_not_ours(request: HttpRequest) -> str:
    """Nothing of what such an address says is trusted; but for an error by its name, which can do no harm."""
    if "state" in request.GET:
        return _(
            "This answer belongs to no attempt that was begun in this browser in the last %(minutes)d minutes, or it "
            "was used already. Nothing was changed. Begin again here, not from an old tab or from somebody's link."
        ) % {"minutes": joining.ATTEMPT_SECONDS // 60}
    text = _(
        "The answer carries no “state”, by which this site knows that it belongs to an attempt of yours. Nothing was "
        "changed. Begin again; if it happens again, ask Truss whether it gives “state” back."
    )
    error = request.GET.get("error", "")
    return f"{text} ({error})" if _ERROR_CODE.fullmatch(error) else text


def _log(request: HttpRequest, joined: Joined) -> None:
    from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
    from django.contrib.contenttypes.models import ContentType

    LogEntry.objects.create(
        user_id=cast("AbstractBaseUser", request.user).pk,
        content_type=ContentType.objects.get_for_model(Company),
        object_id=str(joined.company.pk),
        object_repr=str(joined.company)[:200],
        action_flag=ADDITION if joined.is_new else CHANGE,
        change_message=_("Connected to Truss."),
    )


def _tell(request: HttpRequest, joined: Joined) -> None:
    names = {"company": joined.company, "why": joined.problem, "scopes": ", ".join(joined.missing_scopes)}
    messages.success(request, _("%(company)s is connected to Truss.") % names)
    if joined.problem:
        text = _(
            "Truss couldn't be asked which company this is (%(why)s). Check that the name and the checkout link ID "
            "here are those of the company that agreed."
        )
        messages.warning(request, text % names)
    if joined.missing_scopes:
        text = _(
            "Not granted: %(scopes)s. What needs it will be refused. Reconnect, and let the user grant everything."
        )
        messages.warning(request, text % names)


def _back(request: HttpRequest, company: Company | None) -> str:
    """The company's page in the admin, or the list, or where this person may be."""
    if not any(request.user.has_perm(f"truss_portal.{what}_company") for what in ("view", "change")):
        return reverse("admin:index")
    if company is None:
        return reverse("admin:truss_portal_company_changelist")
    return reverse("admin:truss_portal_company_change", args=[company.pk])
