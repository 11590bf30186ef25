"""“Why can't my payer see it?”: what the portal shows to an email, and for all else the reason and the next step."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters

from truss_portal import visibility
from truss_portal.conf import conf
from truss_portal.database import outside_transactions
from truss_portal.exceptions import NotPayableError
from truss_portal.models import Company, Contact, Operation, PaymentIntent
from truss_portal.visibility import Answer, Hidden, Reason
from truss_portal.visibility.obstacles import MAYBE_AT_TRUSS

from .operation_pages import page_of
from .payment_intent_pages import PaymentIntentPages
from .qr_code import drawn
from .rows import TrussAdmin, breakable, copy_button, page_link
from .wording import NOTHING, moment, money, number

M = TypeVar("M", bound=models.Model)

TITLE: Final = gettext_lazy("Why can't my payer see it?")
URL_NAME: Final = "admin:truss_portal_paymentintent_visibility"
INVOICE, PAYER, REFRESH = "invoice", "payer", "refresh"
# What comes along when an address is pasted from a letter or a mail program, and nobody sees.
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u2060\ufeff]")
_IN_BRACKETS: Final = re.compile(r"<\s*(?:mailto:)?([^<>]*)>")
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")
_PK: Final = re.compile(r"[0-9]{1,18}")
NOT_SENT_WELL: Final = {Reason.QUEUED, Reason.SENDING, Reason.UNCONFIRMED, Reason.REFUSED}


class EmailForm(forms.Form):
    """Takes an email as it comes out of a mail program, too: “Acme <ap@acme.test>”."""

    email = forms.CharField(
        label=gettext_lazy("Email that the payer signs in with"),
        max_length=400,
        widget=forms.TextInput(
            attrs={"inputmode": "email", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
        error_messages={"required": gettext_lazy("Type the email that the payer signs in with at Truss.")},
    )

    def clean_email(self) -> str:
        text = _INVISIBLE.sub("", self.cleaned_data["email"])
        bracketed = _IN_BRACKETS.search(text)
        email = (bracketed[1] if bracketed else text).strip().removeprefix("mailto:")
        if not _EMAIL.fullmatch(email):
            raise forms.ValidationError(_("That isn't a whole email address, such as ap@acme.example."))
        return email


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks, and what page they came from."""

    about: PaymentIntent | None
    payer: Contact | None
    form: EmailForm
    email: str
    """"" where none is given yet."""


def may_look(request: HttpRequest) -> bool:
    has = request.user.has_perm
    return has("truss_portal.view_contact") and has("truss_portal.view_paymentintent")


def tools(request: HttpRequest, **about: object) -> list[dict[str, Any]]:
    """The button that leads here from an `invoice`'s page or a `payer`'s, for who may; as `change_form.html` wants."""
    if not may_look(request):
        return []
    [(what, pk)] = about.items()
    return [{"url": f"{reverse(URL_NAME)}?{what}={pk}", "verb": {"title": TITLE}}]


class LeadsToVisibility(TrussAdmin[M]):
    """A list with a button that leads here, for who may."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        url = reverse(URL_NAME) if may_look(request) else ""
        return super().changelist_view(request, {"visibility_url": url, **(extra_context or {})})


class VisibilityPages(PaymentIntentPages, LeadsToVisibility[PaymentIntent]):
    """An email is never part of an address here: those end up in logs and in other sites' statistics.

    So the form is posted, though it changes nothing; from an invoice's or a payer's page it is that row's number that
    the address has, and the email is looked up.
    """

    class Media:
        css = {"all": ["truss_portal/visibility.css"]}

    def get_urls(self) -> list[URLPattern]:
        view: Callable[..., HttpResponse] = outside_transactions(self.admin_site.admin_view(self.visibility_view))
        return [path("visibility/", view, name="truss_portal_paymentintent_visibility"), *super().get_urls()]

    @method_decorator(sensitive_post_parameters("email"))
    def visibility_view(self, request: HttpRequest) -> HttpResponse:
        if not may_look(request):
            raise PermissionDenied
        asked = self._question(request)
        answer = self._look(request, asked) if asked.email else None
        if answer is not None and REFRESH in request.POST:
            if not self.has_refresh_permission(request):
                raise PermissionDenied
            self.refresh(request, _oldest(answer, self.wait_for))
            asked = self._question(request)
            answer = self._look(request, asked)
        return self.page(
            request,
            "truss_portal/admin/visibility.html",
            title=str(TITLE),
            form=asked.form,
            invoice=asked.about,
            payer=asked.payer,
            **(self._answered(request, answer) if answer else self._without_email(request, asked)),
            **_site(),
        )

    # --- the question

    def _question(self, request: HttpRequest) -> Question:
        given = request.POST if request.method == "POST" else request.GET
        about = _row(self.get_queryset(request).select_related("company", "contact"), given.get(INVOICE, ""))
        payer = _row(self._contacts(request), given.get(PAYER, ""))
        if request.method == "POST":
            form = EmailForm(request.POST)
            return Question(about, payer, form, form.cleaned_data["email"] if form.is_valid() else "")
        contact = payer or (about.contact if about else None)
        email = next(iter(visibility.emails_of(contact)), "") if contact else ""
        return Question(about, payer, EmailForm(initial={"email": email}), email)

    def _contacts(self, request: HttpRequest) -> QuerySet[Contact]:
        """Those that this person may see: a site may have narrowed down its payers' pages."""
        rows: QuerySet[Contact] = self.admin_site.get_model_admin(Contact).get_queryset(request)
        return rows.select_related("company")

    def _look(self, request: HttpRequest, asked: Question) -> Answer:
        contacts, intents = self._contacts(request), self.get_queryset(request)
        return visibility.look(asked.email, contacts=contacts, intents=intents, about=asked.about, payer=asked.payer)

    # --- the answer

    def _answered(self, request: HttpRequest, answer: Answer) -> dict[str, Any]:
        now = timezone.now()
        everybody = [*answer.payers, *answer.others]
        requests = self._requests(request, answer)

        def kept_back(hidden: Hidden) -> dict[str, Any]:
            intent = hidden.intent
            steps = self._next_steps(request, hidden, requests.get(intent.pk))
            return _invoice(answer, intent, now) | {"obstacles": hidden.obstacles, "steps": steps}

        listed = [intent for intent in answer.invoices() if _at_truss(intent)]
        return {
            "answer": answer,
            "verdict": _verdict(answer),
            "about": kept_back(answer.about) if answer.about and answer.about.obstacles else None,
            "payers": [_payer(contact, answer.email) for contact in everybody],
            "more_payers": len(answer.payers) >= visibility.MOST,
            "shown": [_invoice(answer, intent, now) for intent in answer.shown],
            "hidden": [kept_back(hidden) for hidden in answer.hidden],
            "more_shown": _more(answer.shown_count - len(answer.shown)),
            "more_hidden": _more(answer.hidden_count - len(answer.hidden)),
            "left": money(answer.left),
            "letter_case": _other_letter_case(answer),
            "portals": [_portal(request, company) for company in answer.companies],
            "several_companies": len({*answer.companies, *(contact.company for contact in everybody)}) > 1,
            "not_listed": [(company, moment(company.listed_at)) for company in answer.not_listed_lately(now)],
            "may_refresh": bool(listed) and self.has_refresh_permission(request),
            "may_see_requests": request.user.has_perm("truss_portal.view_operation"),
        }

    def _without_email(self, request: HttpRequest, asked: Question) -> dict[str, Any]:
        """Of an invoice or a payer that one comes from, where no email is to be had: that is the reason by itself."""
        if request.method == "POST":
            return {}
        if asked.about is not None:
            hidden = Hidden(asked.about, visibility.obstacles(asked.about, ""))
            steps = self._next_steps(request, hidden, None)
            return {
                "verdict": _("The portal shows %(invoice)s to nobody.") % {"invoice": asked.about},
                "about": {"row": asked.about, "obstacles": hidden.obstacles, "steps": steps},
            }
        if asked.payer is not None:
            text = _("%(payer)s has no email: nobody can sign in to see their invoices.")
            return {"verdict": text % {"payer": asked.payer}}
        return {}

    def _requests(self, request: HttpRequest, answer: Answer) -> dict[int, Operation]:
        """The latest request to send each of those that got stuck on the way, by the invoice's primary key."""
        stuck = {
            hidden.intent.pk
            for hidden in (*answer.hidden, *([answer.about] if answer.about else []))
            if NOT_SENT_WELL & {obstacle.reason for obstacle in hidden.obstacles}
        }
        if not stuck or not request.user.has_perm("truss_portal.view_operation"):
            return {}
        sent = Operation.objects.filter(payment_intent__in=stuck, kind=Operation.Kind.CREATE).order_by("pk")
        return {operation.payment_intent_id: operation for operation in sent if operation.payment_intent_id}

    def _next_steps(self, request: HttpRequest, hidden: Hidden, operation: Operation | None) -> list[tuple[str, Any]]:
        """Addresses and what they are called: where the remedies are to be had, for who may."""
        intent, reasons = hidden.intent, {obstacle.reason for obstacle in hidden.obstacles}
        may, found = request.user.has_perm, []
        if reasons & {Reason.NOT_SENT, Reason.REFUSED} and self.has_send_permission(request):
            found.append((f"{reverse('admin:truss_portal_paymentintent_send')}?ids={intent.pk}", _("Send to Truss")))
        if operation is not None:
            found.append((page_of(operation), _("See the request to Truss")))
        if reasons & {Reason.OTHER_EMAIL, Reason.NO_EMAIL} and may("truss_portal.change_contact"):
            url = reverse("admin:truss_portal_contact_change", args=[intent.contact_id])
            found.append((url, _("Change the payer")))
        if reasons & {Reason.CANCELED, Reason.MISSING} and may("truss_portal.add_paymentintent"):
            url = reverse("admin:truss_portal_paymentintent_add")
            found.append((f"{url}?contact={intent.contact_id or ''}", _("Write a new invoice")))
        if Reason.NO_PORTAL in reasons and may("truss_portal.view_company"):
            url = reverse("admin:truss_portal_company_change", args=[intent.company_id])
            found.append((url, _("See the company")))
        return found

    # --- on the page of one invoice

    def for_the_payer(self, request: HttpRequest, intent: PaymentIntent) -> dict[str, Any]:
        """The checkout link to be opened and scanned, for who may have links: `payer_url` and `payer_qr`."""
        if not (self.has_link_permission(request) and intent.is_payable):
            return {}
        url = intent.checkout_url()
        says = _("QR code of the checkout link of %(invoice)s") % {"invoice": intent}
        return {"payer_url": url, "payer_qr": drawn(url, says=says)}


def _row(rows: QuerySet[M], pk: str) -> M | None:
    return rows.filter(pk=int(pk)).first() if _PK.fullmatch(pk) else None


def _site() -> dict[str, Any]:
    environments = dict(Company.Environment.choices)
    return {
        "test_site": visibility.is_test_site(),
        "environment": environments.get(conf.environment, conf.environment),
        # Checkout links carry it: https://docs.trusspayments.com/guides/partner-payment-portal
        "return_url": conf.return_url if conf.return_url_allowlisted else None,
    }


def _at_truss(intent: PaymentIntent) -> bool:
    """Whether this site can ask Truss about it."""
    return intent.uid is not None and intent.company.environment == conf.environment


def _oldest(answer: Answer, limit: int) -> Iterable[PaymentIntent]:
    """Those that Truss was asked about longest ago; before them, the one in question."""
    listed = [intent for intent in answer.invoices() if _at_truss(intent)]
    first = answer.about.intent.pk if answer.about else None
    listed.sort(key=lambda intent: (intent.pk != first, intent.known_as_of or datetime.min.replace(tzinfo=UTC)))
    return listed[:limit]


def _verdict(answer: Answer) -> str:
    names: dict[str, Any] = {"email": answer.email, "left": money(answer.left), "count": number(answer.shown_count)}
    if answer.about is not None:
        intent, reasons = answer.about.intent, {obstacle.reason for obstacle in answer.about.obstacles}
        names |= {"invoice": intent, "left": money(max(intent.balance_due, intent.total * 0))}
        if not reasons:
            return _("The portal shows %(invoice)s to %(email)s, with %(left)s left to pay.") % names
        if reasons <= MAYBE_AT_TRUSS:
            return _("Whether the portal shows %(invoice)s to %(email)s isn't known yet.") % names
        return _("The portal doesn't show %(invoice)s to %(email)s.") % names
    if not answer.payers:
        return _("No payer here has the email %(email)s: the portal shows none of these invoices to it.") % names
    if not answer.shown_count:
        return _("The portal shows no invoice to %(email)s.") % names
    text = ngettext(
        "The portal shows %(count)s invoice to %(email)s, with %(left)s left to pay.",
        "The portal shows %(count)s invoices to %(email)s, with %(left)s left to pay on them.",
        answer.shown_count,
    )
    return text % names


def _payer(contact: Contact, email: str) -> dict[str, Any]:
    which = visibility.signs_in_with(contact, email)
    how = {
        "email": _("Signs in with this email"),
        "secondary_email": _("Signs in with this email, their secondary one"),
        None: _("Has another email: this one doesn't let them in"),
    }
    return {
        "row": contact,
        "link": page_link(contact, contact.name),
        "emails": [breakable(each) for each in visibility.emails_of(contact)] or [NOTHING],
        "how": how[which],
        "let_in": which is not None,
        "others_environment": contact.company.environment != conf.environment,
    }


def _invoice(answer: Answer, intent: PaymentIntent, now: datetime) -> dict[str, Any]:
    return {
        "row": intent,
        "link": page_link(intent),
        "payer": intent.contact.name if intent.contact else NOTHING,
        "amount": money(intent.total),
        "left": money(intent.balance_due) if intent.balance_due > 0 else NOTHING,
        "status": intent.status_label or intent.get_delivery_display(),
        "as_of": moment(intent.known_as_of),
        "is_old": answer.is_old(intent, now),
    }


def _other_letter_case(answer: Answer) -> list[str]:
    """The email as it stands at these payers, where only capital letters make the difference."""
    known = {email for contact in answer.payers for email in visibility.emails_of(contact)}
    same = {email for email in known if visibility.same_address(email, answer.email)}
    return [] if answer.email in same else sorted(same)


def _portal(request: HttpRequest, company: Company) -> dict[str, Any]:
    more = reverse("admin:truss_portal_company_portal_link", args=[company.pk])
    told = {"company": company, "more": more if request.user.has_perm("truss_portal.view_company") else ""}
    try:
        url = company.portal_url()
    except NotPayableError as error:
        return told | {"problem": str(error)}
    return told | {"url": url, "button": copy_button(url, what=company)}


def _more(count: int) -> str:
    return number(count) if count > 0 else ""
