"""Writing an invoice: “Save and send”, a duplicate of another one, and the warning of two payers with one name."""

from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from django.contrib import messages
from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from truss_portal import actions, contacts, outbox
from truss_portal.database import alias
from truss_portal.memo import new_mark
from truss_portal.models import PaymentIntent

from .asking import named
from .payment_intent_buttons import DUPLICATE_OF, may
from .payment_intent_pages import PaymentIntentPages
from .payment_intent_verbs import SEND
from .reports import INVOICES
from .rows import person

SAVE_AND_SEND: Final = "_send"
NEW_MARK: Final = "new-mark"
COPIED: Final = ("contact", "total", "addenda", "note", "memo", "send_email", "send_sms")


class PaymentIntentWriting(PaymentIntentPages):
    """Nothing of it is told to Truss before it is saved, and committed."""

    # --- a duplicate

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        original = self.original_of(request)
        if original is None:
            return super().get_changeform_initial_data(request)
        initial = {name: getattr(original, name) for name in COPIED}
        return initial | {"company": original.company_id, "contact": original.contact_id, "due_date": new_due(original)}

    def original_of(self, request: HttpRequest) -> PaymentIntent | None:
        """The invoice that a duplicate is being written of."""
        if not self.has_view_or_change_permission(request):
            return None
        chosen = named(request.GET.get(DUPLICATE_OF, ""), 1)
        return self.get_queryset(request).select_related("company", "contact").filter(pk__in=chosen).first()

    def get_form(
        self, request: HttpRequest, obj: PaymentIntent | None = None, change: bool = False, **given: Any
    ) -> Any:
        """With a word at the fields that aren't copied as they are. The class is made anew for each request."""
        form = super().get_form(request, obj, change, **given)
        original = self.original_of(request) if obj is None else None
        if original is not None:
            text = _("Not copied: “%(invoice)s” has its own. Give this one another, or none.")
            form.base_fields["reference"].help_text = text % {"invoice": original}
            form.base_fields["due_date"].help_text = _about_due(original)
        return form

    # --- saving

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form brings the mark that its invoice will have: two clicks on “Save and send” are one invoice."""
        mark = _mark_of(request)
        already = self._saved_already(request, mark)
        if already:
            return already
        try:
            return super().add_view(request, form_url, {"new_mark": _signer().sign(mark), **(extra_context or {})})
        except IntegrityError:
            # Both clicks were under way, and the other one was quicker.
            already = self._saved_already(request, mark)
            if already:
                return already
            # Then it was the number that somebody took: the form finds that when it looks again.
            return super().add_view(request, form_url, {"new_mark": _signer().sign(mark), **(extra_context or {})})

    def _saved_already(self, request: HttpRequest, mark: str) -> HttpResponse | None:
        intent = PaymentIntent.objects.filter(memo_reference=mark).first() if request.method == "POST" else None
        if intent is None:
            return None
        text = _("This invoice is saved already, and is not saved a second time.")
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(reverse("admin:truss_portal_paymentintent_change", args=[intent.pk]))

    def save_model(self, request: HttpRequest, obj: PaymentIntent, form: Any, change: bool) -> None:
        if not change:
            obj.memo_reference = _mark_of(request)
        actions.save_draft(obj, actor=person(request))
        if SAVE_AND_SEND in request.POST and may(request, "send"):
            # Django saves in a transaction of its own: Truss is asked when that is committed.
            transaction.on_commit(lambda: self._send_saved(request, obj), using=alias())
            return
        trap = contacts.same_name_trap(obj.contact) if obj.contact else None
        if trap:
            text = _("The invoice is saved, but can't be sent as it is. %(reason)s") % {"reason": trap}
            self.message_user(request, text, messages.WARNING)

    def _send_saved(self, request: HttpRequest, intent: PaymentIntent) -> None:
        report = self._ask_one(request, SEND, [intent.pk])
        self.tell(request, report, SEND.done, INVOICES)

    def response_add(
        self, request: HttpRequest, obj: PaymentIntent, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._after_sending(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: PaymentIntent) -> HttpResponse:
        return self._after_sending(request, obj) or super().response_change(request, obj)

    def _after_sending(self, request: HttpRequest, intent: PaymentIntent) -> HttpResponse | None:
        """To the invoice's own page: there stands what came of it, and what to do next."""
        if SAVE_AND_SEND not in request.POST or not may(request, "send"):
            return None
        url = reverse("admin:truss_portal_paymentintent_change", args=[intent.pk])
        text = format_html(_("The invoice “{}” is saved."), intent)
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(url)


def _signer() -> signing.Signer:
    return signing.Signer(salt="truss_portal.new_invoice")


def _mark_of(request: HttpRequest) -> str:
    """Signed, so that nobody gives an invoice the mark of another; a new one where the form brings none of ours."""
    with suppress(signing.BadSignature):
        return _signer().unsign(request.POST.get(NEW_MARK, ""))
    return new_mark()


def new_due(original: PaymentIntent) -> Any:
    """As many days from today as the original's due date was from its own first day; None where it had none."""
    days = _days(original)
    return outbox.today() + timedelta(days=days) if days else None


def _days(original: PaymentIntent) -> int:
    if original.due_date is None:
        return 0
    first = timezone.localdate(original.created_at or original.known_since)
    return max((original.due_date - first).days, 0)


def _about_due(original: PaymentIntent) -> str:
    days = _days(original)
    if not days:
        return _("Not copied: the original has none that could be moved.")
    text = ngettext(
        "Moved: %(count)d day from today, as the original's was from the day it was made.",
        "Moved: %(count)d days from today, as the original's was from the day it was made.",
        days,
    )
    return text % {"count": days}
