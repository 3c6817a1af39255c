"""Whether a password is right, and the pause after too many that are not."""

from __future__ import annotations

from copy import copy
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed

from imagegen.access import rates
from imagegen.access.addresses import client_address
from imagegen.access.errors import TooManyRequests

NAMES_AT_ONCE = 20
"""So many names may one address fail with as often as it may with one: then it pauses altogether."""


def check_password(request: HttpRequest, *, username: str, password: str) -> Any:
    """The active user of that name and password.

    Unknown names, wrong passwords and inactive users all give the same AuthenticationFailed, after the
    same work. During a pause TooManyRequests is raised before the password is looked at, and so it is
    for an address that tries too many (see `wait_of_address`).
    """
    username = get_user_model().normalize_username(username)
    if not AxesProxyHandler.is_allowed(request, {"username": username}):
        raise TooManyRequests(_pause_left(request, username), "Too many wrong passwords.")
    asking = _without_forms(request)
    user = authenticate(asking, username=username, password=password)
    if user is None:
        if wait := getattr(asking, "login_wait", 0):
            raise TooManyRequests(wait, "Too many logins from this address.")
        raise AuthenticationFailed("The username or password is wrong.", code="wrong_credentials")
    return user


def _without_forms(request: HttpRequest) -> HttpRequest:
    """Axes writes down all fields of a form that fails, but for those named `password`. And it marks the
    request, so that its middleware would answer in our place."""
    copied = copy(request)
    copied.GET = copied.POST = QueryDict()
    return copied


def forget_failures(request: HttpRequest, *, user: Any) -> None:
    """What a login does by itself: start counting wrong passwords anew."""
    AxesProxyHandler.reset_attempts(username=user.get_username(), ip_address=client_address(request))


def wait_of_address(request: HttpRequest) -> float:
    """Seconds until this address may try a password again, 0 for now. A try is counted.

    The pause of one name does not hold up who tries one password with many names, nor who tries many at
    once, before the first failure is written down. And a password costs a third of a second of our time.
    """
    address = client_address(request)
    attempts = AccessAttempt.objects.filter(
        ip_address=address, attempt_time__gt=timezone.now() - settings.AXES_COOLOFF_TIME
    )
    failures = attempts.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
    if failures >= NAMES_AT_ONCE * settings.AXES_FAILURE_LIMIT:
        return _until_long_enough_ago(attempts)
    return rates.take(key=f"login:{address}", per_second=-(-settings.EASEL_RATE_ADDRESS // 4))


def _pause_left(request: HttpRequest, username: str) -> float:
    return _until_long_enough_ago(
        AccessAttempt.objects.filter(username=username, ip_address=client_address(request))
    )


def _until_long_enough_ago(attempts: QuerySet[Any]) -> float:
    """Seconds until the last wrong password is long enough ago."""
    last = attempts.aggregate(last=Max("attempt_time"))["last"]
    ends = (last or timezone.now()) + settings.AXES_COOLOFF_TIME
    return float((ends - timezone.now()).total_seconds())
