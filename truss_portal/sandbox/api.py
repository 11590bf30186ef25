"""Truss's API, as `tests/contract/truss.openapi.yaml` describes it.

Nothing here depends on the site's own REST framework settings: each view says itself what it takes, gives and asks for.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from django.core.exceptions import ObjectDoesNotExist
from rest_framework import authentication, exceptions, permissions, serializers, views
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from truss_portal.sandbox import pages, payloads, rules
from truss_portal.sandbox.companies import Access, get_access
from truss_portal.sandbox.models import Company, PaymentIntent
from truss_portal.sandbox.serializers import (
    CreateInboundPaymentIntentRequest,
    StrictSerializer,
    UpdateContactRequest,
    UpdateInboundPaymentIntentRequest,
)
from truss_portal.sandbox.urls_of import checkout_url

READ, WRITE = "payment_intent.inbound:read", "payment_intent.inbound:write"
TRANSACTIONS, CONTACTS = "transactions:read", "contacts:write"


class BearerAuthentication(authentication.BaseAuthentication):
    """Puts what the token opens into `request.auth`. A request without a good token goes no further."""

    def authenticate(self, request: Request) -> tuple[None, Access]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise exceptions.NotAuthenticated
        access = get_access(token.strip())
        if access is None:
            raise exceptions.AuthenticationFailed("The token is not accepted or has expired.")
        return None, access

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def company_of(request: Request) -> Company:
    """The company whose token was sent."""
    return _access(request).company


def _access(request: Request) -> Access:
    return cast("Access", request.auth)


class HasScopes(permissions.BasePermission):
    def has_permission(self, request: Request, view: views.APIView) -> bool:
        wanted = getattr(view, "scopes", {}).get("GET" if request.method == "HEAD" else request.method, ())
        missing = [scope for scope in wanted if scope not in _access(request).scopes]
        if missing:
            raise exceptions.PermissionDenied(f"The token lacks the scope {', '.join(missing)}.")
        return True


class StrictJSONParser(JSONParser):
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise exceptions.ParseError("JSON parse error - nested too deeply.") from None


class AlwaysJSON(DefaultContentNegotiation):
    """Answers are JSON whatever the client says that it accepts."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class JSONView(views.APIView):
    authentication_classes: Sequence[type[authentication.BaseAuthentication]] = (BearerAuthentication,)
    permission_classes: Sequence[type[permissions.BasePermission]] = (HasScopes,)
    parser_classes: Sequence[type[BaseParser]] = (StrictJSONParser,)
    renderer_classes = (JSONRenderer,)
    throttle_classes = ()
    versioning_class = None
    content_negotiation_class = AlwaysJSON
    http_method_names = ["get", "head", "post", "patch"]
    scopes: ClassVar[Mapping[str, Sequence[str]]] = {}
    query_parameters: ClassVar[Sequence[str]] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # A filter that nobody has published would be ignored, and its sender none the wiser.
        if set(request.query_params) - set(self.query_parameters):
            known = ", ".join(self.query_parameters) or "none"
            raise exceptions.ParseError(f"Unknown query parameter. Known: {known}.")

    def get_exception_handler(self) -> Any:
        return _answer_refusal

    def validated(self, request: Request, serializer_class: type[StrictSerializer]) -> Mapping[str, Any]:
        if not isinstance(request.data, Mapping):
            raise exceptions.ParseError("A JSON object is expected.")
        serializer = serializer_class(data=request.data)
        serializer.is_valid(raise_exception=True)
        data: Mapping[str, Any] = serializer.validated_data
        return data


def _answer_refusal(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    if isinstance(exc, rules.RefusedError):
        exc = serializers.ValidationError(exc.errors)
    elif isinstance(exc, ObjectDoesNotExist):
        exc = exceptions.NotFound()
    return views.exception_handler(exc, dict(context))


class CompanyView(JSONView):
    def get(self, request: Request) -> Response:
        return Response(payloads.company_payload(company_of(request)))


class PaymentIntentListView(JSONView):
    scopes = {"GET": (READ,), "POST": (WRITE,)}
    query_parameters = ("limit", "offset")

    def get(self, request: Request) -> Response:
        company = company_of(request)
        intents = PaymentIntent.objects.filter(company=company).order_by("-pk")
        page = pages.cut(request, intents, page_size_max=company.page_size_max)
        return Response(page | {"results": [payloads.payment_intent_payload(each) for each in page["results"]]})

    def post(self, request: Request) -> Response:
        data = self.validated(request, CreateInboundPaymentIntentRequest)
        company = company_of(request)
        intent = rules.create_payment_intent(company, data, checkout_url(request, company))
        return Response(payloads.payment_intent_payload(intent), status=201)


class PaymentIntentView(JSONView):
    scopes = {"GET": (READ, TRANSACTIONS), "PATCH": (WRITE,)}

    def get(self, request: Request, uid: uuid.UUID) -> Response:
        intent = PaymentIntent.objects.select_related("contact").get(company=company_of(request), uid=uid)
        return Response(payloads.payment_intent_payload(intent, detailed=True))

    def patch(self, request: Request, uid: uuid.UUID) -> Response:
        data = self.validated(request, UpdateInboundPaymentIntentRequest)
        company = company_of(request)
        intent = rules.update_payment_intent(company, uid, data, checkout_url(request, company))
        return Response(payloads.payment_intent_payload(intent))


class CancelView(JSONView):
    """Path and method are placeholders, agreed on in the contract: Truss publishes neither."""

    scopes = {"POST": (WRITE,)}

    def post(self, request: Request, uid: uuid.UUID) -> Response:
        return Response(payloads.payment_intent_payload(rules.cancel_payment_intent(company_of(request), uid)))


class ContactView(JSONView):
    scopes = {"PATCH": (CONTACTS,)}

    def patch(self, request: Request, uid: uuid.UUID) -> Response:
        data = self.validated(request, UpdateContactRequest)
        return Response(payloads.contact_payload(rules.update_contact(company_of(request), uid, data)))


class NoSuchView(JSONView):
    """Any other path, a forgotten trailing slash among them."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise exceptions.NotFound
