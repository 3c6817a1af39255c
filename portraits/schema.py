"""How the portraits API describes itself in OpenAPI."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from imagegen.access.schema import SAID
from imagegen.engines.errors import EngineUnavailable
from portraits.prompt import SELECTIONS
from portraits.selections import MAX_ITEMS, Selection
from portraits.serializers import PortraitError

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    OpenApiParameter.HEADER,
    description="Up to 255 visible ASCII characters. The same key and body give the same answer.",
)
PNG = {(200, "image/png"): OpenApiTypes.BINARY, (206, "image/png"): OpenApiTypes.BINARY}
PORTRAIT_EXAMPLE = OpenApiExample(
    "A pixie",
    {"prompt": "A cheerful watercolor portrait of a pixie at the edge of a glowing enchanted forest"},
    request_only=True,
)
SELECTIONS_EXAMPLE = OpenApiExample(
    "A pixie",
    {
        "subject": "pixie",
        "style": "watercolor",
        "mood": "cheerful",
        "setting": "the edge of a glowing enchanted forest",
        "accessories": ["a silver crown", "tiny wings"],
    },
    request_only=True,
)
ANSWER_EXAMPLE = OpenApiExample(
    "A portrait",
    {
        "portrait": {
            "imageUrl": "/api/mind/storage/temp/2026-04-30_a1b2c3d4e5f6g7h8.png",
            "imageBase64": "iVBORw0KGgoAAAANSUhEUgAA…",
            "prompt": "A cheerful watercolor portrait of a pixie at the edge of a glowing enchanted forest",
        }
    },
    response_only=True,
    status_codes=["200"],
)
PROMPT_EXAMPLE = OpenApiExample(
    "A prompt",
    {
        "portrait": {
            "prompt": "A cheerful watercolor portrait of a pixie at the edge of a glowing enchanted forest, "
            "painted in soft, translucent washes, framed from the shoulders up."
        }
    },
    response_only=True,
    status_codes=["200"],
)
_MEANING = {
    400: "Missing, empty or bad input; `error` names the field and the rule.",
    403: "No credentials, bad or expired ones, no permission, or generation is switched off.",
    404: "No such picture, or not yours, or its time is up.",
    405: "Wrong method.",
    409: "A request with the same Idempotency-Key is still running.",
    413: "The body is too large.",
    422: "The Idempotency-Key was used with another body.",
    429: "Too many requests, or a used-up quota; see Retry-After.",
    500: "The engine failed, timed out, or refused the prompt; or a fault of ours. `error` says which.",
    503: "Too much is waiting already, or something we need is away; see Retry-After.",
}
_SAID = {
    **SAID,
    400: ("prompt: This field is required.", "invalid: prompt: This field is required."),
    500: (EngineUnavailable.default_message, EngineUnavailable.code),
}


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    return {
        status: OpenApiResponse(PortraitError, _MEANING[status], [_error_example(*_SAID[status])])
        for status in sorted(statuses)
    }


def _error_example(error: str, details: str) -> OpenApiExample:
    body = {"error": error, "details": details, "txId": "4bf92f3577b34da6a3ce929d0e0e4736"}
    return OpenApiExample(details.partition(":")[0], body)


def selections_schema() -> dict[str, Any]:
    """The body of generatePortraitPrompt, from the same table that checks it."""
    return {
        "type": "object",
        "properties": {name: _field_schema(selection) for name, selection in SELECTIONS.items()},
        "anyOf": [
            {"required": [name], "properties": {name: {"type": "string", "pattern": r"\S"}}}
            for name in ("subject", "style")
        ],
    }


def _field_schema(selection: Selection) -> dict[str, Any]:
    text = {"type": "string", "maxLength": selection.max_length}
    described = {"description": selection.label, "nullable": True}
    if selection.multiple:
        return {"oneOf": [text, {"type": "array", "items": text, "maxItems": MAX_ITEMS}], **described}
    return {**text, **described}


def choices_schema() -> dict[str, Any]:
    """The answer of GET generatePortraitPrompt."""
    text, flag = {"type": "string"}, {"type": "boolean"}

    def strict(**properties: Any) -> dict[str, Any]:
        return {"type": "object", "properties": properties, "required": list(properties)}

    choices = {"type": "array", "items": strict(value=text, label=text)}
    selection = strict(label=text, choices=choices, multiple=flag, free=flag)
    return strict(selections={"type": "object", "additionalProperties": selection})
