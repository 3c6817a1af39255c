"""Settings, Images: one page for one row."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import BooleanField, Field
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.widgets import UnfoldBooleanSwitchWidget

from imagegen.admin.records import RecordedAdmin
from imagegen.admin.settings_form import SettingsForm, place, places
from imagegen.models import ImageSettings

SECTIONS = {
    "What is switched on": ["generation_enabled", "edit_enabled", "prompt_enabled"],
    "Which connection does what": [
        "generate_connection",
        "edit_connection",
        "portrait_connection",
        "polish_connection",
    ],
    "Defaults and limits of a request": [
        "default_size",
        "default_edit_size",
        "default_steps",
        "max_pictures",
    ],
    "What is stored": ["retention_days", "delete_pictures_with_user", "keep_native", "write_provenance"],
}
ORDER = "When the chosen one fails"
ABOUT_ORDER = (
    "Asked in this order when the chosen connection fails and cannot have charged anything. A connection that"
    " cannot do what is asked is passed over."
)


@admin.register(ImageSettings)
class ImageSettingsAdmin(RecordedAdmin):
    form = SettingsForm
    change_form_template = "imagegen/admin/settings_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: ImageSettings | None = None) -> Any:
        sections: list[Any] = [(title, {"fields": fields}) for title, fields in SECTIONS.items()]
        if obj is not None:
            names = [place(number) for number in range(1, places(obj) + 1)]
            sections.insert(2, (ORDER, {"fields": names, "description": ABOUT_ORDER}))
        return sections

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Without the places of the order: the form adds them itself."""
        fields = [name for names in SECTIONS.values() for name in names]
        return super().get_form(request, obj, change, **kwargs | {"fields": fields})

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, BooleanField):
            kwargs["widget"] = UnfoldBooleanSwitchWidget()
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ImageSettings, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        form.save_order()

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(ImageSettings))
        context |= {
            "last_change": entries.select_related("user").order_by("-action_time").first(),
            "show_save_and_continue": False,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def response_change(self, request: HttpRequest, obj: ImageSettings) -> HttpResponse:
        """Stay: there is no list to go back to."""
        self.message_user(request, "The image settings were saved. The next request uses them.")
        return redirect(self._page(obj))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one row: straight to it."""
        return redirect(self._page(ImageSettings.objects.current()))

    def _page(self, row: ImageSettings) -> str:
        return reverse("admin:imagegen_imagesettings_change", args=[row.pk])
