"""Connections to engines: their list, their form, and what can be tried from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Exists, Field, OuterRef
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldBooleanSwitchWidget

from imagegen.admin import trials, workflow_page
from imagegen.admin.connection_form import ConnectionForm
from imagegen.admin.engine_fields import ENGINE_FIELDS
from imagegen.admin.fields import ModelInput
from imagegen.admin.records import RecordedAdmin
from imagegen.engines import ENGINES
from imagegen.engines.base import EDIT, GENERATE
from imagegen.models import EngineConnection, ImageSettings
from imagegen.models.settings import OPERATIONS

FIRST = next(iter(ENGINES))
COMMON = ("name", "engine", "enabled")
READY, RESTING, OFF = "ready", "resting after failures", "off"
KEY_LOST = "its key cannot be decrypted: enter it again"


@admin.register(EngineConnection)
class ConnectionAdmin(RecordedAdmin):
    form = ConnectionForm
    change_form_template = "imagegen/admin/connection_form.html"
    list_display = ["title", "base_url", "default_model", "used_for", "state"]
    list_filter = ["engine", "enabled"]
    search_fields = ["name", "base_url", "default_model"]
    unshown: ClassVar = {
        "new_key": "the key: another was entered",
        "forget_key": "the key: it was removed",
        "parameters": "the parameters",
    }

    # The list

    @admin.display(description="name", ordering="name")
    def title(self, connection: EngineConnection) -> list[str]:
        return [connection.name, ENGINES[connection.engine].label]

    title.header = True  # type: ignore[attr-defined]  # Unfold: two lines

    @admin.display(description="used for")
    def used_for(self, connection: EngineConnection) -> str:
        return ", ".join(name for name in OPERATIONS if getattr(connection, f"does_{name}")) or "-"

    @admin.display(description="state")
    def state(self, connection: EngineConnection) -> str:
        if not connection.enabled:
            return OFF
        if connection.key_is_lost:
            return KEY_LOST
        return RESTING if connection.is_resting else READY

    state.label = {READY: "success", RESTING: "warning", KEY_LOST: "danger", OFF: "info"}  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> Any:
        selected = ImageSettings.objects.all()
        does = {
            f"does_{name}": Exists(selected.filter(**{f"{name}_connection": OuterRef("pk")}))
            for name in OPERATIONS
        }
        return super().get_queryset(request).annotate(**does)

    # The form

    def get_fieldsets(self, request: HttpRequest, obj: EngineConnection | None = None) -> Any:
        """The template keeps those of class `engine` apart: choosing another engine replaces them."""
        entry = ENGINE_FIELDS[_engine_of(request, obj)]
        sections = [
            (title, {"classes": ["engine"], "fields": self._shown(names, request, obj)})
            for title, names in entry.sections.items()
        ]
        who = ("Who may use it", {"fields": ["allowed_groups"]})
        return [("Connection", {"fields": list(COMMON)}), *sections, who]

    def _shown(self, names: tuple[str, ...], request: HttpRequest, obj: EngineConnection | None) -> list[str]:
        hidden = set() if obj and obj.encrypted_key else {"forget_key"}
        if obj and not self.has_change_permission(request, obj):
            hidden = {"new_key", "forget_key"}
        return [name for name in names if name not in hidden]

    def get_readonly_fields(self, request: HttpRequest, obj: EngineConnection | None = None) -> list[str]:
        """The engine of a connection stays: its key and its parameters mean nothing to another."""
        return ["generates_with", "edits_with", *(["engine"] if obj else [])]

    def get_form(
        self, request: HttpRequest, obj: EngineConnection | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.engine = _engine_of(request, obj)
        if "default_model" in form.base_fields:
            form.base_fields["default_model"].widget.fetch_url = _url("models", obj)
        return form

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "default_model":
            kwargs["widget"] = ModelInput()
        if db_field.name == "enabled":
            kwargs["widget"] = UnfoldBooleanSwitchWidget()
        if db_field.name == "allowed_groups":
            return db_field.formfield(widget=UnfoldAdminCheckboxSelectMultipleWidget())
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "engine":
            field.widget.attrs |= ENGINE_SWITCH
        return field

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        entry = ENGINE_FIELDS[_engine_of(request, obj)]
        can_change = self.has_change_permission(request) if obj else self.has_add_permission(request)
        context |= {
            "about_engine": entry.about,
            "key_is_lost": bool(obj and obj.key_is_lost),
            "test_url": _url("test", obj) if can_change else "",
            "try_url": _url("try", obj) if obj and can_change else "",
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="Generates with")
    def generates_with(self, connection: EngineConnection) -> SafeString | str:
        return _workflow_link(connection, GENERATE)

    @admin.display(description="Edits with")
    def edits_with(self, connection: EngineConnection) -> SafeString | str:
        return _workflow_link(connection, EDIT)

    # What can be tried

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, Callable[..., HttpResponse]] = {
            "test/": trials.test,
            "models/": trials.list_models,
            "<int:pk>/test/": trials.test,
            "<int:pk>/models/": trials.list_models,
            "<int:pk>/try/": trials.make_one,
            "<int:pk>/workflow/<str:operation>/": workflow_page.page,
        }
        own = [
            path(route, self.admin_site.admin_view(self._with_admin(view)), name=_name(route))
            for route, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def _with_admin(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def bound(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            return view(request, self, **kwargs)

        return bound


ENGINE_SWITCH = {
    "hx-get": "",
    "hx-trigger": "change",
    "hx-select": "#engine-fields",
    "hx-target": "#engine-fields",
    "hx-swap": "outerHTML",
}
"""Another engine: its fields are fetched and put in place of the old ones."""


def _engine_of(request: HttpRequest, obj: EngineConnection | None) -> str:
    asked = obj.engine if obj else request.POST.get("engine") or request.GET.get("engine", "")
    return asked if asked in ENGINES else FIRST


def _name(route: str) -> str:
    words = [part for part in route.split("/") if part and not part.startswith("<")]
    return "_".join(["imagegen_engineconnection", *words, *(["new"] if not route.startswith("<") else [])])


def _url(action: str, obj: EngineConnection | None) -> str:
    name = f"admin:imagegen_engineconnection_{action}"
    return reverse(name, args=[obj.pk]) if obj else reverse(f"{name}_new")


def _workflow_link(connection: EngineConnection, operation: str) -> SafeString | str:
    if connection.pk is None:
        return "A starter for plain checkpoints. Save first; then you can enter a workflow of your own."
    graph = connection.workflow if operation == GENERATE else connection.edit_workflow
    has_any = connection.workflow or connection.edit_workflow
    if graph:
        what, link = f"A workflow of {len(graph)} nodes.", "Look at it, or change it"
    elif has_any:
        what, link = "Nothing: it has no workflow for this.", "Enter a workflow"
    else:
        what, link = "A starter for plain checkpoints.", "Enter a workflow of your own"
    url = reverse("admin:imagegen_engineconnection_workflow", args=[connection.pk, operation])
    return format_html('{} <a class="easel-link" href="{}">{}</a>', what, url, link)
