"""The icon that browsers ask every site for: a canvas on an easel."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

ICON = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<path d="M16 2v28M9 20 4 30m19-10 5 10" stroke="#7c3aed" stroke-width="3" stroke-linecap="round"/>
<rect x="5" y="5" width="22" height="16" rx="2" fill="#fff" stroke="#7c3aed" stroke-width="3"/>
<path d="m8 18 5-6 4 4 3-3 4 5z" fill="#7c3aed"/></svg>"""


@require_safe
@cache_control(public=True, max_age=86_400)
def favicon(request: HttpRequest) -> HttpResponse:
    return HttpResponse(ICON, content_type="image/svg+xml")
