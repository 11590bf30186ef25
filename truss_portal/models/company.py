from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from truss_portal.client import links
from truss_portal.conf import conf
from truss_portal.exceptions import NotPayableError


class CompanyQuerySet(models.QuerySet["Company"]):
    def of_this_environment(self) -> Self:
        """The companies that this site may speak for now: sandbox and production never mix."""
        return self.filter(environment=conf.environment)


class Company(models.Model):
    """A company at Truss that is paid through this site."""

    class Environment(models.TextChoices):
        LOCAL = "local", _("Local sandbox")
        SANDBOX = "sandbox", _("Truss sandbox")
        PRODUCTION = "production", _("Production")

    slug = models.SlugField(_("short name"), unique=True, help_text=_("Used in addresses and on the command line."))
    name = models.CharField(_("name"), max_length=255, blank=True)
    environment = models.CharField(_("environment"), max_length=10, choices=Environment)
    checkout_link_id = models.CharField(
        _("checkout link ID"),
        max_length=255,
        blank=True,
        help_text=_(
            "Part of the address of the company's payment portal: /pay/…/. Read from Truss; enter it by hand only "
            "where Truss doesn't give it. Empty: no portal set up."
        ),
    )
    extra = models.JSONField(_("further fields"), default=dict, blank=True, editable=False)
    # The start of the last complete listing: whatever was not changed by it was known to be so then.
    listed_at = models.DateTimeField(_("last complete sync"), null=True, editable=False)
    # The lease of the one sync run at a time: who holds it, and until when unless renewed.
    sync_token = models.CharField(max_length=32, blank=True, editable=False)
    sync_until = models.DateTimeField(null=True, editable=False)
    # Nothing of a webhook that isn't signed rightly is kept but that there was one.
    webhooks_refused = models.PositiveIntegerField(_("webhooks refused"), default=0, editable=False)
    webhooks_refused_at = models.DateTimeField(_("last one refused"), null=True, editable=False)
    webhooks_refused_why = models.CharField(_("because"), max_length=255, blank=True, editable=False)
    added_at = models.DateTimeField(_("added"), default=timezone.now, editable=False)

    objects = CompanyQuerySet.as_manager()

    class Meta:
        verbose_name = _("company")
        verbose_name_plural = _("companies")
        ordering = ["slug"]
        permissions = [
            ("connect_company", _("Can connect companies to Truss, and disconnect them")),
            ("secrets_company", _("Can set webhook secrets")),
        ]

    def __str__(self) -> str:
        return self.name or self.slug

    def portal_url(self) -> str:
        """The company's general payment portal, where a payer sees all their invoices. Raises NotPayableError."""
        if not self.checkout_link_id:
            raise NotPayableError(
                NotPayableError.Reason.NO_PORTAL,
                _("%(company)s has no payment portal link yet. Set it up in Truss, then run truss_sync.")
                % {"company": self},
            )
        return links.portal_url(conf.portal_url_for(self.environment), self.checkout_link_id)
