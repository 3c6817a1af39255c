from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from imagegen.access.addresses import parse_networks


@register
def check_trusted_proxies(**kwargs: Any) -> list[CheckMessage]:
    try:
        parse_networks(tuple(settings.EASEL_TRUSTED_PROXIES))
    except ValueError as error:
        hint = "List addresses or networks, such as 10.0.0.0/8, separated by commas."
        return [Error(f"EASEL_TRUSTED_PROXIES: {error}.", hint=hint, id="access.E001")]
    return []


@register
def check_login_attempts(**kwargs: Any) -> list[CheckMessage]:
    if settings.AXES_FAILURE_LIMIT < 1:
        return [
            Error("EASEL_LOGIN_ATTEMPTS must be at least 1: 0 would lock everybody out.", id="access.E002")
        ]
    return []
