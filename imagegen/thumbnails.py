"""Small versions of stored pictures: made when first asked for, then kept."""

from __future__ import annotations

from django.db.models.fields.files import FieldFile
from django.http import Http404

from imagegen import pictures, storage
from imagegen.calls import gate
from imagegen.database import release_connections
from imagegen.models import ImageFile


def find_or_make(file: ImageFile) -> FieldFile:
    """The stored thumbnail. Raises Http404 where the picture is gone, NotWritten."""
    if file.thumbnail:
        return file.thumbnail  # type: ignore[no-any-return]
    release_connections()
    try:
        with gate, file.file.open("rb") as stored:
            data = pictures.make_thumbnail(stored.read())
    except FileNotFoundError:
        raise Http404 from None
    thumbnail = storage.store_thumbnail(file, data)
    if thumbnail is None:
        raise Http404
    return thumbnail
