"""What the address of a list may ask for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin

ASKED = frozenset({"", "exact", "id__exact", "isnull", "gte", "lt"})
"""What Django's filters write behind the name of a field."""


class FilteredAdmin(ModelAdmin):
    """Takes from an address the filters that the list shows, and no others.

    Django lets it name any field of the model: with `?encrypted_key__startswith=` whoever sees a list finds
    out, letter by letter, what no page shows.
    """

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        shown = self.list_filter if request is None else self.get_list_filter(request)
        name, _, asked = lookup.partition("__")
        return name in shown and asked in ASKED
