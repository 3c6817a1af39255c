"""The Gemini API, as far as Google's SDK, its pages and users' reports show it.

No paid API was recorded. A prompt that starts with words in brackets is refused in a way that is
documented or reported: `[block SAFETY] a cat`, `[finish NO_IMAGE] a cat`, `[402] a cat`.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from PIL import Image

from tests.fakes.server import FakeServer, Request, Response, picture

KEY = "AIzaSyA0123456789abcdefghijklmnopqrstuv"

SQUARISH = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
EXTREME = {"1:4": (512, 2048), "4:1": (2048, 512), "1:8": (384, 3072), "8:1": (3072, 384)}
IMAGEN = {
    "1:1": (1024, 1024),
    "3:4": (896, 1280),
    "4:3": (1280, 896),
    "9:16": (768, 1408),
    "16:9": (1408, 768),
}
SCALE = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}

# id -> aspect ratios, image sizes, how many pictures may come in, format
MODELS: dict[str, tuple[dict[str, tuple[int, int]], tuple[str, ...], int, str]] = {
    "gemini-2.5-flash-image": (SQUARISH, (), 3, "PNG"),
    "gemini-3.1-flash-image": (SQUARISH | EXTREME, ("512", "1K", "2K", "4K"), 14, "JPEG"),
    "gemini-3-pro-image": (SQUARISH, ("1K", "2K", "4K"), 14, "JPEG"),
    "gemini-9-flash-image": ({}, (), 1, "WEBP"),
}
TEXT_MODELS = ("gemini-3.1-flash", "gemini-3-pro", "gemini-embedding-001")

TYPE = "type.googleapis.com/google.rpc."


def error(status: int, name: str, message: str, *details: Mapping[str, Any]) -> Response:
    body: dict[str, Any] = {"code": status, "message": message, "status": name}
    if details:
        body["details"] = list(details)
    return Response.json({"error": body}, status)


def quota(message: str, quota_id: str, value: str | None, retry: str | None) -> Response:
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model",
        "quotaId": quota_id,
        "quotaDimensions": {"model": "gemini-3.1-flash-image", "location": "global"},
        **({"quotaValue": value} if value else {}),
    }
    details: list[dict[str, Any]] = [
        {"@type": TYPE + "Help", "links": [{"url": "https://ai.google.dev/gemini-api/docs/rate-limits"}]},
        {"@type": TYPE + "QuotaFailure", "violations": [violation]},
    ]
    if retry:
        details.append({"@type": TYPE + "RetryInfo", "retryDelay": retry})
    text = f"You exceeded your current quota, please check your plan and billing details.\n{message}"
    return error(429, "RESOURCE_EXHAUSTED", text, *details)


BAD_KEY = error(
    400,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    {"@type": TYPE + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"},
)
NO_KEY = error(
    403,
    "PERMISSION_DENIED",
    "Method doesn't allow unregistered callers (callers without established identity).",
)

REFUSALS = {
    "leaked": error(
        403, "PERMISSION_DENIED", f"Your API key was reported as leaked: 'api_key:{KEY}' has been suspended."
    ),
    "402": error(402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    "region": error(
        400, "FAILED_PRECONDITION", "User location is not supported for the API use without billing enabled."
    ),
    "minute": quota(
        "* Quota exceeded for metric: generate_requests_per_model, limit: 10\nPlease retry in 38.2s.",
        "GenerateRequestsPerMinutePerProjectPerModel",
        "10",
        "38s",
    ),
    "text delay": quota(
        "Please retry in 1m10.5s.", "GenerateRequestsPerMinutePerProjectPerModel", "10", None
    ),
    "day": quota(
        "* Quota exceeded for metric: generate_content_free_tier_requests, limit: 20\nPlease retry in 38.2s.",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "20",
        "38s",
    ),
    "zero": quota(
        "* Quota exceeded for metric: generate_content_free_tier_requests, limit: 0\nPlease retry in 5.2s.",
        "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        None,
        "5s",
    ),
    "plain 429": error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "list": Response.json(
        [
            {
                "error": {
                    "code": 400,
                    "message": "Not available in your country.",
                    "status": "FAILED_PRECONDITION",
                }
            }
        ],
        400,
    ),
    "strings": Response.json({"error": {"code": "invalid_request", "message": "Bad."}}, 400),
    "text error": Response(400, b"no json at all", {"content-type": "text/plain"}),
    "long": error(
        400,
        "INVALID_ARGUMENT",
        "The input token count (70000) exceeds the maximum number of tokens allowed (65536).",
    ),
    "payload": error(
        400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes. Please use files."
    ),
    "words": error(
        400,
        "INVALID_ARGUMENT",
        "The prompt could not be submitted. This prompt contains sensitive words that violate Google's"
        " Responsible AI practices.",
    ),
    "500": error(500, "INTERNAL", "An internal error has occurred."),
    "503": error(503, "UNAVAILABLE", "This model is currently experiencing high demand."),
    "504": error(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}


class GeminiAPI(FakeServer):
    """generativelanguage.googleapis.com; with `imagen`, a compatible server that kept `:predict`.

    `spelling` "snake" writes inline_data, as some compatible servers do.
    """

    def __init__(self, *, imagen: bool = False, spelling: str = "camel", page: int = 3) -> None:
        super().__init__()
        self.imagen, self.spelling, self.page = imagen, spelling, page

    def faulty(self, request: Request) -> bool:
        return request.method == "POST"

    def reply(self, request: Request) -> Response:
        if "x-goog-api-key" not in request.headers:
            return NO_KEY
        if request.headers["x-goog-api-key"] != KEY:
            return BAD_KEY
        if request.path == "/v1beta/models":
            return self._list(request)
        found = re.fullmatch(r"/v1beta/models/([^/:]+):(generateContent|predict)", request.path)
        if request.method != "POST" or not found:
            return Response(404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>")
        model, method = found.groups()
        if method == "predict" and self.imagen and model.startswith("imagen-"):
            return self._predict(request.json, model)
        if method == "predict" or model not in MODELS:
            text = (
                f"models/{model} is not found for API version v1beta, or is not supported for {method}. Call"
                " ModelService.ListModels to see the list of available models and their supported methods."
            )
            return error(404, "NOT_FOUND", text)
        return self._generate(request.json, model)

    def _list(self, request: Request) -> Response:
        known = [_listed(id, "generateContent", "countTokens") for id in (*TEXT_MODELS, *MODELS)]
        known.append(_listed("veo-3.1-generate", "predictLongRunning"))
        if self.imagen:
            known.append(_listed("imagen-4.0-generate-001", "predict"))
        start = int(request.query.get("pageToken", ["0"])[0])
        size = min(self.page, int(request.query.get("pageSize", ["50"])[0]))
        body: dict[str, Any] = {"models": known[start : start + size]}
        if start + size < len(known):
            body["nextPageToken"] = str(start + size)
        return Response.json(body)

    def _generate(self, asked: dict[str, Any], model: str) -> Response:
        ratios, sizes, sources, format = MODELS[model]
        if bad := _refused_content(asked, ratios, sizes, sources):
            return error(400, "INVALID_ARGUMENT", bad)
        prompt = asked["contents"][0]["parts"][0]["text"]
        if answer := _scripted(prompt, model):
            return answer
        shape = asked["generationConfig"].get("imageConfig", {})
        width, height = ratios.get(shape.get("aspectRatio", "1:1"), (1024, 1024))
        scale = SCALE[shape.get("imageSize", "1K")]
        final = _picture(int(width * scale), int(height * scale), format)
        parts = [{"inlineData": {"mimeType": f"image/{format.lower()}", "data": final}}]
        if model == "gemini-3-pro-image":
            draft = {"mimeType": "image/png", "data": _picture(64, 64, "PNG")}
            thoughts = [{"text": "Drafting.", "thought": True}, {"inlineData": draft, "thought": True}]
            parts = [*thoughts, {**parts[0], "thoughtSignature": "c2ln"}]
        if "TEXT" in asked["generationConfig"]["responseModalities"]:
            parts.insert(0, {"text": "Here is your picture."})
        if self.spelling == "snake":
            parts = [
                {"inline_data": {"mime_type": part["inlineData"]["mimeType"], **part["inlineData"]}}
                if "inlineData" in part
                else part
                for part in parts
            ]
        return _answer(model, [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}])

    def _predict(self, asked: dict[str, Any], model: str) -> Response:
        parameters = asked["parameters"]
        known = {"sampleCount", "aspectRatio", "personGeneration", "safetySetting", "outputOptions"}
        if model.startswith("imagen-4.0"):
            known |= {"sampleImageSize", "includeRaiReason"}
        if strange := sorted(parameters.keys() - known):
            return error(400, "INVALID_ARGUMENT", f"{strange[0]} isn't supported by this model.")
        if not 1 <= parameters["sampleCount"] <= 4 or not isinstance(asked["instances"], list):
            return error(400, "INVALID_ARGUMENT", "sampleCount must be between 1 and 4.")
        prompt = asked["instances"][0]["prompt"]
        if answer := _scripted(prompt, model):
            return answer
        width, height = IMAGEN[parameters.get("aspectRatio", "1:1")]
        scale = SCALE[parameters.get("sampleImageSize", "1K")]
        item = {
            "mimeType": "image/png",
            "bytesBase64Encoded": _picture(int(width * scale), int(height * scale), "PNG"),
            "prompt": f"{prompt}, in the best light",
        }
        predictions: list[dict[str, Any]] = [item] * parameters["sampleCount"]
        if "[one filtered]" in prompt:
            predictions = [{"raiFilteredReason": RAI}, *predictions[1:]]
        return Response.json({"predictions": predictions})


RAI = (
    "Unable to show generated images. All images were filtered out because they violated Google's Responsible"
    " AI practices. Support codes: 39322892"
)


def _refused_content(
    asked: dict[str, Any], ratios: Mapping[str, Any], sizes: tuple[str, ...], sources: int
) -> str:
    """What is wrong with a generateContent request, or ""."""
    known = {"contents", "generationConfig", "safetySettings", "systemInstruction", "tools"}
    if strange := sorted(asked.keys() - known):
        return f'Invalid JSON payload received. Unknown name "{strange[0]}": Cannot find field.'
    config = asked["generationConfig"]
    fields = {"responseModalities", "imageConfig", "seed", "temperature", "candidateCount"}
    if strange := sorted(config.keys() - fields):
        text = f"Unknown name \"{strange[0]}\" at 'generation_config': Cannot find field."
        return f"Invalid JSON payload received. {text}"
    if config.get("candidateCount", 1) > 1:
        return "Multiple candidates is not enabled for this model"
    if not 0 <= config.get("seed", 0) < 2**31:
        return "Invalid value at 'generation_config.seed' (TYPE_INT32)"
    shape = config.get("imageConfig", {})
    if "aspectRatio" in shape and shape["aspectRatio"] not in ratios:
        return "Aspect ratio is not supported by this model."
    if "imageSize" in shape and shape["imageSize"] not in sizes:
        return "Image size is not supported by this model."
    pictures = [part["inlineData"] for part in asked["contents"][0]["parts"] if "inlineData" in part]
    if len(pictures) > sources:
        return "Too many images."
    for blob in pictures:
        with Image.open(io.BytesIO(base64.b64decode(blob["data"], validate=True))) as image:
            if Image.MIME[image.format or ""] != blob["mimeType"]:
                return "Provided image is not valid."
    return ""


def _scripted(prompt: str, model: str) -> Response | None:
    """What the words in brackets ask for."""
    found = re.match(r"\[(.+?)\]", prompt)
    if not found or found[1] == "one filtered":
        return None
    word, _, reason = found[1].partition(" ")
    if word == "block":
        return _answer(model, None, promptFeedback={"blockReason": reason, "blockReasonMessage": "No."})
    if word == "finish":
        candidate = {"finishReason": reason, "finishMessage": "Unable to show the generated image."}
        return _answer(model, [{**candidate, "content": {}}])
    if word == "prose":
        parts = [{"text": "I can't draw that person."}]
        return _answer(model, [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}])
    if word == "empty":
        return Response.json({})
    if word == "rai":
        return Response.json({"predictions": [{"raiFilteredReason": RAI}]})
    if word == "garbled":
        parts = [{"inlineData": {"mimeType": "image/png", "data": "%%%"}}]
        return _answer(model, [{"content": {"parts": parts}, "finishReason": "STOP"}])
    return REFUSALS[found[1]]


def _answer(model: str, candidates: list[dict[str, Any]] | None, **more: Any) -> Response:
    answer: dict[str, Any] = {
        "usageMetadata": {
            "promptTokenCount": 7,
            "candidatesTokenCount": 1120,
            "totalTokenCount": 1127,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
        },
        "modelVersion": model,
        "responseId": "r-0123",
        **more,
    }
    if candidates is not None:
        answer["candidates"] = [{**candidate, "index": k} for k, candidate in enumerate(candidates)]
    return Response.json(answer)


def _listed(id: str, *methods: str) -> dict[str, Any]:
    return {
        "name": f"models/{id}",
        "version": "001",
        "displayName": id.replace("-", " ").title(),
        "inputTokenLimit": 65536,
        "outputTokenLimit": 32768,
        "supportedGenerationMethods": list(methods),
    }


@cache
def _picture(width: int, height: int, format: str) -> str:
    return base64.b64encode(picture(width, height, format)).decode()
