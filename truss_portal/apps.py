from collections.abc import Mapping, Sequence
from typing import ClassVar

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrussPortalConfig(AppConfig):
    name = "truss_portal"
    label = "truss_portal"
    verbose_name = _("Truss payments")
    default_auto_field = "django.db.models.BigAutoField"
    # Who may what by default, see truss_portal.roles. Deleting a company is left to superusers.
    truss_roles: ClassVar[Mapping[str, Sequence[str]]] = {
        "viewer": [
            "view_paymentintent",
            "view_contact",
            "view_company",
            "view_transaction",
            "view_operation",
            "view_batch",
            "view_timelineentry",
            "view_payerreturn",
            "view_syncrun",
            "view_webhookevent",
        ],
        "clerk": [
            "add_paymentintent",
            "change_paymentintent",
            "delete_paymentintent",
            "send_paymentintent",
            "amend_paymentintent",
            "resend_paymentintent",
            "refresh_paymentintent",
            "link_paymentintent",
            "export_paymentintent",
            "add_contact",
            "change_contact",
            "delete_contact",
        ],
        "manager": [
            "cancel_paymentintent",
            "retry_operation",
            "settle_operation",
            "retry_webhookevent",
            "add_company",
            "change_company",
            "connect_company",
            "secrets_company",
        ],
    }

    def ready(self) -> None:
        from truss_portal import checks  # noqa: F401 - registers the system checks
