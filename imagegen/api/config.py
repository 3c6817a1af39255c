"""Family B: the configuration, for admins. Source: Open WebUI's images router."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen import configuration
from imagegen.access.permissions import signed_in
from imagegen.access.schema import errors
from imagegen.access.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
    StrictJSONParser,
    StrictListField,
    StrictObjectField,
    StrictSerializer,
)
from imagegen.api import schema
from imagegen.api.views import ImagesAPIView
from imagegen.configuration.attributes import Graph, Nodes, Number, Parameters, Switch, Text
from imagegen.configuration.keys import KEYS
from imagegen.configuration.masks import check_key, is_mask
from imagegen.configuration.verification import verify
from imagegen.engines import ENGINES
from imagegen.models.connection import validate_base_url

MAX_TEXT = 2000
MAX_OBJECT_BYTES = 4 * 1024 * 1024


class CanChangeSettings(BasePermission):
    """Superusers, and staff who may set up in the admin all that the keys stand for."""

    message = "You may not change the image settings and connections. Please ask an administrator."
    needed = (
        "imagegen.change_imagesettings",
        "imagegen.change_engineconnection",
        "imagegen.add_engineconnection",
    )

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        return user.is_superuser or (user.is_staff and user.has_perms(self.needed))


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": {}}]})
class ObjectOrTextField(StrictObjectField):
    """A JSON object, or JSON text that holds one, as Open WebUI sends it. Empty text is an empty object."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, str):
            try:
                data = StrictJSONParser().parse(BytesIO(data.encode())) if data.strip() else {}
            except ParseError:
                raise serializers.ValidationError("This is not valid JSON.") from None
        return super().to_internal_value(data)


def _field(attribute: Text) -> serializers.Field[Any, Any, Any, Any]:
    match attribute:
        case Switch():
            return StrictBooleanField(required=False)
        case Number():
            return StrictIntegerField(required=False)
        case Graph() | Parameters():
            return ObjectOrTextField(required=False, max_bytes=MAX_OBJECT_BYTES)
        case Nodes():
            return StrictListField(required=False, child=StrictObjectField(), max_length=1000)
    return StrictCharField(required=False, allow_blank=True, max_length=MAX_TEXT)


class ImageConfiguration(StrictSerializer):
    """Open WebUI's flat keys."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {key: _field(attribute) for key, (_, attribute) in KEYS.items()}


class ConfigView(ImagesAPIView):
    """How pictures are made."""

    permission_classes = [CanChangeSettings]

    @extend_schema(
        operation_id="getImageConfiguration",
        summary="Get the configuration",
        description=(
            "For administrators. A group of keys, such as `IMAGES_OPENAI_…`, shows the connection that is "
            "selected for that operation if it has that engine, else the one of that name (`openai`, "
            "`openai-edit`, …). Credentials are masked."
        ),
        tags=["images"],
        responses=schema.merged({200: ImageConfiguration}, errors(401, 403, 405, 429)),
    )
    def get(self, request: Request) -> Response:
        return Response(configuration.read())


class ConfigUpdateView(ImagesAPIView):
    """Changes to how pictures are made."""

    permission_classes = [CanChangeSettings]

    @extend_schema(
        operation_id="updateImageConfiguration",
        summary="Change the configuration",
        description=(
            "For administrators. Changes what is named and leaves the rest; all or nothing. A mask sent "
            "back keeps the credential, an empty string removes it. Answers with the whole configuration."
        ),
        tags=["images"],
        request=ImageConfiguration,
        examples=schema.CONFIGURATION_EXAMPLES,
        responses=schema.merged({200: ImageConfiguration}, errors(400, 401, 403, 405, 413, 415, 429)),
    )
    def post(self, request: Request) -> Response:
        body = ImageConfiguration(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(configuration.update(values=body.validated_data, user=signed_in(request)))


class VerificationRequest(StrictSerializer):
    """Which engine to reach, where, and with which key."""

    engine = StrictCharField(help_text="`openai`, `gemini`, `comfyui`, `automatic1111`, …")
    url = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=500,
        help_text="The base URL. Empty: the engine's own, where it has one.",
    )
    key = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=MAX_TEXT,
        help_text="A mask means the key that is stored for this engine at this server.",
    )

    def validate_engine(self, engine: str) -> str:
        if engine not in ENGINES:
            raise serializers.ValidationError(f"Unknown engine. There are: {', '.join(ENGINES)}.")
        return engine

    def validate_url(self, url: str) -> str:
        if url:
            validate_base_url(url)
        return url

    def validate_key(self, key: str) -> str:
        if not is_mask(key):
            try:
                check_key(key)
            except ValueError as error:
                raise serializers.ValidationError(str(error)) from None
        return key


class VerifyView(ImagesAPIView):
    """Whether an engine can be reached."""

    permission_classes = [CanChangeSettings]

    @extend_schema(
        operation_id="verifyImageEngine",
        summary="Verify an engine",
        description=(
            "For administrators. Reaches an engine, at no cost: `true`, or 400 with the reason. Nothing is "
            "stored."
        ),
        tags=["images"],
        request=VerificationRequest,
        examples=schema.VERIFICATION_EXAMPLES,
        responses=schema.merged({200: bool}, errors(400, 401, 403, 405, 413, 415, 429)),
    )
    def post(self, request: Request) -> Response:
        body = VerificationRequest(data=request.data)
        body.is_valid(raise_exception=True)
        given: dict[str, str] = body.validated_data
        verify(engine=given["engine"], url=given.get("url", ""), key=given.get("key", ""))
        return Response(True)
