"""/api/auth: tokens, browser sessions and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth import login, logout
from django.middleware.csrf import get_token
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.tokens import RefreshToken

from imagegen.access import tokens
from imagegen.access.authentication import refuse_foreign_origin
from imagegen.access.gate import GatedAPIView
from imagegen.access.models import ApiKey, issue_key, revoke_key
from imagegen.access.passwords import check_password, forget_failures
from imagegen.access.permissions import KeysDoNotBreed, list_permissions
from imagegen.access.schema import errors
from imagegen.access.serializers import (
    CredentialsSerializer,
    IssuedKeySerializer,
    KeySerializer,
    NewKeySerializer,
    RefreshSerializer,
    TokensSerializer,
    WhoSerializer,
)

TAGS = ["auth"]
NO_CONTENT = OpenApiResponse(description="Done.")
CREDENTIALS_EXAMPLE = OpenApiExample(
    "Credentials", {"username": "ada", "password": "correct horse battery staple"}, request_only=True
)
WHO_EXAMPLE = OpenApiExample(
    "Who", {"username": "ada", "permissions": ["features.image_generation"]}, response_only=True
)


MAX_BODY_BYTES = 64 * 1024
"""Anybody may send these bodies, and nobody has a use for larger ones."""


class OpenView(GatedAPIView):
    # No docstring: the API's description would show it. Credentials are in the body.
    authentication_classes = []
    permission_classes = [AllowAny]
    max_body_bytes = MAX_BODY_BYTES


class TokenView(OpenView):
    @extend_schema(
        operation_id="logIn",
        tags=TAGS,
        summary="Log in: an access and a refresh token",
        request=CredentialsSerializer,
        responses={200: TokensSerializer} | errors(400, 401, 413, 415, 429),
        examples=[CREDENTIALS_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        user = check_password(request._request, **_read(CredentialsSerializer, request))
        forget_failures(request._request, user=user)
        return _answer(tokens.issue(user=user))


class TokenRefreshView(OpenView):
    @extend_schema(
        operation_id="refreshTokens",
        tags=TAGS,
        summary="The next pair of tokens",
        description="A refresh token works once. The new one replaces it.",
        request=RefreshSerializer,
        responses={200: TokensSerializer} | errors(400, 401, 413, 415, 429),
    )
    def post(self, request: Request) -> Response:
        return _answer(tokens.renew(**_read(RefreshSerializer, request)))


class LogoutView(OpenView):
    @extend_schema(
        operation_id="logOut",
        tags=TAGS,
        summary="Log out: end a refresh token",
        description="Access tokens made from it last until they expire. An ended refresh token is 401.",
        request=RefreshSerializer,
        responses={204: NO_CONTENT} | errors(400, 401, 413, 415, 429),
    )
    def post(self, request: Request) -> Response:
        tokens.revoke(**_read(RefreshSerializer, request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class SessionView(GatedAPIView):
    """A login must not depend on an older session, and a logout succeeds for whom nobody is logged in."""

    max_body_bytes = MAX_BODY_BYTES

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if self._is("POST") else super().get_authenticators()

    def get_permissions(self) -> Sequence[Any]:
        return super().get_permissions() if self._is("GET", "HEAD") else [AllowAny()]

    def _is(self, *methods: str) -> bool:
        request = self.request  # None while the API's description is made
        return request is not None and request.method in methods

    @extend_schema(
        operation_id="whoAmI",
        tags=TAGS,
        summary="Who am I",
        description="Also sets the CSRF cookie.",
        responses={200: WhoSerializer} | errors(401, 403, 429),
        examples=[WHO_EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        get_token(request._request)
        return _introduce(request.user)

    @extend_schema(
        operation_id="logBrowserIn",
        tags=TAGS,
        summary="Log a browser in",
        description="Sets the session cookie and the CSRF cookie.",
        request=CredentialsSerializer,
        responses={200: WhoSerializer} | errors(400, 401, 403, 413, 415, 429),
        examples=[CREDENTIALS_EXAMPLE, WHO_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        refuse_foreign_origin(request._request)
        user = check_password(request._request, **_read(CredentialsSerializer, request))
        request._request.session.flush()
        login(request._request, user)
        return _introduce(user)

    @extend_schema(
        operation_id="logBrowserOut",
        tags=TAGS,
        summary="Log a browser out",
        description="Also for a browser that is not logged in.",
        request=None,
        responses={204: NO_CONTENT} | errors(403, 429),
    )
    def delete(self, request: Request) -> Response:
        logout(request._request)
        return Response(status=status.HTTP_204_NO_CONTENT)


class KeysView(GatedAPIView):
    permission_classes = [IsAuthenticated, KeysDoNotBreed]
    max_body_bytes = MAX_BODY_BYTES

    @extend_schema(
        operation_id="listKeys",
        tags=TAGS,
        summary="Your API keys",
        responses={200: KeySerializer(many=True)} | errors(401, 403, 429),
    )
    def get(self, request: Request) -> Response:
        return Response(KeySerializer(ApiKey.objects.of(request.user), many=True).data)

    @extend_schema(
        operation_id="createKey",
        tags=TAGS,
        summary="Make an API key",
        description="The key is shown in this answer alone. An API key cannot make another.",
        request=NewKeySerializer,
        responses={201: IssuedKeySerializer} | errors(400, 401, 403, 413, 415, 429),
        examples=[
            OpenApiExample(
                "New key", {"name": "nightly build", "expires_at": "2030-01-31T00:00:00Z"}, request_only=True
            )
        ],
    )
    def post(self, request: Request) -> Response:
        key, text = issue_key(user=request.user, **_read(NewKeySerializer, request))
        key.key = text  # type: ignore[attr-defined]  # for this answer only
        return Response(IssuedKeySerializer(key).data, status=status.HTTP_201_CREATED)


class KeyView(GatedAPIView):
    permission_classes = [IsAuthenticated, KeysDoNotBreed]

    @extend_schema(
        operation_id="revokeKey",
        tags=TAGS,
        summary="Revoke an API key",
        request=None,
        responses={204: NO_CONTENT} | errors(401, 403, 404, 429),
    )
    def delete(self, request: Request, key_id: int) -> Response:
        if not revoke_key(user=request.user, key_id=key_id):
            raise NotFound("You have no such API key.")
        return Response(status=status.HTTP_204_NO_CONTENT)


def _read(serializer_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _answer(refresh: RefreshToken) -> Response:
    return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


def _introduce(user: Any) -> Response:
    return Response({"username": user.get_username(), "permissions": list_permissions(user)})
