"""Who the payer is: an email address, verified by a code that was sent to it.

Kept in a signed cookie of its own, for one company's portal only, so that the sandbox needs no session app.
"""

import datetime as dt
import hmac
import secrets
from dataclasses import dataclass

from django.core import signing
from django.db.models import F
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from truss_portal.sandbox import mailbox
from truss_portal.sandbox.models import Company, SignIn
from truss_portal.sandbox.urls_of import path_of

COOKIE = "truss_sandbox_payer"
MOST_TRIES = 5
_CODE_LIFETIME = dt.timedelta(minutes=10)
_COOKIE_LIFETIME = 12 * 60 * 60


class WrongCodeError(ValueError):
    """The code isn't right, or isn't any longer; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Payer:
    email: str = ""
    sign_in: int = 0
    """The row of the code that is being waited for; 0 when there is none."""

    @property
    def is_verified(self) -> bool:
        return bool(self.email) and not self.sign_in


def read(request: HttpRequest, company: Company) -> Payer:
    """Whoever the cookie speaks of; nobody when it is missing, forged or old."""
    try:
        email, sign_in = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_salt(company), max_age=_COOKIE_LIFETIME)
    except signing.BadSignature:
        return Payer()
    return Payer(email, sign_in)


def remember(response: HttpResponseBase, request: HttpRequest, company: Company, payer: Payer) -> None:
    response.set_cookie(
        COOKIE,
        signing.dumps([payer.email, payer.sign_in], salt=_salt(company)),
        max_age=_COOKIE_LIFETIME,
        path=path_of(request, "portal", company.checkout_link_id),
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )


def forget(response: HttpResponseBase, request: HttpRequest, company: Company) -> None:
    response.delete_cookie(COOKIE, path=path_of(request, "portal", company.checkout_link_id), samesite="Lax")


def send_code(company: Company, email: str) -> Payer:
    """Sends a code to any address, as a portal must that doesn't want to say who its customers are."""
    code = f"{secrets.randbelow(10**6):06}"
    sign_in = SignIn.objects.create(company=company, email=email, code=code, expires_at=timezone.now() + _CODE_LIFETIME)
    mailbox.send_code(company, email, code)
    return Payer(email, sign_in.pk)


def verify(payer: Payer, code: str) -> Payer:
    """Raises WrongCodeError, and counts the try."""
    now = timezone.now()
    waiting = SignIn.objects.filter(pk=payer.sign_in, used_at=None, expires_at__gt=now, tries__lt=MOST_TRIES)
    # The try is counted before the code is looked at, so that many at once get no more tries than one after the other.
    if not waiting.update(tries=F("tries") + 1):
        raise WrongCodeError("This code can't be used any more. Ask for a new one.")
    sign_in = SignIn.objects.get(pk=payer.sign_in)
    if not hmac.compare_digest(sign_in.code, code):
        raise WrongCodeError("That isn't the code. Look at the latest message, or ask for a new one.")
    SignIn.objects.filter(pk=sign_in.pk).update(used_at=now)
    return Payer(payer.email)


def _salt(company: Company) -> str:
    return f"truss_sandbox.payer.{company.slug}"
