"""The payer's hosted portal.

https://docs.trusspayments.com/guides/partner-payment-portal

Every page has an address of its own, and keeps the query with `redirect_uri`. Who isn't signed in is asked, at that
same address, for an email and then for the code; afterwards the page is there. So a deep link leads to its invoice in
any case.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from truss_portal.sandbox import redirects, rules, sign_in
from truss_portal.sandbox.companies import get_company_by_checkout_link
from truss_portal.sandbox.forms import CodeForm, CustomPaymentForm, EmailForm, InvoicePaymentForm
from truss_portal.sandbox.models import PAYABLE, SHOWN_TO_PAYERS, Company, PaymentIntent, Transaction
from truss_portal.sandbox.site_rules import View, exempt_from_site_rules
from truss_portal.sandbox.urls_of import path_of


@dataclass(frozen=True, slots=True)
class Visit:
    request: HttpRequest
    company: Company
    redirect_uri: str
    """Empty, or on the allowlist."""
    payer: sign_in.Payer

    @property
    def step(self) -> str:
        """Which form was sent; empty when a page is only looked at."""
        return self.request.POST.get("step", "") if self.request.method == "POST" else ""

    def address(self, name: str, *args: Any) -> str:
        query = f"?{urlencode({'redirect_uri': self.redirect_uri})}" if self.redirect_uri else ""
        return path_of(self.request, name, self.company.checkout_link_id, *args) + query

    def page(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        context |= {
            "company": self.company,
            "payer": self.payer,
            "portal_url": self.address("portal"),
            "custom_url": self.address("custom") if self.company.custom_payments else "",
        }
        return render(self.request, f"truss_sandbox/{template}.html", context, status=status)

    def here_again(self) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.request.get_full_path())


def portal_page(handler: Callable[..., HttpResponse]) -> View:
    """A view that lets through to `handler` only a signed-in payer with a good link."""

    @csrf_protect
    @never_cache
    @exempt_from_site_rules
    def view(request: HttpRequest, checkout_link_id: str, **kwargs: Any) -> HttpResponse:
        company = get_company_by_checkout_link(checkout_link_id)
        if company is None:
            return render(request, "truss_sandbox/unknown_link.html", status=404)
        given = request.GET.getlist("redirect_uri")
        if given and (len(given) > 1 or not redirects.is_allowed(given[0], company.allowed_redirects)):
            return render(request, "truss_sandbox/invalid_link.html", {"company": company, "given": given}, status=400)
        visit = Visit(request, company, given[0] if given else "", sign_in.read(request, company))
        return handler(visit, **kwargs) if visit.payer.is_verified and visit.step != "restart" else _sign_in(visit)

    return view


def _sign_in(visit: Visit) -> HttpResponse:
    if visit.step == "restart":
        response: HttpResponse = visit.here_again()
        sign_in.forget(response, visit.request, visit.company)
        return response
    if visit.payer.sign_in and visit.step != "email":
        return _ask_for_code(visit)
    form = EmailForm(visit.request.POST if visit.step == "email" else None)
    if not form.is_valid():
        return visit.page("sign_in_email", status=400 if form.is_bound else 200, form=form)
    payer = sign_in.send_code(visit.company, form.cleaned_data["email"])
    response = visit.here_again()
    sign_in.remember(response, visit.request, visit.company, payer)
    return response


def _ask_for_code(visit: Visit) -> HttpResponse:
    form = CodeForm(visit.request.POST if visit.step == "code" else None)
    if form.is_valid():
        try:
            payer = sign_in.verify(visit.payer, form.cleaned_data["code"].strip())
        except sign_in.WrongCodeError as wrong:
            form.add_error("code", str(wrong))
        else:
            response = visit.here_again()
            sign_in.remember(response, visit.request, visit.company, payer)
            return response
    return visit.page("sign_in_code", status=400 if form.is_bound else 200, form=form)


@exempt_from_site_rules
def without_slash(request: HttpRequest, checkout_link_id: str) -> HttpResponse:
    """The general link works with a slash at its end and without: the guide shows no example of it."""
    query = f"?{request.META['QUERY_STRING']}" if request.META["QUERY_STRING"] else ""
    return HttpResponseRedirect(path_of(request, "portal", checkout_link_id) + query)


@portal_page
def invoice_list(visit: Visit) -> HttpResponse:
    intents = _intents_of(visit).filter(status__in=SHOWN_TO_PAYERS).order_by("-pk")
    invoices = [(intent, visit.address("checkout", intent.uid)) for intent in intents]
    return visit.page("invoice_list", invoices=invoices)


@portal_page
def invoice(visit: Visit, uid: str) -> HttpResponse:
    intent = _intent(visit, uid)
    if intent is None:
        return _stopped(visit, uid, "not_yours", status=403)
    if intent.status not in PAYABLE or intent.remaining <= 0:
        return _stopped(visit, uid, "not_payable", intent=intent)
    form = InvoicePaymentForm(visit.request.POST if visit.step == "pay" else None, remaining=intent.remaining)
    if form.is_valid():
        paying = form.cleaned_data
        try:
            payment = rules.pay(intent, paying["amount"], paying["payment_method"], email=visit.payer.email)
        except rules.RefusedError as refused:
            form.add_error(None, str(refused))
        else:
            return HttpResponseRedirect(visit.address("receipt", intent.uid, payment.uid))
    return visit.page("invoice", status=400 if form.is_bound else 200, form=form, intent=intent)


@portal_page
def receipt(visit: Visit, uid: str, transaction_uid: uuid.UUID) -> HttpResponse:
    intent = _intent(visit, uid)
    payment = intent and intent.transactions.filter(uid=transaction_uid, direction=0).first()
    if intent is None or payment is None:
        return _stopped(visit, uid, "not_yours", status=403)
    done = visit.redirect_uri and redirects.with_result(visit.redirect_uri, intent.uid, "success")
    return visit.page("receipt", intent=intent, payment=payment, done_url=done or visit.address("portal"))


@portal_page
def custom_payment(visit: Visit) -> HttpResponse:
    if not visit.company.custom_payments:
        return visit.page("custom_off", status=403)
    form = CustomPaymentForm(visit.request.POST if visit.step == "pay" else None)
    if not form.is_valid():
        return visit.page("custom", status=400 if form.is_bound else 200, form=form)
    paying = form.cleaned_data
    payment = rules.pay_custom(
        visit.company, paying["amount"], paying["payment_method"], paying["addenda"], email=visit.payer.email
    )
    return HttpResponseRedirect(visit.address("custom-receipt", payment.uid))


@portal_page
def custom_receipt(visit: Visit, transaction_uid: uuid.UUID) -> HttpResponse:
    """A custom payment never returns: Done leads to the list even where there is a `redirect_uri`."""
    payments = Transaction.objects.filter(company=visit.company, payment_intent=None, payer_email=visit.payer.email)
    payment = payments.filter(uid=transaction_uid).first()
    if payment is None:
        return _stopped(visit, "", "not_yours", status=403)
    return visit.page("receipt", payment=payment, done_url=visit.address("portal"))


def _stopped(visit: Visit, uid: str, template: str, status: int = 200, **context: Any) -> HttpResponse:
    """Checkout can't go on as linked. `Close this page` leads back early where the link said whereto."""
    close_url = visit.redirect_uri and redirects.with_result(visit.redirect_uri, uid, "incomplete")
    return visit.page(template, status, close_url=close_url, **context)


def _intents_of(visit: Visit) -> QuerySet[PaymentIntent]:
    """Those whose contact has the payer's address as its primary or secondary one."""
    email = visit.payer.email
    theirs = Q(contact__email__iexact=email) | Q(contact__secondary_email__iexact=email)
    return PaymentIntent.objects.filter(theirs, company=visit.company).select_related("company", "contact")


def _intent(visit: Visit, uid: str) -> PaymentIntent | None:
    try:
        return _intents_of(visit).filter(uid=uuid.UUID(uid)).first()
    except ValueError:
        return None
