"""What you may do."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from imagegen.access.models import ApiKey

IMAGE_GENERATION = "features.image_generation"
VIEW_OTHERS_PICTURES = "imagegen.view_others_pictures"


class CanGenerateImages(BasePermission):
    """Granted to users and groups in the admin; superusers have it."""

    message = "You may not generate images. Please ask an administrator for the permission."

    def has_permission(self, request: Request, view: Any) -> bool:
        found_with_them: bool = getattr(request.user, "may_generate_images", False)  # by users.py
        return found_with_them or request.user.has_perm(IMAGE_GENERATION)


class KeysDoNotBreed(BasePermission):
    """An API key may be listed by an API key, but neither made nor revoked: whoever finds one could
    otherwise outlast its revocation."""

    message = "An API key cannot change API keys. Please log in with your password."

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE_METHODS or not isinstance(request.auth, ApiKey)


def list_permissions(user: Any) -> list[str]:
    """Those of a user's permissions that a client shows or hides things by."""
    return [name for name in (IMAGE_GENERATION, VIEW_OTHERS_PICTURES) if user.has_perm(name)]


def signed_in(request: Request) -> User:
    """Who asks, where the view's permissions have let in nobody without a name."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user
