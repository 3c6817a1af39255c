"""What the services refuse, in words that the caller may read. Each family gives it its own shape.

Faults of an engine are `imagegen.engines.errors.EngineError`.
"""

from __future__ import annotations


class ImageServiceError(Exception):
    """A request that is not carried out. `message` is for the caller."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.message = message
        self.retry_after = retry_after
        super().__init__(message)


class Disabled(ImageServiceError):
    """Staff have switched this off."""


class NotAllowed(ImageServiceError):
    """The caller may not use what this needs."""


class InvalidRequest(ImageServiceError):
    """A field breaks a rule that only the chosen model decides."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class QuotaExceeded(ImageServiceError):
    """The caller's groups allow no more for now."""


class TooBusy(ImageServiceError):
    """Too much is waiting already, or this process is stopping."""


class NoSpace(ImageServiceError):
    """The disk has no room for what the engine would be paid for."""


class StillRunning(ImageServiceError):
    """The first request with this idempotency key has no answer yet."""


class OtherBody(ImageServiceError):
    """This idempotency key came with another body before."""


class Interrupted(ImageServiceError):
    """The process that made the first request's pictures died. They may have been charged."""


class NotStored(ImageServiceError):
    """The engine delivered, but our storage or database did not take it. The answer is kept."""
