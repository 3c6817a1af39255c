"""Whether a password is right, and the pause after too many that are not."""

from __future__ import annotations

from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed

from imagegen.access.addresses import client_address
from imagegen.access.errors import TooManyRequests


def check_password(request: HttpRequest, *, username: str, password: str) -> Any:
    """The active user of that name and password.

    Unknown names, wrong passwords and inactive users all give the same AuthenticationFailed, after the
    same work. During a pause TooManyRequests is raised before the password is looked at.
    """
    username = get_user_model().normalize_username(username)
    if not AxesProxyHandler.is_allowed(request, {"username": username}):
        raise TooManyRequests(_pause_left(request, username), "Too many wrong passwords.")
    user = authenticate(request, username=username, password=password)
    if user is None:
        request.axes_locked_out = False  # type: ignore[attr-defined]  # this answer is not AxesMiddleware's
        raise AuthenticationFailed("The username or password is wrong.", code="wrong_credentials")
    return user


def forget_failures(request: HttpRequest, *, user: Any) -> None:
    """What a login does by itself: start counting wrong passwords anew."""
    AxesProxyHandler.reset_attempts(username=user.get_username(), ip_address=client_address(request))


def _pause_left(request: HttpRequest, username: str) -> float:
    """Seconds until the last wrong password is long enough ago."""
    attempts = AccessAttempt.objects.filter(username=username, ip_address=client_address(request))
    last = attempts.aggregate(last=Max("attempt_time"))["last"]
    ends = (last or timezone.now()) + settings.AXES_COOLOFF_TIME
    return float((ends - timezone.now()).total_seconds())
