"""What is accepted: exactly what the reference describes, and nothing that only looks like it.

REST framework's own fields are kind to their senders (a number for a string, "yes" for true). Truss's reference
isn't, and a mistake in a client must come to light here.
"""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

_TOTAL = re.compile(r"[0-9]{0,12}(\.[0-9]{0,2})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class TextField(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class NullableTextField(TextField):
    """Null and empty text are kept as empty text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, allow_blank=True, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        value = super().run_validation(data)
        return "" if value is None else value


class EmailField(serializers.EmailField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=254, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        if data is not None and data is not empty and not isinstance(data, str):
            self.fail("invalid")
        value = super().run_validation(data)
        return "" if value is None else value


class FlagField(serializers.BooleanField):
    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class UuidField(TextField):
    def to_internal_value(self, data: object) -> Any:
        text = super().to_internal_value(data)
        if not _UUID.fullmatch(text):
            raise serializers.ValidationError("Must be a valid UUID.")
        return uuid.UUID(text)


class DateField(TextField):
    def to_internal_value(self, data: object) -> Any:
        text = super().to_internal_value(data)
        try:
            return dt.date.fromisoformat(_DATE.fullmatch(text)[0])  # type: ignore[index]
        except (TypeError, ValueError):
            raise serializers.ValidationError("Date has wrong format. Use YYYY-MM-DD.") from None


class TotalField(TextField):
    def to_internal_value(self, data: object) -> Any:
        text = super().to_internal_value(data)
        if not _TOTAL.fullmatch(text) or not text.strip("."):
            raise serializers.ValidationError("A valid number with at most two decimal places is required.")
        total = Decimal(text)
        if total < 1:
            raise serializers.ValidationError("Ensure this value is greater than or equal to 1.00.")
        return total


class StrictSerializer(serializers.Serializer[Any]):
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                # A key may hold a lone surrogate, which no answer can carry.
                readable = [key.encode(errors="replace").decode() for key in unknown]
                raise serializers.ValidationError({key: ["Unknown field."] for key in readable})
        return super().to_internal_value(data)


class CreateOrUpdateContactRequest(StrictSerializer):
    uid = UuidField(required=False)
    name = TextField(required=False)
    email = EmailField(required=False)
    secondary_email = EmailField(required=False, allow_null=True)
    phone = NullableTextField(required=False, max_length=11)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "uid" not in attrs:
            missing = [field for field in ("name", "email") if field not in attrs]
            if missing:
                raise serializers.ValidationError({key: ["Required where no uid is sent."] for key in missing})
        return attrs


class CreateInboundPaymentIntentRequest(StrictSerializer):
    addenda = TextField(max_length=80)
    contact = CreateOrUpdateContactRequest()
    total = TotalField()
    due_date = DateField(required=False, allow_null=True)
    memo = TextField(required=False, allow_blank=True, max_length=500)
    note = TextField(required=False, allow_blank=True, max_length=500)
    send_email = FlagField(required=False)
    send_sms = FlagField(required=False)


class UpdateInboundPaymentIntentRequest(StrictSerializer):
    addenda = TextField(required=False, max_length=80)
    due_date = DateField(required=False, allow_null=True)
    memo = NullableTextField(required=False, max_length=500)
    note = NullableTextField(required=False, max_length=500)
    resend_email = FlagField(required=False)
    total = TotalField(required=False)


class UpdateContactRequest(StrictSerializer):
    email = EmailField(required=False)
    name = TextField(required=False, max_length=60)
    phone = NullableTextField(required=False, max_length=11)
    secondary_email = EmailField(required=False, allow_null=True)


class AuthorizationCodeGrant(StrictSerializer):
    grant_type = TextField(allow_blank=True)
    client_id = TextField(allow_blank=True)
    client_secret = TextField(allow_blank=True)
    code = TextField(allow_blank=True)
    redirect_uri = TextField(allow_blank=True)
    code_verifier = TextField(required=False)


class RefreshTokenGrant(StrictSerializer):
    grant_type = TextField(allow_blank=True)
    client_id = TextField(allow_blank=True)
    client_secret = TextField(allow_blank=True)
    refresh_token = TextField(allow_blank=True)
