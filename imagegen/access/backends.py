"""The pause after wrong passwords, for Django's own way of logging in (the admin's)."""

from __future__ import annotations

from typing import Any

from axes.backends import AxesStandaloneBackend


class LoginPause(AxesStandaloneBackend):  # type: ignore[misc]  # axes has no types
    """Only where there is a request: a caller without one is no client from outside."""

    def authenticate(self, request: Any, *args: Any, **kwargs: Any) -> None:
        if request is not None:
            super().authenticate(request, *args, **kwargs)
