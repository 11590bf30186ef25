from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrussPortalConfig(AppConfig):
    name = "truss_portal"
    label = "truss_portal"
    verbose_name = _("Truss payments")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from truss_portal import checks  # noqa: F401 - registers the system checks
