"""Family B: pictures from pictures. Source: Open WebUI's `POST /api/images/edit`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen import idempotency
from imagegen.access.permissions import CanGenerateImages, signed_in
from imagegen.access.schema import errors
from imagegen.access.strict import StrictCharField, read
from imagegen.api import schema
from imagegen.api.serializers import GeneratedImage, GenerationRequest, order_fields
from imagegen.api.views import ImagesAPIView, render_pictures
from imagegen.generation import Order, generate
from imagegen.orders import Operation
from imagegen.sources import MAX_SOURCES, Sources, read_sources


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "maxItems": MAX_SOURCES,
            },
        ]
    }
)
class SourcesField(serializers.Field[list[str], Any, Any, Any]):
    """One source or a list of them; always a list afterwards."""

    default_error_messages: ClassVar = {
        "invalid": "This must be a string or a list of strings.",
        "count": f"This must be 1 to {MAX_SOURCES} pictures.",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        given = data if isinstance(data, list) else [data]
        if not all(isinstance(source, str) for source in given):
            self.fail("invalid")
        if not 1 <= len(given) <= MAX_SOURCES:
            self.fail("count")
        return given

    def to_representation(self, value: list[str]) -> list[str]:
        return value


class EditBody(GenerationRequest):
    """What is asked of pictures that are there."""

    image = SourcesField(
        help_text="A `data:` URI in base64, an http(s) URL that is open to everyone, "
        "`/api/v1/files/<id>/content`, or a file id; or a list of up to 16. PNG, JPEG, WebP or GIF, each at "
        "most 20 MB and 40 megapixels, 50 MB together."
    )
    mask = StrictCharField(
        required=False, help_text="Which part to change: a source like `image`, of the first one's size."
    )
    background = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=100,
        help_text="`transparent`, `opaque` or `auto`, where the model knows it.",
    )


_BODY = EditBody()


class EditView(ImagesAPIView):
    """Pictures from pictures and a prompt."""

    permission_classes = [CanGenerateImages]

    @extend_schema(
        operation_id="editImages",
        summary="Edit images",
        description=(
            "Makes `n` pictures from the ones in `image`, as `prompt` says, with the engine configured for "
            "editing or the one that `model` names. They are stored and returned as those of `generations` "
            "are. The same endpoint is at `/api/v1/images/edit`."
        ),
        tags=["images"],
        request=EditBody,
        examples=[*schema.EDIT_EXAMPLES, schema.PICTURE_EXAMPLE],
        parameters=[schema.IDEMPOTENCY_KEY, schema.IMAGES_FAILED],
        responses=schema.merged(
            {200: GeneratedImage(many=True)},
            schema.not_delivered("Invalid parameters, or editing failed: see `code`."),
            errors(401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503),
        ),
    )
    def post(self, request: Request) -> Response:
        order, sources = read_order(request)
        return render_pictures(generate(order, read_sources=sources))


def read_order(request: Request) -> tuple[Order, Callable[[], Sources]]:
    """The body as an order, and what reads its sources when their time comes. Raises ValidationError.

    Sources are tens of megabytes of text. Nobody holds on to it once it is read, least of all while an
    engine works.
    """
    fields = order_fields(read(_BODY, request.data))
    texts = {"images": fields.pop("image"), "mask": fields.pop("mask", None)}
    identity = idempotency.read(request, Operation.EDIT)
    request.data.clear()
    user = signed_in(request)
    order = Order(user=user, operation=Operation.EDIT, **fields, **identity)
    return order, partial(_read_once, texts, user)


def _read_once(texts: dict[str, Any], user: User) -> Sources:
    given = dict(texts)
    texts.clear()
    return read_sources(**given, user=user)
