"""Answers of the Gemini API, read: pure, and tolerant of nulls and missing keys.

`generateContent`: `{"candidates": [{"content": {"parts": [{"text"} | {"inlineData": {"mimeType", "data"}}]},
"finishReason"}], "promptFeedback", "usageMetadata", "modelVersion", "responseId"}`. `predict`:
`{"predictions": [{"bytesBase64Encoded", "mimeType", "prompt"} | {"raiFilteredReason"}]}`. Both refuse with
HTTP 200. Source: the google-genai package's type definitions (3.4.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pybase64

from imagegen.engines.errors import BadEngineResponse, EngineError, EngineMisconfigured, PromptRejected
from imagegen.engines.replies import Scrub

Json = dict[str, Any]

POLICY = {
    "BLOCKLIST",
    "ESCALATION",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_SAFETY",
    "LANGUAGE",
    "PROHIBITED_CONTENT",
    "RECITATION",
    "SAFETY",
    "SPII",
}
"""Finish reasons that mean a refusal. NO_IMAGE, IMAGE_OTHER, MAX_TOKENS and the like do not."""

ACCOUNT_DISABLED = "PUP_LIMITED_DISABLED"
"""The account has been shut out for what was asked of it before."""

PREDICT_FIELDS = {"predictions", "metadata", "deployedModelId", "model", "modelDisplayName", "modelVersionId"}


@dataclass(frozen=True)
class Picture:
    """A picture in an answer; `data` is None where it is there but cannot be read."""

    data: bytes | None
    revised_prompt: str = ""


def pictures(whole: Json) -> list[Picture]:
    """All pictures, without the drafts that a model makes while it thinks."""
    found = [Picture(_decoded(data)) for part in _parts(whole) if (data := _inline(part)) is not None]
    for item in _objects(whole.get("predictions")):
        if isinstance(data := item.get("bytesBase64Encoded"), str):
            found.append(Picture(_decoded(data), _text(item.get("prompt"))))
    return found


def meta(whole: Json) -> dict[str, Any]:
    """Model, response id and token counts, as far as they are there."""
    usage = _object(whole.get("usageMetadata"))
    tokens = {name: count for name, count in usage.items() if isinstance(count, int)}
    known = {"model_version": whole.get("modelVersion"), "response_id": whole.get("responseId")}
    return {
        **{name: value for name, value in known.items() if isinstance(value, str)},
        **({"usage": tokens} if tokens else {}),
    }


def why_no_picture(whole: Json, scrub: Scrub) -> EngineError:
    """The error that an answer without a usable picture amounts to. The engine did work: it may charge."""
    feedback = _object(whole.get("promptFeedback"))
    candidates = _objects(whole.get("candidates"))
    blocked = _text(feedback.get("blockReason"))
    finished = {_text(candidate.get("finishReason")) for candidate in candidates}
    filtered = [_text(item.get("raiFilteredReason")) for item in _objects(whole.get("predictions"))]
    words = " ".join(_text(part.get("text")) for part in _parts(whole))
    explained = [
        blocked,
        *sorted(finished),
        _text(feedback.get("blockReasonMessage")),
        *(_text(candidate.get("finishMessage")) for candidate in candidates),
        *filtered,
        words,
    ]
    detail = scrub(f"no picture in an answer with {sorted(whole)}: {' | '.join(filter(None, explained))}")
    if ACCOUNT_DISABLED in finished | {blocked}:
        return EngineMisconfigured(detail=detail)
    # Everything filtered out looks like nothing at all.
    nothing = not whole.get("predictions") and whole.keys() <= PREDICT_FIELDS
    prose = bool(words) and finished <= {"STOP", ""} and not pictures(whole)
    if blocked or any(filtered) or finished & POLICY or nothing or prose:
        return PromptRejected(detail=detail, may_have_charged=True)
    return BadEngineResponse(detail=detail, may_have_charged=True)


def _parts(whole: Json) -> Iterator[Json]:
    for candidate in _objects(whole.get("candidates")):
        for part in _objects(_object(candidate.get("content")).get("parts")):
            if part.get("thought") is not True:
                yield part


def _inline(part: Json) -> str | None:
    """The base64 of a part that is a picture. Some servers write it in Python's spelling."""
    blob = _object(part.get("inlineData") or part.get("inline_data"))
    kind = blob.get("mimeType") or blob.get("mime_type") or "image/"
    data = blob.get("data")
    return data if isinstance(data, str) and str(kind).lower().startswith("image/") else None


def _decoded(text: str) -> bytes | None:
    try:
        return pybase64.b64decode(text, validate=True) or None
    except ValueError:
        return None


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
