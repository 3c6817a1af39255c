"""The log of changes, Django's own: who changed what, also outside of the admin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry

__all__ = ["ADDITION", "CHANGE", "DELETION", "record"]


def record(*, by: Any, things: Sequence[Any], flag: int, message: str) -> None:
    """Write down that the user `by` added, changed or deleted `things`; before they are deleted."""
    LogEntry.objects.log_actions(by.pk, things, flag, change_message=message)
