"""OpenAI, Azure OpenAI and xAI, as far as their makers' SDKs and reports show them.

No paid API was recorded. A prompt that starts with a word in brackets is refused in a way that the maker
documents or users report: `[mod] a cat`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from tests.fakes.server import FakeServer, Request, Response, picture

KEY = "sk-proj-0123456789abcdefghijklmnop"


class Hosted(FakeServer):
    """What the three have in common: prompts in brackets choose a refusal."""

    refusals: Mapping[str, Response] = {}

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
        if request.path != "/v1/images/generations":
            return nested(404, f"Invalid URL (POST {request.path})", "invalid_request_error", None)
        asked = request.json
        if unknown := asked.keys() - self.PARAMETERS:
            name = min(unknown)
            return nested(
                400, f"Unknown parameter: '{name}'.", "invalid_request_error", "unknown_parameter", name
            )
        if asked["model"] not in self.MODELS:
            text = f"The model '{asked['model']}' does not exist."
            return nested(400, text, "invalid_request_error", "invalid_value", "model")
        if refusal := self.refused(asked):
            return refusal
        size = asked.get("size") or "1024x1024"
        width, _, height = size.partition("x")
        answer = {
            "created": 1795293805,
            "background": "opaque",
            "output_format": "png",
            "quality": "medium",
            "size": size,
            "data": [{"b64_json": _b64(int(width), int(height))} for _ in range(asked["n"])],
            "usage": {"input_tokens": 10, "output_tokens": 272, "total_tokens": 282},
        }
        return Response.json(answer, headers={"x-request-id": "req_0123456789"})


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
        asked = request.json
        if request.path == "/openai/v1/images/generations":
            known = asked.get("model") == self.DEPLOYMENT
        else:
            named = request.path == "/openai/deployments/our%20pictures/images/generations"
            known = named and "api-version" in request.query
            if known and "model" in asked:
                return nested(
                    400, "Unknown parameter: 'model'.", "invalid_request_error", "unknown_parameter"
                )
        if not known:
            text = "The API deployment for this resource does not exist."
            return Response.json({"error": {"code": "DeploymentNotFound", "message": text}}, 404)
        if refusal := self.refused(asked):
            return refusal
        data = [{"b64_json": _b64()} for _ in range(asked["n"])]
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
        if request.path != "/v1/images/generations":
            return Response(404)
        asked = request.json
        if refused := sorted(asked.keys() - self.PARAMETERS):
            return flat(400, "400", f"Argument not supported: {refused[0]}")
        if asked["model"] not in self.MODELS:
            text = f"The model {asked['model']} does not exist or your team 0123 does not have access to it."
            return flat(404, "not-found", text)
        if refusal := self.refused(asked):
            return refusal
        item: dict[str, Any] = {"mime_type": "image/jpeg", "respect_moderation": True}
        if asked.get("response_format") == "b64_json":
            item["b64_json"] = _b64(format="JPEG")
        else:
            item["url"] = f"{self.url}/xai-imgen/gone.jpeg"
        answer = {"data": [item] * asked["n"], "usage": {"cost_in_usd_ticks": 200_000_000 * asked["n"]}}
        return Response.json(answer)
