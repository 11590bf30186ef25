"""The sandbox's page about Trustist: the invitations, and what clients do, by buttons."""

import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from truss_portal.sandbox.control_calls import is_from_this_machine
from truss_portal.sandbox.models import WebhookEvent
from truss_portal.sandbox.rules import RefusedError
from truss_portal.sandbox.site_rules import exempt_from_site_rules
from truss_portal.sandbox.trustist import rules
from truss_portal.sandbox.trustist.models import COMPLETE, OPENED, Invitation
from truss_portal.sandbox.urls_of import path_of

_LATEST = 50
_BUTTONS: dict[str, Callable[[Invitation], object]] = {
    "open": lambda invitation: rules.move_to(invitation, OPENED),
    "complete": lambda invitation: rules.move_to(invitation, COMPLETE),
    "change-key": lambda invitation: rules.change_key(invitation, {}),
}


@require_safe
@never_cache
@exempt_from_site_rules
@csrf_protect
def home(request: HttpRequest) -> HttpResponse:
    partner = rules.get_partner()
    invitations = Invitation.objects.select_related("partner").prefetch_related("keys").order_by("-pk")
    events = WebhookEvent.objects.filter(company__is_partner=True).select_related("company")
    context = {
        "partner": partner,
        "api_path": path_of(request, "trustist"),
        "invitations": invitations[:_LATEST],
        "count": Invitation.objects.count(),
        "events": events.prefetch_related("deliveries").order_by("-pk")[:_LATEST],
    }
    return render(request, "truss_sandbox/trustist.html", context)


@require_POST
@csrf_protect
@exempt_from_site_rules
def press(request: HttpRequest, uid: uuid.UUID, button: str) -> HttpResponse:
    """A client opens an invitation or is done with it, or the merchant's key changes."""
    if not is_from_this_machine(request):
        return HttpResponse("Only from this machine.", status=403, content_type="text/plain")
    invitation = get_object_or_404(Invitation, uid=uid)
    try:
        _BUTTONS[button](invitation)
    except RefusedError as refused:
        return HttpResponse(str(refused), status=409, content_type="text/plain")
    return HttpResponseRedirect(path_of(request, "trustist"))
