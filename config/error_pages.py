"""Errors outside of any view, in the shape of the family whose path it is; pages for the rest."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework.response import Response

from imagegen.access.errors import DATABASE_AWAY, INTERNAL, Problem, describe, render
from portraits.errors import render as render_for_portraits
from portraits.errors import translate as translate_for_portraits

PORTRAITS, API = "/api/mind/", "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, describe(BadRequest())) or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, describe(PermissionDenied())) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, describe(Http404())) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exception()
    if isinstance(error, Exception) and describe(error) is DATABASE_AWAY:
        return _answer(request, DATABASE_AWAY) or _database_away()
    return _answer(request, INTERNAL) or defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    from django.views.csrf import csrf_failure as page

    return _answer(request, describe(PermissionDenied())) or page(request, reason)


def _database_away() -> HttpResponse:
    page = defaults.ERROR_PAGE_TEMPLATE % {"title": "Service Unavailable", "details": DATABASE_AWAY.detail}
    return HttpResponse(page, status=DATABASE_AWAY.status, headers=DATABASE_AWAY.headers)


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse | None:
    if not request.path.startswith(API):
        return None
    if request.path.startswith(PORTRAITS):
        return _json(render_for_portraits(translate_for_portraits(problem)))
    return _json(render(problem))


def _json(response: Response) -> JsonResponse:
    body: Any = response.data
    headers = {name: value for name, value in response.headers.items() if name.lower() != "content-type"}
    return JsonResponse(body, status=response.status_code, headers=headers)
