"""Stored pictures, as they are after a generation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from imagegen import pictures, storage
from imagegen.models import Generation, ImageFile
from tests.fakes.server import picture


def generation(user: User | None, **fields: Any) -> Generation:
    """Closed, and past its deadline."""
    now = timezone.now()
    defaults = {
        "operation": "generate", "status": "succeeded", "prompt": "a lake", "engine": "openai",
        "connection_name": "up", "parameters": {"size": "64x64", "negative_prompt": "rain"},
        "deadline_at": now - timedelta(hours=1), "finished_at": now, "chat_id": "chat",
    }  # fmt: skip
    return Generation.objects.create(user=user, **(defaults | fields))


def stored(user: User | None, *, days: float = 0, **fields: Any) -> ImageFile:
    """A picture that was made so many days ago."""
    row = write(generation(user))
    for name, value in {"created_at": timezone.now() - timedelta(days=days), **fields}.items():
        setattr(row, name, value)
    row.save()
    return row


def write(of: Generation, position: int = 0) -> ImageFile:
    """Bytes, and their row, which is not saved."""
    return storage.store(pictures.prepare(picture(64, 64)), of, position)
