"""What the pretend Truss remembers.

Rows are only ever deleted by a reset of everything or to let one intent vanish, both of which delete children first.
So the foreign keys say DO_NOTHING: Django then deletes in one statement per table instead of fetching what it is
about to delete.
"""

import hashlib
import uuid
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils import timezone

from truss_portal.sandbox import conf

SCOPES = (
    "payment_intent.inbound:read",
    "payment_intent.inbound:write",
    "transactions:read",
    "contacts:write",
)
PAYABLE = ("Pending", "PartiallyPaid")
SHOWN_TO_PAYERS = (*PAYABLE, "Paid")
DEFAULT_SLUG = "default"
PARTNER_PREFIX = "trustist-"
"""Of the slugs of Trustist's partners, so that they never are those of companies that are paid through Truss."""


def name_digest(name: str) -> str:
    """What contacts are matched by: names may be of any length, and match exactly whatever the database's collation."""
    return hashlib.sha256(name.encode()).hexdigest()


class Company(models.Model):
    """A business that is paid through Truss; or one that invites others to Trustist: `trustist.models.Partner`."""

    slug = models.SlugField(unique=True)
    is_partner = models.BooleanField(default=False, help_text="Of Trustist's, and unknown to Truss.")
    overrides = models.JSONField(default=dict, help_text="What has been set otherwise than the settings say.")
    revision = models.PositiveBigIntegerField(default=0, help_text="Counted up first in every write: this is the lock.")
    webhooks_held = models.BooleanField(default=False, help_text="Events are collected, and sent when released.")
    webhook_copies = models.PositiveSmallIntegerField(default=1, help_text="How often each event is sent.")
    webhooks_to_lose = models.PositiveIntegerField(default=0, help_text="How many of the next events are never sent.")

    class Meta:
        verbose_name_plural = "companies"

    def __str__(self) -> str:
        return self.name

    def _get(self, key: str, default: Any) -> Any:
        return self.overrides.get(key, default)

    @property
    def name(self) -> str:
        return str(self._get("name", conf.get("COMPANY_NAME") if self.slug == DEFAULT_SLUG else self.slug))

    @property
    def checkout_link_id(self) -> str:
        """Empty while the company has set up no payment portal."""
        return str(
            self._get("checkout_link_id", conf.get("CHECKOUT_LINK_ID") if self.slug == DEFAULT_SLUG else self.slug)
        )

    @property
    def allowed_redirects(self) -> list[str]:
        return list(self._get("allowed_redirects", conf.get("ALLOWED_REDIRECTS")))

    @property
    def scopes(self) -> list[str]:
        """What the company grants to the partner; no token gives more, even if it has been issued before."""
        return list(self._get("scopes", SCOPES))

    def granted(self, scopes: list[str] | None) -> list[str]:
        """What is left of the scopes that were asked for. None asks for all."""
        return [scope for scope in self.scopes if scopes is None or scope in scopes]

    @property
    def page_size_max(self) -> int:
        return int(self._get("page_size_max", 100))

    @property
    def token_lifetime(self) -> int:
        """Seconds; Truss publishes 60 minutes."""
        return int(self._get("token_lifetime", 3600))

    @property
    def custom_payments(self) -> bool:
        """Whether payers may send any amount that belongs to no invoice: on unless switched off, as at Truss."""
        return bool(self._get("custom_payments", True))

    @property
    def rotate_refresh(self) -> bool:
        """Whether a refresh gives a new refresh token and kills the old one; Truss doesn't publish what it does."""
        return bool(self._get("rotate_refresh", True))

    @property
    def echo_state(self) -> bool:
        """Whether the consent page gives `state` back; Truss doesn't publish whether it does."""
        return bool(self._get("echo_state", True))

    @property
    def webhook_url(self) -> str:
        """Where the company's events are sent. Empty while it has no address: no events are made then."""
        setting = {DEFAULT_SLUG: "WEBHOOK_URL", PARTNER_PREFIX + DEFAULT_SLUG: "TRUSTIST_WEBHOOK_URL"}.get(self.slug)
        return str(self._get("webhook_url", conf.get(setting) if setting else ""))

    @property
    def webhook_secret(self) -> str:
        """64 hex digits; empty where events aren't signed."""
        return str(self._get("webhook_secret", conf.get("WEBHOOK_SECRET")))

    @property
    def webhook_encoding(self) -> str:
        """Which bytes key the HMAC, as that isn't published: the secret's "text", or those that it is the "hex" of."""
        return str(self._get("webhook_encoding", "text"))

    @property
    def webhook_payload(self) -> str:
        """What an event tells: the "whole" intent, or only what the "as_published" example shows, which has no uid."""
        return str(self._get("webhook_payload", "whole"))

    @property
    def webhook_pauses(self) -> list[float]:
        """Seconds before each further try to deliver an event; after the last one it is given up."""
        return list(self._get("webhook_pauses", (0.2, 0.5, 1.0)))


class Contact(models.Model):
    """A customer of a company. Empty text stands for what the API calls null."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4)
    company = models.ForeignKey(Company, models.DO_NOTHING)
    name = models.TextField()
    name_digest = models.CharField(max_length=64)
    email = models.CharField(max_length=254, blank=True)
    secondary_email = models.CharField(max_length=254, blank=True)
    phone = models.CharField(max_length=11, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["company", "name_digest"], name="truss_sandbox_contact_name")]

    def __str__(self) -> str:
        return self.name

    def may_sign_in_with(self, email: str) -> bool:
        return bool(email) and email.casefold() in (self.email.casefold(), self.secondary_email.casefold())


class PaymentIntent(models.Model):
    """An invoice; the columns have Truss's names and meaning."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4)
    company = models.ForeignKey(Company, models.DO_NOTHING)
    contact = models.ForeignKey(Contact, models.DO_NOTHING)
    total = models.DecimalField(max_digits=14, decimal_places=2)
    balance_paid = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0.00"))
    addenda = models.CharField(max_length=80)
    direction = models.SmallIntegerField(default=0)
    note = models.TextField(blank=True)
    memo = models.TextField(blank=True)
    due_date = models.DateField(null=True)
    status = models.CharField(max_length=64, default="Pending")
    created_at = models.DateTimeField(default=timezone.now)
    pending_at = models.DateTimeField(null=True, default=timezone.now)
    paid_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)
    extra = models.JSONField(default=dict, help_text="Laid over the answer: further fields, or nonsense in known ones.")

    def __str__(self) -> str:
        return f"{self.addenda} ({self.uid})"

    @property
    def remaining(self) -> Decimal:
        return self.total - self.balance_paid


class Transaction(models.Model):
    """A payment, or what takes one back. One without an intent is a custom payment."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4)
    company = models.ForeignKey(Company, models.DO_NOTHING)
    payment_intent = models.ForeignKey(PaymentIntent, models.DO_NOTHING, null=True, related_name="transactions")
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    addenda = models.CharField(max_length=80, blank=True)
    type = models.CharField(max_length=32, default="transaction")
    payment_method = models.CharField(max_length=32)
    status = models.CharField(max_length=32, default="PendingCredit")
    direction = models.SmallIntegerField(default=0)
    date = models.DateTimeField(default=timezone.now)
    preprocessed_at = models.DateTimeField(null=True)
    processed_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    returned_at = models.DateTimeField(null=True)
    payer_email = models.CharField(max_length=254, blank=True)

    def __str__(self) -> str:
        return f"{self.payment_method} {self.amount} ({self.uid})"


class AuthorizationCode(models.Model):
    """What a company's user has brought back to the partner; good for one exchange."""

    code = models.CharField(max_length=64, unique=True)
    company = models.ForeignKey(Company, models.DO_NOTHING)
    redirect_uri = models.TextField()
    scopes = models.JSONField(null=True, help_text="What was agreed to; null means all that the company grants.")
    code_challenge = models.CharField(max_length=128, blank=True, help_text="PKCE, S256; empty where none was sent.")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"authorization code {self.pk}"


class Token(models.Model):
    """An access token and the refresh token that came with it; the latter dies when it is used.

    Where a company's refresh tokens don't rotate, nobody is told those of the tokens that come from a refresh.
    """

    access_token = models.CharField(max_length=64, unique=True)
    refresh_token = models.CharField(max_length=64, unique=True)
    company = models.ForeignKey(Company, models.DO_NOTHING)
    scopes = models.JSONField(null=True, help_text="As in the authorization code.")
    expires_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"token {self.pk}"


class WebhookEvent(models.Model):
    """What a company's webhook address is told, is to be told, or should have been told."""

    class Fate(models.TextChoices):
        SENT = "sent"
        HELD = "held"
        LOST = "lost"

    event_id = models.UUIDField(unique=True, default=uuid.uuid4)
    company = models.ForeignKey(Company, models.DO_NOTHING)
    event_name = models.TextField()
    payment_intent_uid = models.UUIDField(null=True)
    body = models.TextField(help_text="To the letter as it is sent, in UTF-8.")
    forgery = models.CharField(max_length=16, blank=True, help_text="How it is forged; empty for Truss's own events.")
    fate = models.CharField(max_length=8, choices=Fate.choices, default=Fate.SENT)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.event_name} ({self.event_id})"


class WebhookDelivery(models.Model):
    """One sending of an event, with all its tries. Those of a company are made one after the other, by `id`."""

    event = models.ForeignKey(WebhookEvent, models.DO_NOTHING, related_name="deliveries")
    company = models.ForeignKey(Company, models.DO_NOTHING)
    is_waiting = models.BooleanField(default=True, help_text="Until it is delivered or given up.")
    due_at = models.DateTimeField(
        default=timezone.now, help_text="No try before this. Whoever makes one first puts it off: this is the claim."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    last_status = models.PositiveSmallIntegerField(null=True, help_text="Null where the last try got no answer.")
    error = models.CharField(max_length=200, blank=True, help_text="Why the last try got no answer.")
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [models.Index(fields=["company", "is_waiting", "id"], name="truss_sandbox_waiting")]

    def __str__(self) -> str:
        return f"delivery {self.pk} of {self.event_id}"


class SignIn(models.Model):
    """A code that was sent to a payer's email address."""

    company = models.ForeignKey(Company, models.DO_NOTHING)
    email = models.CharField(max_length=254)
    code = models.CharField(max_length=6)
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"sign-in of {self.email}"


class Mail(models.Model):
    """A message that the real Truss would have sent. It stays here."""

    company = models.ForeignKey(Company, models.DO_NOTHING)
    kind = models.CharField(max_length=8, choices=[("email", "email"), ("sms", "text message")], default="email")
    to = models.CharField(max_length=254)
    subject = models.CharField(max_length=255)
    body = models.TextField()
    link = models.TextField(blank=True)
    code = models.CharField(max_length=6, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.subject} to {self.to}"


class Fault(models.Model):
    """Something that shall go wrong at the API; `faults.py` says what each kind does."""

    kind = models.CharField(max_length=16)
    method = models.CharField(max_length=16, default="*")
    path = models.TextField(help_text="A regular expression that is searched for in the path, such as /v1/company/.")
    count = models.PositiveIntegerField(null=True, help_text="How many times more; none means for ever.")
    probability = models.FloatField(default=1.0)
    seconds = models.FloatField(default=0.1)
    retry_after = models.PositiveIntegerField(null=True, default=1)
    status = models.PositiveSmallIntegerField(default=503)

    def __str__(self) -> str:
        return f"{self.kind} on {self.method} {self.path}"


# Django looks for an app's models here and nowhere else.
import truss_portal.sandbox.trustist.models  # noqa: E402, F401
