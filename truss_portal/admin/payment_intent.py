"""Invoices: the list, and the page of one."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, F, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import actions, checkout, memo
from truss_portal.client import InvalidRequestError
from truss_portal.database import outside_transactions, write_transaction
from truss_portal.exceptions import ActionRefusedError, NotConnectedError
from truss_portal.models import Operation, PaymentIntent

from . import operation_verbs, timeline
from .company_filters import company_filters
from .operation_words import standing, stands
from .overview import OverviewPage
from .payment_intent_export import PaymentIntentExport
from .payment_intent_filters import AttentionFilter, DueFilter, StatusFilter
from .payment_intent_form import PayerField, PayerSelect, PaymentIntentForm, only_company
from .payment_intent_import import PaymentIntentImport
from .payment_intent_notices import notices_of
from .payment_intent_pages import TOO_MANY
from .payment_intent_verbs import CANCEL, REFRESH, SEND, VERBS, Verb
from .rows import badge, breakable, only_one_company, page_link, person, two_lines
from .visibility import VisibilityPages
from .visibility import tools as visibility_tools
from .wording import NO_LINK, NOTHING, day, is_overdue, method, moment, money, payer, why, written_to

Delivery = PaymentIntent.Delivery
Selected = QuerySet[PaymentIntent]


@admin.register(PaymentIntent)
class PaymentIntentAdmin(OverviewPage, PaymentIntentImport, PaymentIntentExport, VisibilityPages):
    """Written and rewritten while it is ours; once Truss has it, only looked at."""

    form = PaymentIntentForm
    # What finance staff look at first stands where a small screen shows it without scrolling.
    list_display = ("number", "link", "payer", "left", "due", "standing", "amount", "paid")
    list_display_links = ("number",)
    list_filter = (StatusFilter, DueFilter, AttentionFilter, "delivery", "discovered")
    list_select_related = ("company", "contact")
    date_hierarchy = "due_date"
    search_fields = ("reference", "addenda", "contact__name", "contact__email", "contact__secondary_email")
    search_help_text = gettext_lazy("Number, description, payer, email, Truss UID, or the mark in Truss's memo")
    uid_fields = ("uid", "transactions__uid")
    actions = ("send_selected", "copy_links", "refresh_selected", "cancel_selected", "export_csv", "export_xlsx")
    empty_text = gettext_lazy(
        "No invoices yet. Write the first one with “Add invoice”, bring in a file of them with “Import”, or those that "
        "are at Truss already: run manage.py truss_sync."
    )

    class Media:
        js = ["truss_portal/copy.js"]

    # --- the list

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Who may not copy links doesn't see them; a company is named where there are several."""
        columns = [name for name in self.list_display if name != "link" or self.has_link_permission(request)]
        return columns if only_one_company() else [*columns, "company"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*self.list_filter, *company_filters(request)]

    def get_queryset(self, request: HttpRequest) -> Selected:
        """With whether a request about it needs a person."""
        stuck = Exists(Operation.objects.for_a_person().filter(payment_intent=OuterRef("pk")))
        return super().get_queryset(request).annotate(stuck=stuck)

    def get_search_results(self, request: HttpRequest, queryset: Selected, search_term: str) -> tuple[Selected, bool]:
        marks = memo.marks(search_term)
        if marks:
            return queryset.filter(memo_reference__in=marks), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=gettext_lazy("number"), ordering="reference")
    def number(self, intent: PaymentIntent) -> SafeString | str:
        if not intent.reference or intent.reference == intent.addenda:
            return Truncator(str(intent)).chars(40)
        return two_lines(intent.reference, Truncator(intent.addenda).chars(40))

    @admin.display(description=gettext_lazy("payer"), ordering="contact__name")
    def payer(self, intent: PaymentIntent) -> SafeString | str:
        return two_lines(intent.contact.name, breakable(intent.contact.email)) if intent.contact else NOTHING

    @admin.display(description=gettext_lazy("amount"), ordering="total")
    def amount(self, intent: PaymentIntent) -> str:
        return money(intent.total)

    @admin.display(description=gettext_lazy("left"), ordering=F("total") - F("balance_paid"))
    def left(self, intent: PaymentIntent) -> str:
        return money(intent.balance_due) if intent.balance_due else NOTHING

    @admin.display(description=gettext_lazy("paid"), ordering="balance_paid")
    def paid(self, intent: PaymentIntent) -> str:
        return money(intent.balance_paid) if intent.balance_paid else NOTHING

    @admin.display(description=gettext_lazy("due"), ordering="due_date")
    def due(self, intent: PaymentIntent) -> SafeString | str:
        if not is_overdue(intent):
            return day(intent.due_date)
        return format_html("{} {}", day(intent.due_date), badge(_("Overdue")))

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def standing(self, intent: Any) -> SafeString | str:
        """Truss's status; before there is one, how far we are with sending."""
        if intent.missing_since:
            return format_html("{} {}", intent.status_label, badge(_("Not found at Truss")))
        if intent.attention:
            return format_html("{} {}", intent.status_label, badge(_("Needs a person")))
        if intent.delivery in {Delivery.FAILED, Delivery.UNCONFIRMED}:
            return badge(intent.get_delivery_display())
        standing = intent.status_label or intent.get_delivery_display()
        return format_html("{} {}", standing, badge(_("Needs a person"))) if intent.stuck else standing

    @admin.display(description=gettext_lazy("checkout link"))
    def link(self, intent: PaymentIntent) -> SafeString | str:
        refusal = checkout.why_not_payable(intent)
        if refusal is not None:
            return format_html('<span class="truss-quiet" title="{}">{}</span>', refusal, NO_LINK[refusal.reason])
        return self.link_button(intent)

    def link_button(self, intent: PaymentIntent) -> SafeString:
        return self.copy_button(intent.checkout_url(), intent, str(intent.pk))

    # --- the list's actions

    # Refreshing asks Truss: never inside the request's transaction.
    @method_decorator(outside_transactions)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.POST.get("action") == "delete_selected":
            with write_transaction():
                return super().changelist_view(request, extra_context)
        return super().changelist_view(request, extra_context)

    @admin.action(permissions=["send"], description=SEND.title)
    def send_selected(self, request: HttpRequest, queryset: Selected) -> HttpResponse | None:
        return self._confirm_selected(request, SEND, queryset)

    @admin.action(permissions=["cancel"], description=CANCEL.title)
    def cancel_selected(self, request: HttpRequest, queryset: Selected) -> HttpResponse | None:
        return self._confirm_selected(request, CANCEL, queryset)

    def _confirm_selected(self, request: HttpRequest, verb: Verb, queryset: Selected) -> HttpResponse | None:
        if self.too_many(request, queryset.count(), self.most_asked, TOO_MANY):
            return None
        chosen = list(queryset.order_by("pk").values_list("pk", flat=True))
        return self.confirm(request, verb, chosen, request.get_full_path())

    @admin.action(permissions=["refresh"], description=REFRESH.title)
    def refresh_selected(self, request: HttpRequest, queryset: Selected) -> None:
        if not self.too_many(request, queryset.count(), self.at_once, TOO_MANY):
            self.refresh(request, self.chosen(queryset))

    @admin.action(permissions=["link"], description=gettext_lazy("Copy checkout links"))
    def copy_links(self, request: HttpRequest, queryset: Selected) -> HttpResponse | None:
        if self.too_many(request, queryset.count(), self.at_once, TOO_MANY):
            return None
        return self.links_page(request, self.chosen(queryset), request.get_full_path())

    # --- who may do what

    def has_change_permission(self, request: HttpRequest, obj: PaymentIntent | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_editable)

    def has_delete_permission(self, request: HttpRequest, obj: PaymentIntent | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.delivery == Delivery.UNSENT)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[Any]]:
        """Of a selection all must be unsent, or none is deleted. Locked: somebody may be sending one at this moment."""
        rows = PaymentIntent.objects.select_for_update().filter(pk__in=[intent.pk for intent in objs])
        sent = [intent for intent in rows.order_by("pk") if intent.delivery != Delivery.UNSENT]
        deletable, count, perms_needed, protected = super().get_deleted_objects(objs, request)
        # Nobody's permission is missing for these: the reason is said instead.
        perms_needed -= {self.opts.verbose_name} if self.has_delete_permission(request) else set()
        text = _("%(invoice)s (not a draft: %(delivery)s)")
        told = [text % {"invoice": intent, "delivery": intent.get_delivery_display().lower()} for intent in sent]
        return deletable, count, perms_needed, [*protected, *told]

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

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            only_company()
        except NotConnectedError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:truss_portal_paymentintent_changelist"))
        return super().add_view(request, form_url, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        intent = self.get_object(request, object_id) if object_id else None
        context = (extra_context or {}) | (self._told(request, intent) if intent else {})
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except (ActionRefusedError, InvalidRequestError) as error:
            self.message_user(request, why(error), messages.ERROR)
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: PaymentIntent, form: Any, change: bool) -> None:
        actions.save_draft(obj, actor=person(request))

    # --- what stands around the facts

    def _told(self, request: HttpRequest, intent: PaymentIntent) -> dict[str, Any]:
        operations = list(intent.operations.select_related("requested_by")[: timeline.SHOWN])
        for operation in operations:
            operation.payment_intent = intent
        may = request.user.has_perm
        told: dict[str, Any] = {
            "tools": [
                {
                    "url": f"{reverse(f'admin:truss_portal_paymentintent_{verb.name}')}?ids={intent.pk}",
                    "verb": verb,
                    "posted": verb.question is None,
                    "ids": intent.pk,
                    "next": request.path,
                }
                for verb in VERBS
                if self._may(request, verb.name) and not verb.why_not([intent])
            ],
            "notices": notices_of(request, intent, operations),
            **self.for_the_payer(request, intent),
        }
        told["tools"] += visibility_tools(request, invoice=intent.pk)
        if self.has_link_permission(request) and intent.is_payable:
            told["copy_button"] = self.link_button(intent)
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
