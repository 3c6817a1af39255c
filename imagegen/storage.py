"""Pictures in the storage and their rows: written file first, deleted row first.

So a row never points at nothing. What a crash leaves is bytes without a row, and those are found again:
`manage.py reconcile_files`.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import Error, transaction
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from imagegen import metrics
from imagegen.models import Generation, ImageFile
from imagegen.models.file import FileQuerySet
from imagegen.pictures import Picture

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = structlog.stdlib.get_logger(__name__)

DELETED_AT_ONCE = 200
"""Rows that one transaction deletes."""

_TEMP_ALPHABET = string.ascii_lowercase + string.digits
_THUMBNAIL = ".thumbnail."


class NotWritten(OSError):
    """The storage did not take a file; the cause says why. Nothing half-written has its name."""


def temp_name(now: datetime | None = None) -> str:
    """`YYYY-MM-DD_xxxxxxxxxxxxxxxx.png`: the UTC date and 16 random characters, some 82 bits."""
    random = "".join(secrets.choice(_TEMP_ALPHABET) for _ in range(16))
    return f"{now or timezone.now():%Y-%m-%d}_{random}.png"


def store(picture: Picture, generation: Generation, k: int, **fields: Any) -> ImageFile:
    """Write picture `k` (from 0) of a generation; return its row, not yet saved.

    The file's name carries the generation's id: should the row not follow, the picture can still be given
    back to whom it belongs to. Touches no database. Raises NotWritten.
    """
    row = describe(picture, generation, k, **fields)
    _write_picture(row, f"{generation.pk}-{k}-{secrets.token_hex(8)}.{picture.extension}", picture)
    return row


def describe(picture: Picture, generation: Generation, k: int, **fields: Any) -> ImageFile:
    """The row of picture `k` (from 0) of a generation, not yet saved, without its file and SHA-256."""
    return _row(
        picture,
        owner_id=generation.user_id,
        generation=generation,
        position=k,
        name=fields.get("temp_name") or f"{generation.pk}-{k}.{picture.extension}",
        chat_id=generation.chat_id,
        message_id=generation.message_id,
        **fields,
    )


def store_upload(picture: Picture, *, owner: User, name: str) -> ImageFile:
    """Write a picture that a person sent, and its row. Raises NotWritten, and an Error of the database."""
    row = _row(picture, owner=owner, name=name)
    _write_picture(row, f"upload-{row.pk}-{secrets.token_hex(8)}.{picture.extension}", picture)
    try:
        row.save(force_insert=True)
    except Error:
        _delete_bytes([str(row.file)])
        raise
    return row


def store_thumbnail(file: ImageFile, data: bytes) -> FieldFile | None:
    """Write a WebP beside the picture and note it on the row; return the one that the row has now.

    Of several made at once, the first is kept. None where the row is gone. Raises NotWritten.
    """
    made: FieldFile = ImageFile(file=str(file.file)).thumbnail
    stem = PurePosixPath(str(file.file)).stem
    _write(made, f"{stem}{_THUMBNAIL}{secrets.token_hex(8)}.webp", ContentFile(data))
    if ImageFile.objects.filter(pk=file.pk, thumbnail="").update(thumbnail=made.name):
        return made
    _delete_bytes([str(made)])
    kept = ImageFile.objects.filter(pk=file.pk).exclude(thumbnail="").only("thumbnail").first()
    return None if kept is None else kept.thumbnail


def is_thumbnail(name: str) -> bool:
    """Whether a name in the storage is a thumbnail's: one without a row can go, it is made again."""
    return _THUMBNAIL in name


def delete_files(files: FileQuerySet) -> int:
    """Delete rows, then their bytes and thumbnails; return how many rows.

    A row goes in a short transaction, its bytes once that is committed: never the other way round. Bytes
    that the storage does not let go of are logged, and left to `reconcile_files`.
    """
    deleted = 0
    while count := _delete_some(files):
        deleted += count
    return deleted


def _delete_some(files: FileQuerySet) -> int:
    with transaction.atomic():
        picked = files.order_by().values("pk")[:DELETED_AT_ONCE]
        rows = list(
            ImageFile.objects.select_for_update()
            .filter(pk__in=[row["pk"] for row in picked])
            .values_list("pk", "file", "thumbnail")
        )
        ImageFile.objects.filter(pk__in=[pk for pk, *_ in rows]).delete()
        names = [name for _, *both in rows for name in both if name]
        transaction.on_commit(partial(_delete_bytes, names))
    return len(rows)


def _delete_bytes(names: Iterable[str]) -> None:
    for name in names:
        try:
            default_storage.delete(name)
        except Exception:
            metrics.storage_failures("delete").inc()
            logger.exception("bytes not deleted", name=name)


def _row(picture: Picture, **fields: Any) -> ImageFile:
    return ImageFile(
        content_type=picture.content_type,
        width=picture.size.width,
        height=picture.size.height,
        native_width=picture.native.width,
        native_height=picture.native.height,
        size=len(picture.data),
        **fields,
    )


class _Content(ContentFile):  # type: ignore[type-arg]
    """A picture's bytes. A folder's disk is at work once it has the last of them: time for their SHA-256."""

    def __init__(self, picture: Picture) -> None:
        super().__init__(picture.data)
        self.picture = picture

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield from super().chunks(chunk_size)
        self.picture.sha256  # noqa: B018 - computed once


def _write_picture(row: ImageFile, name: str, picture: Picture) -> None:
    """Raises NotWritten."""
    _write(row.file, name, _Content(picture))
    row.sha256 = picture.sha256


def _write(field: FieldFile, name: str, content: ContentFile) -> None:  # type: ignore[type-arg]
    """Whatever a storage class raises is told as one thing. Raises NotWritten."""
    try:
        field.save(name, content, save=False)
    except Exception as error:
        metrics.storage_failures("write").inc()
        raise NotWritten(f"{type(error).__name__}: {error}") from error
    metrics.written.inc(content.size)
