"""The admin's Content Security Policy, and the methods it takes."""

from __future__ import annotations

from collections.abc import Callable

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed

ADMIN = "/admin/"
METHODS = ("GET", "HEAD", "POST")
LOOSER = {"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]}


class AdminCSPMiddleware:
    """Unfold's Alpine evaluates expressions and writes inline styles: allowed under /admin/ alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith(ADMIN):
            response._csp_update = LOOSER  # type: ignore[attr-defined]  # what csp's decorators set
        return response


class AdminMethodsMiddleware:
    """The admin is read, and sent forms. Its views would answer TRACE and whatever else there is like GET."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(ADMIN) and request.method not in METHODS:
            return HttpResponseNotAllowed(METHODS)
        return self.get_response(request)
