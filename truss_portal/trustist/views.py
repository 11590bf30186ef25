"""Where Trustist tells us of changes."""

import logging
from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.generic import View

from truss_portal.database import outside_transactions
from truss_portal.trustist import tasks, webhooks
from truss_portal.views import read_body

logger = logging.getLogger("truss_portal.trustist.views")


class WebhookView(View):
    """Trustist posts here that something has changed. Whoever doesn't know the address gets a 404, and leaves no trace.

    What can be read is answered 200 without a body as soon as it is stored; Trustist is asked later, by a task.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        view: Any = outside_transactions(super().as_view(**initkwargs))
        exempt: Callable[..., HttpResponse] = login_not_required(csrf_exempt(view))
        return exempt

    @method_decorator(sensitive_variables("token"))
    def dispatch(self, request: HttpRequest, *args: Any, token: str = "", **kwargs: Any) -> HttpResponse:
        if not webhooks.is_token(token):
            raise Http404
        if request.method != "POST":
            return _refusal(HttpResponseNotAllowed(["POST"]), f"it was asked by {request.method}")
        try:
            body = read_body(request, webhooks.BODY_MAX)
            if body is None:
                return _refusal(HttpResponse(status=413), f"it is longer than {webhooks.BODY_MAX} bytes")
            if webhooks.receive(body):
                tasks.wake_webhooks()
        except BadRequest as error:
            return _refusal(HttpResponse(status=400), str(error))
        return HttpResponse()


def _refusal(response: HttpResponse, why: str) -> HttpResponse:
    """Logged here: Django's own line would have the address in it, and that is the secret."""
    logger.warning("A Trustist webhook was refused: %s", why)
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    return response
