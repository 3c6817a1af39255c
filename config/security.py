"""The Content Security Policy of every page, and the methods that the admin takes."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed

ADMIN = "/admin/"
METHODS = ("GET", "HEAD", "POST")

HEADER = "Content-Security-Policy"
_POLICY = (
    "default-src 'self'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
POLICY = _POLICY.format(scripts="", styles="")
ADMIN_POLICY = _POLICY.format(scripts=" 'unsafe-eval'", styles=" 'unsafe-inline'")
"""Unfold's Alpine evaluates expressions and writes inline styles: allowed under /admin/ alone."""


class PolicyMiddleware:
    """Sets the policy of whatever has none of its own. Django's pages for DEBUG need all that it forbids."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not (settings.DEBUG and response.status_code in (404, 500)):
            policy = ADMIN_POLICY if request.path.startswith(ADMIN) else POLICY
            response.headers.setdefault(HEADER, policy)
        return response


class AdminMethodsMiddleware:
    """The admin is read, and sent forms. Its views would answer TRACE and whatever else there is like GET."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(ADMIN) and request.method not in METHODS:
            return HttpResponseNotAllowed(METHODS)
        return self.get_response(request)
