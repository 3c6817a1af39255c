"""The pauses before a password is looked at, for the API and Django's own way of logging in (the admin's)."""

from __future__ import annotations

from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.exceptions import AxesBackendPermissionDenied

from imagegen.access.passwords import wait_of_address


class LoginPause(AxesStandaloneBackend):  # type: ignore[misc]  # axes has no types
    """Only where there is a request: a caller without one is no client from outside."""

    def authenticate(self, request: Any, *args: Any, **kwargs: Any) -> None:
        if request is None:
            return
        super().authenticate(request, *args, **kwargs)
        request.login_wait = wait_of_address(request)
        if request.login_wait:
            request.axes_locked_out = True
            raise AxesBackendPermissionDenied("This address tries too many passwords.")
