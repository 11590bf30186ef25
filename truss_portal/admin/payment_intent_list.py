"""The list of invoices: its columns, filters, search and actions."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import checkout
from truss_portal.database import outside_transactions, write_transaction
from truss_portal.models import Operation, PaymentIntent

from . import payment_intent_search
from .payment_intent_changelist import COUNTED, Left, PaymentIntentChangeList
from .payment_intent_filters import AttentionFilter, DueFilter, StatusFilter, companies, filters_by_company
from .payment_intent_links import PaymentIntentLinks
from .payment_intent_pages import TOO_MANY
from .payment_intent_ranges import AmountFilter, DueDateFilter, PayerFilter
from .payment_intent_verbs import CANCEL, REFRESH, RESEND, SEND, Verb
from .rows import badge, breakable, two_lines
from .wording import NO_LINK, NOTHING, day, is_overdue, money

Delivery = PaymentIntent.Delivery
Selected = QuerySet[PaymentIntent]


class PaymentIntentList(PaymentIntentLinks):
    """What finance staff look at first stands where a small screen shows it without scrolling."""

    list_display = ("number", "link", "payer", "left", "due", "standing", "amount", "paid")
    list_display_links = ("number",)
    list_filter = (
        StatusFilter,
        DueFilter,
        PayerFilter,
        AmountFilter,
        DueDateFilter,
        AttentionFilter,
        "delivery",
        "discovered",
    )
    list_select_related = ("company", "contact")
    date_hierarchy = "due_date"
    search_fields = ("reference", "addenda", "contact__name", "contact__email", "contact__secondary_email")
    search_help_text = gettext_lazy("Number, description, payer, email, Truss UID, or the mark in Truss's memo")
    # The newest here first: what was just written, imported or found at Truss is what one looks for. It is the order
    # of the primary key, which no change of a row moves, and which costs nothing.
    ordering = ("-pk",)
    # Counting each choice of each filter reads all invoices many times over; the overview has the counts that matter.
    show_facets = admin.ShowFacets.NEVER
    counted = COUNTED
    """So many invoices are counted and added up without being asked for."""
    always_inside = 100_000
    """Up to so many, every search looks inside numbers and descriptions; beyond, first only at how they begin."""
    actions = (
        "send_selected",
        "copy_links",
        "refresh_selected",
        "resend_selected",
        "cancel_selected",
        "export_csv",
        "export_xlsx",
    )
    empty_text = gettext_lazy(
        "No invoices yet. Write the first one with “Add invoice”, bring in a file of them with “Import”, or those that "
        "are at Truss already: run manage.py truss_sync."
    )

    class Media:
        css = {"all": ["truss_portal/list.css"]}

    # --- columns

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Who may not copy links doesn't see them; a company is named where there are several."""
        columns = [name for name in self.list_display if name != "link" or self.has_link_permission(request)]
        return columns if len(companies(request)) <= 1 else [*columns, "company"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*self.list_filter, *filters_by_company(request)]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PaymentIntentChangeList]:
        return PaymentIntentChangeList

    def get_queryset(self, request: HttpRequest) -> Selected:
        """With whether a request about it needs a person."""
        stuck = Exists(Operation.objects.for_a_person().filter(payment_intent=OuterRef("pk")))
        return super().get_queryset(request).annotate(stuck=stuck)

    def get_search_results(self, request: HttpRequest, queryset: Selected, search_term: str) -> tuple[Selected, bool]:
        return payment_intent_search.find(request, queryset, search_term, self.always_inside), False

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

    @admin.display(description=gettext_lazy("left"), ordering=Left())
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

    @admin.action(permissions=["refresh"], description=REFRESH.title)
    def refresh_selected(self, request: HttpRequest, queryset: Selected) -> HttpResponse | None:
        return self._confirm_selected(request, REFRESH, queryset)

    @admin.action(permissions=["resend"], description=RESEND.title)
    def resend_selected(self, request: HttpRequest, queryset: Selected) -> HttpResponse | None:
        return self._confirm_selected(request, RESEND, queryset)

    @admin.action(permissions=["cancel"], description=CANCEL.title)
    def cancel_selected(self, request: HttpRequest, queryset: Selected) -> HttpResponse | None:
        return self._confirm_selected(request, CANCEL, queryset)

    def _confirm_selected(self, request: HttpRequest, verb: Verb, queryset: Selected) -> HttpResponse | None:
        if self.too_many(request, queryset.count(), self.most_asked, TOO_MANY):
            return None
        chosen = list(queryset.order_by("pk").values_list("pk", flat=True))
        return self.confirm(request, verb, chosen, request.get_full_path())

    @admin.action(permissions=["link"], description=gettext_lazy("Copy checkout links"))
    def copy_links(self, request: HttpRequest, queryset: Selected) -> HttpResponse | None:
        if self.too_many(request, queryset.count(), self.most_asked, TOO_MANY):
            return None
        return self.links_page(request, queryset, request.get_full_path())
