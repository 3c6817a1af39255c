"""Refusals of the Gemini API, read.

`{"error": {"code", "message", "status", "details": [{"@type", …}]}}`, at times inside a list of one. A
wrong key is a 400. A used-up quota is a 429 whose details tell which quota it was. Sources: Google's page
on errors, the google-genai package, and bodies that users reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from imagegen.engines.errors import (
    EngineError,
    EngineMisconfigured,
    KeyRefused,
    PromptRejected,
    RateLimited,
    Unsupported,
)
from imagegen.engines.replies import LONGEST_WAIT, Reply, Scrub, retry_after

_KEY_REASONS = {
    "API_KEY_INVALID",
    "API_KEY_EXPIRED",
    "API_KEY_SERVICE_BLOCKED",
    "ACCESS_TOKEN_TYPE_UNSUPPORTED",
}
_POLICY_TEXTS = ("responsible ai practices", "safety filter")
_TOO_LONG = re.compile(r"input token count .* exceeds the maximum")
_NO_QUOTA = re.compile(r"\blimit: 0\b(?!\.)")
_RETRY_IN = re.compile(r"retry in (?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?P<s>[\d.]+)s")
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


@dataclass(frozen=True)
class Refusal:
    """What a refusal says. `reasons` and `quotas` are from its details; `text` is in lower case."""

    status: str
    message: str
    text: str
    reasons: frozenset[str]
    quotas: tuple[dict[str, Any], ...]
    delay: float | None

    @classmethod
    def read(cls, reply: Reply) -> Refusal:
        try:
            body = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            body = {"error": {"message": reply.text}}
        outer = body[0] if isinstance(body, list) and body else body
        error = outer.get("error") if isinstance(outer, dict) else None
        error = error if isinstance(error, dict) else {"message": error or reply.text}
        listed = error.get("details")
        details = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        message = str(error.get("message") or "")
        return cls(
            status=str(error.get("status") or ""),
            message=message,
            text=message.lower(),
            reasons=frozenset(str(item["reason"]) for item in details if "reason" in item),
            quotas=tuple(quota for item in details for quota in _violations(item)),
            delay=_delay(details, message.lower()),
        )

    @property
    def has_no_quota(self) -> bool:
        """A quota of nothing: waiting does not help, billing does."""
        return bool(_NO_QUOTA.search(self.text)) or any(
            str(quota.get("quotaValue")) == "0" for quota in self.quotas
        )

    @property
    def is_daily(self) -> bool:
        names = [f"{quota.get('quotaId')} {quota.get('quotaMetric')}".lower() for quota in self.quotas]
        return any("perday" in name or "per_day" in name for name in [*names, self.text])


def explain(reply: Reply, scrub: Scrub) -> EngineError | None:
    """The error that a refusal amounts to; None where its status says enough (408, 5xx)."""
    if not 400 <= reply.status < 500 or reply.status == 408:
        return None
    refusal = Refusal.read(reply)

    def detail(what: str) -> str:
        codes = ", ".join(filter(None, (refusal.status, *sorted(refusal.reasons))))
        return scrub(f"{what}: HTTP {reply.status} {codes}: {refusal.message}")

    if reply.status == 402:
        return EngineMisconfigured(detail=detail("the account has no credit left"))
    if reply.status == 429:
        return _quota(refusal, reply, detail("the quota is used up"))
    if reply.status == 401 or refusal.reasons & _KEY_REASONS:
        return KeyRefused(detail=detail("the key was refused"))
    if reply.status == 403:
        return KeyRefused(detail=detail("the key is missing, blocked, or may not do this"))
    if reply.status == 404:
        return EngineMisconfigured(detail=detail("no such model or address, or the model lacks this method"))
    if refusal.status == "FAILED_PRECONDITION":
        return EngineMisconfigured(detail=detail("not offered to this account or in this region"))
    if any(text in refusal.text for text in _POLICY_TEXTS):
        return PromptRejected(detail=detail("content policy"))
    if _TOO_LONG.search(refusal.text):
        return PromptRejected(
            "This prompt is too long for the image engine. Please shorten it and try again.",
            detail=detail("prompt too long"),
        )
    if reply.status == 413 or "payload size exceeds" in refusal.text:
        return Unsupported(
            "The pictures are too large for the image engine. Please send fewer or smaller ones.",
            detail=detail("request too large"),
        )
    return EngineMisconfigured(detail=detail("the request was refused"))


def _quota(refusal: Refusal, reply: Reply, detail: str) -> EngineError:
    """A day's quota comes back with the next day, whatever delay the answer names beside it."""
    if refusal.has_no_quota:
        return EngineMisconfigured(detail=f"this account has no quota for the model: {detail}")
    if refusal.is_daily:
        return RateLimited(
            "The image engine's quota for today is used up. Please try again tomorrow.",
            detail=detail,
            retry_after=LONGEST_WAIT,
        )
    wait = retry_after(reply.headers) if refusal.delay is None else min(refusal.delay, LONGEST_WAIT)
    return RateLimited(detail=detail, retry_after=wait)


def _violations(detail: dict[str, Any]) -> list[dict[str, Any]]:
    listed = detail.get("violations")
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _delay(details: list[dict[str, Any]], text: str) -> float | None:
    """Seconds from RetryInfo (`"38s"`), else from the message (`retry in 1h2m3.5s`); None if absent."""
    for item in details:
        if found := _SECONDS.fullmatch(str(item.get("retryDelay"))):
            return float(found[1])
    if found := _RETRY_IN.search(text):
        try:
            return int(found["h"] or 0) * 3600 + int(found["m"] or 0) * 60 + float(found["s"].rstrip("."))
        except ValueError:
            return None
    return None
