"""OpenAI, Azure OpenAI and xAI, as far as their makers' SDKs and reports show them.

No paid API was recorded. A prompt that starts with a word in brackets is refused in a way that the maker
documents or users report: `[mod] a cat`.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from PIL import Image

from tests.fakes.chat import POLISHED, chat_completion
from tests.fakes.forms import File, Form, edited
from tests.fakes.server import FakeServer, Request, Response, picture

KEY = "sk-proj-0123456789abcdefghijklmnop"


class Hosted(FakeServer):
    """What the three have in common: prompts in brackets choose a refusal, `says` is what a chat model
    answers."""

    refusals: Mapping[str, Response] = {}
    says: Any = POLISHED

    def faulty(self, request: Request) -> bool:
        return request.method == "POST"

    def refused(self, asked: Mapping[str, Any]) -> Response | None:
        trigger = re.match(r"\[(.+?)\]", asked["prompt"])
        return self.refusals[trigger[1]] if trigger else None


def nested(
    status: int, message: str, type: str | None, code: str | None, param: str | None = None
) -> Response:
    error = {"message": message, "type": type, "param": param, "code": code}
    return Response.json({"error": error}, status)


def flat(status: int, code: str, error: str, **more: Any) -> Response:
    return Response.json({"code": code, "error": error, **more}, status)


def user_error(code: str, message: str, param: str | None = None) -> Response:
    """How OpenAI refuses what a person has given."""
    return nested(400, message, "image_generation_user_error", code, param)


def form_refused(form: Form, formats: tuple[str, ...]) -> Response | None:
    """OpenAI's and Azure's rules for source pictures and masks."""
    images, masks = form.named("image", "image[]"), form.named("mask")
    if not images:
        text = "Missing required parameter: 'image'."
        return nested(400, text, "invalid_request_error", "missing_required_parameter", "image")
    if len(images) > 1 and form.named("image"):
        text = "Duplicate parameter: 'image'. You provided multiple values for this parameter."
        return nested(400, text, "invalid_request_error", "duplicate_parameter", "image")
    if len(images) > 16 or not all(_is(image, *formats) for image in images):
        return user_error("invalid_image_file", "Invalid image file or mode for image 1.")
    for mask in masks:
        if not _is(mask, "PNG") or mask.image.mode != "RGBA" or len(mask.data) >= 4 * 1024 * 1024:
            text = "Invalid mask image format - mask image missing alpha channel"
            return user_error("invalid_mask_image_format", text)
        if mask.image.size != images[0].image.size:
            return user_error("invalid_mask_image_format", "Mask size does not match image size.")
    return None


def edit_form(form: Form) -> list[dict[str, Any]]:
    """`data` of the answer to an edit."""
    width, _, height = form.fields.get("size", "1024x1024").partition("x")
    source, masks = form.named("image", "image[]")[0], form.named("mask")
    picture = edited(source.image, masks[0].image if masks else None, (int(width), int(height)))
    return [{"b64_json": picture}] * form.asked["n"]


def _is(file: File, *formats: str) -> bool:
    """Whether a file is what it says, and one of the formats."""
    try:
        format = file.image.format
    except OSError:
        return False
    return format in formats and file.content_type == f"image/{format.lower()}"


def _b64(width: int = 1024, height: int = 1024, format: str = "PNG") -> str:
    return base64.b64encode(picture(width, height, format)).decode()


class OpenAIAPI(Hosted):
    """api.openai.com: GPT image models only, each parameter checked."""

    MODELS = ("gpt-image-2", "gpt-image-2.5-flare", "gpt-image-1.5", "gpt-image-1", "gpt-5")
    PARAMETERS = frozenset(
        {
            *("model", "prompt", "n", "size", "quality", "background"),
            *("output_format", "output_compression", "moderation", "user"),
        }
    )
    EDIT_PARAMETERS = PARAMETERS - {"moderation"} | {"input_fidelity"}
    refusals = {
        "mod": nested(
            400,
            "Your request was rejected by the safety system. If you believe this is an error, contact us at"
            " help.openai.com and include the request ID req_1. safety_violations=[violence].",
            "image_generation_user_error",
            "moderation_blocked",
        ),
        "dalle": nested(
            400,
            "Your request was rejected as a result of our safety system.",
            "invalid_request_error",
            "content_policy_violation",
        ),
        "broke": nested(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "credit_balance_exhausted",
        ),
        "limit": nested(
            400, "Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached"
        ),
        "unverified": nested(
            403,
            "Your organization must be verified to use the model `gpt-image-2`.",
            "invalid_request_error",
            None,
        ),
        "size": nested(
            400,
            "Invalid size '1792x936'. Width and height must both be divisible by 16.",
            "image_generation_user_error",
            "invalid_value",
            "size",
        ),
        "long": nested(
            400,
            "Invalid 'prompt': string too long. Expected a string with maximum length 32000.",
            "invalid_request_error",
            "string_above_max_length",
            "prompt",
        ),
        "transparent": user_error("invalid_value", "Transparent background is not supported for this model."),
        "image": user_error("invalid_image_file", "Invalid image file or mode for image 1."),
        "mask": user_error(
            "invalid_mask_image_format", "Invalid mask image format - mask image missing alpha channel"
        ),
        "size413": Response(413, b"<html>413 Request Entity Too Large</html>", {"content-type": "text/html"}),
        "overloaded": nested(
            503, "That model is overloaded.", "service_unavailable_error", "server_is_overloaded"
        ),
    }

    def reply(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            text = "Incorrect API key provided: sk-pr***mnop. You can find your API key at https://platform."
            return nested(401, text, "invalid_request_error", "invalid_api_key")
        if request.path == "/v1/models":
            data = [{"id": id, "object": "model", "created": 1, "owned_by": "system"} for id in self.MODELS]
            return Response.json({"object": "list", "data": data})
        if request.path == "/v1/chat/completions":
            return chat_completion(request.json, self.says)
        if request.path not in ("/v1/images/generations", "/v1/images/edits"):
            return nested(404, f"Invalid URL (POST {request.path})", "invalid_request_error", None)
        form = Form.read(request) if request.path == "/v1/images/edits" else None
        asked = form.asked if form else request.json
        if unknown := asked.keys() - (self.EDIT_PARAMETERS if form else self.PARAMETERS):
            name = min(unknown)
            return nested(
                400, f"Unknown parameter: '{name}'.", "invalid_request_error", "unknown_parameter", name
            )
        if asked["model"] not in self.MODELS:
            text = f"The model '{asked['model']}' does not exist."
            return nested(400, text, "invalid_request_error", "invalid_value", "model")
        if "input_fidelity" in asked and asked["model"] not in ("gpt-image-1", "gpt-image-1.5"):
            return user_error("invalid_input_fidelity_model", "This model takes no input_fidelity.")
        if refusal := self.refused(asked) or (form_refused(form, ("PNG", "JPEG", "WEBP")) if form else None):
            return refusal
        size = asked.get("size") or "1024x1024"
        width, _, height = size.partition("x")
        answer = {
            "created": 1795293805,
            "background": "opaque",
            "output_format": "png",
            "quality": "medium",
            "size": size,
            "data": edit_form(form) if form else [{"b64_json": _b64(int(width), int(height))}] * asked["n"],
            "usage": {"input_tokens": 10, "output_tokens": 272, "total_tokens": 282},
        }
        return Response.json(answer, headers={"x-request-id": "req_7f3a9c51e2"})


class AzureAPI(Hosted):
    """One Azure OpenAI resource with one deployment: the dated API and v1."""

    DEPLOYMENT = "our pictures"
    refusals = {
        "docs": Response.json(
            {
                "created": 1698435368,
                "error": {
                    "code": "contentFilter",
                    "message": "Your task failed as a result of our safety system.",
                },
            },
            400,
        ),
        "inner": Response.json(
            {
                "error": {
                    "code": "invalid_request",
                    "message": "Refused.",
                    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
                }
            },
            400,
        ),
        "generic": nested(
            400,
            "The response was filtered due to the prompt triggering Azure OpenAI's content management"
            " policy.",
            None,
            "content_filter",
        ),
        "blocked": nested(403, "This resource has been temporarily blocked.", None, "Forbidden"),
    }

    def reply(self, request: Request) -> Response:
        if request.headers.get("api-key") != KEY:
            text = "Access denied due to invalid subscription key or wrong API endpoint."
            return Response.json({"error": {"code": "401", "message": text}}, 401)
        if request.method == "GET":
            return Response.json({"data": [{"id": "gpt-image-2"}], "object": "list"})
        deployment, endpoint = re.fullmatch(r"/openai/(?:v1|deployments/([^/]+))/(.+)", request.path).groups()
        form = Form.read(request) if endpoint == "images/edits" else None
        asked = form.asked if form else request.json
        if endpoint == "chat/completions":
            return chat_completion(asked, self.says)
        if deployment is None:
            known = asked.get("model") == self.DEPLOYMENT
        else:
            known = unquote(deployment) == self.DEPLOYMENT and "api-version" in request.query
            if known and "model" in asked:
                return nested(
                    400, "Unknown parameter: 'model'.", "invalid_request_error", "unknown_parameter"
                )
        if not known:
            text = "The API deployment for this resource does not exist."
            return Response.json({"error": {"code": "DeploymentNotFound", "message": text}}, 404)
        if refusal := self.refused(asked) or (form_refused(form, ("PNG", "JPEG")) if form else None):
            return refusal
        data = edit_form(form) if form else [{"b64_json": _b64()} for _ in range(asked["n"])]
        return Response.json({"created": 1, "data": data})


class XaiAPI(Hosted):
    """api.x.ai: flat errors, JPEG, costs in ticks, `created` left out."""

    MODELS = ("grok-5", "grok-imagine-image", "grok-imagine-image-2.0")
    PARAMETERS = frozenset(["model", "prompt", "n", "response_format", "aspect_ratio", "resolution", "user"])
    _CREDITS = (
        "Your team 01234567 has either used all available credits or reached its monthly spending limit."
    )
    refusals = {
        "mod": flat(
            400,
            "Client specified an invalid argument",
            "Generated image rejected by content moderation.",
            usage={"cost_in_usd_ticks": 200_000_000},
        ),
        "respect": Response.json({"data": [{"url": None, "b64_json": None, "respect_moderation": False}]}),
        "reason": Response.json({"data": None, "block_reason": "violence"}),
        "empty": Response.json({"data": []}),
        "broke": flat(429, "resource-exhausted", _CREDITS),
        "broke403": flat(403, "permission-denied", _CREDITS),
    }

    def reply(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            text = "Incorrect API key provided: sk***op. You can obtain an API key from https://console.x.ai."
            return flat(400, "Client specified an invalid argument", text)
        if request.path == "/v1/models":
            return Response.json({"data": [{"id": id, "object": "model"} for id in self.MODELS]})
        if request.path == "/v1/chat/completions":
            return chat_completion(request.json, self.says)
        if request.path not in ("/v1/images/generations", "/v1/images/edits"):
            return Response(404)
        if request.headers["content-type"] != "application/json":
            return Response(415, b"Expected request with `Content-Type: application/json`")
        asked = request.json
        sources: list[dict[str, str]] = []
        if request.path == "/v1/images/edits":
            one = asked.pop("image", None)
            sources = asked.pop("images", []) + ([one] if one else [])
            if not 1 <= len(sources) <= 3 or {source["type"] for source in sources} != {"image_url"}:
                return flat(400, "Client specified an invalid argument", "Invalid number of input images.")
            if len(sources) == 1 and "aspect_ratio" in asked:
                text = "aspect_ratio is not supported for an edit of one image."
                return flat(400, "Client specified an invalid argument", text)
        if refused := sorted(asked.keys() - self.PARAMETERS):
            return flat(400, "400", f"Argument not supported: {refused[0]}")
        if asked["model"] not in self.MODELS:
            text = f"The model {asked['model']} does not exist or your team 0123 does not have access to it."
            return flat(404, "not-found", text)
        if refusal := self.refused(asked):
            return refusal
        item: dict[str, Any] = {"mime_type": "image/jpeg", "respect_moderation": True}
        if asked.get("response_format") == "b64_json":
            first = _data_uri(sources[0]["url"]) if sources else None
            item["b64_json"] = edited(first, None, first.size, "JPEG") if first else _b64(format="JPEG")
        else:
            item["url"] = f"{self.url}/xai-imgen/gone.jpeg"
        answer = {"data": [item] * asked["n"], "usage": {"cost_in_usd_ticks": 200_000_000 * asked["n"]}}
        return Response.json(answer)


def _data_uri(text: str) -> Image.Image:
    head, _, data = text.partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert head == f"data:image/{(image.format or '').lower()};base64"
    return image
