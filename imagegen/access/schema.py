"""How the API's description names who you are, and what errors look like."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.plumbing import get_class
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers

from imagegen.access.errors import INTERNAL, LOG_IN
from imagegen.access.strict import StrictCharField


class ErrorSerializer(serializers.Serializer[Any]):
    """Family B's errors."""

    detail = serializers.CharField(help_text="A sentence that a person can act on.")
    code = serializers.CharField(help_text="One word for programs.")
    errors = serializers.DictField(  # type: ignore[assignment]  # a field here, not the property
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong with which field.",
    )


_MEANING = {
    400: "Invalid parameters.",
    401: "Not authenticated.",
    403: "Not permitted.",
    404: "Not found.",
    405: "Wrong method.",
    409: "A request with the same Idempotency-Key is still running.",
    413: "The body is too large.",
    415: "Wrong content type.",
    422: "The Idempotency-Key was used with another body.",
    429: "Too many requests, or a used-up quota; see Retry-After.",
    500: "A fault of ours.",
    503: "Too much is waiting already, or something we need is away; see Retry-After.",
}
SAID = {
    401: (LOG_IN, "not_authenticated"),
    403: ("You may not do this. Please ask an administrator for the permission.", "permission_denied"),
    404: ("Not found.", "not_found"),
    405: ('Method "PUT" not allowed.', "method_not_allowed"),
    409: ("The first request with this Idempotency-Key is still running.", "still_running"),
    413: ("The request body is larger than 70 MB.", "too_large"),
    415: ('Unsupported media type "text/plain" in request.', "unsupported_media_type"),
    422: ("This Idempotency-Key was used with another request.", "idempotency_key_reused"),
    429: ("Too many requests. Please try again in 1 second.", "throttled"),
    500: (INTERNAL.detail, INTERNAL.code),
    503: ("Too many pictures are being made. Please try again.", "too_busy"),
}
"""For examples: status -> what is said, and its code."""

INVALID = OpenApiExample(
    "invalid",
    {
        "detail": "prompt: This field is required.",
        "code": "invalid",
        "errors": {"prompt": ["This field is required."]},
    },
)


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """Family B's error responses for `extend_schema(responses=…)`."""
    return {
        status: OpenApiResponse(
            ErrorSerializer, _MEANING[status], [error_example(*SAID[status]) if status in SAID else INVALID]
        )
        for status in sorted(statuses)
    }


def error_example(detail: str, code: str) -> OpenApiExample:
    return OpenApiExample(code, {"detail": detail, "code": code})


class StrictSerializerScheme(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """`null` means absent, so an optional field takes it; text that must hold something says so."""

    target_class = "imagegen.access.strict.StrictSerializer"
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        """`Request` is added to the name of what goes in: here it would stand twice."""
        name: str = get_class(self.target).__name__
        return name.removesuffix("Serializer").removesuffix("Request")

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        for name, field in self.target.fields.items() if direction == "request" else ():
            described = schema["properties"][name]
            if not field.required:
                described["nullable"] = True
            if isinstance(field, StrictCharField) and not field.allow_blank:
                described.setdefault("pattern", r"\S")
        return schema


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "imagegen.access.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "x-scopes": {"api": "Full access to the API"},
            "description": "An access token that carries the scope `api`, or a personal API key (`easel_…`).",
        }


class SessionCookieScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "imagegen.access.authentication.SessionCookieAuthentication"
    name = "cookieAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "x-scopes": {"api": "Full access to the API"},
            "description": (
                "The session cookie of `POST /api/auth/session`; a browser keeps it, so there is nothing to "
                "enter here. A request that changes something also sends the value of the cookie "
                f"`{settings.CSRF_COOKIE_NAME}` as `X-CSRFToken`: this page does so by itself."
            ),
        }


class StrictObjectScheme(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """An object with rules for some of its keys."""

    target_class = "imagegen.access.strict.StrictObjectField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        properties = {}
        for name, field in self.target.known.items():
            properties[name] = auto_schema._map_serializer_field(field, direction)
            auto_schema._insert_field_validators(field, properties[name])
            if not field.required:
                properties[name]["nullable"] = True
        known = {"properties": properties} if properties else {}
        return {"type": "object", **known, "additionalProperties": {}}
