"""What goes wrong with a request, and how family B says it.

`describe` turns an exception into a `Problem`; `render` gives it a shape. A family with errors of its
own puts its own function before either of them:

    exception_handler = make_handler(describe=describe_portrait_problem, render=render_portrait_problem)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

logger = structlog.stdlib.get_logger("easel.access")

AUTHENTICATE = 'Bearer realm="easel"'
LOG_IN = "Please log in, or send an access token or an API key in the Authorization header."


@dataclass(frozen=True)
class Problem:
    """A fault, ready to be told.

    Attributes:
        status: the HTTP status.
        detail: a sentence that the caller can act on.
        code: one word for programs.
        errors: what is wrong with which field; nested fields as dotted paths.
        retry_after: seconds after which trying again makes sense.
        unexpected: nobody foresaw it, so it is logged with its traceback.
    """

    status: int
    detail: str
    code: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    retry_after: float | None = None
    unexpected: bool = False

    @property
    def headers(self) -> dict[str, str]:
        headers = {}
        if self.status == status.HTTP_401_UNAUTHORIZED:
            headers["WWW-Authenticate"] = AUTHENTICATE
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return headers


INTERNAL = Problem(
    status.HTTP_500_INTERNAL_SERVER_ERROR,
    "Something went wrong on our side. Please try again; if it stays, tell an administrator the trace id.",
    "internal_error",
    unexpected=True,
)
DATABASE_AWAY = Problem(
    status.HTTP_503_SERVICE_UNAVAILABLE,
    "The database does not answer at the moment. Please try again shortly.",
    "unavailable",
    retry_after=5,
)

Describe = Callable[[Exception], Problem]
Render = Callable[[Problem], Response]
ExceptionHandler = Callable[[Exception, Mapping[str, Any]], Response]


class TooManyRequests(exceptions.Throttled):
    """`wait` is in seconds."""

    def __init__(self, wait: float, reason: str = "Too many requests.") -> None:
        self.wait = max(1, math.ceil(wait))
        unit = "second" if self.wait == 1 else "seconds"
        exceptions.APIException.__init__(self, f"{reason} Please try again in {self.wait} {unit}.")


class BodyTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "too_large"


def describe(exc: Exception) -> Problem:
    """What any exception means to the caller. One that nobody foresaw is INTERNAL."""
    match exc:
        case exceptions.ValidationError():
            return _describe_invalid(exc)
        case exceptions.NotAuthenticated():
            return Problem(exc.status_code, LOG_IN, _code(exc))
        case exceptions.APIException():
            return Problem(
                exc.status_code, _sentence(exc), _code(exc), retry_after=getattr(exc, "wait", None)
            )
        case Http404():
            return describe(exceptions.NotFound())
        case PermissionDenied():
            return describe(exceptions.PermissionDenied())
        case RequestDataTooBig():
            return describe(BodyTooLarge())
        case SuspiciousOperation() | BadRequest() | UnreadablePostError():
            return Problem(status.HTTP_400_BAD_REQUEST, "The request could not be read.", "bad_request")
        case OperationalError() | InterfaceError():
            return DATABASE_AWAY
    return INTERNAL


def render(problem: Problem) -> Response:
    """Family B: `{"detail", "code"}`, and `"errors"` for bad fields."""
    body: dict[str, Any] = {"detail": problem.detail, "code": problem.code}
    if problem.errors:
        body["errors"] = problem.errors
    return Response(body, status=problem.status, headers=problem.headers)


def make_handler(describe: Describe = describe, render: Render = render) -> ExceptionHandler:
    """An exception handler for views: describe, log what nobody foresaw, render."""

    def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
        set_rollback()
        problem = describe(exc)
        if problem.unexpected:
            _report(exc, context)
        elif problem.code == DATABASE_AWAY.code:
            logger.error("database_away", error=str(exc))
        return render(problem)

    return handle


exception_handler = make_handler()


def _report(exc: Exception, context: Mapping[str, Any]) -> None:
    view, request = context.get("view"), context.get("request")
    http_request = getattr(request, "_request", request)
    logger.error(
        "unexpected_error",
        view=type(view).__name__,
        method=getattr(http_request, "method", ""),
        exc_info=exc,
    )
    got_request_exception.send(sender=type(view), request=http_request)


def _describe_invalid(exc: exceptions.ValidationError) -> Problem:
    errors: dict[str, list[str]] = {}
    for path, message in _flatten(exc.detail):
        errors.setdefault(path, []).append(message)
    whole = errors.pop("", [])
    named = [f"{path}: {message}" for path, messages in errors.items() for message in messages]
    return Problem(exc.status_code, " ".join(whole + named), "invalid", errors)


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, message) of every message; the path of what concerns the whole body is empty."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            inner = path if key == api_settings.NON_FIELD_ERRORS_KEY else f"{path}.{key}".lstrip(".")
            yield from _flatten(value, inner)
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            yield from _flatten(value, f"{path}.{index}".lstrip(".") if nested else path)
    else:
        yield path, str(detail)


def _sentence(exc: exceptions.APIException) -> str:
    """simplejwt keeps its sentence under a key."""
    detail: Any = exc.detail
    return str(detail.get("detail", exc.default_detail) if isinstance(detail, Mapping) else detail)


def _code(exc: exceptions.APIException) -> str:
    return str(getattr(exc.detail, "code", None) or exc.default_code)
