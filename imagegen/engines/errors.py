"""What can go wrong with an engine, in words that a caller may read.

Every fault of the outside world becomes one of these. `message` is safe to show to the person who
asked: no host, no key, no upstream text. What the engine said goes into `detail`, which is for the log
and for staff only.
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """An engine did not deliver.

    Args:
        message: a sentence for the person who asked; it leaks nothing.
        detail: what staff need in order to mend it. Never a key, never picture data.
        retry_after: seconds after which trying again makes sense, where the engine said so.
        may_have_charged: the request may have reached the engine, so a repeat could cost twice.
        cost: US dollars the engine says it took although it delivered nothing.
    """

    code: ClassVar[str] = "engine_error"
    default_message: ClassVar[str] = "The image engine failed."

    def __init__(
        self,
        message: str = "",
        *,
        detail: str = "",
        retry_after: float | None = None,
        may_have_charged: bool = False,
        cost: float | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.detail = detail
        self.retry_after = retry_after
        self.may_have_charged = may_have_charged
        self.cost = cost
        super().__init__(self.message)


class Unsupported(EngineError):
    """Asked for something that this engine or model cannot do. Raised before any call."""

    code = "unsupported"
    default_message = "The chosen model cannot do that."


class PromptRejected(EngineError):
    """The engine's content policy said no."""

    code = "prompt_rejected"
    default_message = "The image engine refused this prompt. Please rephrase it and try again."


class RateLimited(EngineError):
    """The engine has had enough of us for now. Nothing was charged."""

    code = "engine_rate_limited"
    default_message = "The image engine is busy. Please try again in a little while."


class EngineUnavailable(EngineError):
    """Cannot connect, 5xx, connection cut."""

    code = "engine_unavailable"
    default_message = "The image engine cannot be reached at the moment. Please try again later."


class EngineTimeout(EngineError):
    """The deadline passed."""

    code = "engine_timeout"
    default_message = "The image engine took too long. Please try again later."


class NoTurn(EngineTimeout):
    """Others had all of its turns until the deadline. The engine was not asked, and may be well."""

    default_message = "The image engine is busy with other pictures. Please try again later."


class BadEngineResponse(EngineError):
    """The engine answered, but with no usable picture."""

    code = "bad_engine_response"
    default_message = "The image engine sent no usable picture. Please try again."


class EngineMisconfigured(EngineError):
    """Wrong credentials, unknown model or endpoint, bad workflow: for staff to mend."""

    code = "engine_misconfigured"
    default_message = "The image engine is not set up correctly. Please tell an administrator."


class KeyRefused(EngineMisconfigured):
    """The engine does not take the credential, or wants one."""


class KeyLost(EngineMisconfigured):
    """A credential is stored that cannot be decrypted. The engine was not asked."""


_BY_CODE: dict[str, type[EngineError]] = {
    kind.code: kind
    for kind in (
        Unsupported,
        PromptRejected,
        RateLimited,
        EngineUnavailable,
        EngineTimeout,
        BadEngineResponse,
        EngineMisconfigured,
    )
}

CODES = tuple(_BY_CODE)
"""Those that a generation may have failed with."""


def error_for_code(code: str, message: str) -> EngineError:
    """The error again that was written down as `code` and `message`."""
    return _BY_CODE.get(code, EngineError)(message)
