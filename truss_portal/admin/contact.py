"""Payers: ours until the first invoice is sent, Truss's customers afterwards."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from truss_portal import actions, contacts
from truss_portal.client.request_bodies import NAME_MAX, PHONE_MAX
from truss_portal.database import alias, outside_transactions
from truss_portal.exceptions import NotConnectedError
from truss_portal.models import Contact, Operation
from truss_portal.outbox import today

from .payer_hints import PayerHints, hints_url, namesake_warning
from .payment_intent_form import only_company
from .rows import person
from .visibility import LeadsToVisibility, tools
from .wording import broken_rule, payer

if TYPE_CHECKING:
    _Form = forms.ModelForm[Contact]
else:
    _Form = forms.ModelForm

WRITTEN_BY_PEOPLE = ("name", "email", "secondary_email", "phone")


class ContactForm(_Form):
    """Says at each field which of Truss's rules it breaks, and which other payer it would be mixed up with."""

    class Meta:
        model = Contact
        fields = ("company", *WRITTEN_BY_PEOPLE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, limit in (("name", NAME_MAX), ("phone", PHONE_MAX)):
            if name in self.fields:
                self.fields[name].widget.attrs["maxlength"] = limit
        if "email" in self.fields:
            self.fields["email"].required = True
        if "name" in self.fields:
            about = "" if self.instance._state.adding else str(self.instance.pk)
            self.fields["name"].widget.attrs |= {"data-truss-hints": hints_url(), "data-truss-pk": about}

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.changed_data if name in WRITTEN_BY_PEOPLE}

    def clean(self) -> dict[str, Any] | None:
        super().clean()
        if self.errors:
            return self.cleaned_data
        if not self.instance.company_id and "company" not in self.fields:
            company = only_company()
            if company is not None:
                self.instance.company = company
        for rule in contacts.broken_rules(self.instance, self.changes(), today()):
            name, sentence = broken_rule(rule)
            self.add_error(name or None, sentence)
        if self.instance.uid is None and not self.errors:
            self._check_namesakes()
        return self.cleaned_data

    def _check_namesakes(self) -> None:
        """Truss tells customers apart by their names: two of one name would overwrite each other's email."""
        given = self.cleaned_data
        others = Contact.objects.filter(company=given.get("company") or self.instance.company).exclude(
            pk=self.instance.pk
        )
        warning = namesake_warning(others, given["name"], given["email"])
        if warning:
            self.add_error("name", warning)


class PayerChoices(AutocompleteJsonView):
    """Answers the search for a payer with emails: two payers may share a name."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        return super().serialize_result(obj, to_field_name) | {"text": payer(obj)}


@admin.register(Contact)
class ContactAdmin(PayerHints, LeadsToVisibility[Contact]):
    """A payer that Truss has is changed by asking Truss; another one just here."""

    form = ContactForm
    list_display = ("name", "email", "secondary_email", "phone", "at_truss", "invoices")
    list_filter = (("uid", admin.EmptyFieldListFilter), "company")
    list_select_related = ("company",)
    search_fields = ("name", "email", "secondary_email", "phone")
    search_help_text = gettext_lazy("Name, email, phone, or Truss UID")
    uid_fields = ("uid",)
    empty_text = gettext_lazy(
        "No payers yet. They come with the first sync (manage.py truss_sync), or add one and write them an invoice."
    )

    class Media:
        css = {"all": ["truss_portal/invoice.css"]}
        js = ["admin/js/jquery.init.js", "truss_portal/payer.js"]

    # --- addresses

    def get_urls(self) -> list[URLPattern]:
        choices: Callable[..., HttpResponse] = PayerChoices.as_view(admin_site=self.admin_site)  # type: ignore[assignment]
        page = path("choices/", self.admin_site.admin_view(choices), name="truss_portal_contact_choices")
        return [page, *super().get_urls()]

    # --- the list

    @admin.display(description=gettext_lazy("at Truss"), boolean=True, ordering="uid")
    def at_truss(self, contact: Contact) -> bool:
        return contact.uid is not None

    @admin.display(description=gettext_lazy("invoices"))
    def invoices(self, contact: Contact) -> SafeString:
        url = reverse("admin:truss_portal_paymentintent_changelist")
        return format_html('<a href="{}?contact__id__exact={}">{}</a>', url, contact.pk, _("Show"))

    # --- the page of one

    def get_fieldsets(self, request: HttpRequest, obj: Contact | None = None) -> Any:
        several = [] if obj is None and not self._must_choose_company() else ["company"]
        facts = (None, {"fields": [*several, *WRITTEN_BY_PEOPLE]})
        if obj is None or obj.uid is None:
            return [facts]
        note = _(
            "Truss has this payer: saving asks Truss to change them. They sign in to the payment portal with one of "
            "these emails, and see the invoices sent to it."
        )
        return [
            (None, facts[1] | {"description": note}),
            (gettext_lazy("At Truss"), {"fields": ["uid", "fetched_at", *(["extra"] if obj.extra else [])]}),
        ]

    def _must_choose_company(self) -> bool:
        try:
            return only_company() is None
        except NotConnectedError:
            return True

    def get_readonly_fields(self, request: HttpRequest, obj: Contact | None = None) -> list[str]:
        return [] if obj is None else ["company", "uid", "fetched_at", "extra"]

    def has_delete_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.uid is None)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[Any]]:
        """Of a selection none may be Truss's customer, or nobody is deleted."""
        deletable, count, perms_needed, protected = super().get_deleted_objects(objs, request)
        # Nobody's permission is missing for these: the reason is said instead.
        perms_needed -= {self.opts.verbose_name} if self.has_delete_permission(request) else set()
        text = _("%(payer)s (a customer at Truss)")
        told = [text % {"payer": payer(contact)} for contact in objs if contact.uid]
        return deletable, count, perms_needed, [*protected, *told]

    # --- changing

    # Django saves in a transaction of its own, and Truss is asked when that is committed: before the answer is written.
    @method_decorator(outside_transactions)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        told = {"tools": tools(request, payer=object_id), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, told)

    def save_model(self, request: HttpRequest, obj: Contact, form: Any, change: bool) -> None:
        if obj.uid is None:
            super().save_model(request, obj, form, change)
            return
        changes = form.changes()
        if not changes:
            self.message_user(request, _("Nothing was changed, so Truss was not asked."), messages.INFO)
            return
        # The form has written into `obj`; Truss's answer goes to the row as it is.
        row = Contact.objects.select_related("company").get(pk=obj.pk)
        operation = actions.update_contact(row, actor=person(request), **changes)
        transaction.on_commit(lambda: self._tell(request, row, operation), using=alias())

    def _tell(self, request: HttpRequest, contact: Contact, operation: Operation | None) -> None:
        state = operation.state if operation else Operation.State.DONE
        names = {"payer": contact, "error": operation.error if operation else ""}
        if state == Operation.State.DONE:
            self.message_user(request, _("Truss has changed %(payer)s.") % names, messages.SUCCESS)
        elif state == Operation.State.REFUSED:
            self.message_user(request, _("Truss refused to change %(payer)s: %(error)s") % names, messages.ERROR)
        else:
            text = _("The change of %(payer)s waits; truss_push asks Truss by itself. %(error)s") % names
            self.message_user(request, text.strip(), messages.WARNING)

    def response_change(self, request: HttpRequest, obj: Contact) -> HttpResponse:
        """What came of it is told when Truss has answered."""
        if obj.uid is None or IS_POPUP_VAR in request.POST:
            return super().response_change(request, obj)
        if "_continue" in request.POST:
            return HttpResponseRedirect(request.path)
        if "_addanother" in request.POST:
            return HttpResponseRedirect(reverse("admin:truss_portal_contact_add"))
        return self.response_post_save_change(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        return super().get_queryset(request).select_related("company")
