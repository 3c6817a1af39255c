"""`/metrics` for Prometheus, and the middleware that counts requests. docs/metrics.md has the list.

Without EASEL_METRICS_TOKEN and EASEL_METRICS_ALLOWED there is no such page. No address is allowed by itself,
not even the loopback one: behind a proxy that EASEL_TRUSTED_PROXIES does not name, everybody has it.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from config import metrics_files
from config.gauges import GaugesCollector
from imagegen import metrics as counted
from imagegen.access.addresses import comes_from

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED, STATIC, ADMIN = "unmatched", "static", "admin"


class MetricsMiddleware:
    """Counts requests by route, method and class of status. Not used where nobody may read the numbers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not _is_on():
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        counted.requests_in_flight.inc()
        try:
            response = self.get_response(request)
        finally:
            counted.requests_in_flight.dec()
        route, method = route_of(request), request.method or ""
        method = method if method in METHODS else counted.OTHER
        counted.requests(route, method, f"{response.status_code // 100}xx").inc()
        counted.request_seconds(route).observe(time.perf_counter() - started)
        return response


def route_of(request: HttpRequest) -> str:
    """The pattern of the path, such as `/api/v1/files/<uuid:id>`. All of the admin is one."""
    match = request.resolver_match
    if match is not None:
        return ADMIN if match.route.startswith("admin/") else f"/{match.route}"
    return STATIC if request.path.startswith(settings.STATIC_URL) else UNMATCHED


@csrf_exempt  # it reads alone
def metrics(request: HttpRequest) -> HttpResponse:
    """All numbers, of all workers of this machine, for who sends the token or comes from an allowed network.

    404 where nobody may; else 401 where a token would do, 404 where none is set; 405 for POST and the like.
    """
    if not _may_read(request):
        if not settings.EASEL_METRICS_TOKEN:
            raise Http404
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="easel metrics"'})
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    text = generate_latest(_all_processes()) + generate_latest(_looked_up())
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _is_on() -> bool:
    return bool(settings.EASEL_METRICS_TOKEN or settings.EASEL_METRICS_ALLOWED)


def _may_read(request: HttpRequest) -> bool:
    if comes_from(request, settings.EASEL_METRICS_ALLOWED):
        return True
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.EASEL_METRICS_TOKEN
    return bool(wanted) and scheme.lower() == "bearer" and hmac.compare_digest(_bytes(token), _bytes(wanted))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _all_processes() -> CollectorRegistry:
    folder = os.environ.get(metrics_files.FOLDER, "")
    if not os.path.isdir(folder):
        return counted.REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def _looked_up() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GaugesCollector())
    return registry
