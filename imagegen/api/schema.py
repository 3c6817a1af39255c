"""How the images API describes itself in OpenAPI."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from imagegen.access.schema import INVALID, ErrorSerializer, error_example
from imagegen.engines import errors as engine_errors

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    OpenApiParameter.HEADER,
    description="Up to 255 visible ASCII characters. The same key and body give the same answer.",
)
IMAGES_FAILED = OpenApiParameter(
    "X-Images-Failed",
    int,
    OpenApiParameter.HEADER,
    response=[200],
    description="How many of the pictures asked for could not be made. Absent when all were.",
)
GENERATION_EXAMPLES = [
    OpenApiExample(
        "Two landscapes",
        {"prompt": "A serene mountain landscape at sunset with a lake", "size": "1024x768", "n": 2},
        request_only=True,
    ),
    OpenApiExample(
        "Stable Diffusion",
        {
            "prompt": "A futuristic city at night",
            "negative_prompt": "blurry, low quality, distorted",
            "size": "768x768",
            "steps": 50,
            "seed": 7,
        },
        request_only=True,
    ),
    OpenApiExample(
        "Linked to a chat message",
        {"prompt": "A red fox in the snow", "metadata": {"chat_id": "c-17", "message_id": "m-4"}},
        request_only=True,
    ),
]
EDIT_EXAMPLES = [
    OpenApiExample(
        "One of your files",
        {"image": "0b5e6a52-7d0c-4b0e-9a44-6c1d3f0a7e21", "prompt": "Make it winter"},
        request_only=True,
    ),
    OpenApiExample(
        "Several sources",
        {
            "image": [
                "/api/v1/files/0b5e6a52-7d0c-4b0e-9a44-6c1d3f0a7e21/content",
                "https://pictures.example/hat.png",
            ],
            "prompt": "Put the hat of the second picture on the person in the first",
            "size": "1024x1024",
        },
        request_only=True,
    ),
    OpenApiExample(
        "Part of a picture",
        {
            "image": "data:image/png;base64,iVBORw0KGgo…",
            "mask": "data:image/png;base64,iVBORw0KGgo…",
            "prompt": "A red door",
        },
        request_only=True,
    ),
]
CONFIGURATION_EXAMPLES = [
    OpenApiExample(
        "Generate through LiteLLM",
        {
            "IMAGE_GENERATION_ENGINE": "openai",
            "IMAGE_GENERATION_MODEL": "grok-imagine-image",
            "IMAGES_OPENAI_API_BASE_URL": "http://litellm:4000/v1",
            "IMAGES_OPENAI_API_KEY": "sk-0123456789",
        },
        request_only=True,
    ),
]
VERIFICATION_EXAMPLES = [
    OpenApiExample("ComfyUI", {"engine": "comfyui", "url": "http://comfyui.example:8188"}, request_only=True),
]
PICTURE_EXAMPLE = OpenApiExample(
    "One picture",
    {
        "id": "0b5e6a52-7d0c-4b0e-9a44-6c1d3f0a7e21",
        "url": "/api/v1/files/0b5e6a52-7d0c-4b0e-9a44-6c1d3f0a7e21/content",
        "name": "7aa5d4b4-2a6f-4d15-b558-12b45dfe5e4f-0.png",
        "content_type": "image/png",
        "width": 1024,
        "height": 768,
    },
    response_only=True,
    status_codes=["200"],
)
MODEL_EXAMPLE = OpenApiExample(
    "One model",
    {"id": "grok-imagine", "name": "grok-imagine", "connection": "litellm", "engine": "openai"},
    response_only=True,
    status_codes=["200"],
)
PICTURE = {(200, media_type): OpenApiTypes.BINARY for media_type in ("image/png", "image/jpeg", "image/webp")}
PARTIAL_PICTURE = {
    (206, media_type): OpenApiTypes.BINARY for media_type in ("image/png", "image/jpeg", "image/webp")
}
THUMBNAIL = {(200, "image/webp"): OpenApiTypes.BINARY}
AT_S3 = {302: OpenApiResponse(description="The bytes are at this URL, for a short while.")}
NO_CONTENT = {204: OpenApiResponse(description="Deleted.")}
NOT_MODIFIED = {304: OpenApiResponse(description="Not modified: what you have is right.")}
RANGE_BEYOND = {416: OpenApiResponse(description="The range lies beyond the end.")}


def not_delivered(description: str) -> dict[int, OpenApiResponse]:
    """The 400 of operations that need an engine: a bad field, or one of its faults."""
    examples = [INVALID, *(error_example(kind.default_message, kind.code) for kind in _FAULTS)]
    return {400: OpenApiResponse(ErrorSerializer, description, examples)}


_FAULTS = (
    engine_errors.PromptRejected,
    engine_errors.EngineUnavailable,
    engine_errors.EngineTimeout,
    engine_errors.RateLimited,
    engine_errors.EngineMisconfigured,
    engine_errors.BadEngineResponse,
    engine_errors.Unsupported,
)


def merged(*parts: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for part in parts for key, value in part.items()}
