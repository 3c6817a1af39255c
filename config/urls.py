"""Every path there is."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config import health, metrics
from config.favicon import favicon
from config.schema_view import DocsView, SchemaView
from imagegen.api.urls import file_patterns, images
from imagegen.api.usage import UsageView


def leads_to(page: str) -> Callable[..., HttpResponseBase]:
    """A redirect of who reads. A form that is sent here goes nowhere."""
    return RedirectView.as_view(pattern_name=page, http_method_names=["get", "head"])


def search(request: HttpRequest) -> HttpResponseBase:
    """The admin's own, which fails on a page that is not there."""
    try:
        found: HttpResponseBase = admin.site.admin_view(admin.site.search)(request)  # type: ignore[attr-defined]
    except InvalidPage:
        raise Http404 from None
    return found


OWN_PASSWORD = leads_to("account-password")

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/auth/", include("imagegen.access.urls")),
    path("api/mind/", include("portraits.urls")),
    path("api/images/", include(images)),
    path("api/v1/images/", include(images)),
    path("api/v1/", include(file_patterns)),
    path("api/usage", UsageView.as_view()),
    path("favicon.ico", favicon),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
    path("account/", include("imagegen.access.account.urls")),
    # Before the admin, whose own page would check the present password without a pause after wrong ones
    path("admin/password_change/", OWN_PASSWORD),
    path("admin/password_change/done/", OWN_PASSWORD),
    path("admin/search/", search),
    path("admin/", admin.site.urls),
    path("", leads_to("docs")),
]

handler400 = "config.error_pages.bad_request"
handler403 = "config.error_pages.forbidden"
handler404 = "config.error_pages.not_found"
handler500 = "config.error_pages.server_error"
