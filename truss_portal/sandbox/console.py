"""The sandbox's own pages, for whoever runs it: what is in it, its mail, and the bank's part by a button."""

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from truss_portal.sandbox import rules
from truss_portal.sandbox.companies import get_company
from truss_portal.sandbox.control_calls import is_from_this_machine
from truss_portal.sandbox.models import Fault, Mail, PaymentIntent, Transaction, WebhookEvent
from truss_portal.sandbox.site_rules import exempt_from_site_rules
from truss_portal.sandbox.urls_of import path_of

_LATEST = 50
_BANK = {"settle": rules.settle, "return": rules.return_transaction}


@require_safe
@never_cache
@exempt_from_site_rules
@csrf_protect
def home(request: HttpRequest) -> HttpResponse:
    company = get_company()
    intents = PaymentIntent.objects.select_related("company", "contact").prefetch_related("transactions")
    link = company.checkout_link_id
    context = {
        "company": company,
        "portal_url": path_of(request, "portal", link) if link else "",
        "intents": [(intent, _checkout_path(request, intent)) for intent in intents.order_by("-pk")[:_LATEST]],
        "custom": Transaction.objects.filter(payment_intent=None, direction=0).order_by("-pk")[:_LATEST],
        "count": PaymentIntent.objects.count(),
        "faults": Fault.objects.order_by("pk"),
        "webhook_url": company.webhook_url,
        "events": WebhookEvent.objects.filter(company__is_partner=False)
        .select_related("company")
        .prefetch_related("deliveries")
        .order_by("-pk")[:_LATEST],
    }
    return render(request, "truss_sandbox/home.html", context)


def _checkout_path(request: HttpRequest, intent: PaymentIntent) -> str:
    link = intent.company.checkout_link_id
    return path_of(request, "checkout", link, intent.uid) if link else ""


@require_safe
@never_cache
@exempt_from_site_rules
def mailbox(request: HttpRequest) -> HttpResponse:
    """All mail that the sandbox would have sent, newest first."""
    mails = Mail.objects.select_related("company").order_by("-pk")[:500]
    return render(request, "truss_sandbox/mailbox.html", {"mails": mails})


@require_POST
@csrf_protect
@exempt_from_site_rules
def bank(request: HttpRequest, uid: uuid.UUID, action: str) -> HttpResponse:
    """Settles or returns a transaction, at the press of a button on the home page."""
    if not is_from_this_machine(request):
        return HttpResponse("Only from this machine.", status=403, content_type="text/plain")
    payment = get_object_or_404(Transaction.objects.select_related("company"), uid=uid)
    try:
        _BANK[action](payment)
    except rules.RefusedError as refused:
        return HttpResponse(str(refused), status=409, content_type="text/plain")
    return HttpResponseRedirect(path_of(request, "home"))
