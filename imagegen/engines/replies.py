"""What a server replied, what a refusal means, and what of it may be kept."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import orjson
import pybase64

from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    EngineTimeout,
    EngineUnavailable,
    KeyRefused,
    RateLimited,
)
from imagegen.engines.redaction import BLOT, Redaction
from imagegen.landing import Slot

LONGEST_DETAIL = 600
LONGEST_READ = 8 * LONGEST_DETAIL
"""Characters that are looked through for secrets: a hostile text costs the square of them."""
LONG_TEXT = 64 * 1024
"""Characters from which on a text in an answer is taken for a picture."""
MOST_QUOTES = 10_000
"""Of an answer's, that are looked at in search of long texts."""
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


def load(body: Path | Slot) -> dict[str, Any]:
    """The JSON object in an answer. Raises BadEngineResponse when it is something else."""
    return _object(body.read_bytes())


def load_decoded(body: Path | Slot) -> dict[str, Any]:
    """The same, but that long base64 texts are there decoded, as `bytes`.

    They are decoded from where they lie: a picture's text is never copied, let alone twice.
    """
    if isinstance(body, Slot):
        rest, decoded = _lift(body.memory, body.length)
    elif (length := body.stat().st_size) < LONG_TEXT:
        return load(body)
    else:
        with body.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
            rest, decoded = _lift(text, length)
    return _put_back(_object(rest), decoded) if decoded else _object(rest)


def _lift(text: mmap, length: int) -> tuple[bytes, dict[str, bytes]]:
    """JSON with a short name in the place of each long text that is base64; name -> what it says.

    What lies between two quotes and is base64 is a text: outside of texts, JSON of some length has colons
    and commas. Whatever else it may be stays where it is.
    """
    nonce, kept = secrets.token_hex(8), list[bytes]()
    decoded: dict[str, bytes] = {}
    done, start = 0, text.find(b'"', 0, length)
    for _ in range(MOST_QUOTES):
        end = text.find(b'"', start + 1, length)
        if start < 0 or end < 0:
            break
        if end - start > LONG_TEXT and text[start - 1 : start] != b"\\":
            with suppress(ValueError), memoryview(text) as view, view[start + 1 : end] as between:
                name = f"{nonce}-{len(decoded)}"
                decoded[name] = pybase64.b64decode(between, validate=True)
                kept += [text[done : start + 1], name.encode()]
                done = end
        start = end
    return b"".join([*kept, text[done:length]]), decoded


def _put_back(value: Any, decoded: Mapping[str, bytes]) -> Any:
    if isinstance(value, dict):
        return {key: _put_back(item, decoded) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_back(item, decoded) for item in value]
    return decoded.get(value, value) if isinstance(value, str) else value


def _object(text: bytes) -> dict[str, Any]:
    try:
        whole = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        detail = f"the answer is no JSON: {error.msg} at {error.pos}"
        raise BadEngineResponse(detail=detail, may_have_charged=True) from None
    if not isinstance(whole, dict):
        raise BadEngineResponse(detail="the answer is JSON, but no object", may_have_charged=True)
    return whole


class Scrub:
    """Makes what a server said fit for staff and for the log: one line, short, without secrets,
    without the query or the user name of a URL, without picture data."""

    def __init__(self, *keys: str) -> None:
        passwords = (key.partition(":")[2] for key in keys)
        self._words = sorted(filter(None, {*keys, *passwords}), key=len, reverse=True)
        self._redact = Redaction(*keys)

    def __call__(self, text: str) -> str:
        text = text[:LONGEST_READ]
        for word in self._words:  # however short it is
            text = text.replace(word, BLOT)
        text = _SECRET_PARTS_OF_A_URL.sub(BLOT, text)
        text = _LOOKS_LIKE_A_KEY.sub(BLOT, text)
        text = self._redact(_LOOKS_LIKE_DATA.sub("…", text))
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
