"""From a picture as its engine made it to a stored file: the same for a live answer and a recovered one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.utils import timezone

from imagegen import pictures, storage
from imagegen.engines.base import EngineImage
from imagegen.engines.sizes import Size
from imagegen.models import Generation, ImageFile


def store_image(
    image: EngineImage,
    generation: Generation,
    number: int,
    *,
    size: Size | None,
    tool: str = "",
    meta: Mapping[str, Any],
) -> ImageFile:
    """Check picture `number` (from 0) of a generation, fit it to `size`, and write it.

    `size` None keeps the native one. `tool` is noted in the picture as what made it; empty: no note.
    Returns the row, not yet saved. Touches no database. Raises NotAPicture, and what the storage raises.
    """
    picture = pictures.prepare(image.data, size=size, rgb_png=generation.is_portrait)
    if tool:
        picture = pictures.with_provenance(picture, tool)
    said = {**meta, **image.meta, "seed": image.seed, "revised_prompt": image.revised_prompt}
    known = {name: value for name, value in said.items() if value not in (None, "")}
    row = storage.store(picture, generation, number, meta=known, **for_a_time(generation))
    if generation.is_portrait:  # its answer carries the bytes: they are not to be fetched back for that
        row.file.file = ContentFile(picture.data)
    return row


def tool_name(engine: str, model: str, generation: Generation) -> str:
    """What made a picture, and under which id we know of it. Never its prompt: that is its person's."""
    return f"Easel: {engine} {model}, generation {generation.pk}"


def for_a_time(generation: Generation) -> dict[str, Any]:
    """A portrait's link ends; other pictures stay."""
    if not generation.is_portrait:
        return {}
    now = timezone.now()
    return {
        "temp_name": storage.temp_name(now),
        "expires_at": now + timedelta(days=settings.EASEL_PORTRAIT_DAYS),
    }
