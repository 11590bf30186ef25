"""What stands at the top of an invoice's page: what a person should know before all else, and what to do about it."""

from collections.abc import Sequence

from django.http import HttpRequest
from django.utils.translation import gettext as _

from truss_portal.models import Operation, PaymentIntent

from .operation_verbs import tools
from .operation_words import Notice, advice, stands
from .wording import day

Delivery = PaymentIntent.Delivery
Kind = Operation.Kind
State = Operation.State


def notices_of(request: HttpRequest, intent: PaymentIntent, operations: Sequence[Operation]) -> list[Notice]:
    """With `operations` about it, newest first."""
    notices = []
    if intent.attention:
        notices.append(Notice(_("Needs a person"), intent.attention))
    if intent.missing_since:
        text = _("Truss no longer has this invoice, since %(day)s. What stands here is what was known before.")
        notices.append(Notice(_("No longer found at Truss"), text % {"day": day(intent.missing_since)}))
    create = next((operation for operation in operations if operation.kind == Kind.CREATE), None)
    told = [_about_delivery(request, intent, create)]
    told += [_about_request(request, each) for each in operations if each is operations[0] or stands(each)]
    return [*notices, *(notice for notice in told if notice)]


def _about_delivery(request: HttpRequest, intent: PaymentIntent, create: Operation | None) -> Notice | None:
    state = {Delivery.FAILED: State.REFUSED, Delivery.UNCONFIRMED: State.UNCONFIRMED}.get(Delivery(intent.delivery))
    if state is None:
        return None
    if create is not None and create.state == State.GIVEN_UP:
        state = State.GIVEN_UP
    buttons = tools(request, create, request.path) if create else []
    return advice(Kind.CREATE, state, intent.delivery_error, buttons)


def _about_request(request: HttpRequest, operation: Operation) -> Notice | None:
    """What the delivery tells already isn't told again; nor is what is done, or seen to."""
    if operation.kind == Kind.CREATE and operation.state not in {State.QUEUED, State.SENDING, State.WITHDRAWN}:
        return None
    if stands(operation) or operation.state == State.WITHDRAWN:
        return advice(operation.kind, operation.state, operation.error, tools(request, operation, request.path))
    return None
