"""Everybody's API keys: to be seen and revoked, never made and never read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from imagegen.access.models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """A key begins as `prefix` says; the rest of it is nowhere. To delete it is to revoke it."""

    list_display = ["name", "user", "starts_with", "created", "expires_at", "last_used_at"]
    list_filter = ["created", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "user__username"]
    ordering = ["-created"]
    fields = list_display

    @admin.display(description="starts with", ordering="prefix")
    def starts_with(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may revoke keys has to see which."""
        may_view: bool = super().has_view_permission(request, obj)
        return may_view or self.has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if "delete_selected" in actions:
            function, name, _ = actions["delete_selected"]
            actions["delete_selected"] = (function, name, "Revoke the selected API keys")
        return actions
