"""What a server replied, what a refusal means, and what of it may be kept."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import orjson

from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    KeyRefused,
    RateLimited,
)

LONGEST_DETAIL = 600
LONGEST_READ = 8 * LONGEST_DETAIL
"""Characters that are looked through for secrets of a known shape: a hostile text costs their square."""
LONGEST_WAIT = 3600.0
"""Seconds: an engine that asks for more is asked again after an hour."""

_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|xai|easel)[-_][\w*.-]{4,}|\bAIza[\w-]{20,}", re.IGNORECASE)
_LOOKS_LIKE_DATA = re.compile(r"[A-Za-z0-9+/_=-]{80,}")
_SECRET_PARTS_OF_A_URL = re.compile(r"(?<=://)[^/\s@\"']*@|\?[^\s\"'<>)]*=[^\s\"'<>)]*")


@dataclass(frozen=True)
class Reply:
    """Status, headers (looked up in any case), and the body where it was read into memory."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:
        """Raises BadEngineResponse when the body is no JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise BadEngineResponse(detail=f"the answer is no JSON: {error}") from None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def load(path: Path) -> dict[str, Any]:
    """The JSON object in an answer's file. Raises BadEngineResponse when it is something else."""
    try:
        whole = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        detail = f"the answer is no JSON: {error.msg} at {error.pos}"
        raise BadEngineResponse(detail=detail, may_have_charged=True) from None
    if not isinstance(whole, dict):
        raise BadEngineResponse(detail="the answer is JSON, but no object", may_have_charged=True)
    return whole


class Scrub:
    """Makes what a server said fit for staff and for the log: one line, short, without secrets,
    without the query or the user name of a URL, without picture data."""

    def __init__(self, *secrets: str) -> None:
        words = {word for secret in secrets for word in (secret, *secret.split()[1:])}
        self._secrets = sorted(filter(None, words), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _SECRET_PARTS_OF_A_URL.sub("***", text[:LONGEST_READ])
        text = _LOOKS_LIKE_A_KEY.sub("***", text)
        text = _LOOKS_LIKE_DATA.sub("…", text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL]}…"


def refusal(reply: Reply, scrub: Scrub) -> EngineError:
    """The error for a reply that is no success, where the engine knows nothing better.

    A 503 is read as "not now": nothing was made. After any other 5xx a picture may have been made.
    """
    detail = scrub(f"HTTP {reply.status}: {reply.text}")
    match reply.status:
        case 408 | 504:
            return EngineTimeout(detail=detail, may_have_charged=True)
        case 429:
            return RateLimited(detail=detail, retry_after=retry_after(reply.headers))
        case status if status >= 500:
            wait = retry_after(reply.headers)
            return EngineUnavailable(detail=detail, retry_after=wait, may_have_charged=status != 503)
        case 401 | 403:
            return KeyRefused(detail=detail)
        case status if 300 <= status < 400:
            return EngineMisconfigured(
                detail=f"HTTP {status}: the server redirects; the base URL must be the final address"
            )
        case _:
            return EngineMisconfigured(detail=detail)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after-ms` or `Retry-After` (seconds or a date), 0 to an hour; None if absent."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        wait = _seconds(headers.get(name, ""), unit)
        if wait is not None:
            return min(max(wait, 0.0), LONGEST_WAIT)
    return None


def _seconds(text: str, unit: float) -> float | None:
    try:
        wait = float(text) * unit
    except ValueError:
        try:
            wait = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return wait if math.isfinite(wait) else None
