"""What the services and the engines refuse, as problems that a family can render."""

from __future__ import annotations

from imagegen import errors
from imagegen.access.errors import INTERNAL, Problem
from imagegen.access.errors import describe as describe_request
from imagegen.engines.errors import EngineError
from imagegen.models.generation import QUOTA_EXCEEDED

_STATUS_AND_CODE: dict[type[errors.ImageServiceError], tuple[int, str]] = {
    errors.Disabled: (403, "disabled"),
    errors.NotAllowed: (403, "permission_denied"),
    errors.StillRunning: (409, "still_running"),
    errors.OtherBody: (422, "idempotency_key_reused"),
    errors.QuotaExceeded: (429, QUOTA_EXCEEDED),
    errors.Interrupted: (500, "interrupted"),
    errors.NotStored: (500, "not_stored"),
    errors.NoSpace: (503, "no_space"),
    errors.TooBusy: (503, "too_busy"),
}


def describe(exc: Exception) -> Problem:
    """Every exception that a view may meet. One that nobody foresaw is INTERNAL."""
    match exc:
        case EngineError():
            if exc.code == EngineError.code:  # only a replayed fault of our own has no kind
                return Problem(500, exc.message, INTERNAL.code)
            return Problem(400, exc.message, exc.code, retry_after=exc.retry_after)
        case errors.InvalidRequest():
            return Problem(400, f"{exc.field}: {exc.message}", "invalid", {exc.field: [exc.message]})
        case errors.ImageServiceError():
            status, code = _STATUS_AND_CODE[type(exc)]
            return Problem(status, exc.message, code, retry_after=exc.retry_after)
    return describe_request(exc)
