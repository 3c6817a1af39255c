"""Small versions of stored pictures: made when first asked for, then kept."""

from __future__ import annotations

import structlog
from django.db.models.fields.files import FieldFile
from django.http import Http404

from imagegen import pictures, storage
from imagegen.calls import gate
from imagegen.database import release_connections
from imagegen.models import ImageFile

logger = structlog.stdlib.get_logger(__name__)


def find_or_make(file: ImageFile) -> FieldFile | bytes:
    """The stored thumbnail; its bytes alone where the storage does not take it, which is logged. Raises
    Http404 where the picture is gone.
    """
    if file.thumbnail:
        return file.thumbnail  # type: ignore[no-any-return]
    release_connections()
    try:
        with gate, file.file.open("rb") as stored:
            data = pictures.make_thumbnail(stored.read())
    except FileNotFoundError:
        raise Http404 from None
    try:
        thumbnail = storage.store_thumbnail(file, data)
    except storage.NotWritten:
        logger.exception("thumbnail not stored", file=str(file.pk))
        return data
    if thumbnail is None:
        raise Http404
    return thumbnail
