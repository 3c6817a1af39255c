"""Generations of the past, as many as a test needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from imagegen.models import Generation

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def begun(ago: timedelta, *, seconds: float = 4.0, **fields: Any) -> Generation:
    """One that began `ago` before NOW and took so many seconds."""
    start = NOW - ago
    return Generation.objects.create(
        **{
            "operation": "generate",
            "connection_name": "studio",
            "engine": "openai",
            "prompt": "a secret hill",
            "status": "succeeded",
            "created_at": start,
            "finished_at": start + timedelta(seconds=seconds),
            "deadline_at": start + timedelta(seconds=180),
        }
        | fields
    )
