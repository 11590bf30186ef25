"""Where the payer's browser comes back to, and where Truss tells us of changes."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import TemplateView, View

from truss_portal import checkout, tasks, timeline, webhooks
from truss_portal.client import SIGNATURE_HEADER, TrussError
from truss_portal.connection import connect
from truss_portal.database import outside_transactions, write_transaction
from truss_portal.exceptions import NotConnectedError, NotPayableError
from truss_portal.models import PayerReturn, PaymentIntent, TimelineEntry
from truss_portal.sync import refresh

logger = logging.getLogger("truss_portal.views")

# However often the page is loaded, Truss is asked about one invoice at most so often.
LOOK_AT_MOST_EVERY: Final = timedelta(seconds=4)
# The page of a payment that is being confirmed looks again by itself, after so many seconds each: four minutes in all.
LOOK_AGAIN_AFTER: Final = (5, 5, 5, 10, 10, 15, 15, 30, 30, 30, 30, 30, 30)
LOOK_PARAMETER: Final = "look"


@method_decorator(never_cache, name="dispatch")
class ReturnView(TemplateView):
    """Truss sends the payer here with `payment_intent_uid` and `result`, which anybody can write into an address.

    They prove nothing: the page tells what the mirror knows after a look at Truss, and only to who carries our signed
    token. https://docs.trusspayments.com/guides/partner-payment-portal
    """

    template_name = "truss_portal/return.html"
    http_method_names = ["get", "head", "options"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        return outside_transactions(super().as_view(**initkwargs))

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        intent = self._intent()
        looks = self._looks()
        # Anybody writes here what they like; a database doesn't take every character.
        claimed = "".join(filter(str.isprintable, request.GET.get("result", "")[:32]))
        # Neither a HEAD nor a browser that loads a page beforehand is a payer who came back.
        guessing = "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
        if looks == 0 and request.method == "GET" and not guessing:
            self._log(intent, claimed)
        if intent is not None:
            self._look(intent)
        response = self.render_to_response(self.get_context_data(**self._told(intent, claimed, looks)))
        # The address carries the token: it is nobody else's business.
        response["Referrer-Policy"] = "same-origin"
        response["X-Robots-Tag"] = "noindex"
        return response

    def _intent(self) -> PaymentIntent | None:
        """The invoice that our token names, unless the address claims another one."""
        mark = checkout.read_token(self.request.GET.get(checkout.TOKEN_PARAMETER, ""))
        if mark is None:
            return None
        intent = PaymentIntent.objects.select_related("company", "contact").filter(memo_reference=mark).first()
        claimed_uid = self.request.GET.get("payment_intent_uid")
        if intent is None or (claimed_uid and claimed_uid.lower() != str(intent.uid)):
            return None
        return intent

    def _looks(self) -> int:
        """How often this page has looked by itself already."""
        looks = self.request.GET.get(LOOK_PARAMETER, "0")[:3]
        return int(looks) if looks.isascii() and looks.isdigit() else 0

    def _log(self, intent: PaymentIntent | None, claimed: str) -> None:
        with write_transaction():
            PayerReturn.objects.create(
                payment_intent=intent, claimed_result=claimed, status=intent.status if intent else ""
            )
            if intent is not None:
                timeline.record(intent, TimelineEntry.Kind.PAYER_RETURNED, result=claimed)

    def _look(self, intent: PaymentIntent) -> None:
        try:
            with connect(intent.company, hurried=True) as client:
                refresh(intent, client=client, not_within=LOOK_AT_MOST_EVERY)
        except (TrussError, NotConnectedError) as error:
            logger.warning("A payer came back for invoice %s, and Truss could not be asked: %s", intent, error)

    def _told(self, intent: PaymentIntent | None, claimed: str, looks: int) -> dict[str, Any]:
        """What the page may say. `state` names it: thanks, paid, part_paid, confirming, open, canceled, other."""
        told: dict[str, Any] = {"state": "thanks", "next_url": self._next_url()}
        if intent is None:
            return told
        told |= {"payment_intent": intent, "state": _state(intent, claimed)}
        if told["state"] in {"part_paid", "open"}:
            try:
                told["checkout_url"] = intent.checkout_url(told["next_url"])
            except NotPayableError as error:
                told["why_no_link"] = str(error)
            told["masked_email"] = intent.contact.masked_email() if intent.contact else ""
        if told["state"] == "confirming" and looks < len(LOOK_AGAIN_AFTER):
            query = self.request.GET.copy()
            query[LOOK_PARAMETER] = str(looks + 1)
            told |= {"look_again_after": LOOK_AGAIN_AFTER[looks], "look_again_url": f"?{query.urlencode()}"}
        return told

    def _next_url(self) -> str:
        url = self.request.GET.get(checkout.NEXT_PARAMETER, "")
        allowed = {self.request.get_host()}
        safe = url_has_allowed_host_and_scheme(url, allowed_hosts=allowed, require_https=self.request.is_secure())
        return url if safe else ""


class WebhookView(View):
    """Truss posts here that something has changed. What isn't rightly signed is answered 4xx, by Django's own handling
    of the exceptions that `webhooks` raises; what is, 200 without a body as soon as it is stored.

    Truss is asked later, by a task: in this very request only where tasks run at once, with the immediate backend.
    """

    http_method_names = ["post"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        view: Any = outside_transactions(super().as_view(**initkwargs))
        exempt: Callable[..., HttpResponse] = login_not_required(csrf_exempt(view))
        return exempt

    def post(self, request: HttpRequest, company: str) -> HttpResponse:
        addressee = webhooks.addressee(company)
        if addressee is None:
            raise Http404(_("There is no company “%(slug)s” in this environment.") % {"slug": company})
        body = read_body(request, webhooks.BODY_MAX)
        if body is None:
            error = webhooks.refuse(
                addressee.company, _("It is longer than %(max)d bytes.") % {"max": webhooks.BODY_MAX}
            )
            logger.warning("%s", error)
            return HttpResponse(status=413)
        if webhooks.receive(addressee, body, request.headers.get(SIGNATURE_HEADER)):
            tasks.wake(tasks.process_webhooks, addressee.company.pk)
        return HttpResponse()


def read_body(request: HttpRequest, most: int) -> bytes | None:
    """The raw body, or None where it has more bytes: nobody's body is read any further than that.

    Raises BadRequest where it breaks off.
    """
    told = request.META.get("CONTENT_LENGTH") or "0"
    if told.isascii() and told.isdigit() and int(told[:9]) > most:
        return None
    body = b""
    try:
        while len(body) <= most and (more := request.read(most + 1 - len(body))):
            body += more
    except UnreadablePostError:
        raise BadRequest(_("The webhook broke off.")) from None
    return body if len(body) <= most else None


def _state(intent: PaymentIntent, claimed: str) -> str:
    """The truth as the mirror has it. What the address claims only chooses between "open" and "being confirmed"."""
    status = intent.Status
    if intent.status == status.PAID:
        return "paid"
    if intent.status == status.CANCELED:
        return "canceled"
    if intent.missing_since or intent.status not in status.PAYABLE:
        return "other"
    # By the letter of Truss's guide one who has paid too much has paid a part.
    if intent.balance_due <= 0:
        return "paid"
    if intent.balance_paid > 0:
        return "part_paid"
    return "confirming" if claimed == "success" else "open"
