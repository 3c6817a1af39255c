"""The API's description, and the page that shows it: open to all, so they cost as good as nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request

READ_ONLY = ["get", "head"]


class SchemaView(SpectacularAPIView):
    """YAML or JSON, as `Accept` or `?format=` asks. Made once per process: it takes a third of a second."""

    http_method_names = READ_ONLY

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        return HttpResponse(
            _render(renderer.format),
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'inline; filename="easel.{renderer.format}"', "Vary": "Accept"},
        )


class DocsView(SpectacularSwaggerSplitView):
    http_method_names = READ_ONLY
    template_name = "api_docs.html"


@cache
def _render(form: str) -> bytes:
    """`form` is `yaml` or `json`; each has two media types."""
    renderer = next(kind for kind in SchemaView.renderer_classes if kind.format == form)
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    rendered: bytes = renderer().render(schema, renderer_context={})
    return rendered
