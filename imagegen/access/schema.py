"""How the API's description names who you are, and what errors look like."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


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
    503: "Too much is waiting already; see Retry-After.",
}


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """Family B's error responses for `extend_schema(responses=…)`."""
    return {code: OpenApiResponse(ErrorSerializer, description=_MEANING[code]) for code in sorted(statuses)}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "imagegen.access.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
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
            "description": (
                "The session cookie. A request that changes something also sends the value of the cookie "
                f"`{settings.CSRF_COOKIE_NAME}` as `X-CSRFToken`."
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
        known = {"properties": properties} if properties else {}
        return {"type": "object", **known, "additionalProperties": {}}
