"""Pictures that people send, as sources for edits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.core.files.base import File

from imagegen import pictures, storage
from imagegen.calls import gate
from imagegen.errors import InvalidRequest, NotStored
from imagegen.models import ImageFile
from imagegen.sources import MAX_BYTES, MAX_PIXELS

if TYPE_CHECKING:
    from django.contrib.auth.models import User

__all__ = ["MAX_BYTES", "upload"]

LONGEST_NAME = 100


def upload(file: File[bytes], *, owner: User) -> ImageFile:
    """Check what was sent, turn it upright, strip it, store it.

    Its name is for people only. Raises InvalidRequest (field `file`), NotStored.
    """
    with gate:
        try:
            picture = pictures.prepare(file.read(), max_pixels=MAX_PIXELS, thorough=True)
        except pictures.NotAPicture as error:
            raise InvalidRequest("file", str(error)) from error
        try:
            return storage.store_upload(
                picture, owner=owner, name=display_name(file.name or "", picture.extension)
            )
        except storage.NotWritten as error:
            raise NotStored("The picture could not be stored. Please try again later.") from error


def display_name(name: str, extension: str) -> str:
    """What is left of a file's name: no path, nothing invisible, and the extension that is true."""
    visible = "".join(char for char in re.split(r"[/\\]", name)[-1] if char.isprintable())
    stem = visible.rpartition(".")[0] or visible
    return f"{stem.strip(' .')[:LONGEST_NAME] or 'picture'}.{extension}"
