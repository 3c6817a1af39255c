"""Bodies of the portraits API. Source: Enneo's OpenAPI for /profile/generatePortrait."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from imagegen.access.strict import StrictCharField, StrictSerializer

MAX_PROMPT = 4000


class PortraitRequest(StrictSerializer):
    prompt = StrictCharField(
        count_trimmed=True,
        max_length=MAX_PROMPT,
        help_text="The full prompt for the image engine: 1 to 4,000 characters after trimming.",
    )


class Portrait(serializers.Serializer[Any]):
    imageUrl = serializers.CharField(help_text="Where the picture is, for a limited time.")
    imageBase64 = serializers.CharField(help_text="The same bytes: a PNG, 512x512, RGB.")
    prompt = serializers.CharField(help_text="The prompt of the request.")


class PortraitResponse(serializers.Serializer[Any]):
    portrait = Portrait()


class PortraitPrompt(serializers.Serializer[Any]):
    prompt = serializers.CharField(help_text="Under 1,000 characters.")


class PortraitPromptResponse(serializers.Serializer[Any]):
    portrait = PortraitPrompt()


class PortraitError(serializers.Serializer[Any]):
    """Family A's errors."""

    error = serializers.CharField(help_text="A sentence to show to the user.")
    details = serializers.CharField(help_text="For the developer.")
    txId = serializers.CharField(help_text="The OpenTelemetry trace id.")
