"""Family B: images. Source: Open WebUI's images router; /api/docs describes it."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen import idempotency, problems, routing
from imagegen.access.errors import ExceptionHandler, make_handler
from imagegen.access.gate import GatedAPIView
from imagegen.access.permissions import CanGenerateImages, signed_in
from imagegen.access.schema import errors
from imagegen.access.strict import read
from imagegen.api import schema
from imagegen.api.serializers import GeneratedImage, GenerationRequest, OfferedModelSerializer, order_fields
from imagegen.errors import Disabled
from imagegen.generation import Made, Order, generate
from imagegen.models import ImageSettings
from imagegen.orders import Operation

_BODY, _PICTURE = GenerationRequest(), GeneratedImage()


class ImagesAPIView(GatedAPIView):
    """The base of family B's views: their errors know engines and services too."""

    exception_handler: ClassVar[ExceptionHandler] = staticmethod(make_handler(describe=problems.describe))


class GenerationsView(ImagesAPIView):
    """Pictures from a prompt."""

    permission_classes = [CanGenerateImages]

    @extend_schema(
        operation_id="generateImages",
        summary="Generate images",
        description=(
            "Makes `n` pictures with the configured engine, or with the one that `model` names, stores "
            "them, and returns one entry per picture. They are linked to you, and to a chat message if "
            "`metadata` says so. The same endpoint is at `/api/v1/images/generations`."
        ),
        tags=["images"],
        request=GenerationRequest,
        examples=[*schema.GENERATION_EXAMPLES, schema.PICTURE_EXAMPLE],
        parameters=[schema.IDEMPOTENCY_KEY, schema.IMAGES_FAILED],
        responses=schema.merged(
            {200: GeneratedImage(many=True)},
            schema.not_delivered("Invalid parameters, or generation failed: see `code`."),
            errors(401, 403, 405, 409, 413, 415, 422, 429, 500, 503),
        ),
    )
    def post(self, request: Request) -> Response:
        made = generate(read_order(request))
        return render_pictures(made)


def read_order(request: Request) -> Order:
    """The body as an order. Raises ValidationError."""
    fields = order_fields(read(_BODY, request.data))
    identity = idempotency.read(request, Operation.GENERATE)
    return Order(user=signed_in(request), **fields, **identity)


def render_pictures(made: Made) -> Response:
    response = Response([_PICTURE.to_representation(file) for file in made.files])
    if made.generation.pictures_failed:
        response.headers["X-Images-Failed"] = str(made.generation.pictures_failed)
    return response


class ModelsView(ImagesAPIView):
    """What can be asked for."""

    permission_classes = [CanGenerateImages]

    @extend_schema(
        operation_id="listImageModels",
        summary="List models",
        description="The models that you may use; the configured one comes first.",
        tags=["images"],
        examples=[schema.MODEL_EXAMPLE],
        parameters=[
            OpenApiParameter("operation", str, enum=["generate", "edit"], description="Default: `generate`.")
        ],
        responses=schema.merged({200: OfferedModelSerializer(many=True)}, errors(400, 401, 403, 405, 429)),
    )
    def get(self, request: Request) -> Response:
        operation = request.query_params.get("operation", "generate")
        if operation not in ("generate", "edit"):
            raise ValidationError({"operation": ["Must be generate or edit."]})
        current = ImageSettings.objects.current()
        if not current.generation_enabled:
            raise Disabled("Image generation is switched off.")
        offered = routing.offered_to(current, request.user, operation)
        return Response(OfferedModelSerializer(offered, many=True).data)
