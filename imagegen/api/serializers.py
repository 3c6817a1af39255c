"""Bodies of the images API, in and out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.urls import get_script_prefix, reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from imagegen.access.strict import StrictCharField, StrictIntegerField, StrictObjectField, StrictSerializer
from imagegen.models import ImageFile
from imagegen.models.settings import AUTO, parse_size

MAX_PROMPT = 32_000
MAX_SEED = 2**53 - 1 - 100
"""The largest integer that every JSON reader keeps exact, with room for the pictures after the first."""

_ANY = str(UUID(int=0))


@extend_schema_field({"type": "string", "pattern": rf"^({AUTO}|[0-9]{{2,4}}x[0-9]{{2,4}})?$"})
class SizeField(StrictCharField):
    """`WIDTHxHEIGHT` or `auto`; empty means the configured size."""

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if value not in ("", AUTO):
            try:
                parse_size(value)
            except ValueError as error:
                raise serializers.ValidationError(str(error)) from None
        return value


class GenerationRequest(StrictSerializer):
    """What family B asks for. Source: Open WebUI's `POST /api/images/generations`."""

    prompt = StrictCharField(min_length=1, max_length=MAX_PROMPT, help_text="What the picture shows.")
    model = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=300,
        help_text="A model id from `models`, or `connection/model`. Without it: the configured model.",
    )
    size = SizeField(
        required=False,
        allow_blank=True,
        max_length=20,
        help_text="`WIDTHxHEIGHT`, each 64 to 4096, or `auto` where the model chooses the size itself. "
        "Pictures have exactly this size.",
    )
    n = StrictIntegerField(required=False, min_value=1, max_value=100, help_text="How many. Default 1.")
    steps = StrictIntegerField(
        required=False, min_value=1, max_value=150, help_text="For Stable Diffusion engines."
    )
    negative_prompt = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=MAX_PROMPT,
        help_text="What to avoid, for Stable Diffusion engines.",
    )
    seed = StrictIntegerField(
        required=False,
        min_value=0,
        max_value=MAX_SEED,
        help_text="Where the engine takes one. Picture k gets seed + k.",
    )
    metadata = StrictObjectField(
        required=False,
        max_bytes=4096,
        known={
            name: StrictCharField(required=False, allow_blank=True, max_length=255)
            for name in ("chat_id", "message_id")
        },
        help_text="`chat_id` and `message_id` link the files; other keys are stored. 4 KB in all.",
    )


def order_fields(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A validated GenerationRequest, by the names that `Order` has for it."""
    fields = dict(asked)
    metadata = dict(fields.pop("metadata", {}))
    links = {name: metadata.pop(name, "") for name in ("chat_id", "message_id")}
    return {**fields, **links, "metadata": metadata}


class GeneratedImage(serializers.ModelSerializer[ImageFile]):
    """One picture of an answer."""

    url = serializers.SerializerMethodField(help_text="Where the bytes are. It stays.")

    class Meta:
        model = ImageFile
        fields = ["id", "url", "name", "content_type", "width", "height"]

    def get_url(self, file: ImageFile) -> str:
        return content_url(file)


class FileMetadata(GeneratedImage):
    """All that is told about a file; never where it lies."""

    prompt = serializers.CharField(source="generation.prompt", default="", read_only=True)
    engine = serializers.CharField(source="generation.engine", default="", read_only=True)
    model = serializers.CharField(source="generation.model", default="", read_only=True)
    generation = serializers.UUIDField(source="generation_id", allow_null=True, read_only=True)
    seed = serializers.SerializerMethodField()
    revised_prompt = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta(GeneratedImage.Meta):
        fields = [
            *GeneratedImage.Meta.fields,
            "size",
            "sha256",
            "native_width",
            "native_height",
            "prompt",
            "revised_prompt",
            "engine",
            "model",
            "seed",
            "generation",
            "chat_id",
            "message_id",
            "created_at",
            "expires_at",
            "links",
        ]

    def get_seed(self, file: ImageFile) -> int | None:
        seed: int | None = file.meta.get("seed")
        return seed

    def get_revised_prompt(self, file: ImageFile) -> str:
        return str(file.meta.get("revised_prompt", ""))

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_links(self, file: ImageFile) -> dict[str, str]:
        return {
            "self": reverse("file", args=[file.pk]),
            "content": content_url(file),
            "thumbnail": reverse("file-thumbnail", args=[file.pk]),
        }


class OfferedModelSerializer(serializers.Serializer[Any]):
    """A model that the caller may ask for."""

    id = serializers.CharField()
    name = serializers.CharField()
    connection = serializers.CharField()
    engine = serializers.CharField()


class UploadBody(StrictSerializer):
    """A picture to start from."""

    file = serializers.FileField(
        help_text="A PNG, JPEG, WebP or GIF picture, at most 20 MB and 40 megapixels."
    )


class FileQuery(StrictSerializer):
    """Filters of the list."""

    chat_id = StrictCharField(required=False, allow_blank=True, max_length=255)
    message_id = StrictCharField(required=False, allow_blank=True, max_length=255)


def content_url(file: ImageFile) -> str:
    return _content_url(get_script_prefix()).replace(_ANY, str(file.pk))


@lru_cache(maxsize=10)
def _content_url(prefix: str) -> str:
    """Of _ANY. To look up a path takes as long as the rest of an answer."""
    return reverse("file-content", args=[_ANY])
