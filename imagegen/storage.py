"""Names of stored pictures, and the file that is written before its row."""

from __future__ import annotations

import hashlib
import secrets
import string
from datetime import datetime
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone

from imagegen.models import Generation, ImageFile
from imagegen.pictures import Picture

_TEMP_ALPHABET = string.ascii_lowercase + string.digits


def temp_name(now: datetime | None = None) -> str:
    """`YYYY-MM-DD_xxxxxxxxxxxxxxxx.png`: the UTC date and 16 random characters, some 82 bits."""
    random = "".join(secrets.choice(_TEMP_ALPHABET) for _ in range(16))
    return f"{now or timezone.now():%Y-%m-%d}_{random}.png"


def store(picture: Picture, generation: Generation, k: int, **fields: Any) -> ImageFile:
    """Write picture `k` (from 0) of a generation; return its row, not yet saved.

    The file comes first, so that a row never points at nothing. Its name carries the generation's id:
    should the row not follow, the picture can still be given back to whom it belongs to. Touches no
    database. Raises what the storage raises.
    """
    name = f"{generation.pk}-{k}-{secrets.token_hex(4)}.{picture.extension}"
    row = ImageFile(
        owner_id=generation.user_id,
        generation=generation,
        position=k,
        name=fields.get("temp_name") or f"{generation.pk}-{k}.{picture.extension}",
        content_type=picture.content_type,
        width=picture.size.width,
        height=picture.size.height,
        native_width=picture.native.width,
        native_height=picture.native.height,
        size=len(picture.data),
        sha256=hashlib.sha256(picture.data).hexdigest(),
        chat_id=generation.chat_id,
        message_id=generation.message_id,
        **fields,
    )
    row.file.save(name, ContentFile(picture.data), save=False)
    return row
