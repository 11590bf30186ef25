from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from .company import Company


def name_key(name: str) -> str:
    """What two names have in common that Truss might take for one: letter case and spacing aside.

    A column of its own, because databases don't agree on what letter case is.
    """
    return " ".join(name.split()).casefold()[:255]


class Contact(models.Model):
    """Who pays: Truss's customer. Without a `uid` it exists only here until the first invoice is sent."""

    company = models.ForeignKey(Company, on_delete=models.PROTECT, related_name="contacts", verbose_name=_("company"))
    uid = models.UUIDField(_("Truss UID"), null=True, blank=True, editable=False)
    name = models.CharField(_("name"), max_length=255, db_index=True)
    name_key = models.CharField(max_length=255, editable=False)
    email = models.CharField(_("email"), max_length=320, blank=True, db_index=True)
    secondary_email = models.CharField(_("secondary email"), max_length=320, blank=True, db_index=True)
    phone = models.CharField(_("phone"), max_length=32, blank=True)
    extra = models.JSONField(_("further fields"), default=dict, blank=True, editable=False)
    fetched_at = models.DateTimeField(_("last asked"), null=True, editable=False)

    class Meta:
        verbose_name = _("payer")
        verbose_name_plural = _("payers")
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["company", "uid"], name="truss_contact_uid")]
        indexes = [models.Index(fields=["company", "name_key"], name="truss_contact_name_key")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name_key = name_key(self.name)
        if (written := kwargs.get("update_fields")) is not None and "name" in written:
            kwargs["update_fields"] = {*written, "name_key"}
        super().save(*args, **kwargs)

    def has_email(self, email: str) -> bool:
        """Whether that is this contact's own email, letter case aside."""
        return self.email.casefold() == email.casefold()

    def masked_email(self) -> str:
        """Enough of the email for its owner to recognise it: `a•••@example.com`."""
        name, at, host = self.email.partition("@")
        return f"{name[:1]}•••{at}{host}" if at else ""
