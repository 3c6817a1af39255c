"""Refusals of AUTOMATIC1111, Forge and stable-diffusion.cpp, read.

A1111: `{"error": kind, "detail", "body", "errors": text}`; FastAPI: `{"detail": text or [{loc, msg}]}`;
Forge and stable-diffusion.cpp: `{"error", "message"}`. Source: tests/fakes/automatic1111.py and the
recordings beside it.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineUnavailable,
    KeyRefused,
)
from imagegen.engines.replies import Reply, Scrub, refusal

_OUT_OF_MEMORY = ("outofmemory", "out of memory", "not enough memory", "failed to allocate")
_BAD_SOURCE = ("invalid encoded image", "init image not found", "cannot identify image")
_NO_SUCH_MODEL = re.compile(r"\bmodel '.*' not found")


class NoSuchAddress(EngineMisconfigured):
    """The server has no such endpoint: not all of them have all."""


def explain(reply: Reply, scrub: Scrub) -> EngineError | None:
    """The error that a refusal amounts to; None for a redirect."""
    if reply.status < 400:
        return None
    said = reason(reply)
    text = said.casefold()
    detail = scrub(f"HTTP {reply.status}: {said}")
    if reply.status in (401, 403):
        return KeyRefused(
            detail=f"the server refused the key, which is user:password as in its --api-auth: {detail}"
        )
    if any(words in text for words in _BAD_SOURCE):
        return BadEngineResponse("The image engine could not read the source picture.", detail=detail)
    if _NO_SUCH_MODEL.search(text) or "sampler not found" in text:
        return EngineMisconfigured(detail=detail)
    if reply.status in (404, 405):
        return NoSuchAddress(
            detail="the server has no such address: start it with --api, and let the base URL end before"
            f" /sdapi: {detail}"
        )
    if reply.status >= 500 and any(words in text for words in _OUT_OF_MEMORY):
        return EngineUnavailable(
            "The image engine ran out of memory. Please try a smaller size or fewer pictures.",
            detail=f"out of memory: {detail}",
            may_have_charged=True,
        )
    error = refusal(reply, scrub)
    error.detail = detail
    return error


def reason(reply: Reply) -> str:
    """The kind of error and what was said of it, from any of the shapes; what it was asked is left out."""
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return reply.text
    if not isinstance(body, dict):
        return reply.text
    said = [_text(body.get(name)) for name in ("error", "detail", "errors", "message")]
    return ": ".join(dict.fromkeys(filter(None, said))) or "no reason given"


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case list():
            return "; ".join(filter(None, map(_text, value)))
        case {"message": str(message)}:
            return message
        case {"msg": str(message)}:
            place = value.get("loc")
            place = ".".join(map(str, place)) if isinstance(place, list) else ""
            return f"{place}: {message}" if place else message
        case _:
            return ""
