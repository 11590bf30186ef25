from collections.abc import Mapping, Sequence
from typing import ClassVar

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrustistConfig(AppConfig):
    name = "truss_portal.trustist"
    label = "truss_trustist"
    verbose_name = _("Trustist merchants")
    default_auto_field = "django.db.models.BigAutoField"
    # Who may what by default, see truss_portal.roles. Revealing keys is left to whom it is given by name.
    truss_roles: ClassVar[Mapping[str, Sequence[str]]] = {
        "viewer": ["view_invitation", "view_merchantkey", "view_webhookevent", "view_syncrun"],
        "clerk": ["invite_invitation", "refresh_invitation"],
        "manager": ["retry_invitation", "settle_invitation", "fetch_merchantkey"],
    }
    # Beside those of truss_check: see its command.
    truss_points = "truss_portal.trustist.checklist.points"

    def ready(self) -> None:
        import truss_portal.trustist.checks  # noqa: F401 - registers the system checks
        from truss_portal import plain_words, sealed_columns
        from truss_portal.trustist.plain_words import TEXTS
        from truss_portal.trustist.sealed import MERCHANT_KEY

        sealed_columns.register(MERCHANT_KEY)
        plain_words.learn(TEXTS)
