"""Trustist's partner API, as `tests/contract/trustist.openapi.yaml` describes it."""

import datetime as dt
import hmac
import secrets
import uuid
from collections.abc import Mapping
from typing import Any, cast

from django.http import QueryDict
from django.utils import timezone
from rest_framework import authentication, exceptions, serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from truss_portal.sandbox.api import JSONView, NoSuchView
from truss_portal.sandbox.serializers import EmailField, StrictSerializer, TextField
from truss_portal.sandbox.trustist import rules
from truss_portal.sandbox.trustist.models import PAYMENT_TYPES, Invitation, Partner, PartnerToken

__all__ = ["InvitationListView", "InvitationView", "MerchantKeysView", "NoSuchView", "TokenView"]


class PartnerAuthentication(authentication.BaseAuthentication):
    """Puts the partner into `request.auth`. A request without a good token goes no further."""

    def authenticate(self, request: Request) -> tuple[None, Partner]:
        scheme, _, access_token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not access_token.strip():
            raise exceptions.NotAuthenticated
        tokens = PartnerToken.objects.filter(access_token=access_token.strip(), expires_at__gt=timezone.now())
        partner = Partner.objects.filter(pk__in=tokens.values("partner")).first()
        if partner is None:
            raise exceptions.AuthenticationFailed("The token is not accepted or has expired.")
        return None, partner

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ClientCredentialsGrant(StrictSerializer):
    client_id = TextField(allow_blank=True)
    client_secret = TextField(allow_blank=True)
    grant_type = TextField(allow_blank=True)


class PaymentTypeField(TextField):
    def to_internal_value(self, data: object) -> str:
        text = super().to_internal_value(data)
        if text not in PAYMENT_TYPES:
            raise serializers.ValidationError(f"Must be of {', '.join(PAYMENT_TYPES)}.")
        return text


class CreateInvitationRequest(StrictSerializer):
    email = EmailField()
    name = TextField()
    paymentTypes = serializers.ListField(child=PaymentTypeField())  # noqa: N815 - Trustist's name


class TokenView(JSONView):
    authentication_classes = ()
    permission_classes = ()
    parser_classes = (FormParser,)
    http_method_names = ["post"]

    def post(self, request: Request) -> Response:
        form = request.data
        if not isinstance(form, QueryDict) or any(len(values) != 1 for _, values in form.lists()):
            raise exceptions.ParseError("Send each field once, form-encoded.")
        serializer = ClientCredentialsGrant(data=form.dict())
        serializer.is_valid(raise_exception=True)
        data: Mapping[str, str] = serializer.validated_data
        if data["grant_type"] != "client_credentials":
            raise exceptions.ParseError("grant_type is client_credentials.")
        rules.get_partner()
        for partner in Partner.objects.order_by("pk"):
            if _same(data["client_id"], partner.client_id) & _same(data["client_secret"], partner.client_secret):
                return Response(_issue(partner), headers={"Cache-Control": "no-store"})
        raise exceptions.AuthenticationFailed("client_id or client_secret is wrong.")

    def get_authenticate_header(self, request: Request) -> str:
        """Without a challenge REST framework would answer 403 in place of 401."""
        return "Bearer"


def _issue(partner: Partner) -> dict[str, Any]:
    expires_at = timezone.now() + dt.timedelta(seconds=partner.token_lifetime)
    access_token = f"pt_{secrets.token_urlsafe(24)}"
    PartnerToken.objects.create(partner=partner, access_token=access_token, expires_at=expires_at)
    return {"access_token": access_token, "token_type": "Bearer", "expires_in": partner.token_lifetime}


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


class PartnerView(JSONView):
    authentication_classes = (PartnerAuthentication,)
    permission_classes = ()

    def partner(self, request: Request) -> Partner:
        return cast("Partner", request.auth)

    def invitation(self, request: Request, invitation_id: str) -> Invitation:
        try:
            uid = uuid.UUID(invitation_id)
        except ValueError:
            raise exceptions.NotFound from None
        return Invitation.objects.get(partner=self.partner(request), uid=uid)


class InvitationListView(PartnerView):
    def get(self, request: Request) -> Response:
        partner = self.partner(request)
        # No order is published: this one is nobody's wish.
        invitations = Invitation.objects.filter(partner=partner).order_by("uid")
        return Response([invitation_payload(partner, invitation) for invitation in invitations])

    def post(self, request: Request) -> Response:
        data = self.validated(request, CreateInvitationRequest)
        partner = self.partner(request)
        invitation = rules.invite(partner, data["name"], data["email"], data["paymentTypes"])
        return Response(invitation_payload(partner, invitation))


class InvitationView(PartnerView):
    http_method_names = ["get", "head"]

    def get(self, request: Request, invitation_id: str) -> Response:
        return Response(invitation_payload(self.partner(request), self.invitation(request, invitation_id)))


class MerchantKeysView(PartnerView):
    http_method_names = ["get", "head"]

    def get(self, request: Request, invitation_id: str) -> Response:
        invitation = self.invitation(request, invitation_id)
        items = [key.item for key in invitation.keys.order_by("pk")]
        if not items and self.partner(request).without_keys == "not_found":
            raise exceptions.NotFound
        return Response({"items": items}, headers={"Cache-Control": "no-store"})


def invitation_payload(partner: Partner, invitation: Invitation) -> dict[str, Any]:
    """Only id and status are published, and that there is more. What more there may be is a guess."""
    payload: dict[str, Any] = {"id": str(invitation.uid), "status": invitation.status}
    if partner.answers == "whole":
        payload |= {
            "name": invitation.name,
            "email": invitation.email,
            "paymentTypes": invitation.payment_types,
            "created": rules.timestamp(invitation.created_at),
        }
        if invitation.merchant_id is not None:
            payload["merchantId"] = str(invitation.merchant_id)
    return payload | dict(invitation.extra)
