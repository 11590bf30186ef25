"""Truss's operations: the page on which each is one method."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from truss_portal.client import addresses, resources
from truss_portal.client.answers import Answer
from truss_portal.client.api import Api
from truss_portal.client.exceptions import FieldError, InvalidRequestError, UnansweredError
from truss_portal.client.pacing import LONGEST_REST, Pace, pace_of
from truss_portal.client.providers import TRUSS
from truss_portal.client.request_bodies import (
    CreateInboundPaymentIntentRequest,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)
from truss_portal.client.resources import Company, Contact, Page, PaymentIntent
from truss_portal.client.transport import ANSWER_SECONDS, Transport, utc_now

COMPANY_PATH: Final = "/v1/company/"
INTENTS_PATH: Final = "/v1/payment-intents/inbound/"
INTENT_PATH: Final = "/v1/payment-intents/inbound/{uid}/"
CANCEL_PATH: Final = "/v1/payment-intents/inbound/{uid}/cancel/"
CONTACT_PATH: Final = "/v1/contacts/{uid}/"

_CANCEL_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class TrussClient(Api):
    """Speaks to Truss for one company.

    Every method but `close` and `stop_waiting` touches the network, and raises TrussError.

    One client may be used by several threads at once: its one `requests.Session` is only read after it was set up
    (it takes no cookies), and the connection pool behind it is made for threads. A `token` that is called must be
    thread-safe itself. `close` when all threads are done.
    """

    def __init__(
        self,
        api_url: str,
        token: Callable[[], str] | str,
        *,
        on_unauthorized: Callable[[str], bool] | None = None,
        timeout: tuple[float, float] = (5, 30),
        page_size: int = 100,
        cancel_path: str = CANCEL_PATH,
        cancel_method: str = "POST",
        get_attempts: int = 4,
        patience: float = LONGEST_REST,
        answer_seconds: float = ANSWER_SECONDS,
        clock: Callable[[], datetime] = utc_now,
        pace: Pace | None = None,
    ) -> None:
        """Touches no network. Raises ValueError for settings that can't work.

        `api_url` may have a path, which goes before every path of Truss's. `token` is called for every request, where
        it is callable: renewing it is the caller's business. `timeout` is in seconds: to connect, and between two
        bytes of an answer. `answer_seconds` is the time for a whole answer, however steadily it comes; it may take one
        more time-out than that. Truss publishes neither path nor method for canceling; an empty `cancel_path` switches
        it off.

        After a 429 every client of this process leaves that host alone for a while. `patience` is how many seconds one
        call waits for its turn at the most: who would have to wait longer isn't made to wait, and raises HeldBackError.

        `on_unauthorized` is called with a token to which Truss has answered 401. Where it answers True, there is a
        better one, and the request is made once more.

        `clock` gives the aware time at which we asked; `pace` is another pace than the one this process has for the
        host, for tests.
        """
        base = addresses.check_base(api_url)
        if page_size < 1:
            raise ValueError(f"page_size must be at least 1, not {page_size!r}.")
        if cancel_path and not (cancel_path.startswith("/") and "{uid}" in cancel_path):
            raise ValueError(f'cancel_path must begin with a slash and contain "{{uid}}", not {cancel_path!r}.')
        if cancel_method not in _CANCEL_METHODS:
            methods = ", ".join(sorted(_CANCEL_METHODS))
            raise ValueError(f"cancel_method must be one of {methods}, not {cancel_method!r}.")
        self._page_size = page_size
        self._cancel_path = cancel_path
        self._cancel_method = cancel_method
        self._clock = clock
        transport = Transport(
            TRUSS,
            timeout=timeout,
            pace=pace or pace_of(base),
            patience=patience,
            get_attempts=get_attempts,
            answer_seconds=answer_seconds,
            clock=clock,
        )
        super().__init__(
            base, transport, token=token if callable(token) else lambda: token, on_unauthorized=on_unauthorized
        )

    def fetch_company(self) -> Company:
        """https://docs.trusspayments.com/guides/partner-payment-portal: published for its `checkout_link_id` only."""
        answer = self._get(COMPANY_PATH)
        return answer.parsed(resources.parse_company)

    def fetch_clock_offset(self) -> timedelta | None:
        """How far Truss's clock is ahead of ours; None where its answer tells no time. To about a second.

        Webhooks carry the time at which they were signed: clocks that differ too much make them look old.
        """
        answer = self._get(COMPANY_PATH)
        if answer.date is None:
            return None
        answered_at = self._clock()
        # Its time is of some moment between the two of ours.
        return answer.date - (answer.asked_at + (answered_at - answer.asked_at) / 2)

    def list_payment_intents(self) -> Iterator[Page]:
        """All pages, each fetched when it is asked for. An item may come twice when the list changes meanwhile.

        The listing was complete only if the iterator ends by itself: a `next` that is missing, leads elsewhere or leads
        back raises UnreadableAnswerError.

        https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/get/v1/payment-intents/inbound
        """
        url = f"{self._base}{INTENTS_PATH}?{urlencode({'limit': self._page_size, 'offset': 0})}"
        seen = {url}
        while True:
            answer = self._fetch(url)
            page, following = answer.parsed(partial(resources.parse_page, fetched_at=answer.asked_at))
            yield _cleaned(page, answer) if page.rejected else page
            if following is None:
                return
            try:
                url = addresses.check_next(following, current=url, base=self._base)
            except ValueError as error:
                raise answer.unreadable(f"the address of the next page {error}") from None
            if url in seen or not (page.payment_intents or page.rejected):
                raise answer.unreadable("the pages lead in a circle")
            seen.add(url)

    def fetch_payment_intent(self, uid: UUID) -> PaymentIntent:
        """One intent with its `transactions`; they are None when Truss left them out, as a missing scope may cause.

        https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/get/v1/payment-intents/inbound/uid
        """
        answer = self._get(_path(INTENT_PATH, uid))
        intent = _intent(answer, detailed=True)
        if intent.uid != uid:
            raise answer.unreadable(f"it is about another payment intent, {intent.uid}")
        return intent

    def create_payment_intent(
        self, request: CreateInboundPaymentIntentRequest, *, today: date | None = None
    ) -> PaymentIntent:
        """A new intent. `today` is the sender's date, by default the date in UTC.

        Sent once. Truss publishes no idempotency key: after an `outcome` of UNKNOWN look for it before sending again.
        Raises InvalidRequestError before anything is sent.

        https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/post/v1/payment-intents/inbound
        """
        request.validate(today or self._today())
        answer = self._send("POST", INTENTS_PATH, request.payload())
        return _intent(answer, detailed=False)

    def update_payment_intent(
        self, uid: UUID, request: UpdateInboundPaymentIntentRequest, *, today: date | None = None
    ) -> PaymentIntent | None:
        """The intent after the change; None when Truss took the change and answered nothing that can be read.

        Sent once. Raises InvalidRequestError before anything is sent.

        https://docs.trusspayments.com/api-references/tag/inbound-payment-intents/patch/v1/payment-intents/inbound/uid
        """
        request.validate(today or self._today())
        answer = self._send("PATCH", _path(INTENT_PATH, uid), request.payload())
        try:
            intent = _intent(answer, detailed=False)
        except UnansweredError:
            return None
        return intent if intent.uid == uid else None

    def cancel_payment_intent(self, uid: UUID) -> None:
        """Ask Truss to cancel. Neither the operation's path nor its answer is published: fetch the intent afterwards.

        Sent once. Raises InvalidRequestError when canceling is switched off, and MethodNotAllowedError or NotFoundError
        when the configured path or method is wrong.

        https://docs.trusspayments.com/guides/resources/payment-intents
        """
        if not self._cancel_path:
            raise InvalidRequestError([FieldError("cancel_path", "is empty, so canceling is switched off")])
        self._send(self._cancel_method, _path(self._cancel_path, uid), None)

    def update_contact(self, uid: UUID, request: UpdateContactRequest, *, today: date | None = None) -> Contact | None:
        """The contact after the change; None when Truss took the change and answered nothing that can be read.

        Sent once. Raises InvalidRequestError before anything is sent.

        https://docs.trusspayments.com/api-references/tag/contacts/patch/v1/contacts/uid/
        """
        request.validate(today or self._today())
        answer = self._send("PATCH", _path(CONTACT_PATH, uid), request.payload())
        try:
            contact = answer.parsed(resources.parse_contact)
        except UnansweredError:
            return None
        return contact if contact.uid == uid else None

    def _today(self) -> date:
        return self._clock().date()


def _path(template: str, uid: UUID) -> str:
    # Through UUID, so that text from elsewhere can't become a part of the path.
    return template.replace("{uid}", str(UUID(str(uid))))


def _intent(answer: Answer, *, detailed: bool) -> PaymentIntent:
    return answer.parsed(partial(resources.parse_payment_intent, fetched_at=answer.asked_at, detailed=detailed))


def _cleaned(page: Page, answer: Answer) -> Page:
    """The reasons quote what Truss sent, and so go the way of every message."""
    clean = answer.cleaner()
    rejected = (
        replace(item, uid=item.uid if clean(item.uid) == item.uid else "", reason=clean(item.reason))
        for item in page.rejected
    )
    return replace(page, rejected=tuple(rejected))
