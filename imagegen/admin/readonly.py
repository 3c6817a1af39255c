"""Lists to be read, where at most rows are deleted."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest

from imagegen.access.models import ApiKey
from imagegen.admin.lookups import FilteredAdmin


class ReadOnlyAdmin(FilteredAdmin):
    """`delete_label` is what deleting many is called."""

    delete_label = ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may delete rows has to see which."""
        may_view: bool = super().has_view_permission(request, obj)
        return may_view or self.has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if "delete_selected" in actions:
            function, name, _ = actions["delete_selected"]
            actions["delete_selected"] = (function, name, self.delete_label)
        return actions


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """A key begins as `prefix` says; the rest of it is nowhere. To delete it is to revoke it."""

    list_display = ["name", "user", "starts_with", "created", "expires_at", "last_used_at"]
    list_filter = ["created", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "user__username"]
    ordering = ["-created"]
    fields = list_display
    delete_label = "Revoke the selected API keys"

    @admin.display(description="starts with", ordering="prefix")
    def starts_with(self, key: ApiKey) -> str:
        return f"{key.prefix}…"


@admin.register(AccessAttempt)
class WrongPasswordsAdmin(ReadOnlyAdmin):
    """To delete an entry is to end its pause. What was sent is not shown."""

    list_display = ["username", "ip_address", "failures_since_start", "attempt_time"]
    list_filter = ["attempt_time"]
    search_fields = ["username", "ip_address"]
    fields = [*list_display, "user_agent", "path_info"]
    delete_label = "End the selected pauses"


@admin.register(LogEntry)
class ChangesAdmin(ReadOnlyAdmin):
    """Who changed what, in the admin, under /account and from the shell; of what the reader may look at.

    An entry repeats what was changed: the host of a connection, the name of a key.
    """

    list_display = ["action_time", "user", "content_type", "object_repr", "change"]
    list_filter = ["action_time", "action_flag", "content_type"]
    list_select_related = ["user", "content_type"]
    search_fields = ["user__username", "object_repr", "change_message"]
    fields = list_display
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        kinds = self.admin_site._registry.items()
        hidden = [model for model, its in kinds if not its.sees_all(request)]
        of_hidden = ContentType.objects.get_for_models(*hidden).values()
        entries: QuerySet[LogEntry] = super().get_queryset(request)
        return entries.exclude(content_type__in=of_hidden)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="change")
    def change(self, entry: LogEntry) -> str:
        return entry.get_change_message() or entry.get_action_flag_display()
