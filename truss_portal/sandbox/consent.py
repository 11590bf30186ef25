"""The consent page: a company's user lets the partner in, or doesn't, and goes back to the partner's site.

https://docs.trusspayments.com/guides/authentication/oauth-integration-guide
Its path, its parameters and what it brings back on a refusal aren't published: those of OAuth 2.0 (RFC 6749) and PKCE
(RFC 7636, S256 only) are used. There is nobody to sign in here, so whoever looks at the page chooses the company.
"""

import re
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from truss_portal.sandbox import conf, redirects, tokens
from truss_portal.sandbox.companies import get_company
from truss_portal.sandbox.models import SCOPES, Company
from truss_portal.sandbox.site_rules import exempt_from_site_rules

_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_MEANINGS = {
    "payment_intent.inbound:read": "See invoices",
    "payment_intent.inbound:write": "Create, change and cancel invoices",
    "transactions:read": "See payments",
    "contacts:write": "Change customers",
}


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What the partner asks for."""

    state: str | None
    scopes: list[str] | None
    """None where it named none: all that the company grants."""
    code_challenge: str


class UntrustworthyError(ValueError):
    """Says nothing for sure about who asks, so nobody is sent anywhere."""


class MistakeError(ValueError):
    """The partner has made a mistake and is told so, at its address."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
@never_cache
@exempt_from_site_rules
def authorize(request: HttpRequest) -> HttpResponse:
    try:
        redirect_uri = _redirect_uri(request.GET)
    except UntrustworthyError as problem:
        return render(request, "truss_sandbox/consent_impossible.html", {"problem": problem}, status=400)
    try:
        asked = _read(request.GET)
    except MistakeError as mistake:
        told = {"error": mistake.error, "error_description": str(mistake)}
        return _back(redirect_uri, request.GET.get("state"), **told)
    get_company()
    companies = Company.objects.filter(is_partner=False).order_by("pk")
    company = companies.filter(slug=request.POST.get("company", "")).first()
    decision = request.POST.get("decision") if company else None
    if company and decision == "allow":
        code = tokens.issue_code(company, redirect_uri, scopes=asked.scopes, code_challenge=asked.code_challenge)
        return _back(redirect_uri, asked.state if company.echo_state else None, code=code)
    if company and decision == "deny":
        return _back(redirect_uri, asked.state if company.echo_state else None, error="access_denied")
    context = {
        "partner": conf.get("PARTNER_NAME"),
        "companies": companies,
        "scopes": [(scope, _MEANINGS.get(scope, "")) for scope in asked.scopes or ()],
        "redirect_uri": redirect_uri,
    }
    return render(request, "truss_sandbox/consent.html", context, status=400 if request.method == "POST" else 200)


def _back(redirect_uri: str, state: str | None, **told: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(redirects.with_query(redirect_uri, told | ({} if state is None else {"state": state})))


def _redirect_uri(query: QueryDict) -> str:
    if query.getlist("client_id") != [conf.get("CLIENT_ID")]:
        raise UntrustworthyError("client_id is missing or isn't the one that Truss has issued.")
    redirect_uris, allowed = query.getlist("redirect_uri"), conf.get("OAUTH_REDIRECT_URIS")
    if len(redirect_uris) != 1:
        raise UntrustworthyError("redirect_uri must be given, once.")
    [redirect_uri] = redirect_uris
    if not (redirect_uri in allowed if allowed else redirects.is_on_this_machine(redirect_uri)):
        raise UntrustworthyError(f"redirect_uri isn't one that Truss has approved: {redirect_uri}")
    return redirect_uri


def _read(query: QueryDict) -> AuthorizationRequest:
    repeated = [key for key, values in query.lists() if len(values) > 1]
    if repeated:
        raise MistakeError("invalid_request", f"Send each parameter once: {', '.join(repeated)}.")
    if query.get("response_type") != "code":
        raise MistakeError("unsupported_response_type", "response_type is code.")
    asked, scopes = query.get("scope"), None
    if asked is not None:
        scopes = [scope for scope in asked.split(conf.get("OAUTH_SCOPE_DELIMITER")) if scope]
        known = set(SCOPES).union(*(company.scopes for company in Company.objects.all()))
        if not scopes or not known.issuperset(scopes):
            raise MistakeError("invalid_scope", f"Known scopes: {', '.join(sorted(known))}.")
    code_challenge, method = query.get("code_challenge"), query.get("code_challenge_method")
    has_pkce = code_challenge is not None or method is not None
    if has_pkce and (method != "S256" or not _CODE_CHALLENGE.fullmatch(code_challenge or "")):
        raise MistakeError("invalid_request", "PKCE takes a code_challenge of 43 characters, by S256.")
    return AuthorizationRequest(query.get("state"), scopes, code_challenge or "")
