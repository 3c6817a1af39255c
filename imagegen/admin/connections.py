"""Connections to engines."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminPasswordWidget

from imagegen.configuration.masks import mask
from imagegen.models import EngineConnection


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """The key is never sent to the browser: an empty field leaves it as it is."""

    new_key = forms.CharField(
        label="Key",
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Left empty: unchanged.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.encrypted_key:
            self.fields["new_key"].help_text = f"{mask(self.instance.key)} is stored. Left empty: unchanged."

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data["new_key"]:
            self.instance.key = self.cleaned_data["new_key"]
        return super().save(commit)


@admin.register(EngineConnection)
class ConnectionAdmin(ModelAdmin):
    form = ConnectionForm
    list_display = ["name", "engine", "base_url", "default_model", "enabled"]
    list_filter = ["engine", "enabled"]
    filter_horizontal = ["allowed_groups"]
    fieldsets = [
        (None, {"fields": ["name", "engine", "enabled", "base_url", "new_key", "default_model"]}),
        ("Who and how much", {"fields": ["allowed_groups", "deadline", "concurrency", "price"]}),
        ("Details", {"fields": ["listed_models", "parameters", "trusted_origins"]}),
        (
            "ComfyUI",
            {
                "classes": ["collapse"],
                "fields": ["workflow", "workflow_nodes", "edit_workflow", "edit_workflow_nodes"],
            },
        ),
    ]
