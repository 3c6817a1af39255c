"""What an address may ask of a list."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin

ASKED = ("exact", "id__exact", "isnull", "gte", "lt")
"""What Django's filters put after the name of their field."""


class FilteredAdmin(ModelAdmin):
    """A list is filtered by its own filters, which stand in `list_filter` by the names of fields.

    Django would filter by any field of the model, also by one that nobody is shown. Whoever asks
    `?hash__startswith=a`, `b` and so on reads such a field letter by letter, by how many rows there are.
    """

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        fields = self.get_list_filter(request)
        return any(lookup == f"{field}__{asked}" for field in fields for asked in ASKED)
