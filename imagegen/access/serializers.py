"""The bodies of /api/auth, and their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from imagegen.access.models import NOT_ONE_LINE, ApiKey, is_one_line
from imagegen.access.strict import StrictCharField, StrictDateTimeField, StrictSerializer


class CredentialsSerializer(StrictSerializer):
    username = StrictCharField(max_length=150)
    password = StrictCharField(max_length=4096, style={"input_type": "password"}, write_only=True)


class RefreshSerializer(StrictSerializer):
    refresh = StrictCharField(max_length=8192, help_text="The refresh token.")


class NewKeySerializer(StrictSerializer):
    name = StrictCharField(max_length=100, help_text="What the key is for.")
    expires_at = StrictDateTimeField(
        required=False, help_text="Without it the key lasts until it is revoked."
    )

    def validate_name(self, value: str) -> str:
        if not is_one_line(value):
            raise serializers.ValidationError(NOT_ONE_LINE)
        return value

    def validate_expires_at(self, value: datetime) -> datetime:
        if value <= timezone.now():
            raise serializers.ValidationError("This must be in the future.")
        return value


class TokensSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="For `Authorization: Bearer …`, for minutes.")
    refresh = serializers.CharField(help_text="For the next pair of tokens, once.")


class WhoSerializer(serializers.Serializer[Any]):
    username = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "created", "expires_at", "last_used_at"]
        read_only_fields = fields


class IssuedKeySerializer(serializers.ModelSerializer[ApiKey]):
    key = serializers.CharField(read_only=True, help_text="The key itself. It is shown this once.")

    class Meta:
        model = ApiKey
        fields = ["id", "name", "key", "prefix", "created", "expires_at"]
        read_only_fields = fields
