"""The page itself: in place of a list of usage rows, for holders of `imagegen.view_usage`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from imagegen.admin.dashboard import charts, tables, words
from imagegen.admin.lookups import FilteredAdmin
from imagegen.engines import ENGINES
from imagegen.models import EngineConnection, Generation, Usage
from imagegen.models.file import VIEW_OTHERS
from imagegen.rollup.figures import STRETCHES, Figures
from imagegen.rollup.look import Look

USUAL = "24h"
FILTERS = {
    "connection": "connection_name",
    "engine": "engine",
    "group": "group_name",
    "operation": "operation",
}
"""Name in the address -> field of a usage row."""


class Asked(forms.Form):
    """What the address asks for. Names need not exist any more: history keeps them."""

    range = forms.ChoiceField(choices=[(name, name) for name in STRETCHES])
    connection = forms.CharField(max_length=50, required=False)
    engine = forms.CharField(max_length=30, required=False)
    group = forms.CharField(max_length=150, required=False)
    operation = forms.CharField(max_length=10, required=False)


@admin.register(Usage)
class DashboardAdmin(FilteredAdmin):
    """Read-only: the rows are counted, not entered."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A single row says nothing to anybody."""
        return redirect("admin:imagegen_usage_changelist")

    history_view = change_view

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = _asked(request)
        context = {**self.admin_site.each_context(request), **page_of(asked), "title": "Dashboard"}
        context["may_see_generations"] = request.user.has_perm(VIEW_OTHERS)
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "imagegen/dashboard.html", context)


def _asked(request: HttpRequest) -> dict[str, str]:
    """What is not understood is left out."""
    form = Asked(request.GET)
    form.is_valid()
    asked = {name: value for name, value in form.cleaned_data.items() if value}
    return {"range": USUAL, **asked}


def page_of(asked: dict[str, str]) -> dict[str, Any]:
    """The template's context."""
    now = timezone.now()
    stretch = STRETCHES[asked["range"]]
    filters = {FILTERS[name]: value for name, value in asked.items() if name in FILTERS}
    figures = Look(stretch, filters, now).take()
    conditions = tables.health(figures.health, now)
    return {
        "asked": asked,
        "now": now,
        "stretch": stretch,
        "stretches": [(name, one.label) for name, one in STRETCHES.items()],
        "choices": _choices(asked, [one.connection for one in conditions]),
        "filtered": bool(filters),
        "empty": not figures.total.generations,
        "never": not figures.total.generations and not Generation.objects.exists(),
        "tiles": tables.tiles(figures),
        "refusals": words.integer(figures.total.refusals) if figures.total.refusals else "",
        "charts": charts.draw(stretch, figures),
        "breakdowns": tables.breakdowns(figures, asked),
        "errors": tables.top_errors(figures.kinds),
        "conditions": conditions,
        "generations_url": reverse("admin:imagegen_generation_changelist"),
        "uncounted": _uncounted(figures),
    }


def _choices(
    asked: dict[str, str], connections: list[EngineConnection]
) -> list[tuple[str, str, list[tuple[str, str]], str]]:
    """Of each filter: name, what "all" is called, choices, and the one chosen."""
    choices = {
        "connection": ("All connections", [(one.name, one.name) for one in connections]),
        "engine": ("All engines", [(name, engine.label) for name, engine in ENGINES.items()]),
        "group": ("All groups", [(name, name) for name in Group.objects.values_list("name", flat=True)]),
        "operation": ("All operations", list(Generation.Operation.choices)),
    }
    listed = []
    for name, (everything, pairs) in choices.items():
        chosen = asked.get(name, "")
        if chosen and all(value != chosen for value, _ in pairs):
            pairs = [*pairs, (chosen, chosen)]
        listed.append((name, everything, pairs, chosen))
    return listed


def _uncounted(figures: Figures) -> str:
    """Until when what is shown lacks something; empty when it lacks nothing."""
    if not figures.uncounted:
        return ""
    span, start = max(figures.uncounted, key=lambda period: period[1])
    return f"{start + span.length:%d %b %Y, %H:%M} UTC"
