"""`…/chat/completions`, as OpenAI documents it and all of its imitators answer."""

from __future__ import annotations

from typing import Any

from tests.fakes.server import Response

POLISHED = "A cheerful watercolor portrait of a pixie, bathed in soft morning light."


def chat_completion(asked: dict[str, Any], says: Any) -> Response:
    """`says` as the assistant's words. Like the models that think first, it takes no temperature."""
    if unknown := sorted(asked.keys() - {"model", "messages"}):
        error = {
            "message": f"Unsupported parameter: '{unknown[0]}' is not supported with this model.",
            "type": "invalid_request_error",
            "param": unknown[0],
            "code": "unsupported_parameter",
        }
        return Response.json({"error": error}, 400)
    message = {"role": "assistant", "content": says, "refusal": None, "annotations": []}
    return Response.json(
        {
            "id": "chatcmpl-0123456789",
            "object": "chat.completion",
            "created": 1795293805,
            "model": asked.get("model", "gpt-5-mini"),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 90, "completion_tokens": 30, "total_tokens": 120},
        }
    )
