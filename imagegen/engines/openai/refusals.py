"""Refusals of OpenAI-compatible servers, read.

The same refusal comes in many shapes: OpenAI's and LiteLLM's `{"error": {message, type, param, code}}`,
xAI's flat `{"code", "error"}`, Azure's with an inner error, and LiteLLM's retelling of all of them, which
loses the code and sometimes the message. Sources: tests/fakes/recordings and the makers' error pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from imagegen.engines.errors import (
    BadEngineResponse,
    EngineError,
    EngineMisconfigured,
    KeyRefused,
    PromptRejected,
    Unsupported,
)
from imagegen.engines.replies import Reply, Scrub

TICKS_PER_DOLLAR = 10_000_000_000

_MODERATION_CODES = {
    "content_filter",
    "content_policy_violation",
    "contentfilter",
    "moderation_blocked",
    "responsibleaipolicyviolation",
}
_MODERATION_TEXTS = (
    "content management policy",
    "content moderation",
    "content policy",
    "contentpolicyviolation",
    "content_policy_violation",
    "moderation_blocked",
    "safety system",
)
_BILLING_CODES = {
    "billing_hard_limit_reached",
    "budget_exceeded",
    "credit_balance_exhausted",
    "insufficient_quota",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
}
_BILLING_TEXTS = (
    "billing hard limit",
    "budget has been exceeded",
    "exceeded your current quota",
    "monthly spending limit",
    "used all available credits",
)
_KEY_CODES = {"auth_error", "authentication_error", "invalid_api_key", "no_db_connection"}
_KEY_TEXTS = ("incorrect api key", "invalid subscription key")
_MODEL_CODES = {"deploymentnotfound", "model_not_found", "not-found"}
_MODEL_TEXTS = ("invalid model name passed",)
_SOURCE_CODES = {
    "image_too_large",
    "invalid_image",
    "invalid_image_file",
    "invalid_image_format",
    "invalid_mask",
    "invalid_mask_image_format",
}
# LiteLLM puts the provider's whole answer, code and all, into its message.
_SOURCE_TEXTS = (*_SOURCE_CODES, "invalid image file", "invalid input image", "uploaded image")
_TOO_LONG_TEXTS = ("maximum length", "too long")


@dataclass(frozen=True)
class Refusal:
    """What a refusal says, whatever its shape. `codes` and `text` are in lower case."""

    message: str
    codes: frozenset[str]
    text: str
    param: str
    cost: float | None

    @classmethod
    def read(cls, reply: Reply) -> Refusal:
        try:
            body = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            body = {"error": reply.text}
        outer = body if isinstance(body, dict) else {}
        nested = outer.get("error")
        error = nested if isinstance(nested, dict) else {"code": outer.get("code"), "message": nested}
        inner = error.get("inner_error") or error.get("innererror")
        inner = inner if isinstance(inner, dict) else {}
        message = error.get("message") or outer.get("message") or outer.get("detail") or ""
        codes = {error.get("code"), error.get("type"), inner.get("code")}
        return cls(
            message=str(message),
            codes=frozenset(str(code).lower() for code in codes if code),
            text=str(message).lower(),
            param=str(error.get("param") or ""),
            cost=dollars(outer),
        )

    def has(self, codes: set[str], texts: tuple[str, ...] = ()) -> bool:
        return not codes.isdisjoint(self.codes) or any(text in self.text for text in texts)


def explain(reply: Reply, scrub: Scrub) -> EngineError | None:
    """The error that a refusal amounts to; None where its status says enough (408, 429, 5xx)."""
    refusal = Refusal.read(reply)

    def detail(what: str) -> str:
        codes = ", ".join(sorted(refusal.codes))
        return scrub(f"{what}: HTTP {reply.status} {refusal.message} ({codes})")

    if reply.status == 402 or refusal.has(_BILLING_CODES, _BILLING_TEXTS):
        return EngineMisconfigured(detail=detail("the account has no money or budget left"))
    if "image edit is not supported" in refusal.text:  # LiteLLM, with a 500, and nothing was asked upstream
        return Unsupported("This model cannot edit pictures.", detail=detail("no edits through LiteLLM"))
    if not 400 <= reply.status < 500 or reply.status in (408, 429):
        return None
    if reply.status == 401 or refusal.has(_KEY_CODES, _KEY_TEXTS):
        return KeyRefused(detail=detail("the key was refused"))
    if refusal.has(_MODERATION_CODES, _MODERATION_TEXTS):
        # xAI looks at the finished picture, and charges for it.
        charged = refusal.cost is not None or "generated image" in refusal.text
        return PromptRejected(detail=detail("content policy"), may_have_charged=charged, cost=refusal.cost)
    if reply.status == 404 or refusal.param == "model" or refusal.has(_MODEL_CODES, _MODEL_TEXTS):
        return EngineMisconfigured(detail=detail("no such model or address"))
    if reply.status == 403:
        return KeyRefused(detail=detail("the account may not do this"))
    if refusal.param == "prompt" and refusal.has({"string_above_max_length"}, _TOO_LONG_TEXTS):
        return PromptRejected(
            "This prompt is too long for the image engine. Please shorten it and try again.",
            detail=detail("prompt too long"),
        )
    if "transparent background is not supported" in refusal.text:
        return Unsupported("This model makes no transparent background.", detail=detail("background"))
    if reply.status == 413:
        return Unsupported("The pictures are too large for the image engine.", detail=detail("too large"))
    if refusal.has(_SOURCE_CODES, _SOURCE_TEXTS):
        return Unsupported(
            "The image engine does not take these source pictures or this mask.",
            detail=detail("source pictures or mask"),
        )
    if "xaiexception - error code: 400" in refusal.text:
        # LiteLLM has lost xAI's reason: content policy, which charges, or a wrong key at the proxy.
        return BadEngineResponse(
            "The image engine refused this without a reason. Please rephrase the prompt and try again;"
            " if that does not help, tell an administrator.",
            detail=detail("LiteLLM lost xAI's reason: content policy, or the proxy's xAI key"),
            may_have_charged=True,
        )
    return EngineMisconfigured(detail=detail("the request was refused"))


def dollars(body: dict[str, Any]) -> float | None:
    """What xAI charged, from `usage.cost_in_usd_ticks`; None where it does not say."""
    usage = body.get("usage")
    ticks = usage.get("cost_in_usd_ticks") if isinstance(usage, dict) else None
    return ticks / TICKS_PER_DOLLAR if isinstance(ticks, int | float) else None
