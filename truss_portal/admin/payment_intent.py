"""Invoices: all of their pages together, and the page of one."""

from typing import Any

from django.contrib import admin, messages
from django.db import connections
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import checkout, memo
from truss_portal.client import InvalidRequestError
from truss_portal.database import alias, outside_transactions, write_transaction
from truss_portal.exceptions import ActionRefusedError, NotConnectedError
from truss_portal.models import PaymentIntent

from . import operation_verbs, timeline
from .operation_words import standing, stands
from .overview import OverviewPage
from .payment_intent_amend import PaymentIntentAmend, waiting_changes
from .payment_intent_buttons import doing
from .payment_intent_export import PaymentIntentExport
from .payment_intent_form import PayerField, PayerSelect, PaymentIntentForm, only_company
from .payment_intent_import import PaymentIntentImport
from .payment_intent_list import PaymentIntentList
from .payment_intent_notices import notices_of
from .payment_intent_writing import PaymentIntentWriting
from .rows import only_one_company, page_link
from .visibility import VisibilityPages
from .visibility import tools as visibility_tools
from .wording import NOTHING, method, moment, money, payer, why, written_to

Delivery = PaymentIntent.Delivery
Selected = QuerySet[PaymentIntent]


@admin.register(PaymentIntent)
class PaymentIntentAdmin(
    PaymentIntentList,
    PaymentIntentAmend,
    PaymentIntentWriting,
    OverviewPage,
    PaymentIntentImport,
    PaymentIntentExport,
    VisibilityPages,
):
    """Written and rewritten while it is ours; once Truss has it, it is looked at, and Truss is asked to amend it."""

    form = PaymentIntentForm

    class Media:
        css = {"all": ["truss_portal/invoice.css"]}
        js = ["admin/js/jquery.init.js", "truss_portal/copy.js", "truss_portal/payer.js"]

    # --- who may do what

    def has_change_permission(self, request: HttpRequest, obj: PaymentIntent | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_editable)

    def has_delete_permission(self, request: HttpRequest, obj: PaymentIntent | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.delivery == Delivery.UNSENT)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[Any]]:
        """Of a selection all must be unsent, or none is deleted. Locked: somebody may be sending one at this moment."""
        rows = PaymentIntent.objects.filter(pk__in=[intent.pk for intent in objs])
        # Only looked at, Django opens no transaction; what it opens for the action, see `delete_queryset`.
        rows = rows.select_for_update() if connections[alias()].in_atomic_block else rows
        sent = [intent for intent in rows.order_by("pk") if intent.delivery != Delivery.UNSENT]
        deletable, count, perms_needed, protected = super().get_deleted_objects(objs, request)
        # Nobody's permission is missing for these: the reason is said instead.
        perms_needed -= {self.opts.verbose_name} if self.has_delete_permission(request) else set()
        text = _("%(invoice)s (not a draft: %(delivery)s)")
        told = [text % {"invoice": intent, "delivery": intent.get_delivery_display().lower()} for intent in sent]
        return deletable, count, perms_needed, [*protected, *told]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PaymentIntent]) -> None:
        """Locked, and looked at once more: one that somebody has sent since stays."""
        chosen = list(queryset.values_list("pk", flat=True))
        with write_transaction():
            rows = PaymentIntent.objects.select_for_update().filter(pk__in=chosen, delivery=Delivery.UNSENT)
            PaymentIntent.objects.filter(pk__in=[intent.pk for intent in rows]).delete()

    # --- the page of one

    def get_fieldsets(self, request: HttpRequest, obj: PaymentIntent | None = None) -> Any:
        company = [] if only_one_company() else ["company"]
        if obj is None or self.has_change_permission(request, obj):
            return [
                (None, {"fields": [*company, "contact", "total", "addenda", "reference", "due_date"]}),
                (gettext_lazy("What is said with it"), {"fields": ["note", "memo", "send_email", "send_sms"]}),
            ]
        facts = [*company, "payer_link", "amount", "paid", "left", "due", "standing", "checkout_link"]
        said = ["addenda_shown", "note_shown", "memo_shown", *([] if obj.discovered else ["written_to"])]
        times = ["created_at", "pending_at", "paid_at", "canceled_at", "missing_since"]
        at_truss = ["delivery_shown", "as_of", *[name for name in times if getattr(obj, name)], "uid", "mark"]
        return [
            (None, {"fields": facts}),
            (gettext_lazy("What is said with it"), {"fields": said}),
            (gettext_lazy("At Truss"), {"fields": at_truss}),
            *([(gettext_lazy("Further fields from Truss"), {"fields": ["extra"]})] if obj.extra else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: PaymentIntent | None = None) -> list[str]:
        if obj is None:
            return []
        if self.has_change_permission(request, obj):
            return ["company"]
        return [name for _title, options in self.get_fieldsets(request, obj) for name in options["fields"]]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "contact":
            kwargs |= {"form_class": PayerField, "widget": PayerSelect(db_field, self.admin_site)}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description=gettext_lazy("payer"))
    def payer_link(self, intent: PaymentIntent) -> SafeString | str:
        return page_link(intent.contact, payer(intent.contact))

    @admin.display(description=gettext_lazy("description"))
    def addenda_shown(self, intent: PaymentIntent) -> str:
        return intent.addenda

    @admin.display(description=gettext_lazy("note to the payer"))
    def note_shown(self, intent: PaymentIntent) -> str:
        return intent.note or NOTHING

    @admin.display(description=gettext_lazy("private memo"))
    def memo_shown(self, intent: PaymentIntent) -> str:
        return intent.memo or NOTHING

    @admin.display(description=gettext_lazy("Truss writes to"))
    def written_to(self, intent: PaymentIntent) -> str:
        return written_to(intent)

    @admin.display(description=gettext_lazy("sending"))
    def delivery_shown(self, intent: PaymentIntent) -> str:
        return _("Made at Truss") if intent.discovered else intent.get_delivery_display()

    @admin.display(description=gettext_lazy("our mark in Truss's memo"))
    def mark(self, intent: PaymentIntent) -> str:
        return NOTHING if intent.discovered else memo.join("", intent.memo_reference)

    @admin.display(description=gettext_lazy("as of"))
    def as_of(self, intent: PaymentIntent) -> str:
        """When all this was last known to be Truss's truth."""
        return moment(intent.known_as_of)

    @admin.display(description=gettext_lazy("checkout link"))
    def checkout_link(self, intent: PaymentIntent) -> SafeString | str:
        """The button is added by the template, for who may copy it."""
        refusal = checkout.why_not_payable(intent)
        return str(refusal) if refusal else format_html('<span class="truss-url">{}</span>', intent.checkout_url())

    # --- adding and changing

    # Both may send what they save, and what is asked of Truss is never asked inside the request's transaction.
    @method_decorator(outside_transactions)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            only_company()
        except NotConnectedError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:truss_portal_paymentintent_changelist"))
        original = self.original_of(request)
        context = {"duplicate_of": page_link(original) if original else "", **(extra_context or {})}
        return super().add_view(request, form_url, context)

    @method_decorator(outside_transactions)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        intent = self.get_object(request, object_id) if object_id else None
        context = (extra_context or {}) | (self._told(request, intent) if intent else {})
        context["may_send"] = self.has_send_permission(request)
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except (ActionRefusedError, InvalidRequestError) as error:
            self.message_user(request, why(error), messages.ERROR)
            return HttpResponseRedirect(request.path)

    # --- what stands around the facts

    def _told(self, request: HttpRequest, intent: PaymentIntent) -> dict[str, Any]:
        operations = list(intent.operations.select_related("requested_by")[: timeline.SHOWN])
        for operation in operations:
            operation.payment_intent = intent
        may = request.user.has_perm
        told: dict[str, Any] = {
            "tools": visibility_tools(request, invoice=intent.pk),
            "doing": doing(request, intent, self.link_button),
            "show_delete": False,
            "notices": [*notices_of(request, intent, operations), *waiting_changes(intent)],
            **self.for_the_payer(request, intent),
        }
        if may("truss_portal.view_transaction"):
            told["payments"] = [
                {"row": payment, "amount": money(payment.signed_amount), "method": method(payment.payment_method)}
                for payment in intent.transactions.all()
            ]
        if may("truss_portal.view_operation"):
            told["operations"] = [
                {
                    "row": operation,
                    "standing": standing(operation),
                    "tools": operation_verbs.tools(request, operation, request.path) if stands(operation) else [],
                }
                for operation in operations
            ]
        if may("truss_portal.view_timelineentry"):
            told["timeline"] = timeline.latest(intent)
        return told
