"""Amending an invoice that is at Truss, on its own page: first looked over, then asked of Truss."""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from truss_portal import actions, memo
from truss_portal.actions.changing import FIXED_WHEN_CLOSED
from truss_portal.client import InvalidRequestError
from truss_portal.database import outside_transactions, write_transaction
from truss_portal.exceptions import ActionRefusedError
from truss_portal.models import Operation, PaymentIntent

from .operation_words import Notice
from .payment_intent_amend_form import (
    IN_PLACE_OF,
    PAID,
    SEEN,
    AmendForm,
    as_it_is,
    as_told,
    brought_up_to_date,
    conflicts,
    for_people,
    news,
    quoted,
    read,
    written,
)
from .payment_intent_buttons import may, why_not_amend
from .payment_intent_notices import notices_of
from .payment_intent_pages import PaymentIntentPages
from .rows import person
from .timeline import field_name
from .wording import money, why

State = Operation.State
Status = PaymentIntent.Status

CONFIRMED, EDIT = "_confirmed", "_edit"
# What the page shows while it is amended: what decides about a change, and what may change.
SHOWN: Final = ("company", "payer_link", "amount", "paid", "left", "due", "standing", *IN_PLACE_OF)


class PaymentIntentAmend(PaymentIntentPages):
    """What Truss knows better is never written here: a change is asked of Truss, and comes back as Truss's answer."""

    def get_urls(self) -> list[URLPattern]:
        view = outside_transactions(self.admin_site.admin_view(self.amend_view))
        return [path("<int:pk>/amend/", view, name="truss_portal_paymentintent_amend"), *super().get_urls()]

    def amend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not may(request, "amend"):
            raise PermissionDenied
        intent = self.get_object(request, str(pk))
        if intent is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, str(pk))  # type: ignore[attr-defined,no-any-return]
        refusal = why_not_amend(intent)
        if refusal:
            self.message_user(request, refusal, messages.WARNING)
            return self._to_page(intent)
        if request.method != "POST":
            return self._amend_page(request, intent, self._amend_form(request, intent))
        if CONFIRMED not in request.POST:
            return self._look_over(request, intent, self._amend_form(request, intent, request.POST))
        return self._amend(request, intent)

    # --- look, then ask

    def _look_over(self, request: HttpRequest, intent: PaymentIntent, form: AmendForm) -> HttpResponse:
        """What was typed, judged; where all is well, as it was and as it would be."""
        told, taken = news(form), conflicts(form)
        form = self._amend_form(request, intent, brought_up_to_date(form))
        for text in told:
            self.message_user(request, text, messages.WARNING)
        if EDIT in request.POST or not form.is_valid():
            return self._amend_page(request, intent, form)
        if taken:
            for name, sentence in taken.items():
                form.add_error(name, sentence)
            return self._amend_page(request, intent, form)
        changes = form.changes()
        if not changes:
            self.message_user(request, _("Nothing was changed, so Truss was not asked."), messages.INFO)
            return self._to_page(intent)
        return self.page(
            request,
            "truss_portal/admin/amend_confirm.html",
            title=_("Amend at Truss"),
            invoice=intent,
            changes=as_told(intent, changes),
            left=money(changes["total"] - intent.balance_paid) if "total" in changes else "",
            waiting=_waiting(intent),
            hidden=[*form.data.items()],
            back=self._page_url(intent),
        )

    def _amend(self, request: HttpRequest, intent: PaymentIntent) -> HttpResponse:
        """Ask, if the invoice still is what was looked over; nobody changes it between the look and the wish."""
        operation = None
        told: list[str] = []
        with write_transaction():
            intent.refresh_from_db(from_queryset=PaymentIntent.objects.select_for_update())
            form = self._amend_form(request, intent, request.POST)
            otherwise = news(form) or conflicts(form) or why_not_amend(intent) or not form.is_valid()
            changes = {} if otherwise else form.changes()
            if changes:
                told = [f"{each['name']}: {each['was']} → {each['now']}" for each in as_told(intent, changes)]
                try:
                    operation = actions.amend(intent, actor=person(request), **changes)
                except (ActionRefusedError, InvalidRequestError) as error:
                    self.message_user(request, why(error), messages.ERROR)
        if operation is None:
            refusal = why_not_amend(intent)
            if refusal:
                self.message_user(request, refusal, messages.WARNING)
                return self._to_page(intent)
            return self._look_over(request, intent, form)
        self._tell_amended(request, intent, operation, told, changes)
        return self._to_page(intent)

    def _tell_amended(
        self,
        request: HttpRequest,
        intent: PaymentIntent,
        operation: Operation,
        told: list[str],
        changes: Mapping[str, Any],
    ) -> None:
        names = {"invoice": intent, "changes": "; ".join(told), "error": operation.error}
        if operation.state == State.DONE:
            self.log_each(request, [intent], _("Amended at Truss. %(changes)s") % names)
            self.message_user(request, _("Truss has amended %(invoice)s. %(changes)s") % names, messages.SUCCESS)
            if any(as_it_is(intent, name) != value for name, value in changes.items()):
                text = _(
                    "Truss took the change of %(invoice)s, but doesn't show it yet. Refresh the invoice to look again."
                )
                self.message_user(request, text % names, messages.WARNING)
        elif operation.state == State.REFUSED:
            text = _("Truss refused to amend %(invoice)s: %(error)s Nothing was changed. It was asked for: %(changes)s")
            self.message_user(request, text % names, messages.ERROR)
        else:
            self.log_each(request, [intent], _("Amend: asked, not done yet. %(changes)s") % names)
            text = _("The change of %(invoice)s waits; Truss is asked by itself. %(changes)s %(error)s")
            self.message_user(request, (text % names).strip(), messages.WARNING)

    # --- the page

    def _amend_form(
        self, request: HttpRequest, intent: PaymentIntent, data: Mapping[str, Any] | None = None
    ) -> AmendForm:
        made: type[AmendForm] = self.get_form(request, intent, form=AmendForm, fields=_open_fields(intent))  # type: ignore[assignment]
        return made(data, intent=intent)

    def _amend_page(self, request: HttpRequest, intent: PaymentIntent, form: AmendForm) -> HttpResponse:
        """The invoice's own page, where what may change stands in fields."""
        writable = set(form.fields)
        fieldsets: list[tuple[Any, dict[str, Any]]] = [
            (title, {"fields": [_in_place(name, writable) for name in map(str, options["fields"]) if name in SHOWN]})
            for title, options in self.get_fieldsets(request, intent)
        ]
        fieldsets = [each for each in fieldsets if each[1]["fields"]]
        fieldsets[0][1]["description"] = _about_amending(intent)
        form.instance = intent
        readonly = [name for _title, options in fieldsets for name in options["fields"] if name not in writable]
        adminform = helpers.AdminForm(form, fieldsets, {}, readonly, model_admin=self)
        operations = list(intent.operations.select_related("requested_by")[:10])
        for operation in operations:
            operation.payment_intent = intent
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("Amend %s") % self.opts.verbose_name,
            "subtitle": str(intent),
            "adminform": adminform,
            "object_id": str(intent.pk),
            "original": intent,
            "is_popup": False,
            "to_field": None,
            "media": self.media + adminform.media,
            "inline_admin_formsets": [],
            "errors": helpers.AdminErrorList(form, []),
            "preserved_filters": self.get_preserved_filters(request),
            "amending": True,
            "back": self._page_url(intent),
            "seen": [(SEEN + name, written(getattr(intent, name))) for name in (*form.fields, PAID)],
            "notices": [*notices_of(request, intent, operations), *waiting_changes(intent)],
        }
        return self.render_change_form(request, context, change=True, obj=intent)

    def _page_url(self, intent: PaymentIntent) -> str:
        return reverse("admin:truss_portal_paymentintent_change", args=[intent.pk])

    def _to_page(self, intent: PaymentIntent) -> HttpResponseRedirect:
        return HttpResponseRedirect(self._page_url(intent))


def waiting_changes(intent: PaymentIntent) -> list[Notice]:
    """What was asked of Truss already, and isn't done: a second change is done after it."""
    waiting = _waiting(intent)
    return [Notice(_("Asked already, not done yet"), "; ".join(waiting))] if waiting else []


def _waiting(intent: PaymentIntent) -> list[str]:
    bodies = (
        intent.operations.under_way().filter(kind=Operation.Kind.AMEND).order_by("pk").values_list("body", flat=True)
    )
    return [
        _("%(field)s becomes %(value)s") % {"field": field_name(name), "value": _wanted(intent, name, body[name])}
        for body in bodies
        for name in AmendForm.Meta.fields  # a database keeps no order in JSON
        if name in body
    ]


def _wanted(intent: PaymentIntent, name: str, value: Any) -> str:
    """A value of a request as people read it."""
    if name == "memo":
        return quoted(memo.without(value or "", intent.memo_reference))
    return for_people(name, read(name, value or "", value))


def _open_fields(intent: PaymentIntent) -> list[str]:
    """What Truss still lets be changed."""
    closed = FIXED_WHEN_CLOSED if intent.status in Status.FINAL else {}
    return [name for name in AmendForm.Meta.fields if name not in closed]


def _in_place(name: str, writable: set[str]) -> str:
    return IN_PLACE_OF[name] if IN_PLACE_OF.get(name) in writable else name


def _about_amending(intent: PaymentIntent) -> str:
    if intent.status not in Status.FINAL:
        return _("You look over what you change before Truss is asked. Truss isn't asked to email the payer about it.")
    text = _(
        "This invoice is %(status)s: Truss doesn't change its amount, description and note any more. Its due date and "
        "its memo can still be changed."
    )
    return text % {"status": intent.status_label.lower()}
