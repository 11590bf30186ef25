from django.apps import AppConfig
from django.core import checks


class SandboxConfig(AppConfig):
    name = "truss_portal.sandbox"
    label = "truss_sandbox"
    verbose_name = "Truss sandbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from truss_portal.sandbox.checks import check_deploy, check_router, check_settings

        checks.register(check_settings)
        checks.register(check_router, checks.Tags.database)
        checks.register(check_deploy, deploy=True)
