"""What Django's pages would tell beyond what they are for."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin

ASKED = ("exact", "id__exact", "isnull", "gte", "lt")
"""What Django's filters put after the name of their field."""


class FilteredAdmin(ModelAdmin):
    """A list is filtered by its own filters, which stand in `list_filter` by the names of fields.

    Django would filter by any field of the model, also by one that nobody is shown. Whoever asks
    `?hash__startswith=a`, `b` and so on reads such a field letter by letter, by how many rows there are.

    What goes along with a deleted row is counted, not named: it may be of a kind that whoever deletes may not
    look at.
    """

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        fields = self.get_list_filter(request)
        return any(lookup == f"{field}__{asked}" for field in fields for asked in ASKED)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Django would tell who may see none which ids there are."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        page: HttpResponse = super().history_view(request, object_id, extra_context)
        return page

    def sees_all(self, request: HttpRequest) -> bool:
        """Whether each row may be looked at."""
        may_view: bool = self.has_view_permission(request)
        return may_view

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        _, counts, needed, protected = super().get_deleted_objects(objs, request)
        named = [f"{capfirst(self.opts.verbose_name)}: {one}" for one in objs]
        return named, counts, needed, protected
