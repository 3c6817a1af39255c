"""Who you are: an API key or an access token in `Authorization`, or the session cookie."""

from __future__ import annotations

from copy import copy
from typing import Any

from django.http import HttpRequest, QueryDict
from rest_framework.authentication import BaseAuthentication, CSRFCheck, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import Token

from imagegen.access import tokens
from imagegen.access.errors import AUTHENTICATE
from imagegen.access.models import KEY_PREFIX, ApiKey, record_use


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <API key or access token>`.

    A header that is there decides: where it is wrong, the cookie is not asked. `request.auth` is the
    ApiKey or the AccessToken.
    """

    def authenticate(self, request: Request) -> tuple[Any, ApiKey | Token] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, credential = header.strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential or " " in credential:
            raise AuthenticationFailed(
                "The Authorization header must be: Bearer, a space, and an access token or an API key.",
                code="bad_authorization_header",
            )
        return self._by_key(credential) if credential.startswith(KEY_PREFIX) else self._by_token(credential)

    def authenticate_header(self, request: Request) -> str:
        return AUTHENTICATE

    def _by_key(self, text: str) -> tuple[Any, ApiKey]:
        key = ApiKey.objects.find(text)
        if key is None:
            raise AuthenticationFailed(
                "This API key is unknown, expired or revoked.", code="api_key_not_valid"
            )
        record_use(key=key)
        return key.user, key

    def _by_token(self, text: str) -> tuple[Any, Token]:
        token = tokens.read(tokens.AccessToken, text)
        return tokens.find_user(token), token


class SessionCookieAuthentication(SessionAuthentication):
    """The session cookie. Any request from a foreign origin is refused; one that changes something must
    prove its own with the CSRF token, in the header alone: a body is not read before its sender is known.
    """

    def enforce_csrf(self, request: Request) -> None:
        refuse_foreign_origin(request._request)
        probe = copy(request._request)
        probe.POST = QueryDict()
        try:
            super().enforce_csrf(probe)  # type: ignore[arg-type]
        except PermissionDenied:
            raise PermissionDenied(
                "The CSRF token is missing or wrong. Send the value of the CSRF cookie as X-CSRFToken.",
                code="csrf_failed",
            ) from None


def refuse_foreign_origin(request: HttpRequest) -> None:
    """Raise PermissionDenied where a browser says that another site's page sent this."""
    check: Any = CSRFCheck(lambda _: None)  # type: ignore[arg-type]
    if "HTTP_ORIGIN" in request.META and not check._origin_verified(request):
        raise PermissionDenied("Requests from another origin are refused.", code="foreign_origin")
