"""Answers of OpenAI-compatible servers, read: pure, and tolerant of nulls and missing keys."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import pybase64

from imagegen.engines.errors import BadEngineResponse


def items(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry per picture; what is no object counts as one without anything."""
    data = whole.get("data")
    return [item if isinstance(item, dict) else {} for item in data] if isinstance(data, list) else []


def inline(item: dict[str, Any]) -> bytes | None:
    """The picture that an entry holds itself: `b64_json`, decoded or not, or a data URI in either field."""
    for text in (item.get("b64_json"), item.get("url")):
        if isinstance(text, bytes):
            return text
        if not isinstance(text, str) or not text or link(text):
            continue
        head, comma, rest = text.partition(",") if text.startswith("data:") else (";base64", ",", text)
        if comma and head.endswith(";base64"):
            try:
                return pybase64.b64decode(rest, validate=True)
            except ValueError:
                continue
    return None


def link(value: object) -> bool:
    """Whether this is the URL of a picture that lies elsewhere."""
    return isinstance(value, str) and value[:8].lower().startswith(("http://", "https://"))


def refused(whole: dict[str, Any]) -> bool:
    """Whether an answer without pictures means that the content policy said no.

    xAI: `respect_moderation` false, a `block_reason`, or simply nothing.
    """
    return (
        any(blocked(item) for item in items(whole))
        or bool(whole.get("block_reason"))
        or whole.get("data") == []
    )


def blocked(item: dict[str, Any]) -> bool:
    return item.get("respect_moderation") is False


def said(whole: object) -> str:
    """What a chat model answered. Raises BadEngineResponse where it said nothing."""
    match whole:
        case {"choices": [{"message": {"content": str(text)}}, *_]}:
            return text
    raise BadEngineResponse(detail="no text in the chat model's answer", may_have_charged=True)


def day(value: object) -> str:
    """An ISO date from a Unix time or an ISO text; "" for anything else."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC).date().isoformat()
        return date.fromisoformat(str(value)[:10]).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def number(value: object) -> float | None:
    """A finite number from 0, from a header's text; None for anything else."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0 else None
