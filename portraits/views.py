"""Family A: portraits. Source: Enneo's OpenAPI; /api/docs describes it."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pybase64
from django.http import Http404, HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from imagegen import idempotency
from imagegen.access.errors import ExceptionHandler
from imagegen.access.gate import GatedAPIView
from imagegen.access.permissions import CanGenerateImages, signed_in
from imagegen.access.strict import read, refuse_unstorable_beside
from imagegen.errors import Disabled
from imagegen.generation import Order, generate
from imagegen.models import Generation, ImageFile, ImageSettings
from imagegen.polishing import polish
from imagegen.serving import serve
from portraits import schema
from portraits.errors import exception_handler
from portraits.prompt import SELECTIONS, SelectionError, build, validate
from portraits.serializers import PortraitPromptResponse, PortraitRequest, PortraitResponse

_TEMP_NAME = re.compile(r"\d{4}-\d\d-\d\d_[a-z0-9]{16}\.png")


_BODY = PortraitRequest()


class PortraitsAPIView(GatedAPIView):
    exception_handler: ClassVar[ExceptionHandler] = staticmethod(exception_handler)


class PortraitView(PortraitsAPIView):
    """One portrait from one prompt."""

    permission_classes = [CanGenerateImages]

    @extend_schema(
        operation_id="generatePortrait",
        summary="Generate a portrait image from a prompt",
        description=(
            "Makes one 512x512 portrait and stores it; the answer never shows where the engine is. Use "
            "`/api/mind/profile/generatePortraitPrompt` first to build a good prompt from selections."
        ),
        tags=["portraits"],
        request=PortraitRequest,
        examples=[schema.PORTRAIT_EXAMPLE, schema.ANSWER_EXAMPLE],
        parameters=[schema.IDEMPOTENCY_KEY],
        responses={200: PortraitResponse, **schema.errors(400, 403, 405, 409, 413, 422, 429, 500, 503)},
    )
    def post(self, request: Request) -> Response:
        prompt: str = read(_BODY, request.data)["prompt"]
        operation = Generation.Operation.PORTRAIT
        idempotent = idempotency.read(request, operation)
        made = generate(Order(user=signed_in(request), prompt=prompt, operation=operation, **idempotent))
        if not made.files:
            raise Http404  # a repeat, after the picture's time was up
        return Response({"portrait": {**_picture(made.files[0]), "prompt": prompt}})


def _picture(file: ImageFile) -> dict[str, str]:
    with file.file.open("rb") as stored:
        data: bytes = stored.read()
    return {
        "imageUrl": reverse("portrait-content", args=[file.temp_name]),
        "imageBase64": pybase64.b64encode_as_string(data),
    }


class PortraitPromptView(PortraitsAPIView):
    """A prompt from descriptive selections."""

    permission_classes = [CanGenerateImages]

    @extend_schema(
        operation_id="generatePortraitPrompt",
        summary="Build a portrait prompt from descriptive selections",
        description=(
            "Takes any of the fields, at least `subject` or `style`. Listed choices come from `GET` on "
            "this path; own words are taken as well. The same selections give the same prompt, unless "
            "a chat model polishes it."
        ),
        tags=["portraits"],
        request={"application/json": schema.selections_schema()},
        examples=[schema.SELECTIONS_EXAMPLE, schema.PROMPT_EXAMPLE],
        responses={200: PortraitPromptResponse, **schema.errors(400, 403, 405, 413, 429)},
    )
    def post(self, request: Request) -> Response:
        current = _prompt_settings()
        if not isinstance(request.data, dict):
            raise ValidationError("The body must be a JSON object.")
        refuse_unstorable_beside(SELECTIONS, request.data)
        try:
            prompt = build(validate(request.data))
        except SelectionError as error:
            raise ValidationError(error.errors) from None
        return Response({"portrait": {"prompt": polish(prompt, current)}})

    @extend_schema(
        operation_id="listPortraitSelections",
        summary="List the selections a prompt is built from",
        description="Each field with its label and its choices, for a form to be made of.",
        tags=["portraits"],
        responses={200: schema.choices_schema(), **schema.errors(403, 405, 429)},
    )
    def get(self, request: Request) -> Response:
        _prompt_settings()
        return Response({"selections": _SELECTIONS})


def _prompt_settings() -> ImageSettings:
    current = ImageSettings.objects.current()
    if not current.prompt_enabled:
        raise Disabled("Prompt generation is switched off.")
    return current


_SELECTIONS: dict[str, Any] = {
    name: {
        "label": selection.label,
        "choices": [{"value": choice.value, "label": choice.label} for choice in selection.choices],
        "multiple": selection.multiple,
        "free": selection.free,
    }
    for name, selection in SELECTIONS.items()
}


class TempStorageView(PortraitsAPIView):
    """A portrait's bytes, while its time lasts."""

    @extend_schema(
        operation_id="getPortrait",
        summary="Get a generated portrait",
        tags=["portraits"],
        parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH)],
        responses={
            **schema.PNG,
            304: OpenApiResponse(description="Not modified: what you have is right."),
            416: OpenApiResponse(description="The range lies beyond the end."),
            **schema.errors(403, 404, 405, 429),
        },
    )
    def get(self, request: Request, name: str) -> HttpResponseBase:
        if not _TEMP_NAME.fullmatch(name):
            raise Http404
        return serve(request._request, ImageFile.objects.find_visible(request.user, temp_name=name))
