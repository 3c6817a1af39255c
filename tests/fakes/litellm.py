"""The LiteLLM proxy 1.109.1, as far as a client sees it: see recordings/litellm-1.109.1.json.

`tests/fakes/test_litellm.py` holds this fake against those recordings. A prompt that starts with a word
in brackets makes the provider behind the proxy fail, as it did when they were made: `[429] a cat`.
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from tests.fakes.chat import POLISHED, chat_completion
from tests.fakes.forms import Form, edited
from tests.fakes.server import FakeServer, Request, Response, picture

RECORDINGS = json.loads((Path(__file__).parent / "recordings" / "litellm-1.109.1.json").read_text())

KEY = "sk-litellm-0123456789abcdef"

XAI, OPENAI = "xai", "openai"
DEPLOYMENTS = {
    "grok-2-image": (XAI, "grok-2-image"),
    "grok-imagine-image": (XAI, "grok-imagine-image"),
    "grok-drop": (XAI, "grok-imagine-image"),
    "grok-openai": (OPENAI, "grok-imagine-image"),
    "gpt-image-1": (OPENAI, "gpt-image-1"),
    "dall-e-3": (OPENAI, "dall-e-3"),
    "grok-timeout": (XAI, "grok-imagine-image"),
    "grok-down": (XAI, "grok-imagine-image"),
    "grok-fb": (XAI, "grok-imagine-image"),
}
REFUSED_BY_OPENAI_DEPLOYMENTS = ("response_format", "style")

_SAFETY = (
    "Your request was rejected as a result of our safety system. Your request may contain content that is"
    " not allowed by our safety system."
)
_USER, _SERVER, _THROTTLED = "invalid_request_error", "internal_server_error", "throttling_error"
UPSTREAM_FAULTS = {
    "400": (400, _USER, "BadRequestError: {provider} - " + _SAFETY),
    "mod": (
        400,
        "image_generation_user_error",
        "BadRequestError: {provider} - Your request was rejected by the safety system.",
    ),
    "xai400": (400, _USER, "BadRequestError: {provider} - Error code: 400"),
    "429": (
        429,
        _THROTTLED,
        "RateLimitError: RateLimitError: {provider} - Rate limit reached for images per minute:"
        " Limit 5/1min.",
    ),
    "401": (
        401,
        "authentication_error",
        "AuthenticationError: AuthenticationError: {provider} - Incorrect API key provided: mock.",
    ),
    "500": (
        500,
        _SERVER,
        "InternalServerError: {provider} - The server had an error processing your request.",
    ),
    "503": (503, _SERVER, "ServiceUnavailableError: ServiceUnavailableError: {provider} - Overloaded"),
    "html": (502, _SERVER, "BadGatewayError: BadGatewayError: {provider} - Error code: 502"),
    "conn": (500, _SERVER, "APIConnectionError: APIConnectionError: {provider} - Connection error."),
    "slow:10": (
        408,
        _USER,
        "Timeout: APITimeoutError - Request timed out. Error_str: Request timed out.",
    ),
}
_ADVICE = (
    "\n\nLiteLLM: model group '{group}' failed with the error above and no fallback model group was found for"
    " it, so the request was not retried on another model. Fallbacks are configured for: grok-fb. Add a"
    " fallbacks entry for that model group (Router fallbacks or proxy router_settings.fallbacks) to retry on"
    " another model."
)


_NO_EDITS = "APIConnectionError: APIConnectionError: XaiException - image edit is not supported for xai"
_NO_IMAGE = (
    'BadRequestError: OpenAIException - {"error": {"message": "Missing required parameter: \'image\'.",'
    ' "type": "invalid_request_error", "param": "image", "code": "missing_required_parameter"}}'
)
_EDIT_REJECTED = (
    "BadRequestError: litellm.ContentPolicyViolationError: ContentPolicyViolationError: OpenAIException -"
    f' {{"error": {{"message": "{_SAFETY}", "type": "invalid_request_error", "param": null, "code":'
    ' "content_policy_violation"}}\nmodel=gpt-image-1. content_policy_fallback=None.'
    " fallbacks=[{'grok-fb': ['grok-imagine-image']}].\n\nSet 'content_policy_fallback' -"
    " https://docs.litellm.ai/docs/routing#fallbacks"
)


class ProviderFiles(FakeServer):
    """Where the provider behind the proxy keeps its pictures: another host than the proxy's."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}

    def reply(self, request: Request) -> Response:
        data = self.files.get(request.path)
        return Response(404) if data is None else Response(200, data, {"content-type": "image/jpeg"})


class LiteLLM(FakeServer):
    """The proxy, with the deployments of the recordings and `more` of them.

    Args:
        strict: the provider behind `xai/*` refuses `size`, as xAI does; the recordings have both.
        format: of the pictures that the provider keeps behind URLs.

    `says` is what its chat models answer.
    """

    def __init__(
        self,
        *,
        strict: bool = True,
        format: str = "JPEG",
        more: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self.strict, self.format = strict, format
        self.deployments = {**DEPLOYMENTS, **(more or {})}
        self.files = ProviderFiles()
        self.says: Any = POLISHED

    def __enter__(self) -> Self:
        self.files.__enter__()
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.files.__exit__(*exc)

    def faulty(self, request: Request) -> bool:
        return request.method == "POST"

    def reply(self, request: Request) -> Response:
        if request.path == "/health/liveliness":
            return Response.json("I'm alive!")
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not shown:
            return _error(401, "auth_error", "Authentication Error, No api key passed in.")
        if shown != KEY:
            return _error(400, "no_db_connection", "No connected db.")
        if request.path.removeprefix("/v1") == "/models":
            return Response.json({"data": [_listed(id) for id in self.deployments], "object": "list"})
        if request.path.removeprefix("/v1") == "/images/generations":
            return self._generations(request)
        if request.path.removeprefix("/v1") == "/images/edits":
            return self._edits(request)
        if request.path.removeprefix("/v1") == "/chat/completions":
            return chat_completion(request.json, self.says)
        return Response.json({"detail": "Not Found"}, 404)

    def _edits(self, request: Request) -> Response:
        headers = _headers(request)
        refused = {**headers, "x-litellm-response-cost": "0"}
        try:
            form = Form.read(request)
        except ValueError:
            text = "'image' must be provided as a multipart file upload, not a string."
            return Response.json({"detail": text}, 422)
        asked, images = form.asked, form.named("image", "image[]")
        group = asked["model"]
        provider, model = self.deployments[group]
        advice = _ADVICE.format(group=group)
        if provider == XAI:
            return _error(500, _SERVER, f"litellm.{_NO_EDITS}{advice}", headers=refused)
        if not images:
            return _error(400, _USER, f"litellm.{_NO_IMAGE}{advice}", headers=refused)
        if asked["prompt"].startswith("[400]"):
            return _error(400, _USER, f"litellm.{_EDIT_REJECTED}{advice}", headers=refused)
        if fault := self._refused(asked, group, provider, model):
            status, type, text, param = fault
            return _error(status, type, f"litellm.{text}{advice}", param, refused)
        if model.startswith("gpt-image"):
            headers["x-litellm-response-cost"] = _cost(model, asked["n"])
        answer = self._answer(asked, provider, model)
        answer["usage"].pop("output_tokens_details", None)
        mask = form.named("mask")
        for item in answer["data"]:
            if item["b64_json"]:
                item["b64_json"] = edited(images[0].image, mask[0].image if mask else None, _size(asked))
        return Response.json(answer, headers=headers)

    def _generations(self, request: Request) -> Response:
        headers = _headers(request)
        try:
            asked = request.json
        except json.JSONDecodeError:
            return _error(
                400,
                _USER,
                "Invalid JSON payload: unexpected character, expected a string key: line 1 column 2 (char 1)",
                "request_body",
            )
        group = asked.get("model")
        if group not in self.deployments:
            text = (
                f"400: {{'error': '/image/generations: Invalid model name passed in model={group}. Call"
                " `/v1/models` to view available models for your key.'}"
            )
            return _error(400, _USER, text, headers=headers)
        provider, model = self.deployments[group]
        if "prompt" not in asked:
            text = "/image/generations: Missing required parameter: 'prompt'."
            return _error(400, _USER, text, "prompt", headers)
        if refused := self._refused(asked, group, provider, model):
            status, type, text, param = refused
            text = f"litellm.{text}{_ADVICE.format(group=group)}"
            return _error(status, type, text, param, headers)
        if group not in ("grok-2-image", "grok-openai", "dall-e-3"):
            headers["x-litellm-response-cost"] = _cost(model, asked.get("n") or 1)
        return Response.json(self._answer(asked, provider, model), headers=headers)

    def _refused(
        self, asked: dict[str, Any], group: str, provider: str, model: str
    ) -> tuple[int, str, str, str | None] | None:
        label = {XAI: "XaiException", OPENAI: "OpenAIException"}[provider]
        if provider == OPENAI:
            for name in REFUSED_BY_OPENAI_DEPLOYMENTS:
                if name in asked:
                    text = (
                        f"UnsupportedParamsError: Setting `{name}` is not supported by openai, {model}. To"
                        " drop it from the call, set `litellm.drop_params = True`."
                    )
                    return 400, _USER, text, None
        if asked.get("stream"):
            text = (
                f"APIConnectionError: APIConnectionError: {label} -"
                " 'str' object has no attribute 'model_dump'"
            )
            return 500, _SERVER, text, None
        if provider == XAI and not isinstance(asked.get("n", 1), int):
            return 500, _SERVER, f"InternalServerError: InternalServerError: {label} - Error code: 500", None
        sized = "size" in asked and "size" not in asked.get("additional_drop_params", ())
        if provider == XAI and self.strict and sized:
            return 400, _USER, f"BadRequestError: {label} - Argument not supported: size", "size"
        trigger = re.match(r"\[(.+?)\]", asked["prompt"])
        word = "conn" if group == "grok-down" else trigger[1] if trigger else ""
        if word not in UPSTREAM_FAULTS:
            return None
        status, type, text = UPSTREAM_FAULTS[word]
        return status, type, text.format(provider=label), None

    def _answer(self, asked: dict[str, Any], provider: str, model: str) -> dict[str, Any]:
        inline = model.startswith("gpt-image") or asked.get("response_format") == "b64_json"
        dropped = asked.get("additional_drop_params", ())
        width, height = _size({name: asked[name] for name in asked if name not in dropped})
        nulls = ("background", "output_format", "quality", "safety_identifier", "size", "svg_usage")
        answer: dict[str, Any] = {"created": int(time.time()), **dict.fromkeys(nulls)}
        answer["usage"] = {
            "total_tokens": 0,
            "input_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "output_tokens": 0,
        }
        revised: str | None = f"REVISED: {asked['prompt']}"
        if model.startswith("gpt-image"):
            revised = None
            answer |= {"background": "opaque", "output_format": "png", "quality": "low"}
            answer["size"] = f"{width}x{height}"
            answer["usage"] = {
                "total_tokens": 282,
                "input_tokens": 10,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": 10},
                "output_tokens": 272,
                "output_tokens_details": None,
            }
        answer["data"] = [
            {
                "b64_json": _base64(width, height, "PNG") if inline else None,
                "url": None if inline else self._file(width, height),
                "revised_prompt": revised,
                "provider_specific_fields": None,
            }
            for _ in range(asked.get("n") or 1)
        ]
        return answer

    def _file(self, width: int, height: int) -> str:
        path = f"/files/{width}x{height}-0-{uuid.uuid4().hex}.png"
        self.files.files[path] = _picture(width, height, self.format)
        return self.files.url + path


def _headers(request: Request) -> dict[str, str]:
    call_id = request.headers.get("x-litellm-call-id", str(uuid.uuid4()))
    return {"x-litellm-call-id": call_id, "x-litellm-version": "1.109.1"}


def _error(
    status: int,
    type: str,
    message: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    error = {"message": message, "type": type, "param": param, "code": str(status)}
    return Response.json({"error": error}, status, headers)


def _listed(id: str) -> dict[str, Any]:
    return {
        "id": id,
        "object": "model",
        "created": 1677610602,
        "owned_by": "openai",
        "mode": "image_generation",
    }


def _size(asked: Mapping[str, Any]) -> tuple[int, int]:
    if size := asked.get("size"):
        width, _, height = size.partition("x")
        return int(width), int(height)
    if ratio := asked.get("aspect_ratio"):
        across, _, up = ratio.partition(":")
        return round(1024 * (float(across) / float(up)) ** 0.5), round(
            1024 * (float(up) / float(across)) ** 0.5
        )
    return 1024, 1024


def _cost(model: str, n: int) -> str:
    return "0.01093" if model.startswith("gpt-image") else f"{0.02 * n:.2f}"


@cache
def _picture(width: int, height: int, format: str) -> bytes:
    return picture(width, height, format)


def _base64(width: int, height: int, format: str) -> str:
    return base64.b64encode(_picture(width, height, format)).decode()
