"""Browsers that came back from Truss."""

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from truss_portal.models import PayerReturn
from truss_portal.models.payment_intent import STATUS_LABELS

from .rows import ReadOnlyAdmin, page_link
from .wording import NOTHING


@admin.register(PayerReturn)
class PayerReturnAdmin(ReadOnlyAdmin[PayerReturn]):
    list_display = ("at", "invoice", "claimed_result", "known_status")
    list_filter = ("claimed_result", "at")
    list_select_related = ("payment_intent",)
    search_fields = ("payment_intent__reference", "payment_intent__addenda")
    search_help_text = _("Invoice, or Truss UID")
    uid_fields = ("payment_intent__uid",)
    empty_text = _(
        "Nobody has come back yet. A payer comes back to this site after paying once TRUSS_PORTAL names a RETURN_URL "
        "that Truss has allowlisted."
    )
    fields = ("at", "invoice", "claimed_result", "known_status")

    @admin.display(description=_("invoice"))
    def invoice(self, payer_return: PayerReturn) -> SafeString | str:
        return page_link(payer_return.payment_intent)

    @admin.display(description=_("status we knew then"), ordering="status")
    def known_status(self, payer_return: PayerReturn) -> str:
        return str(STATUS_LABELS.get(payer_return.status, payer_return.status)) or NOTHING
